// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/forward_mode.hh"

#include "lib/wire/headers.hh"
#include "lib/wire/shim.hh"

namespace weir {

const char* name_of(Forward forward) noexcept {
    switch (forward) {
        case Forward::dsr_l2:
            break;
        case Forward::ipip:
            return "ipip";
        case Forward::gre:
            return "gre";
        case Forward::gue:
            return "gue";
        case Forward::l3dsr:
            return "l3dsr";
        case Forward::nat:
            return "nat";
        case Forward::full_nat:
            return "full-nat";
    }
    return "dsr-l2";
}

Rewrite rewrite_of(const ServiceConfig& service, Family backend) noexcept {
    switch (service.forward) {
        case Forward::dsr_l2:
            break;
        case Forward::ipip:
            return backend == Family::v4 ? Rewrite::ipv4_outer : Rewrite::ipv6_outer;
        case Forward::gre:
            return Rewrite::gre;
        case Forward::gue:
            return service.gue.variant == 0 ? Rewrite::gue_header : Rewrite::gue_direct;
        case Forward::l3dsr:
            return Rewrite::destination;
        case Forward::nat:
            return Rewrite::nat;
        case Forward::full_nat:
            return Rewrite::full_nat;
    }
    return Rewrite::link;
}

unsigned outer_length(const ServiceConfig& service, Family backend) noexcept {
    if (!is_tunnel(service.forward)) return 0;
    const std::size_t ip = backend == Family::v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
    return static_cast<unsigned>(ip + shim_length(shim_of(rewrite_of(service, backend))));
}

}  // namespace weir
