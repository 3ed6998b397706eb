// SPDX-License-Identifier: BSD-3-Clause
// What a file may be, whatever it says.
#include <cstdio>
#include <ctime>
#include <string>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "lib/control/config_scan.hh"
#include "tests/unit/control/config_fixture.hh"

namespace weir {

namespace {

using Errors = std::vector<std::string>;

std::string with_crlf(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '\n') result += '\r';
        result += c;
    }
    return result;
}

// `services` services with `backends` backends in all, as a generator would write them.
std::string big_config(unsigned services, unsigned backends) {
    std::string text(valid_config.substr(0, valid_config.find("[health.web]")));
    unsigned written = 0;
    for (unsigned s = 0; s < services; ++s) {
        text += fmt::format(
            "[[service]]\nname = \"s{}\"\nvip = \"203.0.{}.{}\"\nport = 80\n"
            "forward = \"dsr-l2\"\nschedule = {{ table_size = 251 }}\nbackend = [\n",
            s, s / 256, s % 256);
        for (; written < std::uint64_t{backends} * (s + 1) / services; ++written) {
            text +=
                fmt::format("  {{ name = \"b{}\", address = \"198.51.100.{}\", weight = 7 }},\n",
                            written, 10 + written % 200);
        }
        text += "]\n";
    }
    return text;
}

// Seconds of this process's own time: the machine may have other work.
double seconds_to_parse(const std::string& text, ConfigResult& result) {
    const std::clock_t start = std::clock();
    result = parse_config(text, "big.toml");
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

// Sanitizers make everything several times slower.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double bearable = 60;
#else
constexpr double bearable = 10;
#endif

}  // namespace

TEST_CASE("config file: a BOM and CRLF change nothing", "[config]") {
    CHECK(errors_of("\xef\xbb\xbf" + std::string(valid_config)).empty());
    CHECK(errors_of(with_crlf(valid_config)).empty());
    const std::string wrong = with(valid_config, "port = 443", "port = 0");
    CHECK(errors_of(with_crlf(wrong)) == errors_of(wrong));
    CHECK(errors_of("\xef\xbb\xbf" + wrong) == errors_of(wrong));
}

TEST_CASE("config file: a syntax error stops there, at its place", "[config]") {
    const Errors errors =
        errors_of(with(valid_config, "control_lcore = 0\n", "control_lcore = = 0\nnmae = 1\n"));
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].starts_with("5:17: "));
    CHECK(errors_of("a = [na\nn")[0].find('\n') == std::string::npos);
    CHECK(errors_of(with(valid_config, "control_lcore = 0", "name = \"again\"")).size() == 1);
}

TEST_CASE("config file: NUL bytes are refused where they stand", "[config]") {
    std::string text(valid_config);
    text[text.find("443") + 1] = '\0';
    CHECK(errors_of(text) == Errors{"30:9: a NUL byte; the file must be UTF-8 text"});
}

TEST_CASE("config file: deep nesting and other bombs are refused without harm", "[config]") {
    const auto repeat = [](std::string_view part, std::size_t times) {
        std::string text;
        for (std::size_t i = 0; i < times; ++i)
            text += part;
        return text;
    };
    const std::size_t many = 1'000'000;
    for (const std::string& text : {
             "a = " + repeat("[", many),
             "a = " + repeat("{ a = ", many),
             "a" + repeat(".a", many) + " = 1",
             "[a" + repeat(".a", many) + "]",
             "[[a" + repeat(".a", many) + "]]",
             "a" + repeat(".\".\"", many) + " = 1",
             "a = " + repeat("[{a.a.a = ", many),
             repeat("[[service]]\n", many),
             repeat("a.b = 1\n", 100),
             "a = \"" + repeat("\\", many),
             "a = '''" + repeat("'", many),
         }) {
        CHECK(errors_of(text).size() >= 1);
    }
    CHECK(errors_of("a" + repeat(".a", max_key_parts) + " = 1") ==
          Errors{"1:128: a key of more than 64 parts"});
    // Dots in strings and comments are text.
    const std::string dots = repeat(".", 1000);
    CHECK(errors_of(std::string(valid_config) + "# " + dots + "\n").empty());
    CHECK(errors_of(std::string(valid_config) + "x = \"\\\"" + dots + "\"\n").size() == 1);
    CHECK(errors_of(std::string(valid_config) + "x = '" + dots + "'\n").size() == 1);
}

TEST_CASE("config file: a header without a key is an error", "[config]") {
    for (const char* header :
         {"[=]", "[[=]]", "[ =", "[\n", "[[\n", "[[[a]]]", "[[ [a]]]", "[ [a]]", "[]", "[[]]", "[",
          "[[", "[ ", "[\xc3\xa9]", "[.a]", "[a.]", "[a..b]"}) {
        INFO(header);
        CHECK(errors_of(std::string("a = [\n[1],\n[[2], [\n]]]\n") + header).size() == 1);
    }
}

TEST_CASE("config file: dates and numbers cut short are errors", "[config]") {
    for (const char* value : {"1980-05-27T[", "1980-05-27T", "1980-05-27T10:", "10:11:12.", "1980-",
                              "+", "0x", "0b2", "1e", "1_", "inff", "tru", "1980-13-01"}) {
        INFO(value);
        CHECK(errors_of(std::string("a = ") + value).size() == 1);
    }
    // A whole one is only of the wrong type.
    CHECK(errors_of(with(valid_config, "mtu = 1560", "mtu = 1980-05-27")) ==
          Errors{"17:7: 'mtu' must be an integer from 576 to 9600, not a date or time"});
}

TEST_CASE("config file: characters beyond ASCII stand in quotes and comments only", "[config]") {
    CHECK(errors_of(std::string(valid_config) + "# \xc3\xa9\n").empty());
    CHECK(errors_of(with(valid_config, "\"lb1\"", "\"\xc3\xa9\"")).size() == 1);
    for (const char* wrong : {"a\xc3\xa9 = 1", "a = \xc3\xa9", "a =\xc2\xa0 1", "a\xe2\x80\xa8"}) {
        INFO(wrong);
        CHECK(errors_of(wrong).size() == 1);
    }
    CHECK(errors_of("a = \xc3\xa9") == Errors{"1:5: a character beyond ASCII outside quotes"});
    CHECK(errors_of("\xef\xbb\xbf\xef\xbb\xbf") ==
          Errors{"1:1: a character beyond ASCII outside quotes"});
    CHECK(errors_of("a = \"\"\"\\\n\xc3\xa9\"\"\"") ==
          Errors{"1:5: a multi-line string; no value here is one"});
}

TEST_CASE("config file: random bytes and cut files never crash", "[config]") {
    std::uint64_t state = 42;
    const auto next = [&] {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::size_t>(state >> 33);
    };
    for (std::size_t cut = 0; cut < valid_config.size(); cut += 7) {
        CHECK_NOTHROW(parse_config(valid_config.substr(0, cut), "cut"));
    }
    for (int round = 0; round < 2000; ++round) {
        std::string text(valid_config);
        for (std::size_t change = next() % 4 + 1; change > 0; --change) {
            text[next() % text.size()] = static_cast<char>(next());
        }
        const ConfigResult result = parse_config(text, "mutated");
        CHECK(result.config.has_value() == result.errors.empty());
    }
}

TEST_CASE("config file: what is no readable file is told apart", "[config]") {
    const auto only_error = [](const std::string& path) {
        const ConfigResult result = load_config(path);
        REQUIRE(result.errors.size() == 1);
        return to_string(result.errors[0]);
    };
    CHECK(only_error("/") == "/:1:1: is a directory; name the file in it");
    CHECK(only_error("/nonexistent/weir.toml") ==
          "/nonexistent/weir.toml:1:1: cannot open: No such file or directory");
    CHECK(only_error("/dev/zero") == "/dev/zero:1:1: is not a regular file");
}

TEST_CASE("config file: more than 256 MiB are not read", "[config]") {
    char path[] = "/tmp/weir-config-XXXXXX";
    const int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    REQUIRE(ftruncate(fd, (256 << 20) + 1) == 0);  // sparse
    close(fd);
    const ConfigResult result = load_config(path);
    std::remove(path);
    REQUIRE(result.errors.size() == 1);
    CHECK(result.errors[0].message == "is larger than 256 MiB, the most that is read");
}

TEST_CASE("config file: bounds of services and backends, in bounded time", "[config][scale]") {
    ConfigResult result;
    const auto only_error = [&](const std::string& text) {
        CHECK(seconds_to_parse(text, result) < bearable);
        REQUIRE(result.errors.size() == 1);
        return result.errors[0].message;
    };
    CHECK(seconds_to_parse(big_config(4, max_backends), result) < bearable);
    CHECK(result.errors.empty());
    CHECK(seconds_to_parse(big_config(max_services, 0), result) < bearable);
    CHECK(result.errors.empty());
    CHECK(only_error(big_config(4, max_backends + 1)) == "more than 131072 backends");
    CHECK(only_error(big_config(1, 65'535)) == "more than 65534 backends in one service");
    const std::string too_large =
        "too large: at most 16384 services and 131072 backends are possible";
    CHECK(only_error(big_config(100, 1'000'000)) == too_large);
    std::string text = "a = [";
    for (int i = 0; i < 10'000'000; ++i)
        text += "1,";
    CHECK(only_error(text) == too_large);
}

}  // namespace weir
