// SPDX-License-Identifier: BSD-3-Clause
#include <random>

#include <catch2/catch.hpp>

#include "lib/balance/prefix_table.hh"
#include "lib/balance/routes.hh"

using namespace weir;

namespace {

IpAddress ip(std::string_view text) {
    return parse_ip(text).value();
}
IpPrefix prefix(std::string_view text) {
    return parse_prefix(text).value();
}

}  // namespace

TEST_CASE("prefix table: the longest prefix answers, of equal ones the first",
          "[balance][routes]") {
    const PrefixTable<int> table({{prefix("0.0.0.0/0"), 1},
                                  {prefix("10.9.0.0/16"), 2},
                                  {prefix("10.9.7.99/24"), 3},  // host bits are nothing
                                  {prefix("10.9.7.0/24"), 4},
                                  {prefix("2001:db8::/33"), 5},
                                  {prefix("10.9.7.7/32"), 6}});
    const auto find = [&](std::string_view address) {
        const auto* item = table.find(ip(address));
        return item != nullptr ? item->second : 0;
    };
    CHECK(find("192.0.2.1") == 1);
    CHECK(find("10.9.1.1") == 2);
    CHECK(find("10.9.7.8") == 3);
    CHECK(find("10.9.7.7") == 6);
    CHECK(find("2001:db8:7fff::1") == 5);
    CHECK(find("2001:db8:8000::1") == 0);
    CHECK(find("::1") == 0);
    CHECK(table.find(ip("10.9.7.8"))->first == prefix("10.9.7.0/24"));
    CHECK(PrefixTable<int>().find(ip("10.0.0.1")) == nullptr);
}

TEST_CASE("prefix table: finds what a look at each prefix finds", "[balance][routes][property]") {
    std::mt19937 random(4632);
    for (int round = 0; round < 60; ++round) {
        std::vector<PrefixTable<int>::Item> items;
        const auto address = [&] {
            const bool six = random() % 2 != 0;
            IpAddress one = ip(six ? "2001:db8::" : "10.0.0.0");
            for (std::size_t at = one.size() - 3; at < one.size(); ++at)
                one.bytes[at] = static_cast<std::uint8_t>(random() % 4 << (random() % 7));
            return one;
        };
        for (int i = 0; i < 200; ++i) {
            const IpAddress one = address();
            items.emplace_back(
                IpPrefix{one, static_cast<std::uint8_t>(random() % (one.bits() + 1))}, i);
        }
        const PrefixTable<int> table(items);
        for (int i = 0; i < 500; ++i) {
            const IpAddress wanted = address();
            const PrefixTable<int>::Item* best = nullptr;
            for (const auto& item : items)
                if (item.first.contains(wanted) &&
                    (best == nullptr || item.first.length > best->first.length))
                    best = &item;
            const auto* found = table.find(wanted);
            INFO(to_string(wanted));
            REQUIRE((found == nullptr) == (best == nullptr));
            if (found != nullptr) REQUIRE(found->second == best->second);
        }
    }
}

TEST_CASE("routes: a longer prefix goes before a network, a network before its equal",
          "[balance][routes]") {
    const Routes::Station station{PortId{1}, ip("10.1.0.9"), NextHopId{9}};
    const Routes routes({{prefix("10.1.0.5/16"), PortId{1}}}, {&station, 1}, NextHopId{1},
                        invalid_next_hop,
                        {{prefix("10.1.7.0/24"), NextHopId{2}},
                         {prefix("10.1.0.0/16"), NextHopId{3}},
                         {prefix("10.0.0.0/8"), NextHopId{4}},
                         {prefix("10.1.8.0/24"), invalid_next_hop},
                         {prefix("::/0"), NextHopId{5}}});
    const auto via = [&](std::string_view address) { return routes.find(ip(address)); };
    CHECK(via("10.1.7.1") == Route{true, NextHopId{2}, PortId{}});
    CHECK(via("10.1.0.9") == Route{true, NextHopId{9}, PortId{1}});
    CHECK(via("10.1.0.8") == Route{true, invalid_next_hop, PortId{1}});
    CHECK(via("10.2.0.1") == Route{true, NextHopId{4}, PortId{}});
    CHECK(via("192.0.2.1") == Route{true, NextHopId{1}, PortId{}});
    CHECK(via("2001:db8::1") == Route{true, NextHopId{5}, PortId{}});
    CHECK_FALSE(via("10.1.8.1").exists);
}
