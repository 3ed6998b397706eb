// SPDX-License-Identifier: BSD-3-Clause
#include "lib/balance/maglev.hh"
