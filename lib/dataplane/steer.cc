// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dataplane/steer.hh"

#include "lib/dataplane/embedded_flow.hh"
#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/nat.hh"
#include "lib/wire/icmp.hh"

namespace weir {

std::uint32_t steer_translated(const Tables& tables, const FlowWords& words, std::uint32_t workers,
                               const HashSecret& secret) noexcept {
    if (const auto end = find_pool_end(tables, words)) return nat_port_owner(end->port, workers);
    const NatReply reply = find_reply(tables, words);
    return owner_of(reply ? reply.client : words, workers, secret);
}

std::uint32_t steer_parsed(const Tables& tables, const Packet& packet, std::uint32_t workers,
                           const HashSecret& secret) noexcept {
    // The checksum is the owner's to verify: a broken packet may go to any worker.
    const Parsed parsed =
        parse({packet.data, packet.contiguous}, packet.length,
              {.vlan = tables.ports[index(packet.port)].vlan, .ip_checksum = NicChecksum::good});
    if (parsed.l3 != L3Status::ip) return 0;
    FlowWords words = flow_words(packet.data, parsed);
    if (parsed.l4 == L4Status::ok) return steer_translated(tables, words, workers, secret);
    // Fragments of IPv6 may name different protocols: only the first one has all headers.
    if (parsed.l4 == L4Status::fragment)
        words.rest = std::uint64_t{static_cast<std::uint8_t>(parsed.family)} << 40;
    if (parsed.l4 == L4Status::other) {
        if (const auto identifier = echo_identifier({packet.data, packet.contiguous}, parsed))
            words.rest |= std::uint64_t{*identifier};  // as the client's port
        const IcmpMessage message = read_icmp({packet.data, packet.contiguous}, parsed);
        if (names_flow(message.embedded) && message.about_destination)
            return steer_translated(tables, words_about(packet.data, parsed, message), workers,
                                    secret);
    }
    return owner_of(words, workers, secret);
}

BurstSteering::BurstSteering(std::uint32_t workers, const HashSecret& secret) noexcept
    : workers_(workers), secret_(secret), lanes_(lanes::available()) {}

BurstMask BurstSteering::quick(const Tables& tables, std::span<const std::uint8_t* const> frames,
                               std::uint32_t shortest, PortId port,
                               std::span<std::uint32_t, max_burst> owners) const noexcept {
    const bool tagged = tables.ports[index(port)].vlan != 0;
    if (!lanes_ || tagged || tables.nat != nullptr || shortest < lanes::steer_bytes_v4) return 0;
    return lanes::steer(frames, shortest >= lanes::steer_bytes_v6, workers_, secret_, owners);
}

}  // namespace weir
