// SPDX-License-Identifier: BSD-3-Clause
#include "lib/balance/service_index.hh"
