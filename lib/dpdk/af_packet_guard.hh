// SPDX-License-Identifier: BSD-3-Clause
// With AF_PACKET the kernel sees every frame too and would answer clients, so Weir refuses to start
// on such an interface unless its ingress is dropped (packet sockets still get the frames).
#pragma once

#include <string>
#include <string_view>

#include "lib/wire/result.hh"

namespace weir {

// Ok when nftables drops the ingress of `interface` in the network namespace of the calling thread:
// a netdev chain hooked at its ingress with policy drop, or with a rule that drops everything. The
// error names the nft commands. Needs CAP_NET_ADMIN; loads libnftables' rules; cold.
Result<void> check_ingress_dropped(const std::string& interface);

// The same decision from the text of `nft list ruleset`. (Its JSON lacks the device in
// nftables 1.0.6.)
[[nodiscard]] bool drops_ingress(std::string_view ruleset, std::string_view interface);

}  // namespace weir
