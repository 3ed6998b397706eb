// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/backend_setup.hh"

#include <algorithm>

#include <fmt/format.h>

#include "lib/control/egress.hh"
#include "lib/control/forward_mode.hh"

namespace weir {
namespace {

constexpr unsigned usual_packet = 1500;  // what clients send at most through the Internet
constexpr unsigned tcp_header = 20;

struct Asked {
    const Config& config;
    const ServiceConfig& service;
    const BackendConfig& backend;

    [[nodiscard]] const IpAddress& vip() const { return service.key.vip; }
    [[nodiscard]] bool v4_inside() const { return vip().family == Family::v4; }
    [[nodiscard]] bool v4_outside() const { return backend.address.family == Family::v4; }
};

void add_vip(const Asked& asked, BackendSetup& setup) {
    const std::string vip = to_string(asked.vip());
    const char* why = "The VIP stands on lo: the backend takes its packets and answers from it.";
    if (!asked.v4_inside()) {
        setup.steps.push_back(
            {fmt::format("ip -6 addr replace {}/128 dev lo nodad preferred_lft 0", vip), why});
        return;
    }
    setup.steps.push_back({fmt::format("ip addr replace {}/32 dev lo", vip), why});
    setup.steps.push_back(
        {"sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2",
         "No ARP tells the network that the VIP is here: Weir has it."});
}

struct Device {
    const char *name, *type;
};

// The kernel's tunnel device that takes these packets: one for each type serves all services.
Device device_for(const Asked& asked) {
    if (asked.service.forward == Forward::gre)
        return asked.v4_outside() ? Device{"weir-gre", "gre"} : Device{"weir-ip6gre", "ip6gre"};
    if (!asked.v4_outside()) return {"weir-ip6tnl", "ip6tnl mode any"};
    return asked.v4_inside() ? Device{"weir-ipip", "ipip"} : Device{"weir-sit", "sit"};
}

void add_gue(const Asked& asked, BackendSetup& setup) {
    setup.steps.push_back({"modprobe fou", "The kernel's decoder of GUE."});
    setup.steps.push_back(
        {fmt::format("ip {}fou add port {} gue", asked.v4_outside() ? "" : "-6 ",
                     asked.service.gue.port),
         "What comes to this UDP port is taken out of UDP and GUE; it says so when the port is "
         "there already."});
}

void add_tunnel(const Asked& asked, BackendSetup& setup) {
    if (asked.service.forward == Forward::gue) add_gue(asked, setup);
    const Device device = device_for(asked);
    setup.steps.push_back(
        {fmt::format("ip link show dev {0} >/dev/null 2>&1 || ip link add {0} type {1} local {2} "
                     "remote any",
                     device.name, device.type, to_string(asked.backend.address)),
         "Takes off the outer header, whatever its source: Weir varies that by flow."});
    setup.steps.push_back(
        {fmt::format("ip link set {} up", device.name), "It works when it is up."});
    if (!asked.v4_inside()) return;
    setup.steps.push_back({fmt::format("sysctl -w net.ipv4.conf.{}.rp_filter=2", device.name),
                           "Answers leave by another interface, which strict filtering forbids."});
}

void add_l3dsr(const Asked& asked, BackendSetup& setup) {
    const char* family = asked.v4_inside() ? "ip" : "ip6";
    setup.steps.push_back({fmt::format("nft add table {} weir", family),
                           "A table of its own, that other rules do not meet."});
    setup.steps.push_back(
        {fmt::format(
             "nft 'add chain {} weir l3dsr {{ type filter hook prerouting priority -300; }}'",
             family),
         "Before connection tracking and routing, which then see the VIP."});
    setup.steps.push_back(
        {fmt::format("nft add rule {0} weir l3dsr {0} daddr {1} {0} dscp {2} {0} daddr set {3}",
                     family, to_string(asked.backend.address), asked.service.l3dsr.dscp,
                     to_string(asked.vip())),
         "The DSCP says for which VIP a packet is; a rule that stands twice does no harm."});
    setup.notes.push_back(
        fmt::format("Every router between Weir and the backend must leave DSCP {} as it is.",
                    asked.service.l3dsr.dscp));
}

// Weir's own address on the backend's network; none when a gateway lies between.
std::optional<IpAddress> weir_near(const Asked& asked) {
    const auto egress = egress_of(asked.config, asked.backend.address);
    if (!egress || egress->next_hop != asked.backend.address) return std::nullopt;
    return own_address_towards(asked.config.ports[index(egress->port)], asked.backend.address);
}

void add_way_back(const Asked& asked, BackendSetup& setup) {
    const std::optional<IpAddress> weir = weir_near(asked);
    if (!weir) {
        setup.notes.push_back(
            "Answers must come back through Weir: the routers between lead what this backend sends "
            "to clients there.");
        return;
    }
    const char* ip = asked.v4_outside() ? "ip" : "ip -6";
    setup.steps.push_back(
        {fmt::format("{} route replace default via {} table 100", ip, to_string(*weir)),
         "Answers leave through Weir, which writes the VIP into them."});
    setup.steps.push_back(
        {fmt::format("{} rule add from {} lookup 100", ip, to_string(asked.backend.address)),
         "Only for what this address sends; it says so when the rule is there already."});
}

void add_pool(const Asked& asked, BackendSetup& setup) {
    if (!asked.service.source_pool) return;
    setup.notes.push_back(fmt::format(
        "{}ackets come from {} to {}, and answers go there, which the network must lead to Weir.",
        asked.service.client_address == ClientAddress::none ? "Nothing to set up: p" : "P",
        to_string(asked.service.source_pool->first), to_string(asked.service.source_pool->last)));
}

// Where its server listens.
std::string ports_of(const Asked& asked) {
    const ServiceKey& key = asked.service.key;
    if (asked.backend.port != 0) return std::to_string(asked.backend.port);
    if (key.first_port == key.last_port) return std::to_string(key.first_port);
    return fmt::format("{}-{}", key.first_port, key.last_port);
}

// What makes the backend read the client's address, and believe nobody else.
void add_client_address(const Asked& asked, BackendSetup& setup) {
    switch (asked.service.client_address) {
        case ClientAddress::none:
            return;
        case ClientAddress::toa:
            setup.steps.push_back(
                {"modprobe toa",
                 "The kernel module of DPVS or LVS: accept() and getpeername() then tell the "
                 "client's address, which stands in TCP option 254."});
            break;
        case ClientAddress::proxy_v2:
            setup.notes.push_back(fmt::format(
                "The server must expect a PROXY header in front of every connection to port {}. "
                "nginx: listen {} proxy_protocol; real_ip_header proxy_protocol; and "
                "set_real_ip_from for {} to {}. HAProxy: bind :{} accept-proxy.",
                ports_of(asked), ports_of(asked), to_string(asked.service.source_pool->first),
                to_string(asked.service.source_pool->last), ports_of(asked)));
            setup.notes.push_back(
                "Probes carry no such header: let an http health check ask another port "
                "(health.port), or take a tcp one.");
            break;
    }
    setup.notes.push_back(
        "Let TCP in from the pool alone: who reaches the backend otherwise can claim any "
        "address.");
}

void add_room(const Asked& asked, BackendSetup& setup) {
    const auto egress = egress_of(asked.config, asked.backend.address);
    if (!egress) return;
    const PortConfig& port = asked.config.ports[index(egress->port)];
    const unsigned outer = outer_length(asked.service, asked.backend.address.family);
    const unsigned room = port.mtu - std::min<unsigned>(outer, port.mtu);
    if (room >= usual_packet) {
        setup.notes.push_back(fmt::format(
            "Tunnelled packets have up to {0} bytes: the interface that they come by needs an MTU "
            "of {0}, and so does the network between.",
            usual_packet + outer));
        return;
    }
    const unsigned segment = room - (asked.v4_inside() ? 20 : 40) - tcp_header;
    setup.notes.push_back(fmt::format(
        "Port '{0}' has MTU {1}, which leaves {2} bytes in the tunnel: give the port {3} or more, "
        "or let clients send smaller segments by advmss {4} on the backend's route to them (ip "
        "{5}route change default via GATEWAY advmss {4}).",
        port.name, port.mtu, room, usual_packet + outer, segment, asked.v4_inside() ? "" : "-6 "));
}

}  // namespace

std::optional<BackendSetup> backend_setup(const Config& config, std::string_view service,
                                          std::string_view backend) {
    const auto of = std::ranges::find(config.services, service, &ServiceConfig::name);
    if (of == config.services.end()) return std::nullopt;
    const auto one = std::ranges::find(of->backends, backend, &BackendConfig::name);
    if (one == of->backends.end()) return std::nullopt;
    const Asked asked{config, *of, *one};
    BackendSetup setup{of->name, one->name, name_of(of->forward), to_string(one->address), {}, {}};
    if (!is_nat(of->forward)) add_vip(asked, setup);
    if (of->forward == Forward::nat) add_way_back(asked, setup);
    if (of->forward == Forward::full_nat) {
        add_pool(asked, setup);
        add_client_address(asked, setup);
    }
    if (is_tunnel(of->forward)) {
        add_tunnel(asked, setup);
        add_room(asked, setup);
    }
    if (of->forward == Forward::l3dsr) add_l3dsr(asked, setup);
    return setup;
}

}  // namespace weir
