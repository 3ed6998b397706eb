// SPDX-License-Identifier: BSD-3-Clause
// The checker on what GRE, GUE and L3DSR must make of a packet, and on each byte that is wrong.
#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"
#include "lib/wire/encapsulate.hh"
#include "lib/wire/redirect.hh"
#include "lib/wire/shim.hh"
#include "perf/gen/check.hh"

using namespace weir;
using namespace weir::gen;

namespace {

using Bytes = std::vector<std::uint8_t>;
const MacAddress weir_mac{{2, 0, 0, 0, 0, 5}}, hop_mac{{2, 0, 0, 0, 1, 11}};

Frames frames_to(bool v4) {
    return Frames::make({.source_mac = {{2, 0, 0, 0, 0, 0xc1}},
                         .destination_mac = weir_mac,
                         .destination = *parse_ip(v4 ? "203.0.113.10" : "2001:db8::1"),
                         .flows = 1000})
        .value();
}
Bytes packet_of(const Frames& frames, std::uint32_t flow) {
    Bytes packet(frames.blank().begin(), frames.blank().end());
    frames.set_flow(packet.data(), flow, false);
    return packet;
}

Expectation expect(Forwarding forwarding, bool v4) {
    Expectation expectation;
    expectation.forwarding = forwarding;
    for (const char* address : {v4 ? "10.0.1.11" : "fd00:5::11", v4 ? "10.0.1.12" : "fd00:5::12"})
        expectation.backends.push_back({address, *parse_ip(address), hop_mac, true});
    expectation.tunnel_sources = {*parse_prefix("10.64.0.0/20"), *parse_prefix("fd00:64::/96")};
    expectation.weir_mac = weir_mac;
    expectation.dscp = 46;
    return expectation;
}

void link(Bytes& frame, bool v4) {
    std::copy(hop_mac.bytes.begin(), hop_mac.bytes.end(), frame.begin());
    std::copy(weir_mac.bytes.begin(), weir_mac.bytes.end(), frame.begin() + 6);
    frame[12] = v4 ? 0x08 : 0x86;
    frame[13] = v4 ? 0x00 : 0xdd;
}

Bytes tunnelled(const Bytes& packet, Shim shim, bool v4_inside, const IpAddress& backend) {
    const bool v4 = backend.family == Family::v4;
    const Family inner = v4_inside ? Family::v4 : Family::v6;
    const auto outer = make_outer_template(*parse_prefix(v4 ? "10.64.0.0/20" : "fd00:64::/96"),
                                           backend, inner, shim);
    const std::size_t before = outer.length + shim_length(shim);
    Bytes frame(14 + before);
    const auto length = static_cast<std::uint16_t>(packet.size() - 14);
    write_outer(frame.data() + 14, outer, static_cast<std::uint16_t>(length + shim_length(shim)), 0,
                0x12345678);
    write_shim(frame.data() + 14 + outer.length, shim, inner, length, 6080, 0x12345678);
    frame.insert(frame.end(), packet.begin() + 14, packet.end());
    link(frame, v4);
    return frame;
}

Verdict check_with(Checker& checker, Bytes frame, std::size_t at) {
    frame[at] ^= 0x01;
    return checker.check(frame);
}

// A mode, the families inside and outside, and what comes back right in it.
struct Mode {
    Forwarding forwarding;
    Shim shim;
    bool v4_inside, v4_outside;

    [[nodiscard]] bool is_tunnel() const {
        return forwarding == Forwarding::ipip || shim != Shim::none;
    }
    [[nodiscard]] Expectation expectation() const {
        Expectation expectation = expect(forwarding, v4_outside);
        expectation.gue_variant = shim == Shim::gue_header ? 0 : 1;
        for (std::size_t i = 0; i < 2; ++i)  // dsr-l2 has but the MAC
            expectation.backends[i].mac.bytes[5] = static_cast<std::uint8_t>(i + 1);
        return expectation;
    }
    [[nodiscard]] Bytes right(std::uint32_t flow, std::size_t backend) const {
        const ExpectedBackend to = expectation().backends[backend];
        Bytes frame;
        if (is_tunnel()) {
            frame = tunnelled(packet_of(frames_to(v4_inside), flow), shim, v4_inside, to.address);
        } else {
            FrameOptions options = frames_to(v4_inside).options();
            if (forwarding == Forwarding::l3dsr || forwarding == Forwarding::nat)
                options.destination = to.address;
            if (forwarding == Forwarding::l3dsr) options.traffic_class = 46 << 2;
            if (forwarding == Forwarding::nat) --options.ttl;
            frame = packet_of(Frames::make(options).value(), flow);
            link(frame, v4_inside);
        }
        std::ranges::copy(to.mac.bytes, frame.begin());
        return frame;
    }
};

std::vector<Mode> modes() {
    std::vector<Mode> all;
    for (const bool v4 : {true, false}) {
        for (const Forwarding forwarding :
             {Forwarding::dsr_l2, Forwarding::l3dsr, Forwarding::nat, Forwarding::macfwd})
            all.push_back({forwarding, Shim::none, v4, v4});
        for (const bool outside : {true, false}) {
            all.push_back({Forwarding::ipip, Shim::none, v4, outside});
            all.push_back({Forwarding::gre, Shim::gre, v4, outside});
            all.push_back({Forwarding::gue, Shim::gue_direct, v4, outside});
            all.push_back({Forwarding::gue, Shim::gue_header, v4, outside});
        }
    }
    return all;
}

void mend_outer_checksum(Bytes& frame) {
    frame[24] = frame[25] = 0;
    const std::uint16_t sum = checksum_finish(checksum_sum(std::span(frame).subspan(14, 20)));
    frame[24] = static_cast<std::uint8_t>(sum >> 8);
    frame[25] = static_cast<std::uint8_t>(sum);
}

}  // namespace

TEST_CASE("checker: GRE and GUE in all four family combinations", "[perf]") {
    const bool v4_inside = GENERATE(true, false), v4_outside = GENERATE(true, false);
    const Shim shim = GENERATE(Shim::gre, Shim::gue_direct, Shim::gue_header);
    const Frames frames = frames_to(v4_inside);
    Expectation expectation =
        expect(shim == Shim::gre ? Forwarding::gre : Forwarding::gue, v4_outside);
    expectation.gue_variant = shim == Shim::gue_header ? 0 : 1;
    Checker checker = Checker::make(expectation, frames, 1000).value();
    const auto frame_to = [&](std::size_t i) {
        return tunnelled(packet_of(frames, 7), shim, v4_inside, expectation.backends[i].address);
    };
    const Bytes good = frame_to(0);
    REQUIRE(checker.check(good) == gen::Verdict::right);
    CHECK(checker.check(frame_to(1)) == gen::Verdict::moved);
    REQUIRE(checker.check(good) == gen::Verdict::moved);
    const std::size_t at = 14 + (v4_outside ? 20 : 40);
    for (std::size_t byte = 0; byte < shim_length(shim); ++byte) {
        if (shim != Shim::gre && byte < 2) continue;  // the flow's port
        CAPTURE(byte);
        CHECK(check_with(checker, good, at + byte) == gen::Verdict::shim);
    }
    if (shim != Shim::gre) {
        Bytes low = good;
        low[at] = 0xbf;
        CHECK(checker.check(low) == gen::Verdict::shim);
    }
    CHECK(check_with(checker, good, good.size() - 1) == gen::Verdict::inner_changed);
    // Another mode's packet is none of this one's.
    Expectation other = expectation;
    other.forwarding = Forwarding::ipip;
    CHECK(Checker::make(other, frames, 1000).value().check(good) != gen::Verdict::right);
    other.forwarding = shim == Shim::gre ? Forwarding::gue : Forwarding::gre;
    CHECK(Checker::make(other, frames, 1000).value().check(good) != gen::Verdict::right);
}

TEST_CASE("checker: l3dsr, of which every byte is known", "[perf]") {
    const bool v4 = GENERATE(true, false);
    const Frames frames = frames_to(v4);
    const Expectation expectation = expect(Forwarding::l3dsr, v4);
    Checker checker = Checker::make(expectation, frames, 1000).value();
    const auto frame_to = [&](std::size_t i, std::uint8_t dscp) {
        Bytes frame = packet_of(frames, 7);
        std::uint8_t* const ip = frame.data() + 14;
        rewrite_destination({ip, ip + (v4 ? 20 : 40), v4 ? Family::v4 : Family::v6, 6},
                            {expectation.backends[i].address.bytes, dscp});
        link(frame, v4);
        return frame;
    };
    const Bytes good = frame_to(0, 46);
    REQUIRE(checker.check(good) == gen::Verdict::right);
    CHECK(checker.check(frame_to(1, 46)) == gen::Verdict::moved);
    REQUIRE(checker.check(good) == gen::Verdict::moved);
    CHECK(checker.check(frame_to(0, 45)) == gen::Verdict::inner_changed);
    Bytes untouched = packet_of(frames, 7);
    link(untouched, v4);
    CHECK(checker.check(untouched) == gen::Verdict::unknown_backend);
    const std::size_t checksum = 14 + (v4 ? 20u : 40u) + 16;
    CHECK(check_with(checker, good, checksum) == gen::Verdict::inner_changed);
    if (v4) CHECK(check_with(checker, good, 14 + 10) == gen::Verdict::inner_changed);
    CHECK(check_with(checker, good, good.size() - 1) == gen::Verdict::inner_changed);
    CHECK_FALSE(Checker::make(expect(Forwarding::l3dsr, !v4), frames, 1000).ok());
}

TEST_CASE(
    "checker: each bit of a frame is judged alike by who has seen its backend and who has not",
    "[perf][property]") {
    for (const Mode& mode : modes()) {
        CAPTURE(static_cast<int>(mode.forwarding), static_cast<int>(mode.shim), mode.v4_inside,
                mode.v4_outside);
        const Frames frames = frames_to(mode.v4_inside);
        const Checker fresh = Checker::make(mode.expectation(), frames, 1000).value();
        Checker warm = fresh;
        for (std::uint32_t flow = 0; flow < 8; ++flow)
            REQUIRE(warm.check(mode.right(flow, flow % 2)) == gen::Verdict::right);
        CHECK(warm.packets() == std::vector<std::uint64_t>{4, 4});
        const auto judged_alike = [&](const Bytes& frame) {
            Checker first = fresh, again = warm;
            const Opened one = first.judge(frame), other = again.judge(frame);
            return one.verdict == other.verdict && one.flow == other.flow;
        };
        const Bytes good = mode.right(5, 1);
        REQUIRE(judged_alike(good));
        for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
            CAPTURE(bit);
            Bytes frame = good;
            frame[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
            REQUIRE(judged_alike(frame));
            if (!mode.is_tunnel() || !mode.v4_outside) continue;
            mend_outer_checksum(frame);
            REQUIRE(judged_alike(frame));
        }
        for (std::size_t size = 0; size < good.size(); ++size)
            REQUIRE(judged_alike({good.begin(), good.begin() + static_cast<long>(size)}));
    }
}

TEST_CASE("checker: who has seen the backend of a frame still looks at its flow", "[perf]") {
    for (const Mode& mode : modes()) {
        if (mode.forwarding == Forwarding::macfwd) continue;
        CAPTURE(static_cast<int>(mode.forwarding), static_cast<int>(mode.shim), mode.v4_inside,
                mode.v4_outside);
        const Frames frames = frames_to(mode.v4_inside);
        Checker checker = Checker::make(mode.expectation(), frames, 10).value();
        for (std::uint32_t flow = 0; flow < 8; ++flow)
            REQUIRE(checker.check(mode.right(flow, flow % 2)) == gen::Verdict::right);
        CHECK(checker.check(mode.right(4, 1)) == gen::Verdict::moved);
        CHECK(checker.check(mode.right(9, 0)) == gen::Verdict::right);  // not seen before
        CHECK(checker.check(mode.right(9, 1)) == gen::Verdict::moved);
        CHECK(checker.check(mode.right(500, 0)) ==
              gen::Verdict::right);  // the only one of its flow
        CHECK(checker.check(mode.right(500, 1)) == gen::Verdict::right);
        CHECK(checker.packets() == std::vector<std::uint64_t>{6, 5});
        checker.set_sent(500);
        CHECK(checker.check(mode.right(500, 0)) == gen::Verdict::unknown_flow);
    }
}
