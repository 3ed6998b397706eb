// SPDX-License-Identifier: BSD-3-Clause
#include "lib/balance/maglev.hh"

#include <array>
#include <bit>

#include "lib/balance/maglev_parts.hh"

namespace weir {

std::uint64_t maglev_name_hash(std::string_view name) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : name)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return maglev_mix(hash);
}

std::uint32_t maglev_default_size(std::size_t backends) noexcept {
    constexpr std::array<std::uint32_t, 7> sizes{1021,    4093,      16'381,    65'537,
                                                 655'373, 6'553'577, 16'777'213};
    for (const std::uint32_t size : sizes) {
        if (size / 100 >= backends) return size;
    }
    return sizes.back();
}

bool is_prime(std::uint32_t n) noexcept {
    for (std::uint64_t d = 2; d * d <= n; ++d) {
        if (n % d == 0) return false;
    }
    return n > 1;
}

// One counting pass by the highest bits brings everyone close to his place, an insertion sort to
// it.
std::vector<Seat> maglev_order(std::span<const MaglevMember> members) {
    const auto shift = static_cast<unsigned>(63 - std::bit_width(members.size()));
    const auto bucket = [&](std::size_t i) { return members[i].name_hash >> shift; };
    std::vector<std::uint32_t> ends((std::size_t{2} << std::bit_width(members.size())) + 1);
    for (std::size_t i = 0; i < members.size(); ++i)
        ++ends[bucket(i) + 1];
    for (std::size_t i = 1; i < ends.size(); ++i)
        ends[i] += ends[i - 1];
    std::vector<Seat> order(members.size());
    for (std::size_t i = 0; i < members.size(); ++i)
        order[ends[bucket(i)]++] = static_cast<Seat>(i);
    for (std::size_t i = 1; i < order.size(); ++i) {
        const Seat seat = order[i];
        std::size_t at = i;
        for (; at > 0 && members[order[at - 1]].name_hash > members[seat].name_hash; --at)
            order[at] = order[at - 1];
        order[at] = seat;
    }
    return order;
}

}  // namespace weir
