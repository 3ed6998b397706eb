// SPDX-License-Identifier: BSD-3-Clause
// [[port]]
#include <algorithm>

#include <fmt/format.h>

#include "lib/control/config_sections.hh"
#include "lib/control/config_text.hh"

namespace weir {

namespace {

constexpr std::size_t max_interface_name = 15;  // IFNAMSIZ - 1
constexpr std::uint16_t min_ipv6_mtu = 1280;    // RFC 8200 section 5

bool is_hex(std::string_view text) noexcept {
    return !text.empty() && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
}

// "0000:8a:00.0" or "8a:00.0"
bool is_pci_address(std::string_view text) noexcept {
    if (text.size() == 12 && text[4] == ':') {
        if (!is_hex(text.substr(0, 4))) return false;
        text.remove_prefix(5);
    }
    return text.size() == 7 && is_hex(text.substr(0, 2)) && text[2] == ':' &&
           is_hex(text.substr(3, 2)) && text[5] == '.' && text[6] >= '0' && text[6] <= '7';
}

// "net_af_xdp0,iface=veth0": a driver's name, then anything that is not blank.
bool is_vdev(std::string_view text) noexcept {
    const std::string_view name = text.substr(0, text.find(','));
    return name.starts_with("net_") && is_name(name) &&
           std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

void read_device(TableReader& reader, PortConfig& port) {
    if (!reader.require("device")) return;
    const std::optional<std::string> device = reader.text("device");
    if (!device) return;
    if (!is_pci_address(*device) && !is_vdev(*device)) {
        reader.wrong("device",
                     fmt::format("'device' must be a PCI address like \"0000:8a:00.0\" or "
                                 "a vdev like \"net_af_xdp0,iface=veth0\", not {}",
                                 in_quotes(*device)));
        return;
    }
    port.device = is_pci_address(*device) && device->size() == 7 ? "0000:" + *device : *device;
}

void read_queues(TableReader& reader, PortConfig& port) {
    constexpr std::int64_t most = 64;
    const std::optional<Node> value = reader.any("queues");
    if (!value) return;
    if (value->type() == Node::Type::text && value->text() == "auto") return;
    if (value->type() != Node::Type::integer || value->integer() < 1 || value->integer() > most) {
        reader.wrong("queues",
                     fmt::format("'queues' must be \"auto\" or an integer from 1 to {}", most));
        return;
    }
    port.queues = static_cast<std::uint16_t>(value->integer());
}

void read_rings(TableReader& parent, PortConfig& port) {
    const std::optional<Node> table = parent.table("rings");
    if (!table) return;
    TableReader reader(*table, "'rings' of [[port]]", parent.problems());
    port.rx_descriptors = reader.integer<std::uint16_t>("rx", 32, 32768, 0);
    port.tx_descriptors = reader.integer<std::uint16_t>("tx", 32, 32768, 0);
    reader.finish();
}

void read_addresses(TableReader& reader, PortConfig& port, PortPlaces& places) {
    for (const Node& element : reader.list("address")) {
        const auto prefix = element_prefix(element, "address", reader.problems());
        if (!prefix) continue;
        if (element.text().find('/') == std::string_view::npos) {
            reader.problems().add(
                element.place(),
                fmt::format("'address' needs the prefix length of the network, "
                            "like \"{}/{}\"",
                            element.text(), prefix->address.family == Family::v4 ? 24 : 64));
            continue;
        }
        port.addresses.push_back(*prefix);
        places.addresses.push_back(element.place());
    }
    for (const Node& element : reader.list("gateway")) {
        const auto gateway = element_address(element, "gateway", reader.problems());
        if (!gateway) continue;
        if (std::ranges::find(port.gateways, gateway->family, &IpAddress::family) !=
            port.gateways.end()) {
            reader.problems().add(element.place(),
                                  fmt::format("a second {} gateway; a port has at most one of each "
                                              "family",
                                              gateway->family == Family::v4 ? "IPv4" : "IPv6"));
            continue;
        }
        port.gateways.push_back(*gateway);
        places.gateways.push_back(element.place());
    }
    for (const Node& element : reader.list("tunnel_source")) {
        const auto prefix = element_prefix(element, "tunnel_source", reader.problems());
        if (!prefix) continue;
        const auto same = [&](const IpPrefix& other) {
            return other.address.family == prefix->address.family;
        };
        if (std::ranges::any_of(port.tunnel_source, same)) {
            reader.problems().add(
                element.place(),
                fmt::format("a second {} tunnel_source; a port has at most one of "
                            "each family",
                            prefix->address.family == Family::v4 ? "IPv4" : "IPv6"));
            continue;
        }
        port.tunnel_source.push_back(*prefix);
        places.tunnel_sources.push_back(element.place());
    }
}

std::optional<MacAddress> read_mac(TableReader& reader) {
    if (!reader.require("mac")) return std::nullopt;
    const std::optional<std::string> text = reader.text("mac");
    if (!text) return std::nullopt;
    const std::optional<MacAddress> mac = parse_mac(*text);
    if (!mac || (mac->bytes[0] & 1) != 0 || *mac == MacAddress{}) {
        reader.wrong("mac", fmt::format("'mac' must be the MAC address of one station like "
                                        "\"02:00:00:00:00:01\", not {}",
                                        in_quotes(*text)));
        return std::nullopt;
    }
    return mac;
}

void read_neighbors(TableReader& parent, PortConfig& port, PortPlaces& places) {
    for (const Node& element : parent.tables("neighbor")) {
        TableReader reader(element, "'neighbor' of [[port]]", parent.problems());
        reader.require("address");
        const std::optional<IpAddress> address = reader.address("address");
        const std::optional<MacAddress> mac = read_mac(reader);
        reader.finish();
        if (!address || !mac) continue;
        if (std::ranges::find(port.neighbors, *address, &StaticNeighbor::address) !=
            port.neighbors.end()) {
            reader.wrong("address",
                         fmt::format("a second neighbor {} on one port", to_string(*address)));
            continue;
        }
        port.neighbors.push_back({*address, *mac});
        places.neighbors.push_back(reader.place("address"));
    }
}

void read_tap(TableReader& reader, PortConfig& port, PortPlaces& places) {
    places.exception_tap = reader.place("exception_tap");
    if (const std::optional<std::string> tap = reader.text("exception_tap")) {
        if (!is_name(*tap) || tap->size() > max_interface_name) {
            reader.wrong("exception_tap",
                         fmt::format("'exception_tap' must be an interface name of at most {} "
                                     "letters, digits, '.', '_' and '-', not {}",
                                     max_interface_name, in_quotes(*tap)));
        } else {
            port.exception_tap = *tap;
        }
    }
    port.exception_tap_persist = reader.boolean("exception_tap_persist", false);
    if (port.exception_tap_persist && !reader.has("exception_tap")) {
        reader.wrong("exception_tap_persist",
                     "'exception_tap_persist' needs 'exception_tap', the name of the TAP to keep");
    }
}

void read_mtu(TableReader& reader, PortConfig& port) {
    port.mtu = reader.integer<std::uint16_t>("mtu", 576, 9600, port.mtu);
    const auto is_v6 = [](const IpPrefix& prefix) { return prefix.address.family == Family::v6; };
    if (port.mtu < min_ipv6_mtu && std::ranges::any_of(port.addresses, is_v6)) {
        reader.wrong("mtu", fmt::format("'mtu' must be at least {} on a port with an IPv6 address",
                                        min_ipv6_mtu));
    }
}

void read_port(TableReader& reader, PortConfig& port, PortPlaces& places) {
    if (reader.require("name")) port.name = reader.name("name").value_or("");
    read_device(reader, port);
    port.profile = reader.name("profile").value_or(port.profile);
    read_queues(reader, port);
    read_rings(reader, port);
    port.vlan = reader.integer<std::uint16_t>("vlan", 0, 4094, 0);

    const std::size_t before = reader.problems().size();
    read_addresses(reader, port, places);
    read_neighbors(reader, port, places);
    read_tap(reader, port, places);
    places.addressing_ok = reader.problems().size() == before;
    read_mtu(reader, port);
    reader.finish();
    places.table = reader.place();
    places.name = reader.place("name");
    places.device = reader.place("device");
    places.mtu = reader.place("mtu");
}

}  // namespace

void read_ports(TableReader& root, Draft& draft) {
    const std::size_t before = draft.problems.size();
    if (!root.has("port")) {
        draft.problems.add({}, "missing table [[port]]: at least one port is needed");
    }
    for (const Node& node : root.tables("port")) {
        if (draft.config.ports.size() == max_ports) {
            draft.problems.add(node.place(), fmt::format("more than {} ports", max_ports));
            break;
        }
        TableReader reader(node, "[[port]]", draft.problems);
        PortConfig& port = draft.config.ports.emplace_back();
        read_port(reader, port, draft.ports.emplace_back());
    }
    if (root.has("port") && draft.config.ports.empty() && draft.problems.size() == before) {
        root.wrong("port", "'port' is empty: at least one port is needed");
    }
    if (draft.problems.size() != before) draft.plan_ok = false;
}

}  // namespace weir
