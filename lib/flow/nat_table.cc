// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/nat_table.hh"

#include <bit>
#include <new>

namespace weir {
namespace {

// How the region is divided: each part a multiple of 64 bytes.
struct Parts {
    std::size_t bindings, heads, free;  // counts
    [[nodiscard]] static constexpr std::size_t whole(std::size_t bytes) noexcept {
        return (bytes + 63) & ~std::size_t{63};
    }
};

Parts parts_of(const NatTable::Size& size) noexcept {
    return {size.bindings(), std::bit_ceil(std::size_t{size.bindings()}),
            std::size_t{2} * size.addresses};
}

template <typename Element>
std::span<Element> take(std::span<std::byte>& region, std::size_t count) noexcept {
    const std::size_t bytes = Parts::whole(count * sizeof(Element));
    auto* first = reinterpret_cast<Element*>(region.data());
    for (std::size_t i = 0; i < count; ++i)
        new (first + i) Element();
    region = region.subspan(bytes);
    return {first, count};
}

}  // namespace

std::size_t NatTable::footprint(const Size& size) noexcept {
    const Parts parts = parts_of(size);
    return Parts::whole(parts.bindings * sizeof(NatBinding)) +
           Parts::whole(parts.heads * sizeof(std::uint32_t)) +
           Parts::whole(parts.free * sizeof(Free));
}

NatTable::NatTable(std::span<std::byte> region, const Size& size, const HashSecret& secret) noexcept
    : size_(size), secret_(secret), ports_(size.ports()) {
    const Parts parts = parts_of(size);
    bindings_ = take<NatBinding>(region, parts.bindings);
    heads_ = take<std::uint32_t>(region, parts.heads);
    free_ = take<Free>(region, parts.free);
    for (std::uint32_t& head : heads_)
        head = nobody;
    for (std::uint32_t number = 0; number < bindings_.size(); ++number) {
        // The last share of some workers lies past the last port.
        const std::uint32_t offset = number % ports_ * size.workers + size.worker;
        if (offset >= nat_ports) continue;
        ++capacity_;
        ++used_;
        release(number);
    }
}

NatBinding* NatTable::find(const FlowKey& client) noexcept {
    for (std::uint32_t number = chain_of(client); number != nobody;) {
        NatBinding& binding = bindings_[number];
        if (binding.client == client) return &binding;
        number = binding.next_;
    }
    return nullptr;
}

NatBinding* NatTable::bind(const FlowKey& client, std::uint32_t first,
                           std::uint32_t count) noexcept {
    // Flows begin at different addresses, so that all of them fill alike.
    const auto hash = static_cast<std::uint32_t>(flow_hash(client, secret_) >> 32);
    const auto start = static_cast<std::uint32_t>((std::uint64_t{hash} * count) >> 32);
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t turned = start + i < count ? start + i : start + i - count;
        Free& free = free_[list_of(first + turned, client.protocol)];
        const std::uint32_t number = free.first;
        if (number == nobody) continue;
        NatBinding& binding = bindings_[number];
        free.first = binding.next_;
        if (free.first == nobody) free.last = nobody;
        std::uint32_t& head = chain_of(client);
        binding.client = client;
        binding.next_ = head;
        head = number;
        ++used_;
        return &binding;
    }
    return nullptr;
}

NatBinding* NatTable::at(const PoolEnd& end, std::uint8_t protocol) noexcept {
    if (end.port < nat_first_port || end.address >= size_.addresses) return nullptr;
    if (nat_port_owner(end.port, size_.workers) != size_.worker) return nullptr;
    const std::uint32_t share = (end.port - nat_first_port) / size_.workers;
    NatBinding& binding = bindings_[list_of(end.address, protocol) * ports_ + share];
    return binding.client.protocol == protocol ? &binding : nullptr;
}

PoolEnd NatTable::end_of(const NatBinding& binding) const noexcept {
    const std::uint32_t number = number_of(binding);
    const std::uint32_t offset = number % ports_ * size_.workers + size_.worker;
    return {number / ports_ / 2, static_cast<std::uint16_t>(nat_first_port + offset)};
}

void NatTable::sweep(std::uint32_t count, Tick now) noexcept {
    for (; count != 0; --count) {
        const NatBinding& binding = bindings_[sweep_next_];
        if (binding.client.protocol != 0 && is_past(binding.expires, now)) {
            unlink(sweep_next_);
            release(sweep_next_);
        }
        if (++sweep_next_ == bindings_.size()) sweep_next_ = 0;
    }
}

std::uint32_t& NatTable::chain_of(const FlowKey& client) noexcept {
    return heads_[flow_hash(client, secret_) & (heads_.size() - 1)];
}

std::uint32_t NatTable::number_of(const NatBinding& binding) const noexcept {
    return static_cast<std::uint32_t>(&binding - bindings_.data());
}

std::uint32_t NatTable::list_of(std::uint32_t address, std::uint8_t protocol) noexcept {
    return 2 * address + (protocol == proto_udp ? 1 : 0);
}

// To the end of the free ones.
void NatTable::release(std::uint32_t number) noexcept {
    bindings_[number] = {};
    bindings_[number].next_ = nobody;
    Free& free = free_[number / ports_];
    if (free.last == nobody)
        free.first = number;
    else
        bindings_[free.last].next_ = number;
    free.last = number;
    --used_;
}

// Out of its chain.
void NatTable::unlink(std::uint32_t number) noexcept {
    std::uint32_t* link = &chain_of(bindings_[number].client);
    while (*link != number)
        link = &bindings_[*link].next_;
    *link = bindings_[number].next_;
}

}  // namespace weir
