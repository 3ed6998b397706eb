// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstdint>
#include <vector>

#include <catch2/catch.hpp>
#include <sys/mman.h>

#include "lib/dpdk/memory.hh"

using namespace weir;

TEST_CASE("memory: zeroed, aligned, faulted in, whatever pages it got", "[dpdk]") {
    for (const bool hugetlb : {false, true})
        for (const std::size_t bytes : {std::size_t{1}, std::size_t{5000}, std::size_t{9} << 20}) {
            CAPTURE(hugetlb, bytes);
            auto made = NumaRegion::allocate(bytes, 0, hugetlb);
            REQUIRE(made.ok());
            const NumaRegion region = std::move(made).value();
            CHECK(region.size() >= bytes);
            CHECK(reinterpret_cast<std::uintptr_t>(region.data()) % 4096 == 0);
            std::vector<unsigned char> resident((region.size() + 4095) / 4096);
            REQUIRE(mincore(region.data(), region.size(), resident.data()) == 0);
            CHECK(std::ranges::all_of(resident, [](unsigned char page) { return page & 1; }));
            CHECK(
                std::ranges::all_of(region.bytes(), [](std::byte b) { return b == std::byte{0}; }));
            std::ranges::fill(region.bytes(), std::byte{0xff});
        }
}

TEST_CASE("memory: nothing asked, nothing had; moved regions have one owner", "[dpdk]") {
    CHECK(NumaRegion::allocate(0, -1, true).value().bytes().empty());
    NumaRegion a = NumaRegion::allocate(4096, -1, false).value();
    const std::byte* where = a.data();
    NumaRegion b = std::move(a);
    CHECK(b.data() == where);
    NumaRegion c;
    c = std::move(b);
    CHECK(c.data() == where);
    CHECK(b.data() == nullptr);
}

TEST_CASE("memory: more than there is is refused with what mends it", "[dpdk]") {
    const auto refused = NumaRegion::allocate(std::size_t{1} << 46, 0, false);
    REQUIRE_FALSE(refused.ok());
    CHECK_THAT(refused.error().message, Catch::Matchers::Contains("conntrack.entries_per_worker"));
}

TEST_CASE("memory: nodes of CPUs are known", "[dpdk]") {
    CHECK(node_count() >= 1);
    CHECK(node_of_cpu(0) < node_count());
    CHECK(node_of_cpu(100'000) == 0);
}
