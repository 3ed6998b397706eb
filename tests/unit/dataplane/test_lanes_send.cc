// SPDX-License-Identifier: BSD-3-Clause
// Established flows sent sixteen at once against the same ones one by one: every kind of way to a
// backend, in one burst.
#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/dataplane/lanes.hh"
#include "tests/unit/dataplane/mutants.hh"
#include "tests/unit/dataplane/twins.hh"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::size_t kinds = 12;
constexpr std::uint32_t first_backend = 100;
const std::array<std::string, 3> vips{"203.0.113.10", "2001:db8:443::10", "203.0.113.11"};

// Three services, each with a backend of every kind: both families and a second one of IPv4.
struct Ways {
    std::vector<std::shared_ptr<ServiceTable>> services;
    Tables tables;

    Ways() {
        for (const std::uint16_t mtu : {std::uint16_t{1500}, std::uint16_t{100}}) {
            PortTable port;
            port.mac.bytes = World1::port_mac;
            port.mac.bytes[4] = static_cast<std::uint8_t>(tables.ports.size());
            port.mtu = mtu;
            tables.ports.push_back(port);
        }
        for (std::uint8_t i = 0; i < 6; ++i) {
            const MacAddress mac{{2, 0, 0, 0, 1, static_cast<std::uint8_t>(11 + i)}};
            const PortId port{static_cast<std::uint8_t>(i % 2)};
            tables.next_hops.push_back(
                make_next_hop(port, tables.ports[i % 2], i < 4 ? &mac : nullptr));
        }
        for (std::uint16_t i = 0; i < vips.size(); ++i)
            services.push_back(service(i));
        rebuild();
    }

    static std::shared_ptr<ServiceTable> service(std::uint16_t number) {
        auto made = std::make_shared<ServiceTable>();
        made->id = ServiceId{static_cast<std::uint16_t>(3 + number)};
        made->key = {*parse_ip(vips[number]), ServiceProtocol::tcp, 80, 80};
        made->endpoints[0] = EndpointId{static_cast<std::uint16_t>(2 * number)};
        for (std::size_t kind = 0; kind < kinds; ++kind)
            made->seats.push_back(backend(*made, number, kind));
        made->live.assign(kinds, true);
        for (std::size_t slot = 0; slot < slots; ++slot)
            made->slots.push_back(static_cast<Seat>(slot % kinds));
        return made;
    }

    static BackendEntry backend(const ServiceTable& service, std::uint16_t number,
                                std::size_t kind) {
        BackendEntry entry;
        const Family inner = service.key.vip.family;
        const auto tunnel = [&](const char* source, std::uint8_t length, const char* to) {
            entry.outer = make_outer_template({*parse_ip(source), length}, *parse_ip(to), inner);
            entry.rewrite = entry.outer.length == 20 ? Rewrite::ipv4_outer : Rewrite::ipv6_outer;
        };
        // 0 and 1: dsr-l2, by either port.
        if (kind == 2 || kind == 3) tunnel("10.0.0.5", 32, "10.0.0.11");
        if (kind == 4) tunnel("255.255.0.0", 16, "255.255.255.255");  // sums that carry
        if (kind == 5) tunnel("0.0.0.0", 0, "10.0.0.12");
        if (kind == 6) tunnel("2001:db8::5", 128, "2001:db8::11");
        if (kind == 7) tunnel("2001:db8:1::", 96, "2001:db8::12");
        if (kind == 8) {
            tunnel("10.0.0.5", 32, "10.0.0.13");
            entry.rewrite = Rewrite::gre;
        }
        if (kind == 9) entry.mss_clamp = 1300;
        entry.id = BackendId{static_cast<std::uint32_t>(first_backend + number * kinds + kind)};
        entry.next_hop = kind == 10 ? NextHopId{4}  // not resolved
                                    : NextHopId{static_cast<std::uint32_t>(kind % 4)};
        if (kind == 11) entry.next_hop = invalid_next_hop;
        entry.service = service.id;
        entry.keeps_flows = true;
        entry.settle();
        return entry;
    }

    void rebuild() {
        std::vector<const ServiceTable*> pointers;
        tables.services.clear();
        tables.backends.assign(first_backend + vips.size() * kinds, nullptr);
        for (const auto& service : services) {
            pointers.push_back(service.get());
            tables.services.push_back(service);
            for (const BackendEntry& entry : service->seats)
                tables.backends[index(entry.id)] = &entry;
        }
        tables.index = ServiceIndex::build(pointers, {}, {});
    }
};

Bytes frame_of(std::size_t service, std::uint16_t port, std::uint8_t flags, std::uint8_t tos,
               std::size_t payload) {
    const Tcp tcp{.source = port, .flags = flags};
    const bool six = service == 1;
    const Ethernet link{
        "02:00:00:00:00:05", client, static_cast<std::uint16_t>(six ? 0x86dd : 0x0800), {}};
    if (six)
        return link / (Ip6{.destination = vips[1], .traffic_class = tos} / (tcp / filled(payload)));
    return link / (Ip4{.destination = vips[service], .tos = tos} / (tcp / filled(payload)));
}

// Mostly of established flows, of some the last one, and here and there a SYN of the same.
void add_some(Burst& a, Burst& b, std::mt19937& random) {
    const auto random_byte = [&] { return static_cast<std::uint8_t>(random()); };
    const auto one_of = random() % 24;
    const auto flags = static_cast<std::uint8_t>(one_of == 0   ? 0x11
                                                 : one_of == 1 ? 0x04
                                                 : one_of == 2 ? 0x02
                                                               : 0x10);
    Bytes bytes = frame_of(random() % vips.size(), static_cast<std::uint16_t>(1000 + random() % 40),
                           flags, random_byte(), random() % 60);
    if (random() % 8 == 0) bytes.resize(bytes.size() + random() % 60);  // padding
    a.add(bytes);
    b.add(bytes);
    const auto headroom = static_cast<std::uint16_t>(random() % 16 == 0 ? 16 + random() % 32 : 64);
    a.packets.back().headroom = b.packets.back().headroom = headroom;
}

}  // namespace

TEST_CASE("lanes: every kind of way is taken as without them", "[dataplane][property]") {
    std::mt19937 random(20261124);
    Ways world;
    world.tables.timeouts = {.tcp_syn = 3000, .tcp_established = 20'000, .tcp_fin = 2000};
    Worker1 one(4096, Pipeline::Lanes::never), many(4096, Pipeline::Lanes::where_available);
    Tick now{5000};
    unsigned differed = 0;
    std::array<unsigned, 256> verdicts{};
    for (unsigned round = 0; round < 8000; ++round) {
        now = now + static_cast<std::uint32_t>(random() % 64 == 0 ? random() % 5000 : 1);
        if (random() % 64 == 0) {
            ServiceTable& service = *world.services[random() % vips.size()];
            BackendEntry& entry = service.seats[random() % kinds];
            entry.keeps_flows = !entry.keeps_flows;
        }
        const bool gone = random() % 16 == 0;  // a backend that left, and one of another service
        if (gone) {
            world.tables.backends[first_backend + random() % kinds] = nullptr;
            world.services[2]->seats[random() % kinds].service = ServiceId{3};
            if (random() % 2 == 0) world.tables.backends.resize(first_backend + 3 * kinds - 6);
        }
        Burst a, b;
        const std::size_t count = 1 + random() % max_burst;
        for (std::size_t i = 0; i < count; ++i)
            add_some(a, b, random);
        a.run(one, world.tables, now);
        b.run(many, world.tables, now);
        for (std::size_t i = 0; i < count; ++i) {
            differed += !same(a.verdicts[i], b.verdicts[i]) || !same_bytes(a, b, i);
            ++verdicts[static_cast<std::size_t>(a.verdicts[i].action)];
        }
        if (gone) {
            for (BackendEntry& entry : world.services[2]->seats)
                entry.service = world.services[2]->id;
            world.rebuild();
        }
        if (round % 100 != 0) continue;
        REQUIRE(entries(one, now) == entries(many, now));
        REQUIRE(counts(one, 3, vips.size(), first_backend, vips.size() * kinds) ==
                counts(many, 3, vips.size(), first_backend, vips.size() * kinds));
    }
    CHECK(differed == 0);
    CHECK(verdicts[static_cast<std::size_t>(Action::send)] > 100'000);
    CHECK(verdicts[static_cast<std::size_t>(Action::answer)] > 10'000);
    CHECK(verdicts[static_cast<std::size_t>(Action::drop)] > 10'000);
}

TEST_CASE("lanes: sends what is plain, and leaves flows that others of the group may change",
          "[dataplane]") {
    if (!lanes::available()) return;
    Ways world;
    Worker1 worker;
    const Tick now{5000};
    const Deadlines deadlines(world.tables.timeouts, now);
    const auto burst_of = [&](std::uint8_t flags) {
        Burst made;
        for (std::uint16_t i = 0; i < lanes::group_size; ++i)
            made.add(frame_of(i % 3, static_cast<std::uint16_t>(1000 + i), flags, 0, 10));
        return made;
    };
    for (const std::uint8_t flags : {std::uint8_t{0x02}, std::uint8_t{0x10}, std::uint8_t{0x10}})
        burst_of(flags).run(worker, world.tables, now);

    const auto flows = std::make_unique<FlowBurst>();
    Burst acks = burst_of(0x10);
    const lanes::Received received =
        lanes::receive(world.tables, acks.packets, worker.table, *flows);
    REQUIRE((received.narrow | received.wide) == first_bits(lanes::group_size));
    const BurstMask settled = lanes::settle(worker.table, *flows, received, deadlines).known;
    BurstMask plain = 0;
    for (std::size_t i = 0; i < lanes::group_size; ++i) {
        const std::uint32_t kind = (flows->backends[i] - first_backend) % kinds;
        if ((settled & bit(i)) != 0 && kind < 8) plain |= bit(i);
    }
    REQUIRE(std::popcount(plain) > 4);
    const auto send = [&](BurstMask of, BurstMask others) {
        Burst fresh = burst_of(0x10);
        return lanes::send(world.tables, *flows, of, others, fresh.packets, fresh.verdicts,
                           *worker.traffic);
    };
    CHECK(send(settled, 0) == plain);
    const BurstMask last = std::bit_floor(plain), rest = plain & ~last;
    CHECK(send(rest, 0) == rest);
    CHECK(send(rest, last) == rest);
    const auto at = static_cast<std::size_t>(std::countr_zero(last));
    const auto first = static_cast<std::size_t>(std::countr_zero(rest));
    flows->wanted[at] = flows->wanted[first];
    CHECK(send(rest, last) == (rest & ~bit(first)));
}
