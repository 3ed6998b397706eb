// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/probe_tracker.hh"

#include "lib/flow/key.hh"
#include "lib/wire/parse.hh"

namespace weir {
namespace {

struct TcpFrame {
    FlowKey key;
    std::uint8_t flags = 0;
};

[[nodiscard]] std::optional<TcpFrame> parse_tcp(std::span<const std::uint8_t> frame,
                                                std::uint32_t frame_length) {
    // The kernel checks, or has made, the checksum.
    const Parsed parsed = parse(frame, frame_length, {.ip_checksum = NicChecksum::good});
    if (parsed.l3 != L3Status::ip || parsed.protocol != proto_tcp || parsed.l4 != L4Status::ok)
        return std::nullopt;
    return TcpFrame{flow_key(frame.data(), parsed), parsed.tcp_flags};
}

}  // namespace

bool ProbeTracker::saw_out(std::span<const std::uint8_t> frame, std::uint32_t frame_length,
                           const ServiceIndex& index, Tick now) {
    const auto tcp = parse_tcp(frame, frame_length);
    if (!tcp) return false;
    const FlowKey& key = tcp->key;
    const ProbeFlow flow{key.source_address(), key.destination_address(), key.source_port,
                         key.destination_port};
    if (const auto found = flows_.find(flow); found != flows_.end()) {
        ++found->second.crossed.out;
        return true;
    }
    const bool opens = (tcp->flags & (tcp_syn | tcp_ack)) == tcp_syn;
    if (!opens || !index.is_probe_reply(flow.remote, flow.remote_port)) return false;
    if (births_.size() == max_flows) forget_oldest();
    births_.push_back({flow, now, next_serial_});
    flows_[flow] = {{.out = 1, .in = 0}, next_serial_};
    ++next_serial_;
    return true;
}

bool ProbeTracker::saw_in(std::span<const std::uint8_t> frame, std::uint32_t frame_length) {
    if (flows_.empty()) return false;
    const auto tcp = parse_tcp(frame, frame_length);
    if (!tcp) return false;
    const FlowKey& key = tcp->key;
    const auto found = flows_.find(
        {key.destination_address(), key.source_address(), key.destination_port, key.source_port});
    if (found == flows_.end()) return false;
    ++found->second.crossed.in;
    return true;
}

void ProbeTracker::expire(Tick now) {
    while (!births_.empty() && elapsed(births_.front().at, now) > lifetime)
        forget_oldest();
}

void ProbeTracker::forget_oldest() {
    const Birth& oldest = births_.front();
    const auto found = flows_.find(oldest.flow);
    if (found != flows_.end() && found->second.serial == oldest.serial) flows_.erase(found);
    births_.pop_front();
}

ProbeLedger::Crossed ProbeTracker::take(const ProbeFlow& flow) {
    const auto found = flows_.find(flow);
    if (found == flows_.end()) return {};
    const Crossed crossed = found->second.crossed;
    flows_.erase(found);
    return crossed;
}

}  // namespace weir
