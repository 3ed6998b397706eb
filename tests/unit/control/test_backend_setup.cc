// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <catch2/catch.hpp>

#include "lib/control/backend_setup.hh"

namespace weir {

namespace {

using Lines = std::vector<std::string>;

// One port of 1500 bytes and one service with one backend.
Config config_of(Forward forward, std::string_view vip, std::string_view backend) {
    Config config;
    PortConfig port;
    port.name = "lan0";
    port.addresses = {*parse_prefix("10.0.0.5/16"), *parse_prefix("fd00:5::5/64")};
    config.ports = {port};
    ServiceConfig service;
    service.name = "web";
    service.key = {*parse_ip(vip), ServiceProtocol::tcp, 80, 80};
    service.forward = forward;
    if (forward == Forward::l3dsr) service.l3dsr.dscp = 10;
    service.backends = {{"b1", *parse_ip(backend), 100, BackendState::active}};
    config.services = {service};
    return config;
}

BackendSetup setup_of(const Config& config) {
    const auto setup = backend_setup(config, "web", "b1");
    REQUIRE(setup.has_value());
    for (const SetupStep& step : setup->steps) {
        CHECK_FALSE(step.why.empty());
        CHECK(step.command.find('\n') == std::string::npos);
    }
    return *setup;
}
Lines commands_of(const BackendSetup& setup) {
    Lines commands;
    for (const SetupStep& step : setup.steps)
        commands.push_back(step.command);
    return commands;
}
Lines commands_of(Forward forward, std::string_view vip, std::string_view backend) {
    return commands_of(setup_of(config_of(forward, vip, backend)));
}

constexpr const char *vip4 = "203.0.113.10", *vip6 = "2001:db8:443::10", *at4 = "10.0.1.11",
                     *at6 = "fd00:5::11";
const std::string on_lo4 = "ip addr replace 203.0.113.10/32 dev lo",
                  on_lo6 = "ip -6 addr replace 2001:db8:443::10/128 dev lo nodad preferred_lft 0",
                  no_arp =
                      "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2";

Lines device(const std::string& name, const std::string& type, const std::string& local) {
    return {"ip link show dev " + name + " >/dev/null 2>&1 || ip link add " + name + " type " +
                type + " local " + local + " remote any",
            "ip link set " + name + " up"};
}

Lines operator+(Lines left, const Lines& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}
Lines filter(const std::string& name) {
    return {"sysctl -w net.ipv4.conf." + name + ".rp_filter=2"};
}

}  // namespace

TEST_CASE("backend setup: dsr-l2 is the VIP on lo that nobody asks for", "[control]") {
    CHECK(commands_of(Forward::dsr_l2, vip4, at4) == Lines{on_lo4, no_arp});
    CHECK(commands_of(Forward::dsr_l2, vip6, at6) == Lines{on_lo6});
    const BackendSetup setup = setup_of(config_of(Forward::dsr_l2, vip4, at4));
    CHECK(setup.forward == "dsr-l2");
    CHECK(setup.address == "10.0.1.11");
    CHECK(setup.notes.empty());
}

TEST_CASE("backend setup: ipip has a device for each combination of families", "[control]") {
    CHECK(commands_of(Forward::ipip, vip4, at4) ==
          Lines{on_lo4, no_arp} + device("weir-ipip", "ipip", at4) + filter("weir-ipip"));
    CHECK(commands_of(Forward::ipip, vip6, at4) == Lines{on_lo6} + device("weir-sit", "sit", at4));
    CHECK(commands_of(Forward::ipip, vip4, at6) ==
          Lines{on_lo4, no_arp} + device("weir-ip6tnl", "ip6tnl mode any", at6) +
              filter("weir-ip6tnl"));
    CHECK(commands_of(Forward::ipip, vip6, at6) ==
          Lines{on_lo6} + device("weir-ip6tnl", "ip6tnl mode any", at6));
}

TEST_CASE("backend setup: gre has a device for each outer family", "[control]") {
    CHECK(commands_of(Forward::gre, vip4, at4) ==
          Lines{on_lo4, no_arp} + device("weir-gre", "gre", at4) + filter("weir-gre"));
    CHECK(commands_of(Forward::gre, vip6, at6) ==
          Lines{on_lo6} + device("weir-ip6gre", "ip6gre", at6));
}

TEST_CASE("backend setup: gue is a port of the kernel's, and ipip's device behind it",
          "[control]") {
    CHECK(commands_of(Forward::gue, vip4, at4) ==
          Lines{on_lo4, no_arp, "modprobe fou", "ip fou add port 6080 gue"} +
              device("weir-ipip", "ipip", at4) + filter("weir-ipip"));
    Config config = config_of(Forward::gue, vip6, at6);
    config.services[0].gue.port = 5555;
    CHECK(commands_of(setup_of(config)) ==
          Lines{on_lo6, "modprobe fou", "ip -6 fou add port 5555 gue"} +
              device("weir-ip6tnl", "ip6tnl mode any", at6));
}

TEST_CASE("backend setup: l3dsr turns the DSCP back into the VIP", "[control]") {
    const BackendSetup four = setup_of(config_of(Forward::l3dsr, vip4, at4));
    CHECK(
        commands_of(four) ==
        Lines{
            on_lo4, no_arp, "nft add table ip weir",
            "nft 'add chain ip weir l3dsr { type filter hook prerouting priority -300; }'",
            "nft add rule ip weir l3dsr ip daddr 10.0.1.11 ip dscp 10 ip daddr set 203.0.113.10"});
    CHECK(four.notes.size() == 1);
    CHECK(commands_of(Forward::l3dsr, vip6, at6).back() ==
          "nft add rule ip6 weir l3dsr ip6 daddr fd00:5::11 ip6 dscp 10 ip6 daddr set "
          "2001:db8:443::10");
}

TEST_CASE("backend setup: notes say what room a tunnel has", "[control]") {
    Config config = config_of(Forward::gre, vip6, at4);
    const auto note = [&] { return setup_of(config).notes.at(0); };
    config.ports[0].mtu = 1524;
    CHECK(note() ==
          "Tunnelled packets have up to 1524 bytes: the interface that they come by needs "
          "an MTU of 1524, and so does the network between.");
    config.ports[0].mtu = 1523;
    CHECK(note() ==
          "Port 'lan0' has MTU 1523, which leaves 1499 bytes in the tunnel: give the port "
          "1524 or more, or let clients send smaller segments by advmss 1439 on the "
          "backend's route to them (ip -6 route change default via GATEWAY advmss 1439).");
}

TEST_CASE("backend setup: there is none for what does not exist", "[control]") {
    const Config config = config_of(Forward::ipip, vip4, at4);
    CHECK_FALSE(backend_setup(config, "web", "b2").has_value());
    CHECK_FALSE(backend_setup(config, "wep", "b1").has_value());
}

TEST_CASE("backend setup: nat leads the answers back, and needs no VIP", "[control]") {
    CHECK(commands_of(Forward::nat, vip4, at4) ==
          Lines{"ip route replace default via 10.0.0.5 table 100",
                "ip rule add from 10.0.1.11 lookup 100"});
    CHECK(commands_of(Forward::nat, vip6, at6) ==
          Lines{"ip -6 route replace default via fd00:5::5 table 100",
                "ip -6 rule add from fd00:5::11 lookup 100"});
}

TEST_CASE("backend setup: nat through a gateway, and full-nat, are the network's to lead",
          "[control]") {
    Config config = config_of(Forward::nat, vip4, "192.0.2.7");
    config.ports[0].gateways = {*parse_ip("10.0.0.1")};
    const BackendSetup routed = setup_of(config);
    CHECK(routed.steps.empty());
    REQUIRE(routed.notes.size() == 1);
    CHECK(routed.notes[0].find("through Weir") != std::string::npos);

    config = config_of(Forward::full_nat, vip4, at4);
    config.services[0].source_pool = {*parse_ip("10.0.0.32"), *parse_ip("10.0.0.39")};
    const BackendSetup pooled = setup_of(config);
    CHECK(pooled.steps.empty());
    REQUIRE(pooled.notes.size() == 1);
    CHECK(pooled.notes[0].find("10.0.0.32 to 10.0.0.39") != std::string::npos);
}

TEST_CASE("backend setup: what reads the client's address", "[control]") {
    Config config = config_of(Forward::full_nat, vip4, at4);
    config.services[0].source_pool = {*parse_ip("10.0.0.32"), *parse_ip("10.0.0.39")};
    config.services[0].client_address = ClientAddress::toa;
    const BackendSetup setup = setup_of(config);
    REQUIRE(setup.steps.size() == 1);
    CHECK(setup.steps[0].command == "modprobe toa");
    REQUIRE(setup.notes.size() == 2);
    CHECK(setup.notes[0] ==
          "Packets come from 10.0.0.32 to 10.0.0.39, and answers go there, which the network must "
          "lead to Weir.");
    CHECK(setup.notes[1].find("from the pool alone") != std::string::npos);

    config.services[0].client_address = ClientAddress::proxy_v2;
    config.services[0].backends[0].port = 8080;
    const BackendSetup proxied = setup_of(config);
    CHECK(proxied.steps.empty());
    REQUIRE(proxied.notes.size() == 4);
    CHECK(proxied.notes[1] ==
          "The server must expect a PROXY header in front of every connection to port 8080. nginx: "
          "listen 8080 proxy_protocol; real_ip_header proxy_protocol; and set_real_ip_from for "
          "10.0.0.32 to 10.0.0.39. HAProxy: bind :8080 accept-proxy.");
    CHECK(proxied.notes[2].find("health.port") != std::string::npos);
    CHECK(proxied.notes[3].find("from the pool alone") != std::string::npos);
}

}  // namespace weir
