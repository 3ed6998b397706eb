// SPDX-License-Identifier: BSD-3-Clause
// [[service]] and its backends
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "lib/control/config_sections.hh"
#include "lib/control/forward_mode.hh"

namespace weir {

namespace {

constexpr std::uint32_t max_weight = 65'535;
constexpr std::uint32_t max_table_size = 16'777'213;  // the greatest of maglev_default_size()
constexpr std::size_t max_seats = no_seat - 1;        // ids.hh: seats are 0 .. 65533

struct PortRange {
    std::uint16_t first = 0, last = 0;
};

// "8000-8099"
std::optional<PortRange> parse_range(std::string_view text) noexcept {
    PortRange range;
    const char* end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, range.first);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '-') return std::nullopt;
    const auto last = std::from_chars(first.ptr + 1, end, range.last);
    if (last.ec != std::errc{} || last.ptr != end) return std::nullopt;
    if (range.first == 0 || range.first > range.last) return std::nullopt;
    return range;
}

std::optional<PortRange> read_port_range(TableReader& reader) {
    if (!reader.require("port")) return std::nullopt;
    const Node value = *reader.any("port");
    if (value.type() == Node::Type::integer && value.integer() >= 1 && value.integer() <= 65535) {
        const auto port = static_cast<std::uint16_t>(value.integer());
        return PortRange{port, port};
    }
    if (value.type() == Node::Type::text) {
        if (value.text() == "any") return PortRange{0, 65535};
        if (const std::optional<PortRange> range = parse_range(value.text())) return range;
    }
    reader.wrong("port",
                 "'port' must be an integer from 1 to 65535, a range like \"8000-8099\" or "
                 "\"any\"");
    return std::nullopt;
}

// Echo requests have none.
std::optional<PortRange> read_no_port(TableReader& reader) {
    const std::optional<Node> value = reader.any("port");
    if (!value || (value->type() == Node::Type::text && value->text() == "any")) return PortRange{};
    reader.wrong("port", "'port' has no meaning for protocol = \"icmp\": leave it out");
    return std::nullopt;
}

void read_key(TableReader& reader, ServiceConfig& service, ServicePlaces& places) {
    static constexpr Word<ServiceProtocol> protocols[] = {{"tcp", ServiceProtocol::tcp},
                                                          {"udp", ServiceProtocol::udp},
                                                          {"sctp", ServiceProtocol::sctp},
                                                          {"icmp", ServiceProtocol::icmp},
                                                          {"any", ServiceProtocol::any}};
    const std::size_t before = reader.problems().size();
    reader.require("vip");
    const std::optional<IpAddress> vip = reader.address("vip");
    places.vip_ok = vip.has_value();
    if (vip) service.key.vip = *vip;
    service.key.protocol = reader.word("protocol", protocols).value_or(service.key.protocol);
    const bool is_icmp = service.key.protocol == ServiceProtocol::icmp;
    if (const auto range = is_icmp ? read_no_port(reader) : read_port_range(reader)) {
        service.key.first_port = range->first;
        service.key.last_port = range->last;
    }
    places.key_ok = reader.problems().size() == before;
}

// Whether the table `key` is there and belongs to the service's mode, which is of that name.
std::optional<Node> table_of_mode(TableReader& reader, const ServiceConfig& service,
                                  const ServicePlaces& places, std::string_view key, Forward mode) {
    const std::optional<Node> table = reader.table(key);
    if (!table || !places.forward_ok || service.forward == mode) return table;
    reader.wrong(
        key, fmt::format("'{}' needs forward = \"{}\": leave it out, or change forward", key, key));
    return std::nullopt;
}

void read_gue(TableReader& parent, ServiceConfig& service, const ServicePlaces& places) {
    const auto table = table_of_mode(parent, service, places, "gue", Forward::gue);
    if (!table) return;
    TableReader reader(*table, "'gue' of [[service]]", parent.problems());
    GueConfig& gue = service.gue;
    gue.port = reader.integer<std::uint16_t>("port", 1, 65'535, gue.port);
    gue.variant = reader.integer<std::uint8_t>("variant", 0, 1, gue.variant);
    reader.finish();
}

void read_l3dsr(TableReader& parent, ServiceConfig& service, ServicePlaces& places) {
    if (places.forward_ok && service.forward == Forward::l3dsr && !parent.has("l3dsr")) {
        parent.wrong(
            "forward",
            "forward = \"l3dsr\" needs the DSCP by which backends know the VIP: add l3dsr = "
            "{ dscp = 10 }");
    }
    const auto table = table_of_mode(parent, service, places, "l3dsr", Forward::l3dsr);
    if (!table) return;
    TableReader reader(*table, "'l3dsr' of [[service]]", parent.problems());
    reader.require("dscp");
    service.l3dsr.dscp = reader.integer<std::uint8_t>("dscp", 1, 63, 0);
    places.dscp = reader.place("dscp");
    reader.finish();
}

void read_forward(TableReader& reader, ServiceConfig& service, ServicePlaces& places) {
    static constexpr Word<Forward> modes[] = {
        {"dsr-l2", Forward::dsr_l2},    {"ipip", Forward::ipip},   {"gre", Forward::gre},
        {"gue", Forward::gue},          {"l3dsr", Forward::l3dsr}, {"nat", Forward::nat},
        {"full-nat", Forward::full_nat}};
    reader.require("forward");
    const std::optional<Forward> forward = reader.word("forward", modes);
    places.forward_ok = forward.has_value();
    service.forward = forward.value_or(service.forward);
    read_gue(reader, service, places);
    read_l3dsr(reader, service, places);
    read_nat(reader, service, places);
}

void check_translation(TableReader& reader, const ServiceConfig& service,
                       const ServicePlaces& places) {
    if (!places.forward_ok || !is_nat(service.forward)) return;
    if (service.key.protocol == ServiceProtocol::sctp)
        reader.wrong("forward",
                     fmt::format("forward = \"{}\" is for TCP and UDP: an SCTP association names "
                                 "its other addresses in its packets, and would not survive "
                                 "translation; use \"dsr-l2\", \"ipip\", \"gre\", \"gue\" or "
                                 "\"l3dsr\"",
                                 name_of(service.forward)));
    if (service.key.protocol == ServiceProtocol::icmp)
        reader.wrong("forward",
                     fmt::format("forward = \"{}\" is for TCP and UDP, not for echo requests; use "
                                 "\"dsr-l2\", \"ipip\", \"gre\", \"gue\" or \"l3dsr\"",
                                 name_of(service.forward)));
}

// Between the least that every host takes (RFC 9293 3.7.1) and the most that fits an IPv4 packet.
void read_mss_clamp(TableReader& reader, ServiceConfig& service) {
    if (!reader.has("mss_clamp")) return;
    service.mss_clamp = reader.integer<std::uint16_t>("mss_clamp", 536, 65'495, 0);
    if (service.key.protocol != ServiceProtocol::tcp &&
        service.key.protocol != ServiceProtocol::any)
        reader.wrong("mss_clamp", "'mss_clamp' has a meaning for TCP only: leave it out");
}

std::uint32_t next_prime(std::uint32_t n) noexcept {
    while (!is_prime(n))
        ++n;
    return n;
}

void read_schedule(TableReader& parent, ServiceConfig& service) {
    const std::optional<Node> table = parent.table("schedule");
    if (!table) return;
    static constexpr Word<bool> methods[] = {{"maglev", true}, {"source-hash", std::nullopt}};
    TableReader reader(*table, "'schedule' of [[service]]", parent.problems());
    static_cast<void>(reader.word("method", methods));
    const auto size = reader.integer<std::uint32_t>("table_size", 2, max_table_size, 0);
    if (size != 0 && !is_prime(size)) {
        reader.wrong("table_size", fmt::format("'table_size' must be a prime, and {} is none; the "
                                               "next prime is {}",
                                               size, next_prime(size)));
    }
    service.table_size = size;
    reader.finish();
}

void read_backend(TableReader& reader, BackendConfig& backend, BackendPlaces& places) {
    static constexpr Word<BackendState> states[] = {{"active", BackendState::active},
                                                    {"drain", BackendState::drain},
                                                    {"disabled", BackendState::disabled}};
    reader.require("name");
    const std::optional<std::string> name = reader.name("name");
    places.name = reader.place("name");
    places.name_ok = name.has_value();
    backend.name = name.value_or("");
    reader.require("address");
    const std::optional<IpAddress> address = reader.address("address");
    places.address = reader.place("address");
    places.address_ok = address.has_value();
    backend.address = address.value_or(IpAddress{});
    backend.weight = reader.integer<std::uint32_t>("weight", 0, max_weight, backend.weight);
    backend.state = reader.word("state", states).value_or(backend.state);
    reader.not_built("group", "leave it out and give the backend a weight");
    backend.port = reader.integer<std::uint16_t>("port", 1, 65535, 0);
    places.port = reader.place("port");
    read_quic_server_id(reader, backend, places);
    reader.not_built("role", "set state = \"disabled\" until the backend is needed");
    reader.finish();
}

// Answers false when the bound on all backends is passed; the rest is then not read.
bool read_backends(TableReader& reader, ServiceConfig& service, ServicePlaces& places,
                   std::size_t& total) {
    if (reader.not_built("backends_from", "write the backends into the service")) {
        static_cast<void>(reader.any("backend"));
    } else {
        reader.require("backend");
    }
    const std::vector<Node> nodes = reader.tables("backend");
    service.backends.reserve(nodes.size());
    places.backends.reserve(nodes.size());
    for (const Node& node : nodes) {
        if (++total > max_backends) {
            reader.problems().add(node.place(), fmt::format("more than {} backends", max_backends));
            return false;
        }
        if (service.backends.size() == max_seats) {
            reader.problems().add(node.place(),
                                  fmt::format("more than {} backends in one service", max_seats));
            return true;
        }
        TableReader backend(node, "a backend", reader.problems());
        read_backend(backend, service.backends.emplace_back(), places.backends.emplace_back());
    }
    return true;
}

bool read_service(TableReader& reader, ServiceConfig& service, ServicePlaces& places,
                  std::size_t& total_backends) {
    reader.require("name");
    const std::optional<std::string> name = reader.name("name");
    places.name_ok = name.has_value();
    service.name = name.value_or("");
    read_key(reader, service, places);
    read_forward(reader, service, places);
    check_translation(reader, service, places);
    read_mss_clamp(reader, service);
    read_quic(reader, service, places);
    read_schedule(reader, service);
    const std::optional<std::string> health = reader.text("health");
    places.health_ok = health.has_value();
    service.health = health.value_or("");
    reader.not_built("groups", "leave it out and give the backends weights");
    reader.not_built("affinity", "flows keep their backend by the connection table");
    const bool more = read_backends(reader, service, places, total_backends);
    if (service.table_size == 0) service.table_size = maglev_default_size(service.backends.size());
    reader.finish();

    places.table = reader.place();
    places.name = reader.place("name");
    places.vip = reader.place("vip");
    places.port = reader.place("port");
    places.forward = reader.place("forward");
    places.health = reader.place("health");
    return more;
}

}  // namespace

void read_services(TableReader& root, Draft& draft) {
    std::size_t total_backends = 0;
    for (const Node& node : root.tables("service")) {
        if (draft.config.services.size() == max_services) {
            draft.problems.add(node.place(), fmt::format("more than {} services", max_services));
            return;
        }
        TableReader reader(node, "[[service]]", draft.problems);
        ServiceConfig& service = draft.config.services.emplace_back();
        if (!read_service(reader, service, draft.services.emplace_back(), total_backends)) return;
    }
}

}  // namespace weir
