// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/parse.hh"
