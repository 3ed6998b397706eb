// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/tcp_state.hh"
