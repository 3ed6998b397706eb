// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/reload.hh"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace weir {

Candidate judge(ConfigResult loaded, const Config& running) {
    constexpr std::size_t most_errors = 50;
    Candidate candidate;
    const std::size_t shown = std::min(loaded.errors.size(), most_errors);
    for (std::size_t i = 0; i < shown; ++i) {
        candidate.refusals.push_back(to_string(loaded.errors[i]));
    }
    if (loaded.errors.size() > shown) {
        candidate.refusals.push_back(fmt::format("and {} more", loaded.errors.size() - shown));
    }
    if (!loaded.config) return candidate;
    candidate.refusals = restart_only_differences(running, *loaded.config);
    if (candidate.refusals.empty()) {
        candidate.config = std::make_shared<const Config>(std::move(*loaded.config));
    }
    return candidate;
}

std::vector<IpAddress> vips_of(const Config& config) {
    std::set<IpAddress> seen;
    std::vector<IpAddress> vips;
    for (const auto& service : config.services) {
        if (seen.insert(service.key.vip).second) vips.push_back(service.key.vip);
    }
    for (const IpAddress& address : pool_addresses(config)) {
        if (seen.insert(address).second) vips.push_back(address);
    }
    return vips;
}

Config with_overrides(const Config& config, const decltype(World::overrides)& overrides) {
    Config result = config;
    if (overrides.empty()) return result;
    for (auto& service : result.services) {
        for (auto& backend : service.backends) {
            const auto forced = overrides.find({service.name, backend.name});
            if (forced != overrides.end()) backend.state = forced->second;
        }
    }
    return result;
}

}  // namespace weir
