// SPDX-License-Identifier: BSD-3-Clause
// Bindings of full-nat: each port of each address and protocol stands for one flow at a time, on
// the worker that owns it, and is found from both sides.
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/flow/nat_table.hh"

using namespace weir;

namespace {

constexpr HashSecret secret{{11, 22, 33, 44}};

struct Table {
    struct alignas(64) Line {
        std::byte bytes[64];
    };
    explicit Table(const NatTable::Size& size)
        : memory(NatTable::footprint(size) / sizeof(Line)),
          table(std::as_writable_bytes(std::span(memory)), size, secret) {}
    std::vector<Line> memory;
    NatTable table;
};

FlowKey key(std::uint32_t client, std::uint8_t protocol = proto_tcp) {
    FlowKey result;
    result.source = {10, static_cast<std::uint8_t>(client >> 16),
                     static_cast<std::uint8_t>(client >> 8), static_cast<std::uint8_t>(client)};
    result.destination = {203, 0, 113, 10};
    result.source_port = 40'000;
    result.destination_port = 80;
    result.protocol = protocol;
    return result;
}

}  // namespace

TEST_CASE("nat table: each port has one owner, and owners give out all of them", "[flow][nat]") {
    for (const std::uint32_t workers : {1U, 2U, 3U, 7U, 64U}) {
        std::set<std::tuple<std::uint32_t, std::uint16_t>> given;
        std::uint32_t capacity = 0;
        for (std::uint32_t worker = 0; worker < workers; ++worker) {
            Table own({2, worker, workers});
            capacity += own.table.capacity();
            std::uint32_t client = 0;
            while (NatBinding* binding = own.table.bind(key(client), 0, 2)) {
                const PoolEnd end = own.table.end_of(*binding);
                REQUIRE(nat_port_owner(end.port, workers) == worker);
                REQUIRE(end.port >= nat_first_port);
                REQUIRE(end.address < 2);
                REQUIRE(given.emplace(end.address, end.port).second);
                REQUIRE(own.table.at(end, proto_tcp) == binding);
                REQUIRE(own.table.at(end, proto_udp) == nullptr);
                ++client;
            }
            CHECK(own.table.size() == own.table.capacity() / 2);  // UDP's are free
        }
        CHECK(given.size() == 2 * nat_ports);
        CHECK(capacity == 2 * 2 * nat_ports);
    }
}

TEST_CASE("nat table: addresses outside the range are not used", "[flow][nat]") {
    Table own({4, 0, 64});
    std::map<std::uint32_t, unsigned> used;
    for (std::uint32_t client = 0; client < 1500; ++client) {
        const NatBinding* binding = own.table.bind(key(client), 1, 2);
        REQUIRE(binding != nullptr);
        ++used[own.table.end_of(*binding).address];
    }
    REQUIRE(used.size() == 2);
    CHECK(used.at(1) > 600);
    CHECK(used.at(2) > 600);
}

TEST_CASE("nat table: packets to ports that nobody gave out find nothing", "[flow][nat]") {
    Table own({2, 1, 4});
    CHECK(own.table.at({0, 80}, proto_tcp) == nullptr);
    CHECK(own.table.at({0, 1025}, proto_tcp) == nullptr);  // free
    CHECK(own.table.at({0, 1026}, proto_tcp) == nullptr);  // another worker's
    CHECK(own.table.at({2, 1025}, proto_tcp) == nullptr);  // no such address
    CHECK(own.table.at({0, 65'535}, proto_udp) == nullptr);
}

TEST_CASE("nat table: a port is used again as late as possible", "[flow][nat]") {
    Table own({1, 0, 4096});  // 16 ports
    const std::uint32_t ports = own.table.capacity() / 2;
    NatBinding* first = own.table.bind(key(0), 0, 1);
    const PoolEnd left = own.table.end_of(*first);
    first->expires = expiry_of(Tick{1000});
    own.table.sweep(own.table.places(), Tick{100'000});
    CHECK(own.table.size() == 0);
    CHECK(own.table.find(key(0)) == nullptr);
    for (std::uint32_t client = 1; client <= ports; ++client) {
        NatBinding* binding = own.table.bind(key(client), 0, 1);
        REQUIRE(binding != nullptr);
        CHECK((own.table.end_of(*binding) == left) == (client == ports));
    }
    CHECK(own.table.bind(key(ports + 1), 0, 1) == nullptr);
    CHECK(own.table.bind(key(ports + 1, proto_udp), 0, 1) != nullptr);
}

// Against a map: what was bound and has not expired is found, from both sides; nothing else is.
TEST_CASE("nat table: as a map does it", "[flow][nat][property]") {
    const NatTable::Size size{3, 5, 600};
    Table own(size);
    struct Flow {
        PoolEnd end;
        Tick expires;
    };
    std::map<std::pair<std::uint32_t, std::uint8_t>, Flow> model;
    std::mt19937 random(6056);
    Tick now{1'000'000};
    for (int step = 0; step < 200'000; ++step) {
        const auto client = static_cast<std::uint32_t>(random() % 400);
        const std::uint8_t protocol = random() % 2 == 0 ? proto_tcp : proto_udp;
        const FlowKey asked = key(client, protocol);
        const auto known = model.find({client, protocol});
        NatBinding* binding = own.table.find(asked);
        REQUIRE((binding != nullptr) == (known != model.end()));
        if (binding != nullptr) {
            REQUIRE(binding->client == asked);
            REQUIRE(own.table.end_of(*binding) == known->second.end);
            REQUIRE(own.table.at(known->second.end, protocol) == binding);
        } else {
            binding = own.table.bind(asked, 0, size.addresses);
            if (binding == nullptr) {
                std::size_t same = 0;
                for (const auto& [flow, unused] : model)
                    same += flow.second == protocol ? 1 : 0;
                REQUIRE(same == own.table.capacity() / 2);
            } else {
                const Tick expires = now + static_cast<std::uint32_t>(random() % 60'000);
                binding->expires = expiry_of(expires);
                model[{client, protocol}] = {own.table.end_of(*binding), expires};
            }
        }
        REQUIRE(own.table.size() == model.size());
        if (random() % 400 != 0) continue;
        now = now + static_cast<std::uint32_t>(random() % 60'000);
        own.table.sweep(own.table.places(), now);
        std::erase_if(
            model, [&](const auto& flow) { return is_past(expiry_of(flow.second.expires), now); });
    }
}
