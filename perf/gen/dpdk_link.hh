// SPDX-License-Identifier: BSD-3-Clause
// DpdkLink: one port of DPDK, and buffers that hold the packet already.
#pragma once

#include <array>
#include <optional>

#include "lib/dpdk/pool.hh"
#include "lib/dpdk/port.hh"
#include "perf/gen/link.hh"

struct rte_mbuf;
struct rte_mempool;

namespace weir::gen {

class DpdkLink final : public Link {
public:
    // EAL runs, with the device. `room`: of a buffer.
    static Result<std::unique_ptr<Link>> open(const std::string& device, std::uint16_t room);
    ~DpdkLink() override;  // port and pools

    [[nodiscard]] MacAddress mac() const noexcept override { return port_->mac(); }
    Result<void> fill(Frame frame) override;
    Result<void> start(double wait_seconds) override;
    unsigned claim(std::span<std::uint8_t*> out) noexcept override;
    unsigned send(unsigned count) noexcept override;
    unsigned receive(std::span<Frame> out) noexcept override;
    void release() noexcept override;

private:
    DpdkLink() = default;
    std::optional<MbufPools> pools_;
    std::optional<Port> port_;
    rte_mempool* filled_ = nullptr;
    std::uint16_t id_ = 0, length_ = 0;
    unsigned claimed_ = 0, received_ = 0;
    std::array<rte_mbuf*, most_burst> out_{}, in_{};
};

}  // namespace weir::gen
