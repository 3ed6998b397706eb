// SPDX-License-Identifier: BSD-3-Clause
// Fragments: which datagram they are of, and whether their flow belongs to this worker. Where both
// is so they are served like whole packets (process.cc).
#include "lib/dataplane/fragments.hh"
#include "lib/dataplane/process.hh"
#include "lib/dataplane/steer.hh"

namespace weir {

bool Pipeline::admit(const Fragment& fragment, std::size_t i, Verdict& verdict, Tick now) noexcept {
    const FragmentTable::Answer answer = fragments_.admit(fragment, now);
    fragment_ports_[i] = answer.ports;
    if (answer.what == FragmentTable::What::pass) return true;
    verdict = answer.what == FragmentTable::What::wait ? Verdict::held(answer.slot)
                                                       : Verdict::dropped(reason_of(answer.what));
    return false;
}

bool Pipeline::is_elsewhere(const Tables& tables, const FlowWords& words,
                            Verdict& verdict) const noexcept {
    if (place_.workers == 1) return false;
    const std::uint32_t owner = steer_translated(tables, words, place_.workers, place_.secret);
    if (owner == place_.worker) return false;
    verdict = Verdict::handed_over(static_cast<std::uint8_t>(owner));
    return true;
}

bool Pipeline::admit_first(const Tables& tables, const Packet& packet, const PacketMeta& meta,
                           const FlowWords& words, std::size_t i, Verdict& verdict,
                           Tick now) noexcept {
    const FragmentPorts ports{meta.source_port, meta.destination_port, meta.protocol};
    return admit(first_fragment_of(packet.data, meta, ports), i, verdict, now) &&
           !is_elsewhere(tables, words, verdict);
}

// The datagram's first fragment says which flow it is of: this one may be that, or come after it,
// or has to wait.
bool Pipeline::receive_fragment(const Tables& tables, Packet& packet, const Parsed& parsed,
                                std::size_t i, Verdict& verdict, Tick now) noexcept {
    const std::optional<FragmentPorts> own =
        parsed.fragment.offset == 0 ? weir::ports_of(parsed) : std::nullopt;
    if (!admit(fragment_of(packet.data, parsed, own ? &*own : nullptr), i, verdict, now))
        return false;
    return receive_known(tables, classify_fragment(tables, packet, parsed, fragment_ports_[i]),
                         packet, i, verdict, now);
}

bool Pipeline::receive_known(const Tables& tables, const Classified& classified, Packet& packet,
                             std::size_t i, Verdict& verdict, Tick now) noexcept {
    verdict = classified.verdict;
    const bool is_flow = classified.service != nullptr || classified.pool_end;
    if (is_flow &&
        is_elsewhere(tables, flow_words(packet.data, meta_of(classified.parsed)), verdict))
        return false;
    return receive_classified(tables, classified, packet, i, verdict, now);
}

void Pipeline::process_fragments(const Tables& tables, std::span<Packet> packets,
                                 std::span<const FragmentPorts> ports, std::span<Verdict> verdicts,
                                 Tick now) noexcept {
    BurstMask flows = 0;
    for (std::size_t i = 0; i < packets.size(); ++i) {
        fragment_ports_[i] = ports[i];
        const Classified known = classify(tables, packets[i], &ports[i]);
        flows |= receive_known(tables, known, packets[i], i, verdicts[i], now) ? bit(i) : 0;
    }
    serve_all(tables, flows, {}, packets, verdicts, now);
}

}  // namespace weir
