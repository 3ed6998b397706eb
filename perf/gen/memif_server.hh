// SPDX-License-Identifier: BSD-3-Clause
// MemifServer: the server's end of one memif link with one queue each way, without a driver.
//
// The client owns the shared memory. We write frames straight into the buffers that it offers, and
// read what it sends where it lies, so a packet is copied once, by us; and as addresses of a whole
// burst are known beforehand, its cache lines are fetched together. A peer on a distant core costs
// some 200 ns a line: one by one, as DPDK's driver takes them, these would be the time of the link.
//
// Layout and messages: memif version 2.0, as in DPDK's drivers/net/memif/memif.h and VPP's
// docs of memif. Ring "to the client" (M2S): the client's head offers buffers, our tail says how
// many hold a packet. Ring "from the client" (S2M): its head says how many hold one, our tail gives
// back.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "perf/gen/link.hh"

namespace weir::gen {

struct MemifRing;

class MemifServer final : public Link {
public:
    // Listens on an abstract socket of this name. As DPDK does, "@name" keeps its "@".
    static Result<std::unique_ptr<Link>> open(const std::string& socket);
    ~MemifServer() override;

    [[nodiscard]] MacAddress mac() const noexcept override { return {{2, 0, 0, 0, 0, 1}}; }
    Result<void> fill(Frame frame) override;
    // Waits for a client, answers it, and waits until it offers buffers.
    Result<void> start(double wait_seconds) override;
    unsigned claim(std::span<std::uint8_t*> out) noexcept override;
    unsigned send(unsigned count) noexcept override;
    unsigned receive(std::span<Frame> out) noexcept override;
    void release() noexcept override;

private:
    MemifServer() = default;
    struct Region {
        std::uint8_t* start = nullptr;
        std::uint64_t size = 0;
    };
    struct RingPlace {
        std::uint16_t region = 0;
        std::uint32_t offset = 0;
        unsigned log2_size = 0;
        bool known = false;
    };
    struct Message;
    Result<void> accept_client(double wait_seconds);
    Result<bool> answer(const Message& message);
    Result<void> map_region(const Message& message);
    Result<void> note_ring(const Message& message);
    Result<MemifRing*> ring_at(const RingPlace& place) const;
    Result<void> say(const Message& message) const;
    [[nodiscard]] std::uint8_t* buffer(std::uint16_t region, std::uint32_t offset,
                                       std::uint32_t length) const noexcept {
        if (region >= regions_.size() || offset + std::uint64_t{length} > regions_[region].size)
            return nullptr;
        return regions_[region].start + offset;
    }

    int listener_ = -1, peer_ = -1;
    std::vector<int> interrupts_;  // of the client; nobody waits on them
    std::vector<Region> regions_;
    RingPlace to_place_, from_place_;
    MemifRing* to_ = nullptr;
    MemifRing* from_ = nullptr;
    std::uint16_t to_mask_ = 0, from_mask_ = 0;
    std::uint16_t sent_ = 0, taken_ = 0;  // our tails
    unsigned received_ = 0;
    std::vector<std::uint8_t> frame_;
};

}  // namespace weir::gen
