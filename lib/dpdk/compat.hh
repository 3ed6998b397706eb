// SPDX-License-Identifier: BSD-3-Clause
// Differences between DPDK releases, 22.11 and newer, in one place. Only inside lib/dpdk.
#pragma once

#include <cstdint>

#include <rte_telemetry.h>
#include <rte_version.h>

namespace weir::compat {

// 23.03 renamed u64 to uint and widened int to 64 bits.
inline int tel_dict_unsigned(rte_tel_data* data, const char* name, std::uint64_t value) {
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
    return rte_tel_data_add_dict_uint(data, name, value);
#else
    return rte_tel_data_add_dict_u64(data, name, value);
#endif
}

// The least value that an integer of a dictionary can carry.
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
inline constexpr std::int64_t tel_least_int = INT64_MIN;
#else
inline constexpr std::int64_t tel_least_int = INT32_MIN;
#endif

// Precondition: tel_least_int <= value < 0.
inline int tel_dict_negative(rte_tel_data* data, const char* name, std::int64_t value) {
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
    return rte_tel_data_add_dict_int(data, name, value);
#else
    return rte_tel_data_add_dict_int(data, name, static_cast<int>(value));
#endif
}

}  // namespace weir::compat
