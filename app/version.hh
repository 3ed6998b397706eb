// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace weir {

inline const std::string weir_version = WEIR_VERSION;

// "weir 0.1.0 (DPDK 22.11.11)": the version of DPDK that runs, not the one of the build.
std::string version_text();
std::string dpdk_version_text();

}  // namespace weir
