// SPDX-License-Identifier: BSD-3-Clause
// What travels with a fragment from the worker that learnt of its flow to the one that owns it: the
// ports of the first fragment, in a dynamic field of the mbuf.
#pragma once

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include "lib/flow/fragment_table.hh"
#include "lib/wire/result.hh"

namespace weir {

// Reserves the field. Once or more, before the first use, on the control thread. Fails when other
// users of mbufs left no room.
Result<void> reserve_mbuf_ports();

extern int mbuf_ports_offset;
[[nodiscard]] inline FragmentPorts& ports_in(rte_mbuf& mbuf) noexcept {
    return *RTE_MBUF_DYNFIELD(&mbuf, mbuf_ports_offset, FragmentPorts*);
}

}  // namespace weir
