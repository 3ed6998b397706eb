// SPDX-License-Identifier: BSD-3-Clause
// What a service's forwarding mode means for the packets of one of its backends. One rule for the
// configuration check, the plan, the compiler and the set-up of backends.
#pragma once

#include "lib/control/config.hh"

namespace weir {

// As the configuration file spells it: "dsr-l2".
[[nodiscard]] const char* name_of(Forward forward) noexcept;

// Modes that put an outer header in front of the client's packet: any mix of families.
[[nodiscard]] constexpr bool is_tunnel(Forward forward) noexcept {
    return forward == Forward::ipip || forward == Forward::gre || forward == Forward::gue;
}

// Modes that translate addresses, in both directions.
[[nodiscard]] constexpr bool is_nat(Forward forward) noexcept {
    return forward == Forward::nat || forward == Forward::full_nat;
}

// What becomes of packets for a backend whose address is of family `backend`. Pure.
[[nodiscard]] Rewrite rewrite_of(const ServiceConfig& service, Family backend) noexcept;

// Bytes of all outer headers towards such a backend; 0 without a tunnel. Pure.
[[nodiscard]] unsigned outer_length(const ServiceConfig& service, Family backend) noexcept;

}  // namespace weir
