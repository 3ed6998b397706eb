// SPDX-License-Identifier: BSD-3-Clause
// Stable names for state. Dense small integers given out by the registry (control/registry.hh); a
// reload never renumbers them, and none is reused while a flow entry can name it.
#pragma once

#include <cstdint>

namespace weir {

enum class BackendId : std::uint32_t {};
enum class ServiceId : std::uint16_t {};
enum class NextHopId : std::uint32_t {};   // (port, address of the neighbour)
enum class EndpointId : std::uint16_t {};  // (VIP, protocol, port or ports) of a service
enum class PortId : std::uint8_t {
};  // index of [[port]] in the file; fixed for the life of the process

inline constexpr BackendId invalid_backend{0xffffffff};
inline constexpr NextHopId invalid_next_hop{0xffffffff};
// Of these a BackendEntry says by its next hop alone that its packets need a second look.
inline constexpr std::uint32_t aside_bit = 0x8000'0000;

// Bounds that size per-worker counters at start; more is a configuration error.
inline constexpr std::uint32_t max_backends = 131'072, max_services = 16'384,
                               max_next_hops = 131'072, max_ports = 16;

static_assert(max_services <= 65'536);

// A service of any protocol has three; a third as many may have left and still have flows.
inline constexpr std::uint32_t max_endpoints = 65'536;
static_assert(max_endpoints >= 4 * max_services);

// A backend's place within its service: configured backends sorted by name, 0 .. 65533.
using Seat = std::uint16_t;
inline constexpr Seat no_seat = 0xffff;

template <typename Id>
[[nodiscard]] constexpr std::uint32_t index(Id id) noexcept {
    return static_cast<std::uint32_t>(id);
}

}  // namespace weir
