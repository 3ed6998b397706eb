// SPDX-License-Identifier: BSD-3-Clause
// The generator's time stamps, its flows that never repeat, and backends that leave: nothing else
// may move. And the histogram of times.
#include <algorithm>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"
#include "perf/gen/check.hh"
#include "perf/gen/histogram.hh"

using namespace weir;
using namespace weir::gen;
using Bytes = std::vector<std::uint8_t>;

namespace {

const MacAddress weir_mac = *parse_mac("02:00:00:00:00:01");

ExpectedBackend backend(std::uint8_t number) {
    return {"b", IpAddress{{10, 0, 1, number}, Family::v4}, {{2, 0, 0, 0, 1, number}}, true};
}

// The packet as it comes back from the backend of this number.
Bytes returned(const Frames& frames, std::uint32_t flow, std::uint8_t number) {
    Bytes frame(frames.blank().begin(), frames.blank().end());
    frames.set_flow(frame.data(), flow, false, 77);
    std::ranges::copy(backend(number).mac.bytes, frame.begin());
    std::ranges::copy(weir_mac.bytes, frame.begin() + 6);
    return frame;
}

Frames frames_of(const char* vip, bool udp, std::uint64_t flows, bool stamped) {
    auto frames = Frames::make(
        {*parse_mac("02:00:00:00:00:99"), weir_mac, *parse_ip(vip), 80, udp, flows, 0, stamped});
    REQUIRE(frames.ok());
    return frames.value();
}

}  // namespace

TEST_CASE("frames: a stamp of 48 bits comes back, under a checksum that holds", "[perf]") {
    const bool v4 = GENERATE(true, false), udp = GENERATE(false, true);
    const Frames frames = frames_of(v4 ? "203.0.113.10" : "2001:db8::10", udp, 1000, true);
    const std::uint64_t stamp = GENERATE(0ull, 1ull, 0x0000'ffff'ffff'ffffull, 0x1234'5678'9abcull,
                                         0xdead'1234'5678'9abcull);
    Bytes frame(frames.blank().begin(), frames.blank().end());
    frames.set_flow(frame.data(), 5, true, stamp);
    const auto ip = std::span(frame).subspan(14);
    const auto found = frames.recognise(ip);
    CHECK(found.match == Frames::Match::exact);
    CHECK(found.flow == 5);
    CHECK(found.stamp == (stamp & stamp_mask));

    const std::size_t header = v4 ? 20 : 40, source = v4 ? 12 : 8, bytes = v4 ? 4 : 16;
    const auto transport = ip.subspan(header);
    const std::uint32_t pseudo =
        pseudo_header_sum(ip.subspan(source, bytes), ip.subspan(source + bytes, bytes),
                          v4 ? ip[9] : ip[6], static_cast<std::uint32_t>(transport.size()));
    CHECK(checksum_sum(transport, checksum_fold(pseudo)) == 0xffff);

    const std::size_t stamp_at = 14 + header + (udp ? 8 : 20);
    for (std::size_t at = stamp_at; at < frame.size(); ++at) {  // a changed byte, of the stamp, too
        Bytes changed = frame;
        changed[at] ^= 0x10;
        CHECK(frames.recognise(std::span(changed).subspan(14)).match == Frames::Match::changed);
    }
}

TEST_CASE("frames: without stamps nothing of the payload may vary", "[perf]") {
    const Frames frames = frames_of("203.0.113.10", false, 1000, false);
    Bytes frame(frames.blank().begin(), frames.blank().end());
    frames.set_flow(frame.data(), 5, true, 0x1234);
    const auto found = frames.recognise(std::span(frame).subspan(14));
    CHECK(found.match == Frames::Match::exact);
    CHECK(found.stamp == 0);
}

TEST_CASE("checker: flows may move from a backend that leaves, once, and from no other", "[perf]") {
    const Frames frames = frames_of("203.0.113.10", false, 1000, true);
    Expectation expectation{Forwarding::dsr_l2, {backend(1), backend(2), backend(3)}, {}, weir_mac};
    expectation.backends[0].leaves = true;
    auto made = Checker::make(expectation, frames, 1000);
    REQUIRE(made.ok());
    Checker& checker = made.value();
    const auto at = [&](std::uint32_t flow, std::uint8_t number) {
        return checker.check(returned(frames, flow, number));
    };
    CHECK(at(1, 1) == Verdict::right);
    CHECK(at(2, 2) == Verdict::right);
    CHECK(at(1, 3) == Verdict::right);  // its backend left
    CHECK(checker.rehomed() == 1);
    CHECK(at(1, 3) == Verdict::right);
    CHECK(at(1, 2) == Verdict::moved);  // the new one did not leave
    CHECK(at(2, 1) == Verdict::moved);  // and nobody moves to the one that leaves
    CHECK(checker.rehomed() == 1);
}

TEST_CASE("checker: a flow with one packet may be anywhere, if it was sent", "[perf]") {
    const Frames frames = frames_of("203.0.113.10", false, std::uint64_t{1} << 32, true);
    Expectation expectation{Forwarding::dsr_l2, {backend(1), backend(2)}, {}, weir_mac};
    auto made = Checker::make(expectation, frames, 1000);
    REQUIRE(made.ok());
    Checker& checker = made.value();
    checker.set_sent(1002);
    for (const std::uint8_t number : Bytes{1, 2, 1}) {
        const Opened judged = checker.judge(returned(frames, 1001, number));
        CHECK(judged.verdict == Verdict::right);
        CHECK(judged.flow == 1001);
        CHECK(judged.stamp == 77);
    }
    CHECK(checker.packets() == std::vector<std::uint64_t>{2, 1});
    CHECK(checker.check(returned(frames, 1001, 9)) == Verdict::unknown_backend);
    CHECK(checker.check(returned(frames, 1002, 1)) == Verdict::unknown_flow);
    CHECK(checker.check(returned(frames, 999, 1)) == Verdict::right);
    CHECK(checker.check(returned(frames, 999, 2)) == Verdict::moved);
}

TEST_CASE("histogram: quantiles are off by a class at most", "[perf]") {
    Histogram histogram;
    CHECK(histogram.quantile(0.5) == 0);
    for (std::uint64_t value = 1; value <= 100'000; ++value)
        histogram.add(value);
    CHECK(histogram.count() == 100'000);
    CHECK(histogram.most() == 100'000);
    CHECK(histogram.quantile(0) == 1);
    for (const double share : {0.0001, 0.01, 0.5, 0.99, 0.999, 1.0})
        CHECK(histogram.quantile(share) == Approx(share * 100'000).epsilon(0.016).margin(1));
    Histogram sum;
    sum.add(~std::uint64_t{0});
    sum.add(histogram);
    CHECK(sum.count() == 100'001);
    CHECK(sum.most() == ~std::uint64_t{0});
    CHECK(sum.quantile(0.5) == Approx(50'000).epsilon(0.016));
}
