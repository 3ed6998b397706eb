// SPDX-License-Identifier: BSD-3-Clause
// First stage, a group after the other.
#include <algorithm>
#include <bit>

#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/lanes_packet.hh"
#include "lib/flow/touch.hh"

namespace weir::lanes {

#if defined(__x86_64__)

bool available() noexcept {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

namespace {

// Starts to load the lines of the flows among the first `packets`.
inline void touch_lines(const FlowTable& flows, const FlowBurst& burst, std::size_t packets,
                        const Received& received) noexcept {
    const NarrowTable::Lines narrow = flows.narrow_lines();
    if (received.narrow == first_bits(packets)) [[likely]] {
        for (std::size_t i = 0; i < packets; ++i)
            touch(narrow.line(burst.homes[i]).header);
        return;
    }
    const WideTable::Lines wide = flows.wide_lines();
    for (std::size_t i = 0; i < packets; ++i) {
        if ((received.wide & bit(i)) != 0) {
            touch(wide.line(burst.homes[i]).header);
            touch(wide.companion(burst.homes[i]).ports[0]);
        } else if ((received.narrow & bit(i)) != 0) {
            touch(narrow.line(burst.homes[i]).header);
        }
    }
}

// Whether it is worth to read the rest as IPv6.
inline bool has_ipv6(const Group& group) noexcept {
    for (unsigned rest = all_lanes & ~group.done; rest != 0; rest &= rest - 1) {
        const Packet& packet = group.packets[std::countr_zero(rest)];
        if (packet.contiguous > ip_at && packet.data[12] == ether_type_ipv6 >> 8) return true;
    }
    return false;
}

}  // namespace

WEIR_AVX512 Received receive(const Tables& tables, std::span<const Packet> packets,
                             const FlowTable& flows, FlowBurst& burst) noexcept {
    Received received;
    const PortId port = packets[0].port;
    if (tables.ports[index(port)].vlan != 0) return received;
    const std::size_t rest = packets.size() % group_size;
    const std::size_t end = rest < fewest ? packets.size() - rest : packets.size();
    bool six_first = false;
    for (std::size_t first = 0; first < end; first += group_size) {
        const std::size_t left = end - first;
        Group group{tables, flows, burst, first, packets.data() + first, port};
        if (left < group_size) {  // the last one stands for those that are not there
            Packet* const spare = burst.spare[0];
            std::copy_n(group.packets, left, spare);
            std::fill_n(spare + left, group_size - left, spare[left - 1]);
            group.packets = spare;
        }
        const Outside outside = outside_of(group);
        // Most groups are of one family, and of that of the group before.
        __mmask16 four = 0, six = 0;
        if (six_first) group.done = six = receive_ipv6(group, outside);
        if (group.done != all_lanes) four = receive_ipv4(group, outside);
        group.done |= four;
        if (!six_first && has_ipv6(group)) six = receive_ipv6(group, outside);
        six_first = six != 0 && four == 0;
        received.narrow |= BurstMask{four} << first;
        received.wide |= BurstMask{six} << first;
    }
    received.narrow &= first_bits(end);
    received.wide &= first_bits(end);
    touch_lines(flows, burst, end, received);
    return received;
}

#else

bool available() noexcept {
    return false;
}

Received receive(const Tables&, std::span<const Packet>, const FlowTable&, FlowBurst&) noexcept {
    return {};
}

#endif

}  // namespace weir::lanes
