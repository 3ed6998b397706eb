// SPDX-License-Identifier: BSD-3-Clause
#include <vector>

#include "lib/wire/icmp.hh"
#include "tests/fuzz/process_ip.hh"

namespace weir::fuzz {

namespace {

bool is_later(const Ip& ip) {
    return ip.parsed.l4 == L4Status::fragment && ip.parsed.fragment.offset != 0;
}

void check_error(const Ip& now) {
    require(now.parsed.protocol == icmp_protocol(now.parsed.family), "it is ICMP of its family");
    require(now.parsed.ip_length <= (now.v4() ? 576 : 1280), "no longer than errors are");
    const std::uint32_t sum = now.v4()
                                  ? sum_of(now.transport())
                                  : sum_of_all(now.addresses(), now.transport()) +
                                        static_cast<std::uint32_t>(now.transport().size()) + 58;
    require(sum % 65'535 == 0, "its checksum is right");
}

// Of a segment that has its ports.
void check_segment(const Ip& was, const Ip& now) {
    const bool udp = was.parsed.protocol == proto_udp;
    const std::size_t at = udp ? 6 : 16;
    const View before = was.transport(), after = now.transport();
    std::vector<std::uint8_t> expected(before.begin(), before.end());
    for (std::size_t i = 0; i < 4; ++i)
        expected[i] = after[i];
    for (const std::size_t i : {at, at + 1})
        expected[i] = after[i];
    require_equal(expected, after, "but for ports and checksum it is the same segment");
    const bool none = udp && before[6] == 0 && before[7] == 0;
    if (!none) {
        require(was.transport_sum() == now.transport_sum(), "its checksum is as right as before");
        return;
    }
    require(after[6] != 0 || after[7] != 0, "IPv6 asks for a checksum");
    const std::size_t length = std::size_t{before[4]} << 8 | before[5];
    const std::uint32_t sum =
        sum_of_all(now.addresses(), after.first(length)) + static_cast<std::uint32_t>(length) + 17;
    require(sum % 65'535 == 0, "and it is right");
}

}  // namespace

void check_across(const Ip& was, const Ip& now, bool is_error) {
    require(now.parsed.ttl + 1 == was.parsed.ttl, "it is a hop older");
    require(now.parsed.traffic_class == was.parsed.traffic_class, "DSCP and ECN are copied");
    require(now.header_sum() == 0, "the header's checksum is right");
    if (is_error) return check_error(now);
    require(std::size_t{was.parsed.ip_length} - was.transport_at() ==
                std::size_t{now.parsed.ip_length} - now.transport_at(),
            "all of its payload goes along");
    const bool piece = was.parsed.l4 == L4Status::fragment;
    if (piece) {
        require(now.parsed.l4 == L4Status::fragment, "a fragment stays one");
        require(now.parsed.fragment.offset == was.parsed.fragment.offset &&
                    now.parsed.fragment.more == was.parsed.fragment.more,
                "in its place");
        require(((now.parsed.fragment.identification ^ was.parsed.fragment.identification) &
                 0xffff) == 0,
                "of its datagram");
    }
    if (is_later(was)) return require_equal(was.transport(), now.transport(), "it is the same");
    require(now.parsed.protocol == was.parsed.protocol, "of the same protocol");
    check_segment(was, now);
}

}  // namespace weir::fuzz
