// SPDX-License-Identifier: BSD-3-Clause
// Hardware: what a configuration names of the machine, opened: packet buffers, ports, exception
// TAPs. Start-up in two halves, because EAL alone would start without a missing device.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/control/config.hh"
#include "lib/control/plan.hh"
#include "lib/control/profile.hh"
#include "lib/dpdk/eal.hh"
#include "lib/dpdk/engine.hh"
#include "lib/dpdk/pool.hh"
#include "lib/dpdk/port.hh"
#include "lib/dpdk/tap.hh"
#include "lib/wire/result.hh"

namespace weir {

// One [[port]] before EAL: its device with the profile's arguments. The driver of a PCI device is
// known only after EAL, and so is its profile.
struct PreparedPort {
    PortConfig config;
    std::string device;
    std::optional<Profile> profile;
};

// First half: profiles, and every device looked at by name. The error names port, reason and cure.
Result<std::vector<PreparedPort>> prepare_ports(const Config& config);

EalOptions eal_options(const Config& config, const Plan& plan,
                       const std::vector<PreparedPort>& ports,
                       const std::vector<std::string>& extra);

// Second half, after EAL. The destructor closes everything: taps, ports, pools.
class Hardware {
public:
    static Result<std::unique_ptr<Hardware>> open(const Config& config, const Plan& plan,
                                                  const std::vector<PreparedPort>& prepared);
    ~Hardware();
    Hardware(const Hardware&) = delete;
    Hardware& operator=(const Hardware&) = delete;

    // Ports begin to receive.
    Result<void> start();
    // VIPs on every TAP become exactly these.
    Result<void> set_vips(const std::vector<IpAddress>& vips);

    [[nodiscard]] const MbufPools& pools() const noexcept { return *pools_; }
    [[nodiscard]] const std::vector<Port>& ports() const noexcept { return ports_; }
    [[nodiscard]] const std::optional<Tap>& tap(std::size_t port) const { return taps_.at(port); }
    [[nodiscard]] const std::vector<Profile>& profiles() const noexcept { return profiles_; }
    [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }
    // The engine's side of it, by PortId.
    [[nodiscard]] std::vector<EnginePort> engine_ports(const Config& config) const;

private:
    Hardware() = default;
    Result<void> open_port(const PreparedPort& prepared, const Plan& plan, std::size_t number);
    Result<void> open_tap(const PortConfig& port, std::size_t number);

    std::optional<MbufPools> pools_;
    std::vector<Port> ports_;
    std::vector<Profile> profiles_;
    std::vector<std::optional<Tap>> taps_;
    std::vector<std::string> warnings_;
};

}  // namespace weir
