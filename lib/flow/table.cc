// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/table.hh"
