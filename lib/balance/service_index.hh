// SPDX-License-Identifier: BSD-3-Clause
// ServiceIndex: destination address, protocol and port -> the service that owns the packet. Also
// knows every VIP, every own address and every address that probes are sent to.
//
// The most specific entry wins: fewer ports over more, then a named protocol over `any`, then the
// lower first port. Cost: one or two probes of an open-addressing table, flat in the number of
// services; ranges of one VIP are searched by bisection.
// Immutable once published; any thread may look up. A copy shares what does not name services.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/balance/service.hh"
#include "lib/wire/address.hh"

namespace weir {

enum class AddressRole : std::uint8_t {
    foreign,  // not ours: for the kernel to decide
    own,      // a port's own address; a service there takes what is its own, the rest stays `own`
    vip,      // at least one service stands on it
};

struct ServiceMatch {
    AddressRole role = AddressRole::foreign;
    const ServiceTable* service = nullptr;  // nullptr with role vip: unknown_port
};

// A peer that our probes talk to: replies from it have a punt class of their own.
struct ProbeTarget {
    IpAddress address;
    std::uint16_t port = 0;  // host byte order, TCP
    auto operator<=>(const ProbeTarget&) const = default;
};

class ServiceIndex {
public:
    // Of equal keys the first wins (the configuration check refuses them). `services` must outlive
    // the index. O(n log n), allocates.
    static ServiceIndex build(std::span<const ServiceTable* const> services,
                              std::span<const IpAddress> own_addresses,
                              std::span<const ProbeTarget> probe_targets);

    // Answers `now` where it answered `old`. Precondition: the same key. Before publication only.
    void replace(const ServiceTable* old, const ServiceTable* now);

    // `protocol` is the IP protocol number, `port` the destination port in host byte order. For
    // protocols other than TCP and UDP only the role is meaningful.
    [[nodiscard]] ServiceMatch find(const IpAddress& destination, std::uint8_t protocol,
                                    std::uint16_t port) const noexcept;
    // What find() answers for TCP or UDP and a port that a service names alone; nullptr: ask
    // find(). The address as two words, as they lie in IpAddress::bytes (IPv4: 32 bits, the rest
    // zero). One line in most cases.
    [[nodiscard]] const ServiceTable* find_single(Family family, std::uint64_t low,
                                                  std::uint64_t high, std::uint8_t protocol,
                                                  std::uint16_t port) const noexcept {
        if (singles_.empty()) return nullptr;
        const Single wanted{low, high, single_rest(family, protocol, port), nullptr};
        const std::size_t mask = singles_.size() - 1;
        for (std::size_t i = wanted.hash() & mask;; i = (i + 1) & mask) {
            if (singles_[i].same_key(wanted)) [[likely]]
                return singles_[i].service;
            if (singles_[i].rest == 0) return nullptr;
        }
    }

    [[nodiscard]] bool is_probe_reply(const IpAddress& source,
                                      std::uint16_t source_port) const noexcept;

private:
    // A service with one port, for one protocol. In words, so that it is compared and hashed in
    // registers.
    struct Single {
        std::uint64_t low = 0, high = 0;  // of the VIP
        std::uint64_t rest = 0;           // single_rest(); 0: empty
        const ServiceTable* service = nullptr;

        [[nodiscard]] bool same_key(const Single& other) const noexcept {
            return ((low ^ other.low) | (high ^ other.high) | (rest ^ other.rest)) == 0;
        }
        // Two multiplications. Not keyed: what is stored comes from the configuration alone, so no
        // sender of packets can make a chain longer.
        [[nodiscard]] std::size_t hash() const noexcept {
            std::uint64_t mixed = (low ^ rest << 32) * 0x9e3779b97f4a7c15;
            mixed = (mixed ^ (mixed >> 32) ^ high) * 0xd6e8feb86659fd93;
            return static_cast<std::size_t>(mixed >> 32);
        }
    };
    static_assert(sizeof(Single) == 32);
    [[nodiscard]] static std::uint64_t single_rest(Family family, std::uint8_t protocol,
                                                   std::uint16_t port) noexcept {
        return std::uint64_t{port} | std::uint64_t{protocol} << 16 |
               std::uint64_t{static_cast<std::uint8_t>(family)} << 24;
    }

    // Disjoint stretches of ports in ascending order.
    struct Stretch {
        std::uint16_t first = 0, last = 0;
        const ServiceTable* service = nullptr;
    };
    struct StretchList {
        std::uint32_t begin = 0, count = 0;  // in stretches_
    };
    struct AddressSlot {
        IpAddress address;
        AddressRole role = AddressRole::foreign;  // foreign: empty
        StretchList tcp, udp;
    };

    [[nodiscard]] const AddressSlot* find_address(const IpAddress& address) const noexcept;
    static AddressSlot& place(std::vector<AddressSlot>& addresses, const IpAddress& address,
                              AddressRole role);
    static std::vector<ProbeTarget> table_of(std::span<const ProbeTarget> probe_targets);
    static Single single(const ServiceKey& key, ServiceProtocol protocol,
                         const ServiceTable* service) noexcept;
    Single& place_of(const Single& wanted) noexcept;
    void place(const ServiceKey& key, ServiceProtocol protocol, const ServiceTable* service);
    StretchList flatten(std::vector<const ServiceTable*> ranges, ServiceProtocol protocol);

    // Each a power of two, at most half full, linear probing.
    std::vector<Single> singles_;
    // Null exactly when singles_ is empty; of probes, port 0 is an empty place.
    std::shared_ptr<const std::vector<AddressSlot>> addresses_;
    std::shared_ptr<const std::vector<ProbeTarget>> probes_;
    std::vector<Stretch> stretches_;
};

}  // namespace weir
