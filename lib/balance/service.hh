// SPDX-License-Identifier: BSD-3-Clause
// What a worker needs to know of a service and its backends. Immutable once published; shared
// between successive Tables while nothing of the service changed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/balance/ids.hh"
#include "lib/balance/maglev.hh"
#include "lib/balance/quic_lb.hh"
#include "lib/wire/address.hh"
#include "lib/wire/encapsulate.hh"
#include "lib/wire/parse.hh"
#include "lib/wire/redirect.hh"
#include "lib/wire/shim.hh"

namespace weir {

enum class Forward : std::uint8_t { dsr_l2, ipip, gre, gue, l3dsr, nat, full_nat };
// icmp: echo requests, of ICMP or ICMPv6 as the VIP is.
enum class ServiceProtocol : std::uint8_t { any = 0, icmp = 1, tcp = 6, udp = 17, sctp = 132 };

// What packets the service owns. Ports in host byte order, first <= last; 0..65535 is "any"; of
// icmp both are 0.
struct ServiceKey {
    IpAddress vip;
    ServiceProtocol protocol = ServiceProtocol::tcp;
    std::uint16_t first_port = 0, last_port = 0;
    friend bool operator==(const ServiceKey&, const ServiceKey&) = default;
};

// Whether a service of this key and mode takes packets of protocols without ports, too; not ICMP,
// which is the kernel's but where a service of its own stands. l3dsr mends the checksums that cover
// addresses of few protocols.
[[nodiscard]] constexpr bool takes_all_protocols(const ServiceKey& key, Forward forward) noexcept {
    return key.protocol == ServiceProtocol::any && key.first_port == 0 && key.last_port == 65'535 &&
           forward != Forward::nat && forward != Forward::full_nat && forward != Forward::l3dsr;
}
// Whether packets of IP protocol `number`, one with ports or ICMP, may be for a service of this key
// and mode; ports decide further. Translation of addresses is for TCP and UDP alone.
[[nodiscard]] constexpr bool speaks(const ServiceKey& key, Forward forward,
                                    std::uint8_t number) noexcept {
    if (key.protocol == ServiceProtocol::icmp) return number == icmp_protocol(key.vip.family);
    if (key.protocol != ServiceProtocol::any)
        return number == static_cast<std::uint8_t>(key.protocol);
    const bool translates = forward == Forward::nat || forward == Forward::full_nat;
    return number == proto_tcp || number == proto_udp || (number == proto_sctp && !translates);
}

// What becomes of the bytes of a packet for a backend. Most packets are of the first three, which
// forward() does by itself.
enum class Rewrite : std::uint8_t {
    link,        // dsr-l2: the MAC addresses alone
    ipv4_outer,  // ipip
    ipv6_outer,
    gre,          // an outer header of either family, and GRE
    gue_direct,   // UDP; the client's packet directly behind it (GUE variant 1)
    gue_header,   // UDP and the header of GUE variant 0
    destination,  // l3dsr: the backend's address and the service's DSCP in the client's IP header
    nat,          // destination address and port: NatTables says which
    full_nat,     // and source: the worker's NatTable says which
};

// What stands between the outer IP header and the client's packet.
[[nodiscard]] constexpr Shim shim_of(Rewrite rewrite) noexcept {
    switch (rewrite) {
        case Rewrite::gre:
            return Shim::gre;
        case Rewrite::gue_direct:
            return Shim::gue_direct;
        case Rewrite::gue_header:
            return Shim::gue_header;
        default:
            return Shim::none;
    }
}

// One cache line that decides a packet's way, by BackendId or seat.
struct alignas(64) BackendEntry {
    union {
        OuterTemplate outer{};      // of a tunnel, without the shim; else its length is 0
        DestinationRewrite target;  // Rewrite::destination
    };
    BackendId id = invalid_backend;
    NextHopId next_hop = invalid_next_hop;  // index into Tables::next_hops; see settle()
    ServiceId service{};
    bool keeps_flows = false;  // up or draining: a flow entry that names it holds
    Rewrite rewrite = Rewrite::link;
    std::uint16_t gue_port = 0;   // UDP destination port of GUE, host byte order
    std::uint16_t mss_clamp = 0;  // bytes, of TCP SYNs; 0: none

    // To be called when all else is set: forward() leaves packets of other rewrites than the first
    // three, and of services with mss_clamp, to forward_any().
    void settle() noexcept {
        if (mss_clamp != 0 || rewrite > Rewrite::ipv6_outer)
            next_hop = NextHopId{index(next_hop) | aside_bit};
    }
    // True: forward() does all that its packets need by itself. One comparison tells that there is
    // a way and nothing beside it.
    [[nodiscard]] bool is_plain() const noexcept { return index(next_hop) < aside_bit; }
    // Its next hop in any case, or invalid_next_hop.
    [[nodiscard]] NextHopId way() const noexcept {
        if (next_hop == invalid_next_hop) return next_hop;
        return NextHopId{index(next_hop) & ~aside_bit};
    }
};
static_assert(sizeof(BackendEntry) == 64 && max_next_hops < aside_bit);

// Bytes that packets for `backend` get in front of the client's IP header.
[[nodiscard]] constexpr std::uint32_t outer_length(const BackendEntry& backend) noexcept {
    if (backend.rewrite == Rewrite::destination) return 0;
    return backend.outer.length + static_cast<std::uint32_t>(shim_length(shim_of(backend.rewrite)));
}

struct ServiceTable {
    ServiceId id{};
    ServiceKey key;
    // Numbers of (VIP, protocol, ports) in the connection tables: TCP's, UDP's, and that of
    // another protocol, or of all others (control/registry.hh).
    std::array<EndpointId, 3> endpoints{EndpointId{0}, EndpointId{1}, EndpointId{2}};
    Forward forward = Forward::dsr_l2;
    std::string name;
    std::vector<Seat> slots;          // live table, prime length; all no_seat when none is live
    std::vector<BackendEntry> seats;  // by seat
    std::vector<std::string> backend_names;  // by seat
    std::vector<Seat> configured;       // step 1 of maglev.hh, kept so that health events reuse it
    std::vector<MaglevMember> members;  // by seat
    std::vector<bool> live;             // by seat
    // Backends by their QUIC server IDs; nullptr: the service does not look at connection IDs.
    std::shared_ptr<const QuicLb> quic;

    // Of each of its backends; 0: none.
    [[nodiscard]] std::uint16_t mss_clamp() const noexcept {
        return seats.empty() ? std::uint16_t{0} : seats[0].mss_clamp;
    }
    [[nodiscard]] EndpointId endpoint(std::uint8_t ip_protocol) const noexcept {
        if (ip_protocol == proto_tcp) return endpoints[0];
        return endpoints[ip_protocol == proto_udp ? 1 : 2];
    }
    [[nodiscard]] bool several_ports() const noexcept { return key.first_port != key.last_port; }
};

}  // namespace weir
