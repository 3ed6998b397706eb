// SPDX-License-Identifier: BSD-3-Clause
// The parts of compile() that make the table of one service. For compile.cc alone.
#pragma once

#include <memory>
#include <span>

#include "lib/control/compile.hh"

namespace weir {

using SharedTable = std::shared_ptr<const ServiceTable>;

// Answers `previous` itself when the result would equal it. `previous` may be null. `same_basis`:
// it was made from the same configuration and ids, so only states can differ.
SharedTable compile_service(const ServiceConfig& service, const World& world,
                            const Registry& registry, const SharedTable& previous, bool same_basis);

// The servers of `by_seat` by their IDs; nullptr: the service has no `quic`.
std::shared_ptr<const QuicLb> compile_quic(const ServiceConfig& service,
                                           std::span<const BackendConfig* const> by_seat);

}  // namespace weir
