// SPDX-License-Identifier: BSD-3-Clause
// The part of compile() that makes the table of one service. For compile.cc alone.
#pragma once

#include <memory>

#include "lib/control/compile.hh"

namespace weir {

using SharedTable = std::shared_ptr<const ServiceTable>;

// Answers `previous` itself when the result would equal it. `previous` may be null. `same_basis`:
// it was made from the same configuration and ids, so only states can differ.
SharedTable compile_service(const ServiceConfig& service, const World& world,
                            const Registry& registry, const SharedTable& previous, bool same_basis);

}  // namespace weir
