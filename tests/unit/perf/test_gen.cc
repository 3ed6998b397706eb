// SPDX-License-Identifier: BSD-3-Clause
// The generator's packets are valid and lead back to their flow, and its checker takes what a
// correct balancer sends and nothing else: each changed byte is found, by name.
#include <algorithm>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"
#include "lib/wire/encapsulate.hh"
#include "lib/wire/parse.hh"
#include "perf/gen/check.hh"

using namespace weir;
using namespace weir::gen;
using Bytes = std::vector<std::uint8_t>;

namespace {

const MacAddress weir_mac = *parse_mac("02:00:00:00:00:01");
const MacAddress other_mac = *parse_mac("02:00:00:00:00:99");
const MacAddress mac_a = *parse_mac("02:00:00:00:01:11"), mac_b = *parse_mac("02:00:00:00:01:12");

FrameOptions options_of(const char* vip, bool udp, std::uint64_t flows = 1000,
                        std::uint16_t size = 0) {
    return {other_mac, weir_mac, *parse_ip(vip), 80, udp, flows, size};
}

Bytes packet_of(const Frames& frames, std::uint32_t flow, bool syn = false) {
    Bytes bytes(frames.blank().begin(), frames.blank().end());
    frames.set_flow(bytes.data(), flow, syn);
    return bytes;
}

void set_macs(Bytes& frame, const MacAddress& destination, const MacAddress& source) {
    std::ranges::copy(destination.bytes, frame.begin());
    std::ranges::copy(source.bytes, frame.begin() + 6);
}

ExpectedBackend backend(const char* address, const MacAddress& mac) {
    return {address, *parse_ip(address), mac, true};
}

Expectation dsr() {
    return {Forwarding::dsr_l2,
            {backend("10.0.1.11", mac_a), backend("10.0.1.12", mac_b)},
            {},
            weir_mac};
}

Expectation tunnel(bool v6) {
    Expectation e{Forwarding::ipip, {}, {}, weir_mac};
    if (v6)
        e.backends = {backend("fd00:5::11", mac_a), backend("fd00:5::12", mac_a)};
    else
        e.backends = {backend("10.0.1.11", mac_a), backend("10.0.1.12", mac_a)};
    e.tunnel_sources = {*parse_prefix("10.64.0.0/20"), *parse_prefix("2001:db8:1:ffff::/100")};
    return e;
}

// What a balancer makes of a packet in an ipip service.
Bytes in_tunnel(const Bytes& packet, const ExpectedBackend& to, Family inner) {
    const auto source = to.address.family == Family::v4 ? "10.64.0.0/20" : "2001:db8:1:ffff::/100";
    const OuterTemplate outer = make_outer_template(*parse_prefix(source), to.address, inner);
    Bytes frame(packet.begin(), packet.begin() + 14);
    frame.resize(14u + outer.length);
    write_outer(frame.data() + 14, outer, static_cast<std::uint16_t>(packet.size() - 14), 0,
                0x1234'5678);
    frame.insert(frame.end(), packet.begin() + 14, packet.end());
    frame[12] = to.address.family == Family::v4 ? 0x08 : 0x86;
    frame[13] = to.address.family == Family::v4 ? 0x00 : 0xdd;
    set_macs(frame, to.mac, weir_mac);
    return frame;
}

// Right when the frame's length is right and the transport checksum holds over its pseudo header.
bool checksums_hold(std::span<const std::uint8_t> ip) {
    const bool v4 = ip[0] >> 4 == 4;
    const std::size_t header = v4 ? 20 : 40, addresses = v4 ? 4 : 16, source = v4 ? 12 : 8;
    if (v4 && checksum_sum(ip.first(20)) != 0xffff) return false;
    const auto transport = ip.subspan(header);
    const std::uint32_t pseudo =
        pseudo_header_sum(ip.subspan(source, addresses), ip.subspan(source + addresses, addresses),
                          v4 ? ip[9] : ip[6], static_cast<std::uint32_t>(transport.size()));
    return checksum_sum(transport, checksum_fold(pseudo)) == 0xffff;
}

}  // namespace

TEST_CASE("frames: every flow is a valid packet of its own, and is recognised", "[perf]") {
    const char* vip = GENERATE("203.0.113.10", "2001:db8:443::10");
    const bool udp = GENERATE(false, true);
    const std::uint16_t size = GENERATE(std::uint16_t{0}, std::uint16_t{101}, std::uint16_t{1518});
    const auto frames = Frames::make(options_of(vip, udp, 5000, size));
    REQUIRE(frames.ok());
    std::set<Bytes> seen;
    for (std::uint32_t flow = 0; flow < 5000; ++flow) {
        const bool syn = flow % 2 == 0;
        const Bytes packet = packet_of(frames.value(), flow, syn);
        const auto ip = std::span(packet).subspan(14);
        REQUIRE(checksums_hold(ip));
        const auto found = frames.value().recognise(ip);
        REQUIRE(found.match == Frames::Match::exact);
        REQUIRE(found.flow == flow);
        seen.insert(packet);
    }
    CHECK(seen.size() == 5000);
}

TEST_CASE("frames: the whole range of 2^32 flows comes back as itself", "[perf]") {
    const auto frames = Frames::make(options_of("203.0.113.10", false, std::uint64_t{1} << 32));
    REQUIRE(frames.ok());
    for (const std::uint32_t flow : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xfffffffeu, 0xffffffffu}) {
        const Bytes packet = packet_of(frames.value(), flow);
        const auto found = frames.value().recognise(std::span(packet).subspan(14));
        CHECK(found.match == Frames::Match::exact);
        CHECK(found.flow == flow);
    }
}

TEST_CASE("frames: no bit of a packet can change unseen", "[perf][property]") {
    const char* vip = GENERATE("203.0.113.10", "2001:db8:443::10");
    const bool udp = GENERATE(false, true);
    const auto frames = Frames::make(options_of(vip, udp, 1000, 101));
    REQUIRE(frames.ok());
    const Bytes packet = packet_of(frames.value(), 77);
    for (std::size_t bit = 0; bit < (packet.size() - 14) * 8; ++bit) {
        Bytes broken(packet.begin() + 14, packet.end());
        broken[bit / 8] = static_cast<std::uint8_t>(broken[bit / 8] ^ 1u << bit % 8);
        REQUIRE(frames.value().recognise(broken).match != Frames::Match::exact);
    }
    Bytes shorter(packet.begin() + 14, packet.end() - 1);
    CHECK(frames.value().recognise(shorter).match == Frames::Match::changed);
}

TEST_CASE("frames: a flow that was never asked for is unknown", "[perf]") {
    const auto few = Frames::make(options_of("203.0.113.10", false, 10));
    const auto many = Frames::make(options_of("203.0.113.10", false, 11));
    REQUIRE((few.ok() && many.ok()));
    const Bytes packet = packet_of(many.value(), 10);
    CHECK(few.value().recognise(std::span(packet).subspan(14)).match == Frames::Match::unknown);
}

TEST_CASE("frames: impossible sizes and counts are refused with the possible ones", "[perf]") {
    CHECK_FALSE(Frames::make(options_of("203.0.113.10", false, 0)).ok());
    CHECK_FALSE(Frames::make(options_of("203.0.113.10", false, 1, 63)).ok());
    CHECK_FALSE(Frames::make(options_of("2001:db8::1", false, 1, 64)).ok());
    CHECK_FALSE(Frames::make(options_of("2001:db8::1", false, 1, 9019)).ok());
    CHECK(Frames::make(options_of("2001:db8::1", false, 1, 9018)).ok());
}

TEST_CASE("checker: dsr-l2, right and every way of wrong", "[perf]") {
    const auto frames = Frames::make(options_of("203.0.113.10", false));
    auto made = Checker::make(dsr(), frames.value(), 1000);
    REQUIRE(made.ok());
    Checker& checker = made.value();
    Bytes good = packet_of(frames.value(), 7);
    set_macs(good, mac_a, weir_mac);
    CHECK(checker.check(good) == Verdict::right);
    CHECK(checker.check(good) == Verdict::right);

    Bytes moved = good;
    set_macs(moved, mac_b, weir_mac);
    CHECK(checker.check(moved) == Verdict::moved);
    Bytes stranger = good;
    set_macs(stranger, other_mac, weir_mac);
    CHECK(checker.check(stranger) == Verdict::unknown_backend);
    Bytes source = good;
    set_macs(source, mac_a, other_mac);
    CHECK(checker.check(source) == Verdict::ethernet);
    Bytes ttl = good;
    --ttl[14 + 8];
    CHECK(checker.check(ttl) == Verdict::inner_changed);
    CHECK(checker.check(Bytes(good.begin(), good.begin() + 20)) == Verdict::length);
    CHECK(checker.check(Bytes{}) == Verdict::length);
    Bytes broadcast = good;
    broadcast[0] = 0xff;
    CHECK(checker.check(broadcast) == Verdict::other);

    CHECK(checker.packets() == std::vector<std::uint64_t>{2, 0});
    CHECK(checker.flows() == std::vector<std::uint64_t>{0, 1});  // where it was seen last
}

TEST_CASE("checker: ipip in all four family combinations", "[perf]") {
    const bool inner6 = GENERATE(false, true), outer6 = GENERATE(false, true);
    const auto frames = Frames::make(options_of(inner6 ? "2001:db8::1" : "203.0.113.10", true));
    const Expectation expectation = tunnel(outer6);
    auto made = Checker::make(expectation, frames.value(), 1000);
    REQUIRE(made.ok());
    Checker& checker = made.value();
    const Family inner = inner6 ? Family::v6 : Family::v4;
    const auto frame_to = [&](std::size_t index) {
        return in_tunnel(packet_of(frames.value(), 3), expectation.backends[index], inner);
    };
    const Bytes good = frame_to(0);
    REQUIRE(checker.check(good) == Verdict::right);
    CHECK(checker.check(frame_to(1)) == Verdict::moved);
    REQUIRE(checker.check(good) == Verdict::moved);  // and back

    const auto with = [&good](std::size_t at, std::uint8_t value) {
        Bytes frame = good;
        frame[at] = value;
        return frame;
    };
    const std::size_t ip = 14;
    if (outer6) {
        CHECK(checker.check(with(ip, 0x50)) == Verdict::outer_version);
        CHECK(checker.check(with(ip + 1, 0x10)) == Verdict::outer_class);
        CHECK(checker.check(with(ip + 7, 63)) == Verdict::outer_ttl);
        CHECK(checker.check(with(ip + 6, 47)) == Verdict::outer_protocol);
        CHECK(checker.check(with(ip + 5, 1)) == Verdict::outer_length);
        CHECK(checker.check(with(ip + 8, 0x30)) == Verdict::outer_source);
        CHECK(checker.check(with(ip + 39, 0x77)) == Verdict::unknown_backend);
    } else {
        CHECK(checker.check(with(ip, 0x46)) == Verdict::outer_version);
        CHECK(checker.check(with(ip + 1, 4)) == Verdict::outer_class);
        CHECK(checker.check(with(ip + 8, 63)) == Verdict::outer_ttl);
        CHECK(checker.check(with(ip + 9, 47)) == Verdict::outer_protocol);
        CHECK(checker.check(with(ip + 3, 1)) == Verdict::outer_length);
        CHECK(checker.check(with(ip + 10, static_cast<std::uint8_t>(good[ip + 10] ^ 1))) ==
              Verdict::outer_checksum);
        CHECK(checker.check(with(ip + 15, static_cast<std::uint8_t>(good[ip + 15] ^ 1))) ==
              Verdict::outer_checksum);
    }
    CHECK(checker.check(with(good.size() - 1, 0)) == Verdict::inner_changed);
    CHECK(checker.check(with(5, 0x99)) == Verdict::unknown_backend);  // another next hop
    CHECK(checker.check(Bytes(good.begin(), good.begin() + 40)) == Verdict::length);
}

TEST_CASE("checker: without memory, open() tells the flow and is_backend() the backend", "[perf]") {
    const bool ipip = GENERATE(false, true);
    const auto frames = Frames::make(options_of("203.0.113.10", false));
    const Expectation expectation = ipip ? tunnel(false) : dsr();
    auto made = Checker::make(expectation, frames.value(), 0);
    REQUIRE(made.ok());
    Checker& checker = made.value();
    const auto frame_to = [&](std::size_t index) {
        Bytes frame = packet_of(frames.value(), 999);
        if (ipip) return in_tunnel(frame, expectation.backends[index], Family::v4);
        set_macs(frame, expectation.backends[index].mac, weir_mac);
        return frame;
    };
    for (const std::uint16_t index : std::vector<std::uint16_t>{0, 1, 0}) {
        const Bytes frame = frame_to(index);
        const Opened opened = checker.open(frame);
        CHECK(opened.verdict == Verdict::right);
        CHECK(opened.flow == 999);
        CHECK(checker.is_backend(index, frame));
        CHECK_FALSE(checker.is_backend(static_cast<std::uint16_t>(1 - index), frame));
    }
    Bytes changed = frame_to(0);
    changed.back() ^= 1;
    CHECK(checker.open(changed).verdict == Verdict::inner_changed);
}

TEST_CASE("checker: an outer source beyond the prefix is wrong, with a right checksum", "[perf]") {
    const auto frames = Frames::make(options_of("203.0.113.10", false));
    Expectation expectation = tunnel(false);
    const Bytes frame =
        in_tunnel(packet_of(frames.value(), 3), expectation.backends[0], Family::v4);
    expectation.tunnel_sources = {*parse_prefix("10.65.0.0/20")};
    auto checker = Checker::make(expectation, frames.value(), 1000);
    CHECK(checker.value().check(frame) == Verdict::outer_source);
}

TEST_CASE("checker: expectations that cannot be checked are refused", "[perf]") {
    const auto frames = Frames::make(options_of("203.0.113.10", false));
    Expectation none = dsr();
    none.backends.clear();
    CHECK_FALSE(Checker::make(none, frames.value(), 1000).ok());
    Expectation no_mac = dsr();
    no_mac.backends[1].mac_known = false;
    CHECK_FALSE(Checker::make(no_mac, frames.value(), 1000).ok());
    Expectation no_source = tunnel(false);
    no_source.tunnel_sources.clear();
    CHECK_FALSE(Checker::make(no_source, frames.value(), 1000).ok());
}
