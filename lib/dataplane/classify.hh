// SPDX-License-Identifier: BSD-3-Clause
// First half of the pipeline: what is this packet, and is it for a service?
#pragma once

#include <optional>

#include "lib/balance/tables.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/flow/fragment_table.hh"
#include "lib/flow/key.hh"
#include "lib/flow/nat_table.hh"
#include "lib/wire/parse.hh"

namespace weir {

// `service` set: a sound packet for it, an ICMP error about one that its backend sent,
// or a reply of one of its nat backends, still to be decided. Otherwise `verdict` stands.
struct Classified {
    Parsed parsed;
    const ServiceTable* service = nullptr;
    std::uint32_t place = ServiceHit::none;  // of the service in the index
    // A fragment for a VIP, or one that a nat backend may have sent: of which service, its first
    // fragment says. Then `verdict` is no answer yet.
    bool is_fragment = false;
    bool is_for_vip = false;
    bool is_icmp_error = false;
    bool is_reply = false;  // or an ICMP error from the backends' side
    FlowWords about;        // of an ICMP error or a reply: the key of the client's packets
    // Of a reply to the pool of full-nat, or an ICMP error there, whose flow the worker knows.
    std::optional<PoolEnd> pool_end;
    Verdict verdict;
};

// Checks from the outside in: MAC, Ethernet and VLAN, IP, then by destination. What is not for a
// VIP goes to the kernel untouched, with its oddities above IP; only packets for a VIP are judged
// by source, TTL and transport header; a reply of a nat backend on its way to a client, too. An
// ICMP error about a packet that came from a service's VIP is for that service; other ICMP is for
// the kernel. Reads the packet and the tables, writes nothing. `ports`: what the first fragment
// said, of a fragment; nullptr: not known.
[[nodiscard]] Classified classify(const Tables& tables, const Packet& packet,
                                  const FragmentPorts* ports = nullptr) noexcept;

// The same for a fragment that classify() just called one: `parsed` is what it said.
[[nodiscard]] Classified classify_fragment(const Tables& tables, const Packet& packet,
                                           const Parsed& parsed,
                                           const FragmentPorts& ports) noexcept;

}  // namespace weir
