// SPDX-License-Identifier: BSD-3-Clause
// RunningDataPlane: the controller's view of the engine and the hardware.
#pragma once

#include "app/hardware.hh"
#include "lib/control/controller.hh"
#include "lib/dpdk/engine.hh"

namespace weir {

class RunningDataPlane : public DataPlane {
public:
    // Both must outlive it. `config` is the running one of start: ports never change while running.
    RunningDataPlane(Engine& engine, Hardware& hardware, const Config& config);

    void publish(std::unique_ptr<const Tables> tables) override;
    [[nodiscard]] const Tables* current() const override;
    [[nodiscard]] bool settled() const override;
    void fill(InstanceView& view) const override;
    [[nodiscard]] TrafficView service_traffic(ServiceId id) const override;
    [[nodiscard]] TrafficView backend_traffic(BackendId id) const override;
    [[nodiscard]] std::vector<FlowMailbox*> flow_mailboxes() override;
    [[nodiscard]] std::vector<StationMailbox*> station_mailboxes() override;
    Result<void> set_vips(const std::vector<IpAddress>& vips) override;
    [[nodiscard]] Tick now() const override;

private:
    [[nodiscard]] PortView port_view(std::size_t number) const;

    Engine& engine_;
    Hardware& hardware_;
    std::vector<PortConfig> ports_;
};

}  // namespace weir
