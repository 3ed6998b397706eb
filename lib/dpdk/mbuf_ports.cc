// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/mbuf_ports.hh"

#include <fmt/format.h>
#include <rte_errno.h>

namespace weir {

int mbuf_ports_offset = -1;

Result<void> reserve_mbuf_ports() {
    static constexpr rte_mbuf_dynfield field{.name = "weir_fragment_ports",
                                             .size = sizeof(FragmentPorts),
                                             .align = alignof(FragmentPorts),
                                             .flags = 0};
    mbuf_ports_offset = rte_mbuf_dynfield_register(&field);
    if (mbuf_ports_offset >= 0) return {};
    return Error{
        fmt::format("no room for {} bytes in every packet buffer ({}): other users of "
                    "dynamic fields, timestamps of the NIC among them, have taken it",
                    field.size, rte_strerror(rte_errno))};
}

}  // namespace weir
