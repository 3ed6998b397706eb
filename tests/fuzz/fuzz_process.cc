// SPDX-License-Identifier: BSD-3-Clause
// Packets of every kind through the pipelines of a whole instance, beside changes of the tables,
// time and sweeps: process_checks.hh says what must hold of each, and twins with and without
// lanes.hh must agree on all of it.
//
// Input: a byte for the scene, then operations. Byte 0, low 3 bits: 0-3 a frame for the burst (see
// process_frames.cc) and, with bit 3, its end; 4 time, 5 other tables, 6 a sweep, 7 the burst's
// end.
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/fuzz/process_balancer.hh"
#include "tests/fuzz/require.hh"
#include "tests/packet/same_verdict.hh"

namespace weir::fuzz {

namespace {

constexpr std::size_t most_frames = 200;

bool same(const Flight& a, const Flight& b) {
    return a.number == b.number && test::same(a.verdict, b.verdict) && a.front() == b.front() &&
           a.packet.length == b.packet.length &&
           std::memcmp(a.bytes.get(), b.bytes.get(), a.before.size()) == 0;
}

class Program {
public:
    Program(const Scene& scene, Input input)
        : scene_(scene),
          input_(input),
          lanes_(scene, Pipeline::Lanes::where_available),
          plain_(scene, Pipeline::Lanes::never) {}

    void run() {
        while (!input_.empty() && frames_ < most_frames)
            step(input_.byte());
        end_burst();
        now_ = now_ + 3'600'000;
        lanes_.finish(tables(), now_);
        plain_.finish(tables(), now_);
        compare();
        require(lanes_.is_done() && plain_.is_done(), "each packet has one fate");
    }

private:
    [[nodiscard]] const Tables& tables() const { return *scene_.states[state_]; }

    void step(std::uint8_t first) {
        const std::uint8_t more = first >> 3;
        switch (first & 7) {
            case 4:
                end_burst();
                return pass(std::uint32_t{input_.byte()} << more % 16);
            case 5:
                end_burst();
                state_ = more % scene_.states.size();
                courses_.clear();
                return;
            case 6:
                end_burst();
                sweep(more * 8u);
                return;
            case 7:
                end_burst();
                return;
            default:
                burst_.push_back(read_frame(input_, scene_, tables(), last_));
                ++frames_;
                if ((more & 1) != 0 || burst_.size() == max_burst) end_burst();
        }
    }
    // Workers come round in seconds, and entries must not wait for a sweep for half a day.
    void pass(std::uint32_t milliseconds) {
        constexpr std::uint32_t hour = 3'600'000;
        now_ = now_ + milliseconds;
        courses_.clear();
        unswept_ += milliseconds;
        if (unswept_ > 10 * hour) sweep(4096);
    }
    void sweep(std::uint32_t lines) {
        if (lines >= 4096) unswept_ = 0;
        lanes_.sweep(tables(), lines, now_);
        plain_.sweep(tables(), lines, now_);
        compare();
    }
    void end_burst() {
        if (burst_.empty()) return;
        lanes_.run(tables(), burst_, now_);
        plain_.run(tables(), burst_, now_);
        burst_.clear();
        compare();
    }
    void compare() {
        const std::vector<Flight> flights = lanes_.take_done(), twins = plain_.take_done();
        require(flights.size() == twins.size() && lanes_.equals(plain_), "twins count the same");
        for (std::size_t i = 0; i < flights.size(); ++i) {
            check_fate(tables(), flights[i]);
            require(same(flights[i], twins[i]), "twins decide and write the same");
            follow(flights[i]);
        }
    }
    // While nothing changes, a flow stays with its backend.
    void follow(const Flight& flight) {
        if (!flight.verdict.is_sent()) return;
        last_ = Sent{{flight.present().begin(), flight.present().end()}, flight.verdict.port};
        const std::optional<Course> course = course_of(tables(), flight);
        if (!course) return;
        const FlowKey& flow = course->flow;
        const auto key = std::tuple(flow.source, flow.destination, flow.source_port,
                                    flow.destination_port, flow.protocol, flow.family);
        const auto way = std::tuple(course->port, course->to, course->destination);
        const auto [known, is_new] = courses_.emplace(key, way);
        if (is_new) return;
        require(course->may_be_new || known->second == way, "a flow stays with its backend");
        known->second = way;
    }

    const Scene& scene_;
    Input input_;
    Balancer lanes_, plain_;
    std::size_t state_ = 0, frames_ = 0;
    Tick now_{5000};
    std::uint32_t unswept_ = 0;  // ms
    std::vector<Frame> burst_;
    std::optional<Sent> last_;
    using Address = std::array<std::uint8_t, 16>;
    std::map<std::tuple<Address, Address, std::uint16_t, std::uint16_t, std::uint8_t, Family>,
             std::tuple<PortId, std::array<std::uint8_t, 6>, std::vector<std::uint8_t>>>
        courses_;
};

}  // namespace

}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::fuzz;
    Input input({data, size});
    const std::span<const Scene> all = scenes();
    Program(all[input.byte() % all.size()], input).run();
    return 0;
}
