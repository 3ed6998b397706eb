// SPDX-License-Identifier: BSD-3-Clause
// forward(): its quick answers against forward_any(), and what decides between them.
#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <vector>

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
    bool tunnel = false, dont_fragment = true;  // the latter of IPv4

    Rewrite format = Rewrite::ipv4_outer;  // of a tunnel; the first of both stands for ipip
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
            backend.rewrite = format;
            if (format == Rewrite::ipv4_outer && !four) backend.rewrite = Rewrite::ipv6_outer;
            backend.gue_port = 6080;
            backend.outer = make_outer_template(
                *parse_prefix(four ? "198.18.64.0/24" : "fd00:1::/96"),
                *parse_ip(four ? "10.0.0.11" : "fd00:5::11"), family, shim_of(format));
        }
        backend.settle();
        const std::uint16_t offset = tagged_ingress ? 18 : 14;
        const std::size_t length = offset + std::size_t{ip_length} + padding;
        const std::unique_ptr<std::uint8_t[]> memory(new std::uint8_t[headroom + length]);
        for (std::size_t i = 0; i < headroom + length; ++i)
            memory[i] = byte(i, headroom + offset);
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
    // What stands `i` bytes behind the start of the buffer, whose IP header begins at `ip`.
    [[nodiscard]] std::uint8_t byte(std::size_t i, std::size_t ip) const {
        if (i == ip) return family == Family::v4 ? 0x45 : 0x60;
        if (i == ip + 6 && family == Family::v4) return dont_fragment ? 0x40 : 0;
        return static_cast<std::uint8_t>(i * 7 + 3);
    }
    [[nodiscard]] Result run() const { return run(quick); }
    static Verdict quick(const Tables& tables, const BackendEntry& backend, const PacketMeta& meta,
                         std::uint64_t hash, Packet& packet) noexcept {
        return forward(tables, backend, meta, hash, packet);
    }
    [[nodiscard]] std::uint16_t outer_bytes() const {
        if (!tunnel) return 0;
        const std::size_t ip = outer_family == Family::v4 ? 20 : 40;
        return static_cast<std::uint16_t>(ip + shim_length(shim_of(format)));
    }
    // The reason for a drop; none: sent.
    [[nodiscard]] std::optional<DropReason> reason() const {
        const Verdict verdict = run().verdict;
        if (verdict.action == Action::send) return std::nullopt;
        CHECK(verdict.action == Action::drop);
        return verdict.reason;
    }
};

// dsr-l2, and every tunnel with either outer header.
std::vector<Setting> all_formats() {
    std::vector<Setting> all(1);
    for (const Rewrite format :
         {Rewrite::ipv4_outer, Rewrite::gre, Rewrite::gue_direct, Rewrite::gue_header}) {
        for (const Family outer : {Family::v4, Family::v6}) {
            Setting setting;
            setting.tunnel = true;
            setting.format = format;
            setting.outer_family = outer;
            all.push_back(setting);
        }
    }
    return all;
}

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
        setting.format = one_of(Rewrite::ipv4_outer, Rewrite::ipv4_outer, Rewrite::gre,
                                Rewrite::gue_direct, Rewrite::gue_header);
        setting.tagged_ingress = random() % 3 == 0;
        setting.ip_length = static_cast<std::uint16_t>(
            round % 2 == 0
                ? 40 + random() % 1500
                : std::min<std::size_t>(max_frame, setting.port.mtu + 2u - random() % 50));
        setting.dont_fragment = random() % 2 == 0;
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
    for (Setting setting : all_formats()) {
        for (const std::uint16_t vlan : {std::uint16_t{0}, std::uint16_t{7}}) {
            for (const bool tagged_ingress : {false, true}) {
                setting.port.vlan = vlan;
                setting.tagged_ingress = tagged_ingress;
                const Setting::Result result = setting.run();
                REQUIRE(result.verdict.action == Action::send);
                CHECK(result.verdict.port == PortId{1});
                const std::size_t front = (vlan == 0 ? 14u : 18u) + setting.outer_bytes();
                REQUIRE(result.frame.size() == front + setting.ip_length);
                const std::size_t at = setting.headroom + (tagged_ingress ? 18u : 14u);
                for (std::size_t i = 0; i < setting.ip_length; ++i)
                    REQUIRE(result.frame[front + i] == setting.byte(at + i, at));
            }
        }
    }
}

TEST_CASE("forward: the MTU is exact, with each outer header, tagged or not", "[dataplane]") {
    for (Setting setting : all_formats()) {
        for (const std::uint16_t vlan : {std::uint16_t{0}, std::uint16_t{7}}) {
            for (const std::uint16_t mtu :
                 {std::uint16_t{576}, std::uint16_t{1500}, std::uint16_t{9600}}) {
                setting.port.vlan = vlan;
                setting.port.mtu = mtu;
                setting.ip_length = static_cast<std::uint16_t>(mtu - setting.outer_bytes());
                CHECK_FALSE(setting.reason().has_value());
                ++setting.ip_length;
                CHECK(setting.reason() == DropReason::too_big);
            }
        }
        if (!setting.tunnel) continue;
        // An IP packet and its outer headers may be longer than 16 bits can say.
        setting.ip_length = 65535;
        CHECK(setting.reason() == DropReason::too_big);
    }
}

TEST_CASE("forward: what does not fit is cut if the sender allows it", "[dataplane]") {
    for (Setting setting : all_formats()) {
        const bool outer_v6 = setting.tunnel && setting.outer_family == Family::v6;
        const std::uint32_t of_each = !setting.tunnel ? 20 : outer_v6 ? 48 : 20;
        setting.dont_fragment = false;
        setting.padding = 9;
        for (const std::uint16_t vlan : {std::uint16_t{0}, std::uint16_t{7}}) {
            setting.port.vlan = vlan;
            setting.port.mtu = 1500;
            setting.ip_length = static_cast<std::uint16_t>(1500 - setting.outer_bytes());
            CHECK(setting.run().verdict.action == Action::send);
            ++setting.ip_length;
            const Setting::Result cut = setting.run();
            CHECK(cut.verdict.action == Action::send_in_pieces);
            CHECK(cut.verdict.is_sent());
            CHECK(cut.verdict.port == PortId{1});
            // The whole of it, without padding.
            CHECK(cut.frame.size() == (vlan == 0 ? 14u : 18u) + 1501);
            setting.port.mtu = 576;
            const std::uint32_t most = 32 * ((576 - of_each) / 8 * 8);
            setting.ip_length = static_cast<std::uint16_t>(
                most + (setting.tunnel ? outer_v6 ? 40u : 20u : 20u) - setting.outer_bytes());
            CHECK(setting.run().verdict.action == Action::send_in_pieces);
            ++setting.ip_length;
            CHECK(setting.reason() == DropReason::too_big);
        }
        // With outer headers it would be longer than an IP packet can be.
        setting.port.mtu = 9600;
        setting.ip_length = 65535;
        CHECK((setting.run().verdict.action == Action::drop) == setting.tunnel);
        setting.family = Family::v6;
        setting.port.mtu = 1500;
        setting.ip_length = 1501;
        CHECK(setting.reason() == DropReason::too_big);
    }
}

TEST_CASE("forward: what is to be cut leaves room for the fragment header", "[dataplane]") {
    Setting setting;
    setting.tunnel = true;
    setting.outer_family = Family::v6;
    setting.dont_fragment = false;
    setting.ip_length = 1461;
    setting.headroom = 48;
    CHECK(setting.run().verdict.action == Action::send_in_pieces);
    setting.headroom = 47;
    CHECK(setting.reason() == DropReason::no_headroom);
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
    for (Setting setting : all_formats()) {
        for (const bool tagged : {false, true}) {
            if (!setting.tunnel) continue;
            setting.tagged_ingress = tagged;
            setting.headroom = static_cast<std::uint16_t>(setting.outer_bytes() - (tagged ? 4 : 0));
            CHECK_FALSE(setting.reason().has_value());
            --setting.headroom;
            CHECK(setting.reason() == DropReason::no_headroom);
        }
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

TEST_CASE("forward: what stands between outer header and packet", "[dataplane]") {
    Setting setting;
    setting.tunnel = true;
    setting.hash = 0xabcd1234;
    const auto behind_ip = [&](Rewrite format) {
        setting.format = format;
        const Bytes frame = setting.run().frame;
        const auto at = frame.begin() + 14 + (setting.outer_family == Family::v4 ? 20 : 40);
        return Bytes(at, at + static_cast<int>(shim_length(shim_of(format))));
    };
    for (const Family outer : {Family::v4, Family::v6}) {
        for (const Family inner : {Family::v4, Family::v6}) {
            setting.outer_family = outer;
            setting.family = inner;
            const bool four = inner == Family::v4;
            CHECK(behind_ip(Rewrite::gre) == (four ? Bytes{0, 0, 8, 0} : Bytes{0, 0, 0x86, 0xdd}));
            // UDP: port of the flow, 6080, the packet's 100 bytes and its own, no checksum.
            CHECK(behind_ip(Rewrite::gue_direct) == Bytes{0xea, 0xf3, 0x17, 0xc0, 0, 108, 0, 0});
            CHECK(behind_ip(Rewrite::gue_header) == Bytes{0xea, 0xf3, 0x17, 0xc0, 0, 112, 0, 0, 0,
                                                          static_cast<std::uint8_t>(four ? 4 : 41),
                                                          0, 0});
        }
    }
}
