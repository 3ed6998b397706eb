// SPDX-License-Identifier: BSD-3-Clause
// NatTable against a model of maps: a port stands for one flow at a time and is found from both
// sides, none is lost, and one that became free is given out after those that were free before it.
//
// Input: a byte of sizes, then operations. Byte 0, low 3 bits: 0-3 a flow, 4 a packet to the pool,
// 5 time, 6 a sweep, 7 the end of a flow; see Program.
#include <array>
#include <cstdint>
#include <map>
#include <new>
#include <span>
#include <utility>

#include "lib/flow/nat_table.hh"
#include "lib/wire/parse.hh"
#include "tests/fuzz/input.hh"
#include "tests/fuzz/require.hh"

namespace weir::fuzz {

namespace {

constexpr HashSecret secret{{11, 22, 33, 44}};

FlowKey key_of(std::uint8_t client) {
    FlowKey key;
    key.source = {198, 18, 0, static_cast<std::uint8_t>(client >> 1)};
    key.destination = {203, 0, 113, 10};
    key.source_port = 40'000;
    key.destination_port = 80;
    key.protocol = (client & 1) != 0 ? proto_udp : proto_tcp;
    return key;
}

// Few ports, so that they run out: some 4 to 18 an address and protocol, one less for some workers.
NatTable::Size size_of(std::uint8_t byte) {
    NatTable::Size size;
    size.addresses = 1 + byte % 4;
    size.workers = std::array{3600u, 8064u, 9000u, 15'000u}[byte / 4 % 4];
    size.worker = std::array{0u, 1u, size.workers / 2, size.workers - 1}[byte / 16 % 4];
    return size;
}

class Memory {
public:
    explicit Memory(const NatTable::Size& size)
        : bytes_(NatTable::footprint(size)),
          region_(static_cast<std::byte*>(operator new (bytes_, std::align_val_t{64}))) {}
    ~Memory() { operator delete (region_, std::align_val_t{64}); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    [[nodiscard]] std::span<std::byte> region() const { return {region_, bytes_}; }

private:
    std::size_t bytes_;
    std::byte* region_;
};

class Program {
public:
    explicit Program(Input input)
        : input_(input),
          size_(size_of(input_.byte())),
          memory_(size_),
          table_(memory_.region(), size_, secret) {
        for (std::uint32_t port = nat_first_port + size_.worker; port <= 0xffff;
             port += size_.workers) {
            for (std::uint32_t address = 0; address < size_.addresses; ++address)
                for (const std::uint8_t protocol : {proto_tcp, proto_udp})
                    free_[{address, protocol}][static_cast<std::uint16_t>(port)] = 0;
            ++ports_;
        }
        require(table_.capacity() == 2 * size_.addresses * ports_, "all of its ports are there");
    }
    void run() {
        while (!input_.empty()) {
            step(input_.byte());
            require(table_.size() == flows_.size(), "flows are counted");
        }
        now_ += 3'600'000;
        sweep(table_.places());
        require(table_.size() == 0, "in the end all ports are free");
    }

private:
    using Pool = std::pair<std::uint32_t, std::uint8_t>;  // address and protocol
    struct Flow {
        PoolEnd end;
        std::uint64_t expires = 0;  // ms
        std::uint32_t backend = 0;
    };

    void step(std::uint8_t first) {
        const std::uint8_t more = first >> 3;
        switch (first & 7) {
            case 4:
                return look(input_.byte(), input_.two());
            case 5:
                now_ += input_.byte() * std::uint64_t{more} * 4;
                return;
            case 6:
                return sweep((more & 1) != 0 ? table_.places() : more);
            case 7:
                if (Flow* flow = known(input_.byte())) expire_at(*flow, now_);
                return;
            default:
                return packet(input_.byte(), more);
        }
    }

    // The flow's binding where it has one, else a new one.
    void packet(std::uint8_t client, std::uint8_t more) {
        const FlowKey key = key_of(client);
        NatBinding* binding = table_.find(key);
        const Flow* flow = known(client);
        require((binding != nullptr) == (flow != nullptr), "a flow is found while it is there");
        if (binding == nullptr) {
            const std::uint32_t first = more % size_.addresses,
                                count = 1 + (more >> 2) % (size_.addresses - first);
            binding = table_.bind(key, first, count);
            if (!check_bound(key, binding, first, count)) return;
            flows_[client] = {.end = table_.end_of(*binding), .backend = client};
            binding->backend = client;
        }
        const Flow& own = flows_.at(client);
        require(binding->client == key && binding->backend == own.backend, "it is the flow's own");
        require(table_.end_of(*binding) == own.end, "its port stays");
        expire_at(flows_.at(client), now_ + more * 256u);
    }
    // False: there was none, rightly.
    bool check_bound(const FlowKey& key, const NatBinding* binding, std::uint32_t first,
                     std::uint32_t count) {
        if (binding == nullptr) {
            for (std::uint32_t address = first; address < first + count; ++address)
                require(free_[{address, key.protocol}].empty(), "a free port is given out");
            return false;
        }
        const PoolEnd end = table_.end_of(*binding);
        require(end.address >= first && end.address < first + count, "of the addresses asked for");
        auto& free = free_[{end.address, key.protocol}];
        const auto port = free.find(end.port);
        require(port != free.end(), "which was free");
        for (const auto& [other, since] : free)
            require(since >= port->second, "and for longest");
        free.erase(port);
        return true;
    }
    void expire_at(Flow& flow, std::uint64_t last) {
        flow.expires = last;
        NatBinding* binding =
            table_.at(flow.end, key_of(static_cast<std::uint8_t>(flow.backend)).protocol);
        require(binding != nullptr, "it is found from the pool");
        binding->expires = expiry_of(Tick{static_cast<std::uint32_t>(last)});
    }
    Flow* known(std::uint8_t client) {
        const auto found = flows_.find(client);
        return found != flows_.end() ? &found->second : nullptr;
    }

    void look(std::uint8_t which, std::uint16_t port) {
        const PoolEnd end{which % 5u, port};
        const std::uint8_t protocol = (which & 0x80) != 0 ? proto_udp : proto_tcp;
        const NatBinding* binding = table_.at(end, protocol);
        for (const auto& [client, flow] : flows_) {
            if (flow.end != end || key_of(client).protocol != protocol) continue;
            require(binding != nullptr && binding->client == key_of(client), "its flow answers");
            return;
        }
        require(binding == nullptr, "nobody else does");
    }

    void sweep(std::uint32_t count) {
        table_.sweep(count, Tick{static_cast<std::uint32_t>(now_)});
        ++sweeps_;
        for (auto at = flows_.begin(); at != flows_.end();) {
            const auto& [client, flow] = *at;
            const bool past = flow.expires / 256 < now_ / 256;
            if (table_.find(key_of(client)) != nullptr) {
                require(!past || count < table_.places(), "what expired goes");
                ++at;
                continue;
            }
            require(past, "what lives stays");
            free_[{flow.end.address, key_of(client).protocol}][flow.end.port] = sweeps_;
            at = flows_.erase(at);
        }
    }

    Input input_;
    NatTable::Size size_;
    Memory memory_;
    NatTable table_;
    std::map<std::uint8_t, Flow> flows_;
    // Free ports, and the sweep that freed them.
    std::map<Pool, std::map<std::uint16_t, std::uint64_t>> free_;
    std::uint64_t now_ = 0xffff'0000, sweeps_ = 0;  // the clock wraps early
    std::uint32_t ports_ = 0;
};

}  // namespace

}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using weir::fuzz::Input;
    weir::fuzz::Program(Input({data, size})).run();
    return 0;
}
