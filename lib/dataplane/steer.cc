// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/steer.hh"
