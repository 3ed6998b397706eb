// SPDX-License-Identifier: BSD-3-Clause
// Checks across sections: names and service keys that may stand once, references, memory.
#include <algorithm>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "lib/control/config_sections.hh"
#include "lib/control/config_text.hh"
#include "lib/control/plan.hh"

namespace weir {

namespace {

// Values that may stand once. add() answers the place of the first when there was one.
class Once {
public:
    std::optional<Place> add(const std::string& value, Place place) {
        const auto [entry, added] = first_.try_emplace(value, place);
        if (added) return std::nullopt;
        return entry->second;
    }

private:
    std::unordered_map<std::string, Place> first_;
};

void check_once(Once& once, std::string_view what, const std::string& value, Place place,
                Problems& problems) {
    if (value.empty()) return;
    if (const std::optional<Place> first = once.add(value, place)) {
        problems.add(
            place, fmt::format("duplicate {} '{}', already on line {}", what, value, first->line));
    }
}

void check_port_names(Draft& draft) {
    Once names, devices, taps;
    for (std::size_t i = 0; i < draft.ports.size(); ++i) {
        const PortConfig& port = draft.config.ports[i];
        const PortPlaces& places = draft.ports[i];
        check_once(names, "port name", port.name, places.name, draft.problems);
        check_once(devices, "device", port.device.substr(0, port.device.find(',')), places.device,
                   draft.problems);
        check_once(taps, "exception_tap", port.exception_tap.value_or(""), places.exception_tap,
                   draft.problems);
    }
}

// Where two keys of the same VIP and protocol are equally specific, neither could win.
struct KeyAt {
    const ServiceKey* key;
    std::size_t service;
    [[nodiscard]] unsigned span() const noexcept {
        return static_cast<unsigned>(key->last_port - key->first_port);
    }
};

bool before(const KeyAt& a, const KeyAt& b) noexcept {
    if (a.key->vip != b.key->vip) return a.key->vip < b.key->vip;
    if (a.key->protocol != b.key->protocol) return a.key->protocol < b.key->protocol;
    if (a.span() != b.span()) return a.span() < b.span();
    if (a.key->first_port != b.key->first_port) return a.key->first_port < b.key->first_port;
    return a.service < b.service;
}

bool clash(const KeyAt& a, const KeyAt& b) noexcept {
    return a.key->vip == b.key->vip && a.key->protocol == b.key->protocol && a.span() == b.span() &&
           b.key->first_port <= a.key->last_port;
}

void report_clash(const KeyAt& a, const KeyAt& b, Draft& draft) {
    // The later one in the file is told.
    const std::size_t first = std::min(a.service, b.service);
    const std::size_t second = std::max(a.service, b.service);
    const ServiceConfig& other = draft.config.services[first];
    const unsigned line = draft.services[first].table.line;
    if (a.key->first_port == b.key->first_port) {
        draft.problems.add(
            draft.services[second].vip,
            fmt::format("service '{}' on line {} has the same VIP, protocol and port", other.name,
                        line));
        return;
    }
    draft.problems.add(draft.services[second].port,
                       fmt::format("service '{}' on line {} has a range of the same width that "
                                   "overlaps, so neither would win: make one narrower",
                                   other.name, line));
}

// Why the service's port cannot be a probe's; nullptr: it can. Probes are TCP.
const char* without_probe_port(const ServiceKey& key) noexcept {
    if (key.protocol == ServiceProtocol::sctp)
        return "takes SCTP alone, and its probes would be TCP to its port";
    if (key.protocol == ServiceProtocol::icmp) return "has no port to probe";
    return key.first_port != key.last_port ? "has no single port to probe" : nullptr;
}

}  // namespace

void check_names(Draft& draft) {
    check_port_names(draft);
    Once services;
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const ServiceConfig& service = draft.config.services[i];
        const ServicePlaces& places = draft.services[i];
        check_once(services, "service name", service.name, places.name, draft.problems);
        Once backends;
        for (std::size_t j = 0; j < service.backends.size(); ++j) {
            check_once(backends, "backend name", service.backends[j].name, places.backends[j].name,
                       draft.problems);
        }
    }
}

void check_service_keys(Draft& draft) {
    std::vector<KeyAt> keys;
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        if (draft.services[i].key_ok) keys.push_back({&draft.config.services[i].key, i});
    }
    std::ranges::sort(keys, before);
    for (std::size_t i = 1; i < keys.size(); ++i) {
        if (clash(keys[i - 1], keys[i])) report_clash(keys[i - 1], keys[i], draft);
    }
}

void check_health_references(Draft& draft) {
    std::vector<std::string_view> names;
    for (const auto& [name, health] : draft.config.health)
        names.push_back(name);
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        const ServiceConfig& service = draft.config.services[i];
        const ServicePlaces& places = draft.services[i];
        if (service.health.empty()) continue;
        const auto health = draft.config.health.find(service.health);
        if (health == draft.config.health.end()) {
            draft.problems.add(places.health, fmt::format("there is no [health.{}] in the file{}",
                                                          printable(service.health),
                                                          did_you_mean(service.health, names)));
        } else if (health->second.port == 0 && places.key_ok) {
            if (const char* why = without_probe_port(service.key))
                draft.problems.add(places.health, fmt::format("service '{}' {}: give [health.{}] a "
                                                              "port",
                                                              service.name, why, service.health));
        }
    }
}

void check_memory(Draft& draft) {
    const std::uint64_t granted = draft.config.system.memory.hugepages;
    if (!draft.plan_ok || granted == 0) return;
    const std::uint64_t needed = make_plan(draft.config).dpdk_bytes;
    if (needed <= granted) return;
    constexpr std::uint64_t step = 64u << 20;
    draft.problems.add(draft.hugepages,
                       fmt::format("'hugepages' is {}, but DPDK needs {} for this file: set "
                                   "hugepages = \"{}\", or leave it out",
                                   human_size(granted), human_size(needed),
                                   size_text((needed + step - 1) / step * step)));
}

}  // namespace weir
