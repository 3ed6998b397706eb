// SPDX-License-Identifier: BSD-3-Clause
#include <array>

#include <catch2/catch.hpp>

#include "app/weirctl_commands.hh"
#include "app/weirctl_print.hh"
#include "app/weirctl_words.hh"

using namespace weir;
using namespace weir::ctl;

namespace {

constexpr std::array table_of_words{
    Words{"status", "", "", 0, 0, "is it well?"},
    Words{"service", "list", "", 0, 0, "all"},
    Words{"service", "show", "NAME", 1, 1, "one"},
    Words{"backend", "list", "[SERVICE]", 0, 1, "all"},
    Words{"reload", "", "[FILE]", 0, 1, "again"},
    Words{"relay", "", "", 0, 0, "a word that shares a prefix"},
    Words{"rel", "", "", 0, 0, "a word that is a prefix"},
    Words{"explain", "", "A B", 2, 2, "", false},
};

std::size_t matched(const std::vector<std::string>& typed) {
    const auto result = match(table_of_words, typed);
    REQUIRE(result.ok());
    return result.value().command;
}
std::string refused(const std::vector<std::string>& typed) {
    const auto result = match(table_of_words, typed);
    REQUIRE(!result.ok());
    return result.error().message;
}

}  // namespace

TEST_CASE("weirctl: unique prefixes of words are accepted", "[app][weirctl]") {
    CHECK(matched({"status"}) == 0);
    CHECK(matched({"st"}) == 0);
    CHECK(matched({"service", "list"}) == 1);
    CHECK(matched({"se", "sh", "web"}) == 2);
    CHECK(matched({"b", "l"}) == 3);
    CHECK(matched({"relo"}) == 4);
    CHECK(matched({"rel"}) == 6);  // the exact word wins
}

TEST_CASE("weirctl: ambiguous, unknown and unbuilt words are told apart", "[app][weirctl]") {
    CHECK(refused({"s"}) == "'s' is ambiguous: service, status");
    CHECK(refused({"re"}) == "'re' is ambiguous: rel, relay, reload");
    CHECK(refused({"drain"}).starts_with("unknown word 'drain'; there are: backend,"));
    CHECK(refused({"service", "drop"}) == "unknown verb 'drop'; there are: list, show");
    CHECK(refused({"service"}) == "service what? list, show");
    CHECK(refused({"explain", "a", "b"}) == "this version does not have 'explain' yet");
}

TEST_CASE("weirctl: the number of arguments is checked", "[app][weirctl]") {
    CHECK(refused({"service", "show"}) == "usage: weirctl service show NAME");
    CHECK(refused({"service", "show", "a", "b"}) == "usage: weirctl service show NAME");
    CHECK(match(table_of_words, {"reload", "file"}).value().arguments ==
          std::vector<std::string>{"file"});
}

TEST_CASE("weirctl: every command is found by its own words", "[app][weirctl]") {
    for (const Words& words : ctl::words()) {
        std::vector<std::string> typed{std::string(words.noun)};
        if (!words.verb.empty()) typed.emplace_back(words.verb);
        typed.resize(typed.size() + words.least, "a/b");
        const auto found = match(ctl::words(), typed);
        INFO(words.noun << " " << words.verb);
        CHECK(found.ok() == words.built);
        CHECK((words.help.empty() != words.built));
    }
}

TEST_CASE("weirctl: SERVICE/BACKEND needs one slash between two names", "[app][weirctl]") {
    CHECK(split_backend("web/web-1").value().backend == "web-1");
    for (const char* wrong : {"web", "/web", "web/", "a/b/c", "/", ""})
        CHECK_FALSE(split_backend(wrong).ok());
}

TEST_CASE("weirctl: tables align, numbers to the right", "[app][weirctl]") {
    const auto rows = nlohmann::json::parse(
        R"([{"name":"a","n":7,"t":{"x":true}},{"name":"longer","n":1234,"t":{"x":false}}])");
    CHECK(table(rows, {{"NAME", "/name"}, {"N", "/n"}, {"X", "/t/x"}}, "none") ==
          "NAME       N  X\n"
          "a          7  yes\n"
          "longer  1234  no\n");
    CHECK(table(nlohmann::json::array(), {{"NAME", "/name"}}, "none") == "none\n");
}

TEST_CASE("weirctl: a missing or empty value is a dash", "[app][weirctl]") {
    const auto object = nlohmann::json::parse(R"({"a":"","l":[],"s":1.5})");
    CHECK(sheet(object, {{"a", "/a"}, {"b", "/b"}, {"list", "/l"}, {"s", "/s"}}) ==
          "a     -\n"
          "b     -\n"
          "list  -\n"
          "s     1.500\n");
}
