// SPDX-License-Identifier: BSD-3-Clause
#include "app/version.hh"

#include <rte_version.h>

namespace weir {

std::string dpdk_version_text() {
    const std::string text = rte_version();  // "DPDK 22.11.11"
    return text.substr(text.find(' ') + 1);
}

std::string version_text() {
    return "weir " + weir_version + " (DPDK " + dpdk_version_text() + ")";
}

}  // namespace weir
