// SPDX-License-Identifier: BSD-3-Clause
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/control/config_text.hh"

namespace weir {

TEST_CASE("config text: durations and sizes need a whole number and a unit", "[config]") {
    CHECK(parse_duration("500ms") == 500);
    CHECK(parse_duration("2s") == 2000);
    CHECK(parse_duration("15m") == 900'000);
    CHECK(parse_duration("1h") == 3'600'000);
    CHECK(parse_size("0B") == 0);
    CHECK(parse_size("64KiB") == 65536);
    CHECK(parse_size("4GiB") == 4ull << 30);
    for (const char* wrong : {"", "2", "s", "2 s", " 2s", "-2s", "+2s", "2.5s", "2S", "2sec",
                              "0x2s", "99999999999999999999s", "9223372036854775807s"}) {
        INFO(wrong);
        CHECK_FALSE(parse_duration(wrong));
        CHECK_FALSE(parse_size(wrong));
    }
}

TEST_CASE("config text: written durations and sizes read back the same", "[config]") {
    for (std::uint64_t value : {0ull, 1ull, 999ull, 1000ull, 1500ull, 60'000ull, 3'600'000ull,
                                86'400'000ull, 2'147'483'647ull}) {
        CHECK(parse_duration(duration_text(value)) == value);
        CHECK(parse_size(size_text(value)) == value);
    }
    CHECK(duration_text(90'000) == "90s");
    CHECK(size_text(1536ull << 20) == "1536MiB");
    CHECK(human_size(1536ull << 20) == "1.5 GiB");
    CHECK(human_size(812) == "812 B");
}

TEST_CASE("config text: names", "[config]") {
    CHECK(is_name("a"));
    CHECK(is_name("0.a_b-C"));
    CHECK(is_name(std::string(63, 'x')));
    for (const std::string& wrong :
         {std::string(), std::string(64, 'x'), std::string("-a"), std::string(".a"),
          std::string("a b"), std::string("a/b"), std::string("\xc3\xa9"), std::string("a\n")}) {
        CHECK_FALSE(is_name(wrong));
    }
}

TEST_CASE("config text: the nearest word is guessed only when near", "[config]") {
    const std::vector<std::string_view> words{"vip", "port", "protocol", "health", "backend"};
    CHECK(closest("vipp", words) == "vip");
    CHECK(closest("vpi", words) == "vip");
    CHECK(closest("prot", words) == "port");
    CHECK(closest("protokol", words) == "protocol");
    CHECK(closest("helath", words) == "health");
    CHECK(closest("backends", words) == "backend");
    CHECK_FALSE(closest("x", words));
    CHECK_FALSE(closest("forward", words));
    CHECK_FALSE(closest(std::string(10'000, 'a'), words));
    CHECK(did_you_mean("vipp", words) == " (did you mean 'vip'?)");
    CHECK(did_you_mean("zzz", words).empty());
}

TEST_CASE("config text: what is shown is one line of whole characters", "[config]") {
    CHECK(printable("a\nb\x1b[31m\x7f") == "a\\x0ab\\x1b[31m\\x7f");
    CHECK(in_quotes("\xc3\xa9") == "\"\xc3\xa9\"");
    CHECK(printable(std::string(60, 'x')) == std::string(60, 'x'));
    CHECK(printable(std::string(61, 'x')) == std::string(60, 'x') + "...");
    CHECK(printable(std::string(59, 'x') + "\xc3\xa9") == std::string(59, 'x') + "...");
    CHECK(printable(std::string(58, 'x') + "\xc3\xa9z") == std::string(58, 'x') + "\xc3\xa9...");
}

}  // namespace weir
