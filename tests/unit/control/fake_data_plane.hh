// SPDX-License-Identifier: BSD-3-Clause
// A data plane that only remembers: what was published, which VIPs were set, what counters say.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "lib/control/controller.hh"

namespace weir::test {

class FakeDataPlane final : public DataPlane {
public:
    std::vector<std::unique_ptr<const Tables>> published;
    std::vector<std::vector<IpAddress>> vips;
    bool refuse_vips = false;
    bool is_settled = true;
    std::map<std::uint32_t, TrafficView> services, backends;  // by id
    std::vector<FlowMailbox*> mailboxes;
    std::vector<StationMailbox*> station_boxes;
    std::uint64_t flow_insert_failed = 0;

    void publish(std::unique_ptr<const Tables> tables) override {
        published.push_back(std::move(tables));
    }
    const Tables* current() const override {
        return published.empty() ? nullptr : published.back().get();
    }
    bool settled() const override { return is_settled; }
    void fill(InstanceView& view) const override {
        WorkerView worker;
        worker.name = "worker0";
        worker.is_worker = true;
        worker.flow_insert_failed = flow_insert_failed;
        view.workers = {worker};
        for (std::size_t i = 0; i < drop_reason_count; ++i) {
            view.drops.push_back({std::string(drop_reasons[i].name),
                                  std::string(drop_reasons[i].help), i == 0 ? 7u : 0u});
        }
    }
    TrafficView service_traffic(ServiceId id) const override { return at(services, index(id)); }
    TrafficView backend_traffic(BackendId id) const override { return at(backends, index(id)); }
    std::vector<FlowMailbox*> flow_mailboxes() override { return mailboxes; }
    std::vector<StationMailbox*> station_mailboxes() override { return station_boxes; }
    Result<void> set_vips(const std::vector<IpAddress>& wanted) override {
        vips.push_back(wanted);
        if (refuse_vips) return Error{"cannot set the VIPs"};
        return {};
    }
    Tick now() const override { return Tick{1000}; }

private:
    static TrafficView at(const std::map<std::uint32_t, TrafficView>& map, std::uint32_t id) {
        const auto found = map.find(id);
        return found != map.end() ? found->second : TrafficView{};
    }
};

}  // namespace weir::test
