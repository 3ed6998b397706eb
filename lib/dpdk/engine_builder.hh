// SPDX-License-Identifier: BSD-3-Clause
// Builder of an Engine: who polls what, who hands to whom, who sends for whom. Control thread,
// once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/dpdk/engine.hh"

namespace weir {

struct Engine::Builder {
public:
    explicit Builder(const EngineSetup& setup);
    Result<std::unique_ptr<Engine>> build();

private:
    using Lcore = Engine::Lcore;

    Result<void> check() const;
    Result<void> place_lcores();
    Result<void> place_nat(Lcore& lcore);
    Result<void> make_handover_rings();
    Result<void> make_fragment_rings();
    Result<void> make_punt_rings();
    Result<void> make_tx_rings();
    void equip_poller(Lcore& lcore);
    void equip_worker(Lcore& lcore);
    void equip_control();
    Result<MbufRing*> make_ring(std::string label, unsigned slots, unsigned node);

    // -1 unless the lcore polls: its number among the pollers.
    [[nodiscard]] int poller_of(const LcorePlan& plan) const noexcept {
        return direct_ ? plan.worker : plan.rx;
    }
    [[nodiscard]] std::vector<RxQueue> queues_of(unsigned poller) const;
    [[nodiscard]] unsigned node_of_worker(unsigned worker) const;
    [[nodiscard]] std::vector<TxStage::PortSetup> tx_ports(unsigned sender) const;

    const EngineSetup& setup_;
    unsigned workers_ = 0, pollers_ = 0;
    bool direct_ = true;  // no rx_lcores: every worker polls for itself
    std::unique_ptr<Engine> engine_;
    std::vector<std::vector<MbufRing*>> handover_;   // [poller][worker]; nullptr: none
    std::vector<std::vector<MbufRing*>> fragments_;  // [from][to] worker; nullptr: itself
    std::vector<PuntStage::Rings> punt_;             // [worker]
    std::vector<std::vector<MbufRing*>> to_owner_;   // [sender][port]; nullptr: owns a queue
};

}  // namespace weir
