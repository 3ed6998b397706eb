// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <random>

#include <catch2/catch.hpp>

#include "lib/flow/deadlines.hh"

namespace weir {

namespace {

constexpr FlowState states[] = {FlowState::untracked, FlowState::syn, FlowState::established,
                                FlowState::fin};

// An entry that packets find and write as the pipeline does.
class Entry {
public:
    Entry(FlowState state, const FlowTimeouts& timeouts, Tick now)
        : state_(state), timeouts_(timeouts), expiry_(Deadlines(timeouts, now).first(state)) {}
    void packet(Tick now) {
        const Deadlines deadlines(timeouts_, now);
        if (!deadlines.is_due(state_, expiry_)) return;
        expiry_ = deadlines.next(state_);
        ++writes;
    }
    [[nodiscard]] bool lives(Tick now) const { return !Deadlines(timeouts_, now).is_past(expiry_); }
    unsigned writes = 0;

private:
    FlowState state_;
    FlowTimeouts timeouts_;
    Expiry expiry_;
};

}  // namespace

TEST_CASE("deadlines: an entry outlives its last packet by the timeout, and little more",
          "[flow][property]") {
    std::mt19937 random(7);
    unsigned early = 0, late = 0;
    for (unsigned round = 0; round < 4000; ++round) {
        const std::uint32_t timeout =
            1 + static_cast<std::uint32_t>(random() % (round % 2 == 0 ? 5000 : longest_timeout));
        const FlowTimeouts timeouts{
            .tcp_syn = timeout, .tcp_established = timeout, .tcp_fin = timeout, .udp = timeout};
        Tick now{static_cast<std::uint32_t>(random())};  // the clock wraps in some rounds
        Entry entry(states[round % 4], timeouts, now);
        for (unsigned packet = 0; packet < random() % 50; ++packet) {
            now = now + static_cast<std::uint32_t>(random() % timeout);
            entry.packet(now);
        }
        early += entry.lives(now + timeout) ? 0 : 1;
        late += entry.lives(now + timeout + timeout / 64 + 256) ? 1 : 0;
    }
    CHECK(early == 0);
    CHECK(late == 0);
}

TEST_CASE("deadlines: most packets of a busy flow write nothing", "[flow]") {
    const FlowTimeouts timeouts{.tcp_established = 900'000};
    Entry entry(FlowState::established, timeouts, Tick{0});
    for (std::uint32_t now = 0; now < 140'000; now += 10)
        entry.packet(Tick{now});
    CHECK(entry.writes > 5);
    CHECK(entry.writes < 15);
}

TEST_CASE("deadlines: a timeout that a reload shortens holds from the next packet on", "[flow]") {
    const FlowTimeouts before{.tcp_established = 900'000}, after{.tcp_established = 10'000};
    const Expiry expiry = Deadlines(before, Tick{5000}).next(FlowState::established);
    const Deadlines deadlines(after, Tick{6000});
    REQUIRE(deadlines.is_due(FlowState::established, expiry));
    CHECK(is_past(deadlines.next(FlowState::established), Tick{6000 + 10'000 + 512}));
}

}  // namespace weir
