// SPDX-License-Identifier: BSD-3-Clause
// Runs the packet cases as Catch2 tests, one test case each.
#pragma once

#include <functional>

#include "tests/packet/case.hh"

namespace weir::test {

// Registers each case under its name with `run` and hands over to Catch2. Exit code as Catch2's.
int run_cases(int argc, char** argv, const Cases& cases,
              const std::function<void(const Case&)>& run);

}  // namespace weir::test
