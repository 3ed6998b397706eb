// SPDX-License-Identifier: BSD-3-Clause
// A view in which every figure is set, and set to a value of its own.
#pragma once

#include "lib/control/view.hh"

namespace weir::test {

InstanceView sample_view();

}  // namespace weir::test
