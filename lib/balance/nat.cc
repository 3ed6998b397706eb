// SPDX-License-Identifier: BSD-3-Clause
#include "lib/balance/nat.hh"

#include <algorithm>

namespace weir {

NatTables::NatTables(std::span<const Backend> backends, std::vector<IpAddress> pool, Routes routes)
    : pool_(std::move(pool)), routes_(std::move(routes)) {
    std::vector<ServiceTable> ends(backends.size());
    std::vector<const ServiceTable*> pointers;
    for (std::size_t i = 0; i < backends.size(); ++i) {
        const Backend& backend = backends[i];
        if (index(backend.id) >= backends_.size()) backends_.resize(index(backend.id) + 1);
        backends_[index(backend.id)] = {backend.end, backend.pool, backend.client_address};
        if (backend.pool.count != 0) continue;  // replies go to the pool
        services_.push_back(backend.service);
        ServiceKey& key = ends[i].key;
        ends[i].forward = Forward::nat;
        key = backend.key;
        key.vip = backend.end.address;
        if (backend.end.port != 0) key.first_port = key.last_port = backend.end.port;
        pointers.push_back(&ends[i]);
    }
    replies_ = ServiceIndex::build(pointers, {}, {});
}

NatTables NatTables::with(Routes routes) const {
    NatTables other = *this;
    other.routes_ = std::move(routes);
    return other;
}

std::optional<std::uint32_t> NatTables::pool_place(const IpAddress& address) const noexcept {
    const auto at = std::ranges::lower_bound(pool_, address, PoolOrder{});
    if (at == pool_.end() || *at != address) return std::nullopt;
    return static_cast<std::uint32_t>(at - pool_.begin());
}

}  // namespace weir
