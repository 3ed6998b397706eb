// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "lib/dpdk/af_packet_guard.hh"
#include "tests/unit/dpdk/support.hh"

using namespace weir;

namespace {

std::string ruleset(const std::string& hook, const std::string& rule = "",
                    const std::string& family = "netdev") {
    return "table ip filter {\n\tchain in {\n\t\tdrop\n\t}\n}\ntable " + family +
           " t {\n\tchain c {\n\t\ttype filter hook " + hook + "\n" +
           (rule.empty() ? "" : "\t\t" + rule + "\n") + "\t}\n\tchain d {\n\t\tdrop\n\t}\n}\n";
}

// With the kernel's real rules.
std::string real_rules() {
    if (!test::run("ip link add hzp0 type veth peer name hzp1")) return "no veth";
    const auto before = check_ingress_dropped("hzp0");
    if (before.ok()) return "ok without rules";
    // The commands of the sentence, as a user would run them.
    std::string message = before.error().message;
    for (int command = 0; command < 2; ++command) {
        const auto start = message.find('`');
        const auto end = message.find('`', start + 1);
        if (end == std::string::npos) return "fewer than two commands: " + message;
        if (!test::run(message.substr(start + 1, end - start - 1)))
            return "does not run: " + message.substr(start + 1, end - start - 1);
        message.erase(0, end + 1);
    }
    if (const auto after = check_ingress_dropped("hzp0"); !after) return after.error().message;
    if (check_ingress_dropped("hzp1").ok()) return "ok for the other interface";
    return {};
}

}  // namespace

TEST_CASE("af_packet guard: a netdev ingress chain that drops all is required", "[dpdk]") {
    const std::string one = R"(ingress device "hzp0" priority filter; policy )";
    CHECK(drops_ingress(ruleset(one + "drop;"), "hzp0"));
    CHECK(drops_ingress(ruleset(R"(ingress devices = { "a", "hzp0" } priority 0; policy drop;)"),
                        "hzp0"));
    CHECK(drops_ingress(ruleset("ingress devices = { a, hzp0 } priority 0; policy drop;"), "hzp0"));
    CHECK_FALSE(drops_ingress(ruleset(one + "drop;"), "hzp1"));
    CHECK_FALSE(drops_ingress(ruleset(one + "accept;"), "hzp0"));
    CHECK_FALSE(drops_ingress(ruleset(R"(egress device "hzp0" priority 0; policy drop;)"), "hzp0"));
    CHECK_FALSE(drops_ingress(ruleset(one + "drop;", "", "inet"), "hzp0"));

    CHECK(drops_ingress(ruleset(one + "accept;", "drop"), "hzp0"));
    CHECK(drops_ingress(ruleset(one + "accept;", "counter packets 1 bytes 2 drop"), "hzp0"));
    CHECK(drops_ingress(ruleset(one + "accept;", "drop comment \"kernel's copy\""), "hzp0"));
    CHECK_FALSE(drops_ingress(ruleset(one + "accept;", "ip saddr 10.0.0.1 drop"), "hzp0"));
    CHECK_FALSE(drops_ingress(ruleset(one + "accept;", "tcp dport 80 counter drop"), "hzp0"));
    for (const char* text : {"", "table", "table netdev\nchain\ntype\ntype filter hook", "drop"})
        CHECK_FALSE(drops_ingress(text, "hzp0"));
}

TEST_CASE("af_packet guard: the commands of its sentence satisfy it", "[dpdk][netns]") {
    CHECK(test::in_private_network(real_rules) == "");
}
