// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/verdict.hh"

namespace weir {

const std::array<DropReasonText, drop_reason_count> drop_reasons{{
    {"l2_truncated",
     "The frame is too short for its Ethernet header, or its segments do not add up."},
    {"not_our_mac", "The frame is addressed to another station; a switch flooded it."},
    {"vlan_unexpected",
     "The frame carries a VLAN tag that the port is not configured for, or lacks one."},
    {"not_ip", "The EtherType is neither IPv4, IPv6 nor ARP."},
    {"ip_bad_header", "IP version, header length or options contradict the frame."},
    {"ip_bad_length", "The IP length lies beyond the frame or below the header."},
    {"ip_bad_checksum", "The IPv4 header checksum is wrong."},
    {"ip_source_route", "The packet asks for source routing, which is never honoured."},
    {"ipv6_ext_chain", "More IPv6 extension headers than 8, or more than 256 bytes of them."},
    {"martian", "The source address cannot be a client's, or it is the destination itself."},
    {"ttl_expired", "TTL or hop limit is 0 or 1."},
    {"l4_bad_length",
     "TCP data offset or UDP length contradicts the packet, or the SCTP header is cut short."},
    {"tcp_bad_flags", "The TCP flags contradict each other; no stack sends them."},
    {"udp_zero_checksum",
     "UDP over IPv6 without a checksum, or over IPv4 where IPv6 needs one that cannot be made."},
    {"fragment", "A fragment whose datagram's first one did not come within a second."},
    {"frag_bad", "Fragments of a datagram overlap, come twice, or cut a header or its end."},
    {"frag_table_full", "Too many fragments wait for the first one of their datagram."},
    {"icmp_bad",
     "An ICMP error whose inner packet is missing or nonsense, or that the other family cannot "
     "say."},
    {"unknown_port",
     "The address is a VIP or of a NAT pool, but no service or flow has this protocol and port."},
    {"no_backend",
     "No backend of the service may take the flow: all are down, drained or disabled."},
    {"no_neighbor", "The MAC address of the backend or its gateway is not known yet."},
    {"no_route", "No port leads to the backend."},
    {"no_exception_path", "The packet is for the kernel, but its port has no exception TAP."},
    {"too_big", "The packet, with its tunnel header, exceeds the MTU of the egress port."},
    {"no_headroom", "No room in front of the packet for the tunnel header."},
    {"tunnel_loop", "Our own packet came back: it carries our source MAC or tunnel header."},
    {"new_flow_limited", "The limit of new flows was reached."},
    {"conntrack_full", "The connection table is full, and conntrack.when_full is drop-new."},
    {"nat_ports_exhausted", "No source port of the NAT pool is free."},
    {"policy_denied",
     "A TCP packet of no known flow does not open one, and conntrack.sloppy_tcp is false."},
    {"rate_limited", "The rate limit of the service was reached."},
    {"punt_limited", "More packets of this class for the kernel than its meter or ring allows."},
    {"ring_full", "The ring to the worker that owns the flow was full."},
    {"tx_full", "The transmit queue of the egress port was full."},
    {"mbuf_exhausted", "No packet buffer was free."},
}};
static_assert(static_cast<std::size_t>(DropReason::mbuf_exhausted) + 1 == drop_reason_count);

const std::array<std::string_view, punt_class_count> punt_class_names{"neighbor", "probe_reply",
                                                                      "vip_icmp", "other"};

const std::array<std::string_view, icmp_error_type_count> icmp_error_type_names{"too_big",
                                                                                "time_exceeded"};

}  // namespace weir
