// SPDX-License-Identifier: BSD-3-Clause
// ServiceIndex: destination address, protocol and port -> the service that owns the packet. Also
// knows every VIP, every own address and every address that probes are sent to.
//
// The most specific entry wins: fewer ports over more, then a named protocol over `any`, then the
// lower first port. Cost: one or two probes of an open-addressing table, flat in the number of
// services; ranges of one VIP are searched by bisection.
// Names services by their place, so that it outlives changes of their backends. Immutable; any
// thread may look up. Copies share all memory.
#pragma once

#include <array>
#include <cstddef>
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

// A service as a packet for one of its single ports finds it: all that the packets of its known
// flows need.
struct ServiceHit {
    static constexpr std::uint32_t none = 0xffffffff;
    std::uint32_t place = none;  // in the services that the index was built of
    EndpointId endpoint{};       // of this VIP, protocol and port
    std::uint16_t id = 0;        // ServiceId
    explicit operator bool() const noexcept { return place != none; }
    friend bool operator==(const ServiceHit&, const ServiceHit&) = default;
};
static_assert(max_services <= 65'536);

struct ServiceMatch {
    AddressRole role = AddressRole::foreign;
    std::uint32_t place = ServiceHit::none;  // as ServiceHit's; none with role vip: unknown_port
};

// A peer that our probes talk to: replies from it have a punt class of their own.
struct ProbeTarget {
    IpAddress address;
    std::uint16_t port = 0;  // host byte order, TCP
    auto operator<=>(const ProbeTarget&) const = default;
};

class ServiceIndex {
public:
    // Of equal keys the first wins (the configuration check refuses them). Reads id, key, mode and
    // endpoints of each service, and whether it has `quic`; keeps no pointer to it. O(n log n),
    // allocates.
    static ServiceIndex build(std::span<const ServiceTable* const> services,
                              std::span<const IpAddress> own_addresses,
                              std::span<const ProbeTarget> probe_targets);

    // `protocol` is the IP protocol number, `port` the destination port in host byte order. For
    // ICMP the port is 0: the service of echo requests. For other protocols it is not looked at:
    // the service that takes them all.
    [[nodiscard]] ServiceMatch find(const IpAddress& destination, std::uint8_t protocol,
                                    std::uint16_t port) const noexcept;
    // What find() answers for a port that a service names alone; none: ask find().
    // None for UDP where a service with `quic` owns the port: its packets need more than a hit, and
    // the quick ways, which begin here, need not know of it.
    // The address as the machine reads its bytes. One line in most cases, and not a byte of the
    // service itself.
    [[nodiscard]] const ServiceHit& find_single(std::uint32_t destination, std::uint8_t protocol,
                                                std::uint16_t port) const noexcept {
        return search(v4_, SingleV4{destination, protocol, port});
    }
    [[nodiscard]] const ServiceHit& find_single(std::uint64_t low, std::uint64_t high,
                                                std::uint8_t protocol,
                                                std::uint16_t port) const noexcept {
        return search(v6_, SingleV6{low, high, protocol, port});
    }

    // What find_single() reads for IPv4, for a twin of it over many packets: slots of two words, a
    // key and its hit, where `key * factor >> shift` is. A key: the destination, its port from bit
    // 32 on, the protocol from bit 48 on. Where another key is found, ask find_single(); build()
    // chooses `factor` so that this is seldom due.
    struct SinglesV4 {
        const std::byte* slots;
        std::uint64_t factor;
        unsigned shift;
    };
    [[nodiscard]] SinglesV4 singles_v4() const noexcept {
        static_assert(offsetof(SingleV4, key) == 0 && offsetof(SingleV4, hit) == 8);
        static_assert(offsetof(ServiceHit, endpoint) == 4 && offsetof(ServiceHit, id) == 6);
        return {reinterpret_cast<const std::byte*>(v4_.slots), v4_.factor, v4_.shift};
    }
    // The same for IPv6: slots of four words, the destination's two, its port with the protocol
    // from bit 16 on, and the hit; SingleV6::hash() says where.
    static constexpr std::uint64_t first_factor = 0x9e3779b97f4a7c15;
    struct SinglesV6 {
        const std::byte* slots;
        std::uint64_t factor;
        unsigned shift;
    };
    [[nodiscard]] SinglesV6 singles_v6() const noexcept {
        static_assert(offsetof(SingleV6, low) == 0 && offsetof(SingleV6, high) == 8);
        static_assert(offsetof(SingleV6, rest) == 16 && offsetof(SingleV6, hit) == 24);
        return {reinterpret_cast<const std::byte*>(v6_.slots), v6_.factor, v6_.shift};
    }

    [[nodiscard]] bool is_probe_reply(const IpAddress& source,
                                      std::uint16_t source_port) const noexcept;

private:
    // One port of a service, for one protocol: keys as words, so that they are compared and hashed
    // in registers. All zeros: empty. Not keyed with a secret: what is stored comes from the
    // configuration alone, so no sender of packets can make a chain longer.
    struct SingleV4 {
        std::uint64_t key = 0;
        ServiceHit hit;
        SingleV4() = default;
        SingleV4(std::uint32_t destination, std::uint8_t protocol, std::uint16_t port) noexcept
            : key(std::uint64_t{destination} | std::uint64_t{port} << 32 |
                  std::uint64_t{protocol} << 48) {}
        [[nodiscard]] bool same_key(const SingleV4& other) const noexcept {
            return key == other.key;
        }
        [[nodiscard]] bool empty() const noexcept { return key == 0; }
        [[nodiscard]] std::uint64_t hash(std::uint64_t factor) const noexcept {
            return key * factor;
        }
    };
    static_assert(sizeof(SingleV4) == 16);
    struct SingleV6 {
        std::uint64_t low = 0, high = 0;  // of the VIP
        std::uint64_t rest = 0;
        ServiceHit hit;
        SingleV6() = default;
        SingleV6(std::uint64_t address_low, std::uint64_t address_high, std::uint8_t protocol,
                 std::uint16_t port) noexcept
            : low(address_low),
              high(address_high),
              rest(std::uint64_t{port} | std::uint64_t{protocol} << 16) {}
        [[nodiscard]] bool same_key(const SingleV6& other) const noexcept {
            return ((low ^ other.low) | (high ^ other.high) | (rest ^ other.rest)) == 0;
        }
        [[nodiscard]] bool empty() const noexcept { return rest == 0; }
        [[nodiscard]] std::uint64_t hash(std::uint64_t factor) const noexcept {
            const std::uint64_t mixed = (low ^ rest << 32) * first_factor;
            return (mixed ^ (mixed >> 32) ^ high) * factor;
        }
    };
    static_assert(sizeof(SingleV6) == 32);

    // An open-addressing table with linear probing, at most half full, whose memory is shared
    // between copies. Without memory it finds nothing.
    template <typename Single>
    struct Singles {
        static constexpr Single nothing[2]{};
        const Single* slots = nothing;
        std::uint64_t mask = 1;    // a power of two less one
        std::uint64_t factor = 0;  // of the hash
        unsigned shift = 63;       // the high bits of the hash choose
        std::shared_ptr<const std::vector<Single>> memory;
    };
    template <typename Single>
    [[nodiscard]] static const ServiceHit& search(const Singles<Single>& table,
                                                  const Single& wanted) noexcept {
        for (std::uint64_t i = wanted.hash(table.factor) >> table.shift;;
             i = (i + 1) & table.mask) {
            const Single& slot = table.slots[i];
            // An empty slot has no hit, either.
            if (slot.same_key(wanted) || slot.empty()) [[likely]]
                return slot.hit;
        }
    }

    // Disjoint stretches of ports in ascending order.
    struct Stretch {
        std::uint16_t first = 0, last = 0;
        std::uint32_t place = 0;  // as ServiceHit's
    };
    struct StretchList {
        std::uint32_t begin = 0, count = 0;  // in Addresses::stretches
    };
    struct AddressSlot {
        IpAddress address;
        AddressRole role = AddressRole::foreign;  // foreign: empty
        std::array<StretchList, 3> stretches{};   // by list_of()
        std::uint32_t all = ServiceHit::none;     // place of the service of all protocols
    };

    struct Addresses {
        std::vector<AddressSlot> slots;  // a power of two, at most half full, linear probing
        std::vector<Stretch> stretches;
    };

    class Builder;

    [[nodiscard]] const AddressSlot* find_address(const IpAddress& address) const noexcept;
    static std::vector<ProbeTarget> table_of(std::span<const ProbeTarget> probe_targets);

    Singles<SingleV4> v4_;
    Singles<SingleV6> v6_;
    std::shared_ptr<const Addresses> addresses_;              // null: nothing was built
    std::shared_ptr<const std::vector<ProbeTarget>> probes_;  // port 0 is an empty place
};

}  // namespace weir
