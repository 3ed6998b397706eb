// SPDX-License-Identifier: BSD-3-Clause
#include "perf/gen/target.hh"

#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/weirctl_client.hh"

namespace weir::gen {

namespace {

using nlohmann::json;

Result<json> asked(const Options& options, const std::string& path) {
    ctl::Answer answer = ctl::ask(options.control_socket, "GET", "/api/v1/" + path);
    if (answer.kind != ctl::Answer::Kind::ok)
        return Error{fmt::format("{} of {}: {}", path, options.control_socket, answer.error)};
    return std::move(answer.body);
}

// "8080", the first of "8000-8099", and 80 of "any".
std::uint16_t first_port(const std::string& text) {
    std::uint16_t port = 80;
    std::from_chars(text.data(), text.data() + text.size(), port);
    return port;
}

Result<IpAddress> needed_ip(const std::string& text, const char* what) {
    if (const auto address = parse_ip(text)) return *address;
    return Error{fmt::format("{} '{}' is not an IP address", what, text)};
}

// MAC_OR_ADDRESS[=MAC]
Result<ExpectedBackend> read_backend(const std::string& text) {
    ExpectedBackend backend;
    backend.name = text;
    const std::size_t equals = text.find('=');
    std::string address = text.substr(0, equals);
    std::string mac = equals == std::string::npos ? "" : text.substr(equals + 1);
    if (mac.empty() && parse_mac(address)) std::swap(address, mac);
    if (!mac.empty()) {
        const auto parsed = parse_mac(mac);
        if (!parsed)
            return Error{fmt::format("--backend {}: '{}' is not a MAC address", text, mac)};
        backend.mac = *parsed;
        backend.mac_known = true;
    }
    if (!address.empty()) {
        auto parsed = needed_ip(address, "--backend");
        if (!parsed) return parsed.error();
        backend.address = parsed.value();
    }
    return backend;
}

// `text`: MAC or address of one of the expectation's backends.
Result<void> mark_leaving(Expectation& expectation, const std::string& text) {
    auto wanted = read_backend(text);
    if (!wanted) return wanted.error();
    const bool by_mac = wanted.value().mac_known;
    bool found = false;
    for (ExpectedBackend& backend : expectation.backends) {
        if (by_mac ? backend.mac != wanted.value().mac : backend.address != wanted.value().address)
            continue;
        backend.leaves = found = true;
    }
    if (!found) return Error{fmt::format("--leaves {}: there is no such backend", text)};
    return {};
}

// The answers of a running weir that a target needs.
struct Answers {
    json service, ports, neighbors, config;
    const json* port = nullptr;  // ours, within `ports`
};

Result<void> choose_port(const Options& options, Answers& answers) {
    for (const json& port : answers.ports.at("ports")) {
        const bool chosen = options.weir_port.empty() ? port.at("driver") == "net_memif"
                                                      : port.at("name") == options.weir_port;
        if (!chosen) continue;
        answers.port = &port;
        return {};
    }
    return Error{options.weir_port.empty()
                     ? "weir has no memif port: give it one (scripts/generator --print-port)"
                     : fmt::format("weir has no port '{}'", options.weir_port)};
}

Result<Answers> ask_weir(const Options& options) {
    Answers answers;
    const std::pair<std::string, json*> wanted[] = {
        {"ports", &answers.ports}, {"neighbors", &answers.neighbors}, {"config", &answers.config}};
    for (const auto& [path, place] : wanted) {
        auto answer = asked(options, path);
        if (!answer) return answer.error();
        *place = std::move(answer).value();
    }
    if (!options.service.empty()) {
        auto answer = asked(options, "services/" + ctl::encoded(options.service));
        if (!answer) return answer.error();
        answers.service = std::move(answer).value();
    }
    if (auto chosen = choose_port(options, answers); !chosen) return chosen.error();
    return answers;
}

std::string mac_of_next_hop(const Answers& answers, const json& backend) {
    for (const json& neighbor : answers.neighbors.at("neighbors"))
        if (neighbor.at("port") == backend.at("port") &&
            neighbor.at("address") == backend.at("next_hop"))
            return neighbor.at("mac");
    return "";
}

// `tunnel_source` of our port, and its addresses of a family that has none.
std::vector<std::string> outer_sources(const Answers& answers) {
    std::vector<std::string> sources;
    for (const json& port : answers.config.at("port")) {
        if (port.at("name") != answers.port->at("name")) continue;
        bool given[2] = {false, false};
        for (const std::string prefix : port.at("tunnel_source")) {
            sources.push_back(prefix);
            given[prefix.find(':') != std::string::npos] = true;
        }
        for (const std::string prefix : port.at("address"))
            if (!given[prefix.find(':') != std::string::npos])
                sources.push_back(prefix.substr(0, prefix.find('/')));
    }
    return sources;
}

// What the service's mode has of its own stands in the configuration.
void complete_mode(Options& options, const Answers& answers) {
    for (const json& service : answers.config.at("service")) {
        if (service.at("name") != answers.service.at("name")) continue;
        if (const auto gue = service.find("gue"); gue != service.end()) {
            if (options.gue_port == 0) options.gue_port = gue->at("port");
            if (!options.gue_variant) options.gue_variant = gue->at("variant").get<int>();
        }
        const auto l3dsr = service.find("l3dsr");
        if (l3dsr != service.end() && options.dscp == 0) options.dscp = l3dsr->at("dscp");
    }
}

// Fills from the answers what the command line left open.
void complete(Options& options, const Answers& answers) {
    if (options.mac.empty()) options.mac = answers.port->at("mac");
    if (answers.service.is_null()) return;
    const json& service = answers.service;
    if (options.vip.empty()) options.vip = service.at("vip");
    if (options.protocol.empty())
        options.protocol = service.at("protocol") == "udp" ? "udp" : "tcp";
    if (options.port == 0) options.port = first_port(service.at("port"));
    if (options.forward.empty()) options.forward = service.at("forward");
    complete_mode(options, answers);
    if (options.backends.empty()) {
        for (const json& backend : service.at("backends")) {
            const std::string address = backend.at("address");
            const std::string mac = mac_of_next_hop(answers, backend);
            options.backends.push_back(mac.empty() ? address : address + "=" + mac);
        }
    }
    if (options.tunnel_sources.empty()) options.tunnel_sources = outer_sources(answers);
}

Forwarding forwarding_of(const Options& options) {
    if (options.junk) return Forwarding::junk;
    if (options.forward == "ipip") return Forwarding::ipip;
    if (options.forward == "gre") return Forwarding::gre;
    if (options.forward == "gue") return Forwarding::gue;
    if (options.forward == "l3dsr") return Forwarding::l3dsr;
    if (options.forward == "nat") return Forwarding::nat;
    if (options.forward == "macfwd") return Forwarding::macfwd;
    return Forwarding::dsr_l2;
}

Result<Expectation> expectation_of(const Options& options, const MacAddress& weir_mac) {
    Expectation expectation;
    expectation.forwarding = forwarding_of(options);
    expectation.weir_mac = weir_mac;
    expectation.gue_port = options.gue_port == 0 ? expectation.gue_port : options.gue_port;
    expectation.gue_variant = static_cast<std::uint8_t>(options.gue_variant.value_or(1));
    expectation.dscp = static_cast<std::uint8_t>(options.dscp);
    if (expectation.forwarding == Forwarding::macfwd) {
        const std::string mac = options.peer_mac.empty() ? "02:00:00:00:00:00" : options.peer_mac;
        auto peer = read_backend(mac);
        if (!peer) return peer.error();
        peer.value().name = "testpmd";
        expectation.backends.push_back(peer.value());
        return expectation;
    }
    for (const auto* texts : {&options.backends, &options.joins}) {
        for (const std::string& text : *texts) {
            auto backend = read_backend(text);
            if (!backend) return backend.error();
            expectation.backends.push_back(backend.value());
        }
    }
    for (const std::string& text : options.leaves)
        if (auto marked = mark_leaving(expectation, text); !marked) return marked.error();
    for (const std::string& text : options.tunnel_sources) {
        const auto prefix = parse_prefix(text);
        if (!prefix) return Error{fmt::format("--tunnel-source '{}' is not a prefix", text)};
        expectation.tunnel_sources.push_back(*prefix);
    }
    return expectation;
}

}  // namespace

Result<Target> find_target(const Options& given) {
    Options options = given;
    if (!options.control_socket.empty()) {
        try {
            auto answers = ask_weir(options);
            if (!answers) return answers.error();
            complete(options, answers.value());
        } catch (const json::exception& error) {
            return Error{fmt::format("weir answers in another form: {}", error.what())};
        }
    }
    Target target;
    if (options.vip.empty()) return Error{"where to? give --vip, or --weir SOCKET --service NAME"};
    auto vip = needed_ip(options.vip, "--vip");
    if (!vip) return vip.error();
    target.vip = vip.value();
    target.port = options.port == 0 ? 80 : options.port;
    target.udp = options.protocol == "udp";
    if (const auto mac = parse_mac(options.mac)) {
        target.weir_mac = *mac;
    } else if (!options.mac.empty() || options.forward != "macfwd") {
        return Error{
            fmt::format("--mac '{}' is not the MAC address of the balancer's port; give "
                        "it, or --weir SOCKET",
                        options.mac)};
    }
    auto expectation = expectation_of(options, target.weir_mac);
    if (!expectation) return expectation.error();
    target.expectation = std::move(expectation).value();
    return target;
}

}  // namespace weir::gen
