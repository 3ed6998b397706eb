// SPDX-License-Identifier: BSD-3-Clause
// forward(): its quick answers against forward_any(), and what decides between them.
#include <algorithm>
#include <memory>
#include <optional>
#include <random>

#include <catch2/catch.hpp>

#include "lib/dataplane/forward.hh"
#include "tests/packet/build.hh"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint16_t max_frame = 10'000;

// One backend behind one port, and a frame for it in a buffer of exactly its size.
struct Setting {
    PortTable port{.mac = {{2, 0, 0, 0, 0, 5}}, .vlan = 0, .mtu = 1500};
    MacAddress neighbor{{2, 0, 0, 0, 1, 11}};
    bool resolved = true, routed = true;
    Family family = Family::v4, outer_family = Family::v4;
    bool tunnel = false;
    bool tagged_ingress = false;
    std::uint16_t ip_length = 100, padding = 0, headroom = 128;
    std::uint8_t traffic_class = 0;
    std::uint64_t hash = 0;

    struct Result {
        Verdict verdict;
        std::ptrdiff_t moved;
        Bytes buffer;  // all of it, headroom too
        Bytes frame;
    };
    using Forward = Verdict(const Tables&, const BackendEntry&, const PacketMeta&, std::uint64_t,
                            Packet&) noexcept;

    [[nodiscard]] Result run(Forward forward) const {
        Tables tables;
        tables.ports = {PortTable{}, port};
        tables.next_hops = {NextHop{},
                            make_next_hop(PortId{1}, port, resolved ? &neighbor : nullptr)};
        BackendEntry backend;
        backend.next_hop = routed ? NextHopId{1} : invalid_next_hop;
        if (tunnel) {
            const bool four = outer_family == Family::v4;
            backend.outer =
                make_outer_template(*parse_prefix(four ? "198.18.64.0/24" : "fd00:1::/96"),
                                    *parse_ip(four ? "10.0.0.11" : "fd00:5::11"), family);
        }
        const std::uint16_t offset = tagged_ingress ? 18 : 14;
        const std::size_t length = offset + std::size_t{ip_length} + padding;
        const std::unique_ptr<std::uint8_t[]> memory(new std::uint8_t[headroom + length]);
        for (std::size_t i = 0; i < headroom + length; ++i)
            memory[i] = static_cast<std::uint8_t>(i * 7 + 3);
        const std::uint16_t type = family == Family::v4 ? 0x0800 : 0x86dd;
        memory[headroom + offset - 2u] = static_cast<std::uint8_t>(type >> 8);
        memory[headroom + offset - 1u] = static_cast<std::uint8_t>(type);
        Packet packet{.data = memory.get() + headroom,
                      .contiguous = static_cast<std::uint32_t>(length),
                      .length = static_cast<std::uint32_t>(length),
                      .headroom = headroom};
        const PacketMeta meta{.l3_offset = offset,
                              .ip_length = ip_length,
                              .traffic_class = traffic_class,
                              .family = family};
        const Verdict verdict = forward(tables, backend, meta, hash, packet);
        return {verdict, packet.data - (memory.get() + headroom),
                Bytes(memory.get(), memory.get() + headroom + length),
                Bytes(packet.data, packet.data + packet.length)};
    }
    [[nodiscard]] Result run() const { return run(quick); }
    static Verdict quick(const Tables& tables, const BackendEntry& backend, const PacketMeta& meta,
                         std::uint64_t hash, Packet& packet) noexcept {
        return forward(tables, backend, meta, hash, packet);
    }
    // The reason for a drop; none: sent.
    [[nodiscard]] std::optional<DropReason> reason() const {
        const Verdict verdict = run().verdict;
        if (verdict.action == Action::send) return std::nullopt;
        CHECK(verdict.action == Action::drop);
        return verdict.reason;
    }
};

}  // namespace

TEST_CASE("forward: the quick way is the same as step by step", "[dataplane][property]") {
    std::mt19937 random(11);
    const auto one_of = [&](auto... values) {
        const std::array all{values...};
        return all[random() % all.size()];
    };
    int sent = 0;
    for (int round = 0; round < 20'000; ++round) {
        Setting setting;
        setting.port.vlan = one_of(std::uint16_t{0}, std::uint16_t{0}, std::uint16_t{100});
        setting.port.mtu = one_of(std::uint16_t{576}, std::uint16_t{1500}, std::uint16_t{9600});
        setting.resolved = random() % 16 != 0;
        setting.routed = random() % 16 != 0;
        setting.family = one_of(Family::v4, Family::v6);
        setting.outer_family = one_of(Family::v4, Family::v6);
        setting.tunnel = random() % 3 != 0;
        setting.tagged_ingress = random() % 3 == 0;
        setting.ip_length = static_cast<std::uint16_t>(
            round % 2 == 0
                ? 40 + random() % 1500
                : std::min<std::size_t>(max_frame, setting.port.mtu + 2u - random() % 50));
        setting.padding = static_cast<std::uint16_t>(random() % 3 == 0 ? random() % 20 : 0);
        setting.headroom = static_cast<std::uint16_t>(random() % 4 == 0 ? random() % 50 : 128);
        setting.traffic_class = static_cast<std::uint8_t>(random());
        setting.hash = std::uint64_t{random()} << 32 | random();
        const Setting::Result quick = setting.run(), any = setting.run(forward_any);
        REQUIRE(quick.verdict.action == any.verdict.action);
        REQUIRE(quick.verdict.reason == any.verdict.reason);
        REQUIRE(quick.verdict.port == any.verdict.port);
        REQUIRE(quick.moved == any.moved);
        REQUIRE(quick.frame == any.frame);
        // Bytes that are not part of a frame that left may differ: nobody reads them.
        if (quick.verdict.action == Action::drop) REQUIRE(quick.buffer == any.buffer);
        sent += quick.verdict.action == Action::send ? 1 : 0;
    }
    CHECK(sent > 5000);
}

TEST_CASE("forward: what the client sent stays as it was, to the last byte",
          "[dataplane][property]") {
    for (const int outer : {0, 20, 40}) {
        for (const std::uint16_t vlan : {std::uint16_t{0}, std::uint16_t{7}}) {
            for (const bool tagged_ingress : {false, true}) {
                Setting setting;
                setting.tunnel = outer != 0;
                setting.outer_family = outer == 40 ? Family::v6 : Family::v4;
                setting.port.vlan = vlan;
                setting.tagged_ingress = tagged_ingress;
                const Setting::Result result = setting.run();
                REQUIRE(result.verdict.action == Action::send);
                CHECK(result.verdict.port == PortId{1});
                const std::size_t front = (vlan == 0 ? 14u : 18u) + static_cast<unsigned>(outer);
                REQUIRE(result.frame.size() == front + setting.ip_length);
                const std::size_t at = setting.headroom + (tagged_ingress ? 18u : 14u);
                for (std::size_t i = 0; i < setting.ip_length; ++i)
                    REQUIRE(result.frame[front + i] == static_cast<std::uint8_t>((at + i) * 7 + 3));
            }
        }
    }
}

TEST_CASE("forward: the MTU is exact, with each outer header, tagged or not", "[dataplane]") {
    for (const int outer : {0, 20, 40}) {
        for (const std::uint16_t vlan : {std::uint16_t{0}, std::uint16_t{7}}) {
            for (const std::uint16_t mtu :
                 {std::uint16_t{576}, std::uint16_t{1500}, std::uint16_t{9600}}) {
                Setting setting;
                setting.tunnel = outer != 0;
                setting.outer_family = outer == 40 ? Family::v6 : Family::v4;
                setting.port.vlan = vlan;
                setting.port.mtu = mtu;
                setting.ip_length = static_cast<std::uint16_t>(mtu - outer);
                CHECK_FALSE(setting.reason().has_value());
                ++setting.ip_length;
                CHECK(setting.reason() == DropReason::too_big);
            }
        }
    }
    Setting longest;  // an IP packet and its outer header may be longer than 16 bits can say
    longest.tunnel = true;
    longest.ip_length = 65535;
    CHECK(longest.reason() == DropReason::too_big);
}

TEST_CASE("forward: the first of several reasons is named", "[dataplane]") {
    Setting setting;
    setting.tunnel = true;
    setting.headroom = 19;
    CHECK(setting.reason() == DropReason::no_headroom);
    setting.ip_length = 1481;
    CHECK(setting.reason() == DropReason::too_big);
    setting.resolved = false;
    CHECK(setting.reason() == DropReason::no_neighbor);
    setting.routed = false;
    CHECK(setting.reason() == DropReason::no_route);
}

TEST_CASE("forward: the room that a header needs is enough", "[dataplane]") {
    for (const bool tagged : {false, true}) {
        Setting setting;
        setting.tunnel = true;
        setting.tagged_ingress = tagged;
        setting.headroom = tagged ? 16 : 20;
        CHECK_FALSE(setting.reason().has_value());
        --setting.headroom;
        CHECK(setting.reason() == DropReason::no_headroom);
        setting.outer_family = Family::v6;
        setting.headroom = tagged ? 36 : 40;
        CHECK_FALSE(setting.reason().has_value());
        --setting.headroom;
        CHECK(setting.reason() == DropReason::no_headroom);
    }
    Setting direct;
    direct.headroom = 0;
    CHECK_FALSE(direct.reason().has_value());
    direct.port.vlan = 7;
    direct.headroom = 4;
    CHECK_FALSE(direct.reason().has_value());
    direct.headroom = 3;
    CHECK(direct.reason() == DropReason::no_headroom);
}
