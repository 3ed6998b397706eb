// SPDX-License-Identifier: BSD-3-Clause
// From a parsed fragment for a VIP to what the fragment table wants to know of it.
#pragma once

#include <optional>

#include "lib/dataplane/packet_meta.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/flow/fragment_table.hh"
#include "lib/wire/parse.hh"

namespace weir {

// What the first fragment says; nullopt when it has no whole header of TCP, UDP or SCTP, or is
// of ICMP and no echo request. Of an echo request: its identifier in place of the source port; of
// protocols without ports: zeros. Precondition: parsed.l4 is fragment, and its
// offset 0.
[[nodiscard]] std::optional<FragmentPorts> ports_of(const Parsed& parsed) noexcept;

// Whether the datagram may be one of TCP, UDP or SCTP: later fragments of IPv6 do not say, where
// more extension headers follow.
[[nodiscard]] bool may_have_ports(const Parsed& parsed) noexcept;

// `frame`: what was parsed. `ports` must outlive the result.
[[nodiscard]] Fragment fragment_of(const std::uint8_t* frame, const Parsed& parsed,
                                   const FragmentPorts* ports) noexcept;

// The same of one that read_plain_first() read; its ports are at hand.
[[nodiscard]] Fragment first_fragment_of(const std::uint8_t* frame, const PacketMeta& meta,
                                         const FragmentPorts& ports) noexcept;

// Why a fragment that the table does not let pass, now or after it waited, is dropped.
[[nodiscard]] DropReason reason_of(FragmentTable::What what) noexcept;

}  // namespace weir
