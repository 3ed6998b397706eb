// SPDX-License-Identifier: BSD-3-Clause
// ServiceIndex: destination address, protocol and port -> the service that owns the packet. Also
// knows every VIP, every own address and every address that probes are sent to.
//
// The most specific entry wins: fewer ports over more, then a named protocol over `any`, then the
// lower first port. Cost: one or two probes of an open-addressing table, flat in the number of
// services; ranges of one VIP are searched by bisection.
// Immutable after build(); any thread may look up.
#pragma once

#include <cstdint>
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

    // `protocol` is the IP protocol number, `port` the destination port in host byte order. For
    // protocols other than TCP and UDP only the role is meaningful.
    [[nodiscard]] ServiceMatch find(const IpAddress& destination, std::uint8_t protocol,
                                    std::uint16_t port) const noexcept;
    // For what must be known before find(): brings the first probe's line into the cache.
    void prefetch(const IpAddress& destination, std::uint8_t protocol,
                  std::uint16_t port) const noexcept;

    [[nodiscard]] bool is_probe_reply(const IpAddress& source,
                                      std::uint16_t source_port) const noexcept;

private:
    struct ExactSlot {
        IpAddress vip;
        std::uint8_t protocol = 0;  // 0: empty
        std::uint16_t port = 0;
        const ServiceTable* service = nullptr;
    };
    static_assert(sizeof(ExactSlot) == 32);
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
    AddressSlot& place(const IpAddress& address, AddressRole role);
    void place(const ServiceKey& key, ServiceProtocol protocol, const ServiceTable* service);
    StretchList flatten(std::vector<const ServiceTable*> ranges, ServiceProtocol protocol);

    // Each a power of two, at most half full, linear probing.
    std::vector<ExactSlot> exact_;
    std::vector<AddressSlot> addresses_;
    std::vector<ProbeTarget> probes_;  // port 0: empty
    std::vector<Stretch> stretches_;
};

}  // namespace weir
