// SPDX-License-Identifier: BSD-3-Clause
// The packet cases through process(): no DPDK, no EAL, heap buffers of the exact size, so that a
// sanitizer sees every byte read or written outside.
#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>

#include <catch2/catch.hpp>

#include "lib/control/compile.hh"
#include "lib/control/config.hh"
#include "lib/dataplane/fragments.hh"
#include "lib/dataplane/process.hh"
#include "tests/packet/configuration.hh"
#include "tests/packet/main.hh"
#include "tests/packet/pieces.hh"

using namespace weir;
using namespace weir::test;

namespace {

std::unique_ptr<const Tables> tables_of(const std::string& text) {
    ConfigResult result = parse_config(text, "packet.toml");
    if (!result.config) throw std::runtime_error(to_string(result.errors.front()));
    weir::World world;
    world.config = std::make_shared<const Config>(std::move(*result.config));
    for (const std::string& mac : {net::wan_mac, net::lan_mac, net::tagged_mac})
        world.ports.push_back({.mac = *parse_mac(mac), .has_tap = true});
    world.generation = 1;
    Registry registry;
    if (const auto adopted = registry.adopt(*world.config); !adopted)
        throw std::runtime_error(adopted.error().message);
    for (const auto& key : needed_next_hops(*world.config))
        (void)registry.next_hop(key.port, key.address);
    return compile(nullptr, world, registry);
}

// Frame of exactly its own size behind exactly the headroom that DPDK gives.
struct Buffer {
    static constexpr std::uint16_t headroom = 128;
    explicit Buffer(const Bytes& frame)
        : bytes(new std::uint8_t[headroom + frame.size()]),
          packet{.data = bytes.get() + headroom,
                 .contiguous = static_cast<std::uint32_t>(frame.size()),
                 .length = static_cast<std::uint32_t>(frame.size()),
                 .headroom = headroom} {
        std::copy(frame.begin(), frame.end(), packet.data);
    }
    std::unique_ptr<std::uint8_t[]> bytes;
    Packet packet;
};

class Runner {
public:
    void operator()(const Case& one) {
        auto buffer = std::make_unique<Buffer>(one.frame);
        buffer->packet.port = PortId{static_cast<std::uint8_t>(one.in)};
        Verdict verdict;
        pipeline_.process(*tables_, {&buffer->packet, 1}, {&verdict, 1}, now);
        REQUIRE((verdict.action == Action::hold) == one.waits);
        if (one.waits)
            REQUIRE(waiting_.emplace(verdict.slot(), Waiting{one, std::move(buffer)}).second);
        else
            check(one, *buffer, verdict);
        check_released();
    }
    // Those that still wait: their time is over.
    void finish() {
        pipeline_.sweep_fragments(FragmentTable::datagrams, now + FragmentTable::timeout);
        check_released();
        REQUIRE(waiting_.empty());
    }

private:
    struct Waiting {
        Case one;
        std::unique_ptr<Buffer> buffer;
    };

    void check_released() {
        for (const FragmentTable::Released& released : pipeline_.released()) {
            const auto found = waiting_.find(released.slot);
            REQUIRE(found != waiting_.end());
            const auto& [one, buffer] = found->second;
            Verdict verdict = Verdict::dropped(reason_of(released.what));
            if (released.what == FragmentTable::What::pass)
                pipeline_.process_fragments(*tables_, {&buffer->packet, 1}, {&released.ports, 1},
                                            {&verdict, 1}, now);
            check(one, *buffer, verdict);
            waiting_.erase(found);
        }
    }

    void check(const Case& one, const Buffer& buffer, const Verdict& verdict) const {
        const Bytes after(buffer.packet.data, buffer.packet.data + buffer.packet.length);
        INFO("in:\n" << hex(one.frame) << "\nout:\n" << hex(after));
        REQUIRE(verdict.action == one.expect.action);
        if (verdict.action == Action::drop) {
            CHECK(name(verdict.reason) == name(one.expect.reason));
        } else if (verdict.action == Action::punt) {
            CHECK(verdict.punt_class == one.expect.punt);
            CHECK(verdict.port == buffer.packet.port);
            CHECK(after == one.frame);
        } else if (verdict.action == Action::send_in_pieces) {
            CHECK(verdict.port == PortId{static_cast<std::uint8_t>(one.expect.port)});
            check_pieces(one, pieces_of(buffer.packet, tables_->ports[index(verdict.port)], 77));
        } else {
            if (verdict.action == Action::answer)
                CHECK(name(verdict.reason) == name(one.expect.reason));
            CHECK(verdict.port == PortId{static_cast<std::uint8_t>(one.expect.port)});
            CHECK(difference(one.expect, after) == "");
        }
    }

    static void check_pieces(const Case& one, const std::vector<Bytes>& frames) {
        REQUIRE(frames.size() == 1 + one.expect.later.size());
        for (std::size_t i = 0; i < frames.size(); ++i) {
            INFO("fragment " << i << ":\n" << hex(frames[i]));
            CHECK(difference(of_fragment(one.expect, i), frames[i]) == "");
            CHECK(fragment_id(one.expect, frames[i]) == fragment_id(one.expect, frames[0]));
        }
    }
    static std::string_view name(DropReason reason) {
        return drop_reasons[static_cast<std::size_t>(reason)].name;
    }

    struct alignas(64) Line {
        std::byte bytes[64];
    };
    static constexpr std::uint32_t entries = 4096;
    static constexpr Tick now{1};
    std::unique_ptr<const Tables> tables_ = tables_of(packet_configuration({}));
    std::vector<Line> memory_ = std::vector<Line>(FlowTable::footprint(entries) / sizeof(Line) + 1);
    FlowTable flows_{std::as_writable_bytes(std::span(memory_)), entries, HashSecret{{1, 2, 3, 4}}};
    LcoreCounters counters_;
    std::unique_ptr<WorkerTraffic> traffic_ = std::make_unique<WorkerTraffic>();
    static constexpr NatTable::Size nat_size_{6, 0, 64};
    std::vector<Line> bindings_ = std::vector<Line>(NatTable::footprint(nat_size_) / sizeof(Line));
    NatTable nat_{std::as_writable_bytes(std::span(bindings_)), nat_size_,
                  HashSecret{{1, 2, 3, 4}}};
    Pipeline pipeline_{
        flows_, counters_, *traffic_, Pipeline::Lanes::where_available, {HashSecret{{5, 6, 7, 8}}},
        &nat_};
    std::map<std::uint8_t, Waiting> waiting_;  // by slot
};

}  // namespace

int main(int argc, char** argv) {
    const auto runner = std::make_unique<Runner>();
    Cases cases = all_cases();
    cases.push_back({.name = "fragments that waited too long are dropped"});
    return run_cases(argc, argv, cases, [&](const Case& one) {
        if (one.frame.empty() && one.name == cases.back().name) return runner->finish();
        (*runner)(one);
    });
}
