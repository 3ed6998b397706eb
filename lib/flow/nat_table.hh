// SPDX-License-Identifier: BSD-3-Clause
// NatTable: the bindings of one worker for services that also translate the client's end: which
// client's flow stands behind a pool address, protocol and port.
//
// Each worker owns a share of the ports of every pool address (nat_port_owner()), so a backend's
// reply finds its worker and its binding by arithmetic. A client's packet finds it by its key, in
// chains from an array of heads. Free ports of an address wait in the order in which they became
// free, so that one is used again as late as possible.
// Threads: one worker, nobody else. All memory is one region that the caller owns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/flow/expiry.hh"
#include "lib/flow/key.hh"
#include "lib/flow/tcp_state.hh"
#include "lib/wire/client_address.hh"

namespace weir {

// Ports that translated flows come from; those below stay with well-known services (RFC 6056 3.2).
inline constexpr std::uint32_t nat_first_port = 1024, nat_ports = 65'536 - nat_first_port;

// The worker that gives out `port` of every pool address, 0 .. workers-1. Ports that nobody gives
// out: worker 0.
[[nodiscard]] constexpr std::uint32_t nat_port_owner(std::uint16_t port,
                                                     std::uint32_t workers) noexcept {
    return port < nat_first_port ? 0 : (port - nat_first_port) % workers;
}

// A pool address by its place in the pool, and a port of it.
struct PoolEnd {
    std::uint32_t address = 0;
    std::uint16_t port = 0;  // host byte order
    friend bool operator==(const PoolEnd&, const PoolEnd&) = default;
};

// What a binding says. One cache line.
struct alignas(64) NatBinding {
    FlowKey client;             // of the client's packets; protocol 0: free
    std::uint32_t backend = 0;  // that the flow's packets went to last
    Expiry expires{};
    FlowState state = FlowState::untracked;
    // How the backend is told the client's address, as the service had it when the last SYN came;
    // whether it is still to be told, which begins with the backend's SYN-ACK; and the sequence
    // number of the first byte of the client's stream, as that SYN-ACK says.
    ClientAddress told_by = ClientAddress::none;
    bool telling = false;
    std::uint32_t first_sequence = 0;

private:
    friend class NatTable;
    std::uint32_t next_ = 0;  // in its chain, or among the free ones
};
static_assert(sizeof(NatBinding) == 64);

class NatTable {
public:
    struct Size {
        std::uint32_t addresses = 0;            // of the pool; 1 .. 4096
        std::uint32_t worker = 0, workers = 1;  // worker < workers <= nat_ports
        // TCP and UDP ports that a worker owns at most.
        [[nodiscard]] constexpr std::uint32_t ports() const noexcept {
            return (nat_ports + workers - 1) / workers;
        }
        [[nodiscard]] constexpr std::uint32_t bindings() const noexcept {
            return 2 * addresses * ports();
        }
    };
    // Bytes of the region; the same for every worker.
    [[nodiscard]] static std::size_t footprint(const Size& size) noexcept;

    // `region`: footprint(size) bytes, 64-byte aligned, outliving the table. Its content is
    // overwritten; touches every page.
    NatTable(std::span<std::byte> region, const Size& size, const HashSecret& secret) noexcept;

    // The binding of the flow with this key; nullptr: none. It may have expired.
    [[nodiscard]] NatBinding* find(const FlowKey& client) noexcept;
    // A new one from the `count` pool addresses from `first` on; nullptr: no port of theirs is
    // free. The caller sets backend, state and deadline. Preconditions: find() just answered none,
    // the protocol is TCP or UDP, and first + count <= addresses.
    [[nodiscard]] NatBinding* bind(const FlowKey& client, std::uint32_t first,
                                   std::uint32_t count) noexcept;
    // The binding that a packet to `end` belongs to; nullptr: none, or not this worker's.
    [[nodiscard]] NatBinding* at(const PoolEnd& end, std::uint8_t protocol) noexcept;
    // Where the flow of `binding` comes from.
    [[nodiscard]] PoolEnd end_of(const NatBinding& binding) const noexcept;

    // Ends a binding before its time.
    void release(const NatBinding& binding) noexcept { release(number_of(binding)); }

    // Visits the next `count` bindings, wrapping round, and frees those that expired.
    void sweep(std::uint32_t count, Tick now) noexcept;

    [[nodiscard]] std::uint32_t size() const noexcept { return used_; }  // expired ones included
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] std::uint32_t places() const noexcept {  // what sweep() visits
        return static_cast<std::uint32_t>(bindings_.size());
    }

private:
    static constexpr std::uint32_t nobody = 0xffffffff;
    // Free ports of one address and protocol, in order.
    struct Free {
        std::uint32_t first = nobody, last = nobody;
    };
    [[nodiscard]] std::uint32_t& chain_of(const FlowKey& client) noexcept;
    [[nodiscard]] std::uint32_t number_of(const NatBinding& binding) const noexcept;
    [[nodiscard]] static std::uint32_t list_of(std::uint32_t address,
                                               std::uint8_t protocol) noexcept;
    void release(std::uint32_t number) noexcept;
    void unlink(std::uint32_t number) noexcept;

    Size size_;
    HashSecret secret_;
    std::span<NatBinding> bindings_;  // by list, then by port
    std::span<std::uint32_t> heads_;  // a power of two of chains
    std::span<Free> free_;            // by list: address and protocol
    std::uint32_t ports_ = 0, capacity_ = 0, used_ = 0, sweep_next_ = 0;
};

}  // namespace weir
