// SPDX-License-Identifier: BSD-3-Clause
// ManyFlows: flows spread evenly over many services (perf/many), and whether a packet that came
// back is at a backend where it may be.
//
// The last backend of each service is the one that falls and returns. Flows of the others stay;
// flows of a fallen one go to another, once. No packet goes to a backend after every worker knows
// that it is down.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "perf/gen/check.hh"
#include "perf/many/services.hh"

namespace weir::loop {

class ManyFlows {
public:
    ManyFlows(const many::Options& size, std::uint32_t flows);

    // Makes the frame of a flow, made for many::first_vip, one for the address of its service. The
    // poller's lcore.
    void address(std::uint8_t* frame, std::uint32_t flow) const noexcept;

    // Takes the frame apart, backend and stickiness included. The sender's lcore.
    gen::Verdict judge(gen::Checker& checker, std::span<std::uint8_t> frame) noexcept;

    // `down`: every worker reads tables without that backend; set back before it is published
    // again. Control thread.
    void set_down(std::uint32_t service, std::uint32_t backend, bool down) noexcept {
        down_[service * size_.backends + backend].store(down, std::memory_order_relaxed);
    }
    [[nodiscard]] const many::Options& size() const noexcept { return size_; }

private:
    [[nodiscard]] std::uint32_t service_of(std::uint32_t flow) const noexcept {
        return static_cast<std::uint32_t>(std::uint64_t{flow} * size_.services / flows_);
    }

    many::Options size_;
    std::uint32_t flows_;
    std::vector<std::uint32_t> seen_;            // by flow: backend + 1; 0: none yet
    std::unique_ptr<std::atomic<bool>[]> down_;  // by backend
};

}  // namespace weir::loop
