// SPDX-License-Identifier: BSD-3-Clause
// First stage, a group after the other.
#include <algorithm>
#include <bit>

#include "lib/dataplane/frame_lines.hh"
#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/lanes_packet.hh"
#include "lib/flow/prefetch.hh"

namespace weir::lanes {

static_assert(asked_ahead == group_size);

#if defined(__x86_64__)

bool available() noexcept {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

namespace {

// By half of its EtherType: worth to be read as IPv6.
inline bool may_be_ipv6(const Packet& packet) noexcept {
    return packet.contiguous > ip_at && packet.data[12] == ether_type_ipv6 >> 8;
}

// Any of those that are left.
inline bool has_ipv6(const Group& group) noexcept {
    for (unsigned rest = all_lanes & ~group.done; rest != 0; rest &= rest - 1)
        if (may_be_ipv6(group.packets[std::countr_zero(rest)])) return true;
    return false;
}

}  // namespace

WEIR_AVX512 Received receive(const Tables& tables, std::span<const Packet> packets,
                             const FlowTable& flows, FlowBurst& burst) noexcept {
    Received received;
    const PortId port = packets[0].port;
    const std::size_t rest = packets.size() % group_size;
    const std::size_t end = rest < fewest ? packets.size() - rest : packets.size();
    if (end == 0 || tables.ports[index(port)].vlan != 0) {  // none are for lanes
        ask_for_room(packets, 0, group_size);
        ask_for_frames(packets, group_size, packets.size());
        return received;
    }
    // When two more were read, or both that there are.
    const std::size_t second_fetched = end > 2 * group_size ? 2 * group_size : group_size;
    bool six_first = may_be_ipv6(packets[0]);
    for (std::size_t first = 0; first < end; first += group_size) {
        ask_for_frames(packets, first + group_size, group_size);
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
        received.narrow |= (BurstMask{four} << first) & first_bits(end);
        received.wide |= (BurstMask{six} << first) & first_bits(end);
        if (first == 0) {  // to arrive while the others are read
            ask_for_room(packets, 0, group_size);
            fetch(flows, burst, received);
        }
        if (first == second_fetched)
            fetch(flows, burst, received.within(first_bits(group_size) << group_size));
    }
    return received;
}

void fetch(const FlowTable& flows, const FlowBurst& burst, const Received& group) noexcept {
    const NarrowTable::Lines narrow = flows.narrow_lines();
    for (BurstMask rest = group.narrow; rest != 0; rest &= rest - 1)
        prefetch_ahead(&narrow.line(burst.homes[std::countr_zero(rest)]));
    if (group.wide == 0) [[likely]]
        return;
    const WideTable::Lines wide = flows.wide_lines();
    for (BurstMask rest = group.wide; rest != 0; rest &= rest - 1) {
        const std::uint32_t home = burst.homes[std::countr_zero(rest)];
        prefetch_ahead(&wide.line(home));
        prefetch_ahead(&wide.companion(home));
    }
}

#else

bool available() noexcept {
    return false;
}

Received receive(const Tables&, std::span<const Packet>, const FlowTable&, FlowBurst&) noexcept {
    return {};
}

void fetch(const FlowTable&, const FlowBurst&, const Received&) noexcept {}

#endif

}  // namespace weir::lanes
