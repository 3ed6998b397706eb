// SPDX-License-Identifier: BSD-3-Clause
// A connection of a client at port 4711 through a full-nat service, segment by segment.
#pragma once

#include <string>

#include "tests/unit/dataplane/full_nat_world.hh"

namespace weir::test {

inline constexpr std::uint8_t syn_ack = 0x12;
inline constexpr std::uint32_t isn = 0xffff'fff0;  // of the client, so that its numbers wrap

struct Segment {
    std::uint8_t flags = ack;
    std::uint32_t sequence = 0, acknowledgment = 0;
    Bytes options, data;
    std::uint16_t urgent = 0;
};

class Talk {
public:
    explicit Talk(ClientAddress how) : world(how) {}

    // IP packets as each side gets them.
    Bytes to_backend(const Segment& segment, std::uint16_t headroom = 128) {
        if (!run(from_client(segment), headroom).is_sent()) return {};
        ends_ = ends_of(worker.sent);
        return sent();
    }
    Bytes to_client(const Segment& segment) {
        return run(from_backend(segment)).is_sent() ? sent() : Bytes{};
    }
    // Whether the other side gets just that.
    bool passes(const Segment& segment, const Segment& there, std::uint16_t headroom = 128) {
        const Bytes got = to_backend(segment, headroom);
        return !got.empty() && got == at_backend(there);
    }
    bool returns(const Segment& segment, const Segment& there) {
        const Bytes got = to_client(segment);
        return !got.empty() && got == at_client(there);
    }
    Verdict run(const Bytes& frame, std::uint16_t headroom = 128) {
        return worker.run(world.tables, frame, Tick{1000}, nullptr, headroom);
    }
    [[nodiscard]] Bytes sent() const { return {worker.sent.begin() + 14, worker.sent.end()}; }
    // To the end of the backend's SYN-ACK.
    void handshake() {
        (void)to_backend({.flags = syn, .sequence = isn});
        (void)to_client({.flags = syn_ack, .sequence = 7000, .acknowledgment = isn + 1 - shift});
    }

    // What is expected, checksums from a sum over everything.
    [[nodiscard]] Bytes from_client(const Segment& segment) const {
        return Ethernet{.destination = our_mac, .source = "02:00:00:00:00:c1"} /
               (ip_from_client() / bytes(segment, client, vip, 4711, 80));
    }
    [[nodiscard]] Bytes at_backend(const Segment& segment) const {
        return ip_at_backend() /
               bytes(segment, ends_.source, ends_.destination, ends_.from, ends_.to);
    }
    [[nodiscard]] Bytes at_client(const Segment& segment) const {
        return Ip4{.source = vip, .destination = client, .ttl = 63} /
               bytes(segment, vip, client, 80, 4711);
    }
    [[nodiscard]] Ip4 ip_from_client() const { return {.source = client, .destination = vip}; }
    [[nodiscard]] Ip4 ip_at_backend() const {
        return {.source = ends_.source, .destination = ends_.destination, .ttl = 63};
    }

    FullNatWorld world;
    FullNatWorker worker;
    std::uint32_t shift = 0;  // between the sequence numbers of client and backend
    const std::string client = "198.18.0.7", vip = "203.0.113.10";

private:
    [[nodiscard]] Bytes from_backend(const Segment& segment) const {
        return Ethernet{.destination = our_mac, .source = backend_mac} /
               (Ip4{.source = ends_.destination, .destination = ends_.source} /
                bytes(segment, ends_.destination, ends_.source, ends_.to, ends_.from));
    }
    static Bytes bytes(const Segment& segment, const std::string& source,
                       const std::string& destination, std::uint16_t from, std::uint16_t to) {
        const Tcp header{.source = from,
                         .destination = to,
                         .flags = segment.flags,
                         .sequence = segment.sequence,
                         .acknowledgment = segment.acknowledgment,
                         .urgent = segment.urgent,
                         .options = segment.options};
        return summed(source, destination, 6, header / segment.data);
    }

    Ends ends_;  // of the packet that the backend got last
};

}  // namespace weir::test
