// SPDX-License-Identifier: BSD-3-Clause
// Link: EAL, one port, and buffers that hold a packet already.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "lib/dpdk/pool.hh"
#include "lib/dpdk/port.hh"
#include "lib/wire/result.hh"
#include "perf/gen/options.hh"

struct rte_mbuf;
struct rte_mempool;

namespace weir::gen {

class Link {
public:
    // Starts EAL. Once per process.
    static Result<Link> open(const Options& options);
    Link(Link&&) noexcept = default;
    ~Link() = default;

    [[nodiscard]] MacAddress mac() const noexcept { return port_->mac(); }
    // Writes `frame` into every buffer that allocate() will give. Before start().
    Result<void> fill(std::span<const std::uint8_t> frame);
    // Starts the port and waits until the other end is there.
    Result<void> start(double wait_seconds);
    void close();  // port, pools, EAL

    // A buffer with the frame in it, for each place of `out`; false when none is left. Hot.
    bool allocate(std::span<rte_mbuf*> out) noexcept;
    // Sends from the front; answers how many. The others stay the caller's. Hot.
    std::uint16_t send(std::span<rte_mbuf*> packets) noexcept;
    std::uint16_t receive(std::span<rte_mbuf*> packets) noexcept;

private:
    Link() = default;
    std::optional<MbufPools> pools_;
    std::optional<Port> port_;
    rte_mempool* filled_ = nullptr;  // freed by close()
    std::uint16_t id_ = 0, length_ = 0;
};

}  // namespace weir::gen
