// SPDX-License-Identifier: BSD-3-Clause
// Which worker owns a packet: one function of the flow key, the same for the whole instance, all
// ports and both receive modes. Whoever receives a packet that it does not own passes it over the
// owner's ring.
#pragma once

#include <cstdint>
#include <span>

#include "lib/balance/tables.hh"
#include "lib/dataplane/flow_burst.hh"
#include "lib/dataplane/plain.hh"
#include "lib/flow/key.hh"
#include "lib/flow/owner.hh"

namespace weir {

namespace steering {

// The key of a packet that is plain (plain.hh) but for its MAC addresses; false: parse() has to
// look. The header checksum is the owner's to verify: a broken packet may go to any worker.
[[nodiscard]] inline bool read_key(Packet packet, std::uint16_t vlan, FlowWords& words) noexcept {
    packet.ip_checksum = NicChecksum::good;
    PacketMeta meta;
    const bool plain = vlan == 0 ? plain::read_at<plain::untagged>(packet, vlan, meta)
                                 : plain::read_at<plain::tagged>(packet, vlan, meta);
    if (plain) words = flow_words(packet.data, meta);
    return plain;
}

}  // namespace steering

// What steer() answers, by parse() alone: for what read_key() leaves, and its slow twin in tests.
[[nodiscard]] std::uint32_t steer_parsed(const Tables& tables, const Packet& packet,
                                         std::uint32_t workers, const HashSecret& secret) noexcept;
// The owner of a flow by its key, where there may be nat services.
[[nodiscard]] std::uint32_t steer_translated(const Tables& tables, const FlowWords& words,
                                             std::uint32_t workers,
                                             const HashSecret& secret) noexcept;

// Owner of a packet, 0 .. workers-1. TCP, UDP, SCTP and echo requests: of the flow; replies of nat
// backends and ICMP errors: of the flow that they belong to; other IP: of the address pair and
// protocol; fragments: of the address pair, whose worker learns the flow from the first of them and
// hands them over; what is not IP or broken: worker 0. Of the tables, plain packets need no more
// than the VLAN of their port, unless there are nat services. Cost: a look at the headers and a
// hash.
[[nodiscard]] inline std::uint32_t steer(const Tables& tables, const Packet& packet,
                                         std::uint32_t workers, const HashSecret& secret) noexcept {
    FlowWords words;
    if (!steering::read_key(packet, tables.ports[index(packet.port)].vlan, words)) [[unlikely]]
        return steer_parsed(tables, packet, workers, secret);
    if (tables.nat != nullptr) return steer_translated(tables, words, workers, secret);
    return owner_of(words, workers, secret);
}

// Owners of a burst, sixteen packets at a time where the CPU can (lanes.hh). A broken packet may
// have any owner; all others have that of steer().
class BurstSteering {
public:
    BurstSteering(std::uint32_t workers, const HashSecret& secret) noexcept;

    // Sets some of `owners`; the answer says which. one() must look at the others. `frames`: that
    // came in by `port`, at most max_burst, the first of which were asked for (frame_lines.hh);
    // `shortest`: bytes that each of them has at once.
    // Where there are nat services, one() looks at all of them.
    [[nodiscard]] BurstMask quick(const Tables& tables, std::span<const std::uint8_t* const> frames,
                                  std::uint32_t shortest, PortId port,
                                  std::span<std::uint32_t, max_burst> owners) const noexcept;
    [[nodiscard]] std::uint32_t one(const Tables& tables, const Packet& packet) const noexcept {
        return steer(tables, packet, workers_, secret_);
    }

private:
    std::uint32_t workers_;
    HashSecret secret_;
    bool lanes_;
};

}  // namespace weir
