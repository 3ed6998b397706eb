// SPDX-License-Identifier: BSD-3-Clause
// The fast building of a Maglev table against a slow twin: rounds in a map, one slot at a time, a
// division for every step.
#include <deque>
#include <map>
#include <random>
#include <string>

#include <catch2/catch.hpp>

#include "lib/balance/maglev.hh"
#include "lib/balance/maglev_parts.hh"

using namespace weir;

namespace {

std::vector<Seat> slow_order(std::span<const MaglevMember> members) {
    std::map<std::uint64_t, Seat> by_hash;
    for (std::size_t i = 0; i < members.size(); ++i)
        by_hash[members[i].name_hash] = static_cast<Seat>(i);
    std::vector<Seat> order;
    for (const auto& [hash, seat] : by_hash)
        order.push_back(seat);
    return order;
}

class SlowMaglev {
public:
    SlowMaglev(std::span<const MaglevMember> members, std::uint32_t slots)
        : members_(members), table_(slots, no_seat), at_(members.size()), turns_(members.size()) {
        for (const MaglevMember& member : members)
            heaviest_ = std::max<std::uint64_t>(heaviest_, member.weight);
    }

    std::vector<Seat> build() {
        if (heaviest_ == 0) return table_;
        for (const Seat seat : slow_order(members_)) {
            at_[seat] = (members_[seat].name_hash >> 32) % table_.size();
            if (members_[seat].weight != 0) wait(seat);
        }
        for (std::size_t filled = 0; filled < table_.size(); ++filled) {
            while (rounds_.begin()->second.empty())
                rounds_.erase(rounds_.begin());
            const Seat seat = rounds_.begin()->second.front();
            rounds_.begin()->second.pop_front();
            place(seat);
            ++turns_[seat];
            wait(seat);
        }
        return table_;
    }

private:
    // Turn t is due in the first round r with credit + (r + 1) * weight >= (t + 1) * heaviest.
    void wait(Seat seat) {
        const MaglevMember& member = members_[seat];
        const std::uint64_t credit =
            maglev_scale(maglev_mix(member.name_hash), static_cast<std::uint32_t>(heaviest_));
        const std::uint64_t owed = (turns_[seat] + 1) * heaviest_ - credit;
        rounds_[(owed + member.weight - 1) / member.weight - 1].push_back(seat);
    }

    void place(Seat seat) {
        const std::uint64_t low = members_[seat].name_hash & 0xffffffff;
        const std::uint64_t skip = table_.size() > 2 ? low % (table_.size() - 1) + 1 : 1;
        while (table_[at_[seat]] != no_seat)
            at_[seat] = (at_[seat] + skip) % table_.size();
        table_[at_[seat]] = seat;
    }

    std::span<const MaglevMember> members_;
    std::vector<Seat> table_;
    std::vector<std::uint64_t> at_, turns_;  // by seat
    std::uint64_t heaviest_ = 0;
    std::map<std::uint64_t, std::deque<Seat>> rounds_;
};

std::vector<MaglevMember> draw(std::mt19937_64& random, std::size_t count) {
    const bool equal = random() % 3 == 0;
    const std::uint64_t most = std::array<std::uint64_t, 4>{2, 5, 100, 65'535}[random() % 4];
    std::vector<MaglevMember> members;
    for (std::size_t i = 0; i < count; ++i) {
        members.push_back(
            {random(), static_cast<std::uint32_t>(equal ? most : random() % (most + 1))});
    }
    return members;
}

}  // namespace

TEST_CASE("maglev: the fast table is the slow one", "[balance][property]") {
    std::mt19937_64 random(11);
    for (const std::uint32_t slots :
         {2u, 3u, 5u, 7u, 11u, 13u, 31u, 61u, 127u, 251u, 1021u, 4093u, 16'381u}) {
        for (int round = 0; round < 30; ++round) {
            const auto members = draw(random, 1 + random() % (round % 2 == 0 ? 12 : 300));
            INFO("slots " << slots << " round " << round);
            CHECK(maglev_configured(members, slots) == SlowMaglev(members, slots).build());
        }
    }
}

TEST_CASE("maglev: the fast table is the slow one where quotients are estimates", "[balance]") {
    std::mt19937_64 random(14);
    const auto members = draw(random, 100);
    const bool same =
        maglev_configured(members, 6'553'577) == SlowMaglev(members, 6'553'577).build();
    CHECK(same);
}

TEST_CASE("maglev: the fast table of a thousand members is the slow one", "[balance]") {
    std::mt19937_64 random(15);
    const auto members = draw(random, 1000);
    for (const std::uint32_t slots : {65'537u, 655'373u}) {
        const bool same = maglev_configured(members, slots) == SlowMaglev(members, slots).build();
        CHECK(same);
    }
}

TEST_CASE("maglev: names whose walks meet at once give the slow table", "[balance][property]") {
    // The same first slot for all, the same skip for all, and skips of one slot or all but one.
    std::mt19937_64 random(12);
    for (const std::uint32_t slots : {5u, 61u, 1021u, 4093u}) {
        for (int kind = 0; kind < 8; ++kind) {
            // Few members have many turns each.
            auto members = draw(random, kind < 4 ? 40 : 6);
            for (std::uint32_t i = 0; i < members.size(); ++i) {
                const int same = kind % 4;
                const std::uint64_t high = same == 0 ? 7 + std::uint64_t{i} * slots : random();
                const std::uint64_t skip = same == 1 ? 3 : same == 2 ? 1 : slots - 1;
                const std::uint64_t low = same == 0 ? random() : i * (slots - 1ull) + skip - 1;
                members[i].name_hash = high << 32 | (low & 0xffffffff);
            }
            INFO("slots " << slots << " kind " << kind);
            CHECK(maglev_configured(members, slots) == SlowMaglev(members, slots).build());
        }
    }
}

TEST_CASE("maglev: the order by name hash is a sorted one, however hashes lie", "[balance]") {
    std::mt19937_64 random(13);
    for (const std::size_t count : {0u, 1u, 2u, 3u, 64u, 65u, 1000u}) {
        for (const unsigned bits : {64u, 40u, 12u}) {  // few bits: all in one bucket
            std::map<std::uint64_t, int> distinct;
            while (distinct.size() < count)
                distinct[random() >> (64 - bits)];
            std::vector<MaglevMember> members;
            for (const auto& [hash, unused] : distinct)
                members.push_back({hash, 1});
            std::ranges::shuffle(members, random);
            CHECK(maglev_order(members) == slow_order(members));
        }
    }
}
