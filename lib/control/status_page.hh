// SPDX-License-Identifier: BSD-3-Clause
// The status page: one self-contained HTML document of a view, without scripts.
#pragma once

#include <string>

#include "lib/control/view.hh"

namespace weir {

// Every text of the view is escaped. It reloads itself every 5 s.
std::string status_page(const InstanceView& view);

}  // namespace weir
