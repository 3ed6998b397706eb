// SPDX-License-Identifier: BSD-3-Clause
// The stages over sixteen packets at once against those over one: the same verdicts, bytes, entries
// and counters for the same bursts, whatever is in them. On a CPU without AVX-512 both sides are
// the latter.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/plain.hh"
#include "tests/unit/dataplane/mutants.hh"
#include "tests/unit/dataplane/twins.hh"

using namespace weir;
using namespace weir::test;

namespace {

std::vector<std::uint64_t> counts(const Worker1& worker) {
    return test::counts(worker, 3, 1, 100, 4);
}

const std::string vip6 = "2001:db8:443::10";

std::string vip_of(Family family) {
    return family == Family::v4 ? "203.0.113.10" : vip6;
}

Bytes client6_frame(std::uint16_t source_port, std::uint8_t flags, const std::string& source) {
    return Ethernet{.destination = port_address, .source = client, .type = 0x86dd} /
           (Ip6{.source = source, .destination = vip6} /
            (Tcp{.source = source_port, .flags = flags} / filled(10)));
}

// A client's packet, of few flows, so that they meet each other in a burst.
Bytes some_frame(std::mt19937& random, const std::vector<Bytes>& odd, Family family) {
    static constexpr std::uint8_t flags[] = {0x10, 0x10, 0x10, 0x10, 0x18, 0x02, 0x11, 0x04, 0x14};
    if (random() % 8 == 0) return odd[random() % odd.size()];
    const auto port = static_cast<std::uint16_t>(1000 + random() % 150);
    const std::uint8_t flag = flags[random() % std::size(flags)];
    const std::string last = std::to_string(1 + random() % 3);
    return family == Family::v4 ? client_frame(port, flag, "198.18.0." + last)
                                : client6_frame(port, flag, "2001:db8:1::" + last);
}

// What the stages for one packet see.
struct Seen {
    bool plain = false;
    PacketMeta meta;
    FlowWords words;
    ServiceHit hit;
};
Seen see(const Tables& tables, const Packet& packet) {
    Seen seen;
    seen.plain = read_plain(packet, tables.ports[0], seen.meta);
    if (!seen.plain) return seen;
    seen.words = flow_words(packet.data, seen.meta);
    const FlowWords& words = seen.words;
    const std::uint8_t protocol = seen.meta.protocol;
    const std::uint16_t port = seen.meta.destination_port;
    seen.hit =
        seen.meta.family == Family::v4
            ? tables.index.find_single(static_cast<std::uint32_t>(words.destination), protocol,
                                       port)
            : tables.index.find_single(words.destination, words.destination_rest, protocol, port);
    return seen;
}

// One field of an untagged IPv6 frame at, or just beyond, an edge of what is plain.
void set_edge6(std::uint8_t* frame, std::mt19937& random) {
    std::uint8_t* ip = frame + 14;
    std::uint8_t* transport = ip + 40;
    switch (random() % 8) {
        case 0:
            ip[7] = static_cast<std::uint8_t>(random() % 4);  // hop limit
            break;
        case 1:
            ip[8] =
                static_cast<std::uint8_t>(random() % 2 == 0 ? 0xfe + random() % 2 : random() % 2);
            break;
        case 2:
            std::copy_n(ip + 24, 16, ip + 8);
            ip[8 + random() % 16] ^= static_cast<std::uint8_t>(random() % 2);
            break;
        case 3:
            ip[5] = static_cast<std::uint8_t>(ip[5] + random() % 3 - 1);  // payload length
            break;
        case 4:
            ip[4] = static_cast<std::uint8_t>(random());
            break;
        case 5:
            transport[12 + random() % 2] = static_cast<std::uint8_t>(random());
            break;
        case 6:
            transport[4] = 0;  // UDP's length
            transport[5] = static_cast<std::uint8_t>(ip[5] - 1 + random() % 3);
            break;
        default:
            transport[6] = transport[7] = 0;  // UDP's checksum
    }
}

// One field of an untagged frame at, or just beyond, an edge of what is plain.
void set_edge(std::uint8_t* frame, std::mt19937& random, bool six) {
    if (six) return set_edge6(frame, random);
    const auto any_of = [&](std::initializer_list<int> values) {
        return static_cast<std::uint8_t>(values.begin()[random() % values.size()]);
    };
    std::uint8_t* ip = frame + 14;
    std::uint8_t* transport = ip + 20;
    switch (random() % 10) {
        case 0:
            ip[8] = any_of({0, 1, 2, 255});  // TTL
            break;
        case 1:
            ip[12] = any_of({0, 1, 126, 127, 128, 223, 224, 239, 240, 255});
            break;
        case 2:
            std::copy_n(ip + 16, 4, ip + 12);
            ip[15] = static_cast<std::uint8_t>(ip[15] + random() % 2);
            break;
        case 3:
            ip[6] = static_cast<std::uint8_t>(1u << random() % 8);
            break;
        case 4:
            ip[3] = static_cast<std::uint8_t>(ip[3] + random() % 3 - 1);  // total length
            break;
        case 5:
            transport[12] = static_cast<std::uint8_t>(random());  // TCP's header length
            break;
        case 6:
            transport[13] = static_cast<std::uint8_t>(random());  // TCP's flags
            break;
        case 7:
            transport[4] = 0;  // UDP's length
            transport[5] = static_cast<std::uint8_t>(ip[3] - 21 + random() % 3);
            if (random() % 2 == 0) transport[5] = any_of({0, 7, 8, 9});
            break;
        case 8:
            std::copy_n(frame, 6, frame + 6);  // from this port
            frame[6 + random() % 6] ^= static_cast<std::uint8_t>(random() % 2);
            break;
        default:
            frame[random() % 16] ^= 1;
    }
}

}  // namespace

TEST_CASE("lanes: receive what reads as plain, and nothing else", "[dataplane][property]") {
    std::mt19937 random(20261122);
    World1 world(4), other(4, Forward::dsr_l2, vip6);
    world.service->key.protocol = other.service->key.protocol = ServiceProtocol::any;
    other.service->id = ServiceId{4};
    other.service->endpoints = {EndpointId{2}, EndpointId{3}};
    const std::array services{static_cast<const ServiceTable*>(world.service.get()),
                              static_cast<const ServiceTable*>(other.service.get())};
    world.tables.index = ServiceIndex::build(services, {}, {});
    Worker1 worker;
    std::vector<Bytes> bases = frames(0);
    bases.push_back(Ethernet{.destination = port_address, .source = client, .type = 0x86dd} /
                    (Ip6{.destination = vip6, .next = 17} / (Udp{.destination = 80} / filled(30))));
    const auto burst = std::make_unique<FlowBurst>();
    unsigned wrong = 0, plain = 0, odd = 0;
    for (unsigned round = 0; round < 30'000; ++round) {
        Burst from;
        for (unsigned i = 0; i < 24; ++i) {
            const Bytes& base = bases[random() % bases.size()];
            Mutant one = test::mutant(base, random() % 2, random);
            const bool six = base[12] == 0x86;
            if (random() % 2 == 0 && one.packet.contiguous >= (six ? 74 : 54))
                set_edge(one.packet.data, random, six);
            if (random() % 16 == 0) one.packet.ip_checksum = NicChecksum::bad;
            from.add(one.packet);
        }
        lanes::Received received;
        if (lanes::available())
            received = lanes::receive(world.tables, from.packets, worker.table, *burst);
        for (std::size_t i = 0; i < from.packets.size(); ++i) {
            const Seen seen = see(world.tables, from.packets[i]);
            const bool expected = lanes::available() && seen.plain && seen.hit;
            const bool narrow = expected && seen.meta.family == Family::v4;
            ++(seen.plain ? plain : odd);
            wrong += ((received.narrow & bit(i)) != 0) != narrow ||
                     ((received.wide & bit(i)) != 0) != (expected && !narrow);
            if (!expected) continue;
            const FlowName name =
                worker.table.name(seen.words, static_cast<std::uint16_t>(seen.hit.endpoint), false);
            const FlowName got = burst->name(i);
            wrong += burst->meta(i) != seen.meta || burst->services[i].place != seen.hit.place ||
                     burst->services[i].id != seen.hit.id || got.wanted != name.wanted ||
                     got.home != name.home || got.kind != name.kind ||
                     (!narrow && (got.rest[0] != name.rest[0] || got.rest[1] != name.rest[1]));
        }
    }
    CHECK(wrong == 0);
    CHECK(plain > 100'000);
    CHECK(odd > 100'000);
}

TEST_CASE("lanes: bursts are decided as without them", "[dataplane][property]") {
    const auto [family, forward] =
        GENERATE(std::pair(Family::v4, Forward::dsr_l2), std::pair(Family::v4, Forward::ipip),
                 std::pair(Family::v6, Forward::dsr_l2), std::pair(Family::v6, Forward::ipip));
    std::mt19937 random(20261121);
    World1 world(4, forward, vip_of(family));
    world.tables.timeouts = {.tcp_syn = 3000, .tcp_established = 20'000, .tcp_fin = 2000};
    world.service->key.protocol = ServiceProtocol::any;
    world.rebuild();
    PortTable second = world.tables.ports[0];
    second.mac.bytes[5] = 6;
    world.tables.ports.push_back(second);
    std::vector<Bytes> odd = frames(0);
    for (const Bytes& frame : frames(7))
        odd.push_back(frame);
    // 300 entries for 450 flows: the table fills, and flows that expired give way.
    Worker1 one(300, Pipeline::Lanes::never), many(300, Pipeline::Lanes::where_available);
    Tick now{5000};
    unsigned differed = 0, sent = 0, dropped = 0;
    for (unsigned round = 0; round < 4000; ++round) {
        now = now + static_cast<std::uint32_t>(random() % 16 == 0 ? random() % 5000 : 10);
        if (random() % 64 == 0) {
            BackendEntry& entry = world.service->seats[random() % 4];
            entry.keeps_flows = !entry.keeps_flows;
            world.rebuild();
        }
        Burst a, b;
        const std::size_t count = 1 + random() % max_burst;
        for (std::size_t i = 0; i < count; ++i) {
            const Bytes frame = some_frame(random, odd, family);
            Mutant mutant = test::mutant(frame, random() % 4 == 0 ? 2 : 0, random);
            if (random() % 16 != 0) {  // whole after all
                mutant = {std::make_unique<std::uint8_t[]>(frame.size()), mutant.packet};
                std::copy(frame.begin(), frame.end(), mutant.bytes.get());
                mutant.packet.data = mutant.bytes.get();
                mutant.packet.contiguous = mutant.packet.length =
                    static_cast<std::uint32_t>(frame.size());
            }
            if (random() % 32 == 0) mutant.packet.port = PortId{1};
            if (random() % 32 == 0) mutant.packet.ip_checksum = NicChecksum::bad;
            a.add(mutant.packet);
            b.add(mutant.packet);
        }
        a.run(one, world.tables, now);
        b.run(many, world.tables, now);
        for (std::size_t i = 0; i < count; ++i) {
            differed += !same(a.verdicts[i], b.verdicts[i]) || !same_bytes(a, b, i);
            sent += a.verdicts[i].action == Action::send;
            dropped += a.verdicts[i].action == Action::drop;
        }
        if (round % 100 == 0) {
            REQUIRE(entries(one, now) == entries(many, now));
            REQUIRE(counts(one) == counts(many));
        }
        if (random() % 8 == 0) {
            one.pipeline.sweep(32, now);
            many.pipeline.sweep(32, now);
        }
    }
    CHECK(differed == 0);
    CHECK(sent > 50'000);
    CHECK(dropped > 5'000);
    CHECK(one.counters.flow_insert_failed.read() > 100);
}

// Many of these flows are new in the burst in which they come several times.
TEST_CASE("lanes: a burst is decided as its packets one after the other", "[dataplane][property]") {
    const Family family = GENERATE(Family::v4, Family::v6);
    const auto lanes = GENERATE(Pipeline::Lanes::never, Pipeline::Lanes::where_available);
    std::mt19937 random(20261123);
    World1 world(4, Forward::ipip, vip_of(family));
    world.tables.timeouts = {.tcp_syn = 3000, .tcp_established = 9000, .tcp_fin = 2000};
    Worker1 together(4096, lanes), single(4096, lanes);
    Tick now{5000};
    unsigned differed = 0;
    for (unsigned round = 0; round < 1000; ++round) {
        now = now + static_cast<std::uint32_t>(random() % 16 == 0 ? random() % 12'000 : 10);
        Burst a, b;
        for (std::size_t i = 0; i < max_burst; ++i) {
            const Bytes frame = some_frame(random, frames(0), family);
            a.add(frame);
            b.add(frame);
        }
        a.run(together, world.tables, now);
        for (std::size_t i = 0; i < max_burst; ++i) {
            single.pipeline.process(world.tables, std::span(b.packets).subspan(i, 1),
                                    std::span(b.verdicts).subspan(i, 1), now);
            differed += !same(a.verdicts[i], b.verdicts[i]) || !same_bytes(a, b, i);
        }
        if (round % 50 == 0) {
            REQUIRE(entries(together, now) == entries(single, now));
            REQUIRE(counts(together) == counts(single));
        }
    }
    CHECK(differed == 0);
}

TEST_CASE("lanes: all plain packets are received by them, and established flows settled",
          "[dataplane]") {
    const Family family = GENERATE(Family::v4, Family::v6);
    const BurstMask all = lanes::available() ? ~BurstMask{0} : 0;
    World1 world(4, Forward::dsr_l2, vip_of(family));
    Worker1 worker;
    Burst syns, acks;
    for (std::uint16_t i = 0; i < max_burst; ++i) {
        for (const std::uint8_t flags : {std::uint8_t{0x02}, std::uint8_t{0x10}}) {
            const auto port = static_cast<std::uint16_t>(2000 + i);
            Burst& burst = flags == 0x02 ? syns : acks;
            burst.add(family == Family::v4 ? client_frame(port, flags)
                                           : client6_frame(port, flags, "2001:db8:1::7"));
        }
    }
    const Tick now{5000};
    const Deadlines deadlines(world.tables.timeouts, now);
    FlowBurst burst;
    lanes::Received received;
    const auto receive = [&](const Burst& from) {
        if (all != 0) received = lanes::receive(world.tables, from.packets, worker.table, burst);
        return family == Family::v4 ? received.narrow : received.wide;
    };
    BurstMask absent = 0;
    const auto settle = [&] {
        BurstMask settled = 0;
        absent = 0;
        for (std::size_t first = 0; first < max_burst && all != 0; first += lanes::group_size) {
            const BurstMask group = first_bits(lanes::group_size) << first;
            const lanes::Settled found =
                lanes::settle(worker.table, burst, received.within(group), deadlines);
            settled |= found.known;
            absent |= found.absent;
        }
        return settled;
    };
    CHECK(receive(acks) == all);
    CHECK(settle() == 0);
    CHECK(absent == all);  // no flow is known
    Burst first = std::move(syns);
    first.run(worker, world.tables, now);
    CHECK(receive(acks) == all);
    CHECK(settle() == 0);  // each is about to become established
    CHECK(absent == 0);
    Burst again;
    for (const Packet& packet : acks.packets)
        again.add(packet);
    again.run(worker, world.tables, now);
    CHECK(receive(acks) == all);
    CHECK(std::popcount(settle()) >= std::popcount(all) - 8);  // but for those in another line
    for (std::size_t i = 0; i < max_burst; ++i)
        CHECK(again.verdicts[i].action == Action::send);
}

TEST_CASE("lanes: a client that looks like another one in the key line is not taken for it",
          "[dataplane]") {
    World1 world(4, Forward::dsr_l2, vip6);
    Worker1 worker;
    Bytes frame = client6_frame(2000, 0x10, "2001:db8:1::7");
    // Another first half of the address, and the second half that gives the same mixed key.
    Bytes twin = frame;
    std::uint64_t own[2], other[2];
    std::memcpy(own, frame.data() + 14 + 8, 16);
    std::memcpy(other, own, 16);
    other[0] ^= std::uint64_t{1} << 40;
    const KeyMix mix({{11, 22, 33, 44}}, WideFormat::number);  // as Worker1's
    const std::uint64_t ports = 2000u << 16 | index(world.service->endpoint(6));
    other[1] ^= mix.tweak(own[0], ports) ^ mix.tweak(other[0], ports);
    std::memcpy(twin.data() + 14 + 8, other, 16);

    const Tick now{5000};
    for (int i = 0; i < 2; ++i) {
        Burst burst;
        burst.add(frame);
        burst.run(worker, world.tables, now);
    }
    const auto burst = std::make_unique<FlowBurst>();
    const Deadlines deadlines(world.tables.timeouts, now);
    std::vector<Packet> packets(lanes::group_size, packet_of(twin));
    packets[0] = packet_of(frame);
    lanes::Received received;
    BurstMask settled = 0;
    if (lanes::available()) {
        received = lanes::receive(world.tables, packets, worker.table, *burst);
        settled = lanes::settle(worker.table, *burst, received, deadlines).known;
        CHECK(burst->wanted[0] == burst->wanted[1]);
        CHECK(burst->homes[0] == burst->homes[1]);
    }
    CHECK(received.wide == (lanes::available() ? first_bits(lanes::group_size) : 0));
    CHECK(settled == (lanes::available() ? 1u : 0u));
}

// The second group is looked up before the first is served: what that changes was not seen.
namespace {

// With an option: not for lanes.
Bytes odd_syn(std::uint16_t port) {
    return Ethernet{.destination = port_address, .source = client} /
           (Ip4{.destination = vip_of(Family::v4), .options = filled(4, 1)} /
            (Tcp{.source = port, .flags = 0x02} / filled(10)));
}

// A worker with established flows, one fewer than a group.
struct Established {
    World1 world{4};
    Worker1 worker;
    Tick now{5000};
    std::vector<Bytes> frames;

    Established() {
        for (std::uint16_t port = 1001; port < 1000 + lanes::group_size; ++port)
            frames.push_back(client_frame(port));
        run(frames);
        run(frames);
    }
    // How many were sent.
    std::size_t run(const std::vector<Bytes>& some) {
        Burst burst;
        for (const Bytes& frame : some)
            burst.add(frame);
        burst.run(worker, world.tables, now);
        return static_cast<std::size_t>(
            std::ranges::count(burst.verdicts, Action::send, &Verdict::action));
    }
    // Two groups of them, each with one frame more.
    std::size_t run_with(const Bytes& first, const Bytes& second) {
        std::vector<Bytes> all = frames;
        all.push_back(first);
        all.insert(all.end(), frames.begin(), frames.end());
        all.push_back(second);
        return run(all);
    }
};

}  // namespace

TEST_CASE("lanes: a flow that begins among established ones is known to the next group",
          "[dataplane]") {
    Established world;
    std::uint32_t flows = lanes::group_size - 1;
    REQUIRE(world.worker.table.size() == flows);
    for (std::uint16_t port = 2000; port < 2100; ++port) {
        REQUIRE(world.run_with(odd_syn(port), client_frame(port)) == 2 * lanes::group_size);
        REQUIRE(world.worker.table.size() == ++flows);
    }
}

TEST_CASE("lanes: a flow that begins anew is not taken for the old one by the next group",
          "[dataplane]") {
    Established world;
    constexpr std::uint8_t fin = 0x11;
    constexpr std::uint16_t port = 2000;
    const auto states = [&](FlowState state) {
        std::size_t count = 0;
        for (const Entry& entry : entries(world.worker, world.now))
            count += std::get<3>(entry) == static_cast<int>(state);
        return count;
    };
    world.run({client_frame(port, 0x02), client_frame(port), client_frame(port, fin)});
    REQUIRE(states(FlowState::fin) == 1);
    REQUIRE(world.run_with(odd_syn(port), client_frame(port)) == 2 * lanes::group_size);
    CHECK(states(FlowState::fin) == 0);
    CHECK(states(FlowState::established) == lanes::group_size);
}
