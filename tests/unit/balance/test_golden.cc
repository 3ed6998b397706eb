// SPDX-License-Identifier: BSD-3-Clause
// The known answers of docs/hashing.md in tests/reference/golden.txt, which an independent
// implementation wrote. A balancer that answers otherwise would tear the flows of a cluster apart.
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/balance/maglev.hh"
#include "lib/flow/key.hh"

using namespace weir;

namespace {

using Words = std::vector<std::string>;

std::vector<std::string> split(const std::string& text, char by) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, by);)
        parts.push_back(part);
    return parts;
}

// The words of each line that begins with `kind`.
std::vector<Words> lines_of(const std::string& kind) {
    std::ifstream file(WEIR_GOLDEN);
    REQUIRE(file);
    std::vector<Words> lines;
    for (std::string line; std::getline(file, line);) {
        Words words = split(line, ' ');
        if (!words.empty() && words.front() == kind) lines.push_back(std::move(words));
    }
    REQUIRE_FALSE(lines.empty());
    return lines;
}

std::uint64_t number(const std::string& text, int base = 10) {
    return std::stoull(text, nullptr, base);
}

// SLOTS BACKENDS WEIGHTS DOWN, from the line's second word on.
std::vector<Seat> table_of(const Words& line) {
    const auto slots = static_cast<std::uint32_t>(number(line[1]));
    const std::size_t backends = number(line[2]);
    const Words weights = split(line[3], ',');
    std::vector<MaglevMember> members;
    for (std::size_t i = 0; i < backends; ++i)
        members.push_back({maglev_name_hash("backend-" + std::to_string(i)),
                           static_cast<std::uint32_t>(number(weights[i % weights.size()]))});
    std::vector<bool> live(backends, true);
    for (const std::string& down : split(line[4], ','))
        if (down != "-") live[number(down)] = false;
    return maglev_live(maglev_configured(members, slots), members, live);
}

}  // namespace

TEST_CASE("golden: hashes of names", "[balance]") {
    for (const Words& line : lines_of("name"))
        CHECK(maglev_name_hash(line[1]) == number(line[2], 16));
}

TEST_CASE("golden: slot hashes of flows", "[balance]") {
    for (const Words& line : lines_of("hash")) {
        const auto source = parse_ip(line[2]), destination = parse_ip(line[3]);
        FlowKey key;
        key.source = source.value().bytes;
        key.destination = destination.value().bytes;
        key.family = source->family;
        key.source_port = static_cast<std::uint16_t>(number(line[4]));
        key.destination_port = static_cast<std::uint16_t>(number(line[5]));
        key.protocol = static_cast<std::uint8_t>(number(line[6]));
        CHECK(slot_hash(key, number(line[1], 16)) == number(line[7], 16));
    }
}

TEST_CASE("golden: tables", "[balance]") {
    for (const Words& line : lines_of("table")) {
        std::uint64_t digest = 0xcbf29ce484222325;  // FNV-1a
        for (const Seat seat : table_of(line)) {
            digest = (digest ^ (seat & 0xff)) * 0x100000001b3;
            digest = (digest ^ (seat >> 8)) * 0x100000001b3;
        }
        INFO(line[1] << " slots, " << line[2] << " backends, down: " << line[4]);
        CHECK(digest == number(line[5], 16));
    }
    for (const Words& line : lines_of("seats")) {
        std::vector<Seat> seats;
        for (const std::string& seat : split(line[5], ','))
            seats.push_back(static_cast<Seat>(number(seat)));
        CHECK(table_of(line) == seats);
    }
}
