// SPDX-License-Identifier: BSD-3-Clause
// The pipeline: a burst of packets in, one verdict each out. Pure but for the state it owns: bytes,
// tables and time come in as arguments; nothing is sent, freed, logged or allocated.
//
//   read -> service -> flow -> (miss: slot of the service's table, insert) -> next hop -> rewrite
//
// Stages run over the whole burst one after the other, so that the cache misses of its packets
// overlap. The first ones take sixteen packets at once where the CPU can (lanes.hh). dsr-l2 and
// tunnels leave every byte from the client's IP header on unchanged.
//
// ICMP errors about a flow follow it to its backend, but neither begin nor refresh a flow
// (process_icmp.cc). Fragments follow the first one of their datagram (process_fragments.cc).
//
// Replies of nat backends are decided as they come (process_nat.cc).
//
// A packet whose QUIC connection ID names a backend goes there, whoever has its flow: that is how a
// connection stays with its server when its client moves. Who has the flow gets what has no
// routable ID: packets of new connections, and ICMP errors.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "lib/balance/tables.hh"
#include "lib/dataplane/answer.hh"
#include "lib/dataplane/classify.hh"
#include "lib/dataplane/counters.hh"
#include "lib/dataplane/family_change.hh"
#include "lib/dataplane/flow_burst.hh"
#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/packet.hh"
#include "lib/dataplane/packet_meta.hh"
#include "lib/dataplane/station_mailbox.hh"
#include "lib/dataplane/token_bucket.hh"
#include "lib/dataplane/verdict.hh"
#include "lib/flow/deadlines.hh"
#include "lib/flow/fragment_table.hh"
#include "lib/flow/nat_table.hh"
#include "lib/flow/table.hh"

namespace weir {

// Which of the workers a pipeline belongs to, and the secret by which steer() finds them.
struct WorkerPlace {
    HashSecret secret;
    std::uint8_t worker = 0, workers = 1;

    // Identifications that workers choose for packets between the same addresses differ: each takes
    // every id_step()-th one, from own_id() on. A power of two, so that this holds where they wrap.
    [[nodiscard]] constexpr std::uint32_t id_step() const noexcept {
        return std::bit_ceil(std::uint32_t{workers});
    }
    [[nodiscard]] constexpr std::uint32_t own_id(std::uint32_t any) const noexcept {
        return any * id_step() + worker;
    }
};

// ICMP errors about flows that no entry holds, of one worker: after a restart or a change among
// balancers a client needs a few, and a flood of them is forged. Bursts are 100 ms of the rate.
inline constexpr RateLimit untracked_icmp_limit{1'000, 100};

// ICMP errors of our own. Bursts are 50 ms of the rate, and ten at least.
[[nodiscard]] constexpr RateLimit answer_limit(std::uint32_t per_second) noexcept {
    return {per_second, per_second / 20 > 10 ? per_second / 20 : 10};
}

// One per worker; used by that worker's thread alone. Its fragment table makes it some 300 KiB.
class Pipeline {
public:
    // Whether the stages of lanes.hh are used: where they can be, or never.
    enum class Lanes : std::uint8_t { where_available, never };
    // All must outlive the pipeline. `nat`: this worker's bindings; nullptr: no full-nat service
    // has a pool.
    Pipeline(FlowTable& flows, LcoreCounters& counters, WorkerTraffic& traffic,
             Lanes lanes = Lanes::where_available, const WorkerPlace& place = {},
             NatTable* nat = nullptr) noexcept;

    // Decides packets.size() (at most max_burst) packets and rewrites those with Action::send and
    // Action::answer in place. Reads and writes the first line of each, and the line before it; the
    // caller has asked for the first lines of the first ones (see frame_lines.hh).
    // verdicts.size() >= packets.size(). Counts traffic and flows; the caller counts verdicts.
    // Packets of one flow are decided in their order.
    void process(const Tables& tables, std::span<Packet> packets, std::span<Verdict> verdicts,
                 Tick now) noexcept;

    // The same for fragments whose datagram's first one is known: those that waited for it, and
    // those that another worker learnt of. `ports`: by packet.
    void process_fragments(const Tables& tables, std::span<Packet> packets,
                           std::span<const FragmentPorts> ports, std::span<Verdict> verdicts,
                           Tick now) noexcept;
    // Of a packet that process() or process_fragments() just gave the verdict hand_over.
    [[nodiscard]] const FragmentPorts& ports_of(std::size_t i) const noexcept {
        return fragment_ports_[i];
    }
    // Fragments that wait no longer (verdict hold), since the last call.
    [[nodiscard]] bool has_released() const noexcept { return fragments_.has_released(); }
    [[nodiscard]] std::span<const FragmentTable::Released> released() noexcept {
        return fragments_.released();
    }

    // Housekeeping: visits `lines` lines of the connection table and drops the expired entries.
    void sweep(std::uint32_t lines, Tick now) noexcept;
    // The same for `count` datagrams that came in fragments.
    void sweep_fragments(std::uint32_t count, Tick now) noexcept { fragments_.sweep(count, now); }

    // Clients on a port's network whose MAC address was missing; the control thread takes them.
    [[nodiscard]] StationMailbox& unknown_stations() noexcept { return unknown_stations_; }

private:
    struct Choice {  // backend == nullptr: dropped for `reason`
        const BackendEntry* backend = nullptr;
        DropReason reason = DropReason::no_backend;
    };
    // What the stages of one burst have in common.
    struct Common {
        const Tables& tables;
        Tick now;
        Deadlines deadlines;
    };
    // Traffic of a service whose packets follow each other, not yet counted there.
    struct Run {
        std::uint32_t service = 0, packets = 0;
        std::uint64_t bytes = 0;
    };

    // 1. The packet's flow becomes the burst's i-th, and its line starts to load; or `verdict` is
    // set, and the answer is false. `at`: where the IP header of a plain frame of this port lies.
    template <std::uint32_t at>
    bool receive_at(const Tables& tables, Packet& packet, std::size_t i, Verdict& verdict,
                    Tick now) noexcept;
    bool receive_tagged(const Tables& tables, Packet& packet, std::size_t i, Verdict& verdict,
                        Tick now) noexcept;
    bool receive_odd(const Tables& tables, Packet& packet, std::size_t i, Verdict& verdict,
                     Tick now) noexcept;
    // What classify() says, but for fragments.
    bool receive_classified(const Tables& tables, const Classified& classified, Packet& packet,
                            std::size_t i, Verdict& verdict, Tick now) noexcept;
    bool receive_fragment(const Tables& tables, Packet& packet, const Parsed& parsed, std::size_t i,
                          Verdict& verdict, Tick now) noexcept;
    // Of a fragment whose datagram has fragment_ports_[i], by which it was classified.
    bool receive_known(const Tables& tables, const Classified& classified, Packet& packet,
                       std::size_t i, Verdict& verdict, Tick now) noexcept;
    // Whether the table lets it pass, by fragment_ports_[i]; if not, `verdict` says what then.
    bool admit(const Fragment& fragment, std::size_t i, Verdict& verdict, Tick now) noexcept;
    // The same of one that read_plain_first() read, whose flow must be this worker's, too.
    bool admit_first(const Tables& tables, const Packet& packet, const PacketMeta& meta,
                     const FlowWords& words, std::size_t i, Verdict& verdict, Tick now) noexcept;
    // Whether the flow belongs to another worker; then `verdict` says so.
    [[nodiscard]] bool is_elsewhere(const Tables& tables, const FlowWords& words,
                                    Verdict& verdict) const noexcept;
    // Of a packet that was read as plain.
    void set_plain_flow(const FlowWords& words, const PacketMeta& meta, const ServiceHit& service,
                        std::size_t i) noexcept;
    // Of a packet for `classified.service`.
    void set_flow(const Packet& packet, const Classified& classified, std::size_t i) noexcept;
    // The same packet, of a service with `quic`.
    void set_server(const Packet& packet, const Classified& classified, std::size_t i) noexcept;
    // 2. and 3. for all `flows` of the burst.
    void serve_all(const Tables& tables, BurstMask flows, const lanes::Received& plain,
                   std::span<Packet> packets, std::span<Verdict> verdicts, Tick now) noexcept;
    // Entries of echo flows, which 2. and 3. gave the timeout of UDP, get their own.
    void time_echoes(const Common& common) noexcept;
    // An ICMP error about a flow of a service, decided and rewritten at once.
    Verdict serve_icmp_error(const Tables& tables, const Classified& classified, Packet& packet,
                             Tick now) noexcept;
    // Drops for `dropped`, or answers: a packet that does not fit, or whose TTL is used up.
    Verdict refuse(const Common& common, std::size_t i, const BackendEntry& backend, Packet& packet,
                   const Verdict& dropped) noexcept;
    Verdict refuse_expired(const Tables& tables, const Parsed& parsed, Packet& packet,
                           Tick now) noexcept;
    Verdict answer(const Tables& tables, const Refusal& refusal, Packet& packet, Tick now) noexcept;
    // Who has the flow by its entry; nullptr: nobody.
    const BackendEntry* holder(const Tables& tables, const FlowName& name, ServiceId service,
                               Tick now) const noexcept;
    // Towards `backend`, in the way of its service.
    Verdict forward_icmp_error(const Tables& tables, const Classified& classified,
                               const BackendEntry& backend, std::uint64_t flow_hash,
                               Packet& packet) noexcept;
    // A packet of a nat backend, or about a packet to one, for a client or the pool.
    Verdict serve_from_backend(const Tables& tables, const Classified& classified, Packet& packet,
                               Tick now) noexcept;
    // An ICMP error about a request as it was translated.
    Verdict serve_icmp_error_from_backend(const Tables& tables, const Classified& classified,
                                          Packet& packet) noexcept;
    // A flow whose packets leave from the pool; without binding: none.
    struct PoolFlow {
        NatBinding* binding = nullptr;
        const ServiceTable* service = nullptr;
    };
    // The flow that packets to `end` are of, when they come from its backend.
    PoolFlow pool_flow(const Tables& tables, const PoolEnd& end, std::uint8_t protocol,
                       const PacketEnd& from) const noexcept;
    // A nat backend's reply: its flow lives on, and the client gets it from the VIP.
    Verdict serve_reply(const Tables& tables, const Classified& classified, Packet& packet,
                        Tick now) noexcept;
    // A reply to an address of the pool: what its binding says.
    Verdict serve_pool_reply(const Tables& tables, const Classified& classified, Packet& packet,
                             Tick now) noexcept;
    // Drops for `dropped`, and has the client looked up where that mends it; or a reply that does
    // not fit the way to the client is answered.
    Verdict refuse_reply(const Tables& tables, const IpAddress& client, const PacketMeta& meta,
                         Packet& packet, const Verdict& dropped, Tick now) noexcept;
    // The entry of the client's flow lives on, if it names the backend that sent from there.
    void refresh(const Tables& tables, const ServiceTable& service, const FlowKey& client,
                 std::uint8_t tcp_flags, const PacketEnd& from, Tick now) noexcept;
    // What forward() leaves, and full-nat.
    Verdict forward_slowly(const Common& common, std::size_t i, const BackendEntry& backend,
                           Packet& packet) noexcept;
    Verdict forward_full_nat(const Common& common, std::size_t i, const BackendEntry& backend,
                             Packet& packet) noexcept;
    // The flow's binding, made when there is none; nullptr: no port is free.
    NatBinding* bind(const Common& common, std::size_t i, const BackendEntry& backend,
                     const FlowKey& client) noexcept;
    // lanes::settle(), where lanes received any of the group.
    lanes::Settled settle(const Common& common, const lanes::Received& group) noexcept;
    // The same while another group is yet to be served: asks for the other lines, too.
    lanes::Settled settle_ahead(const Common& common, const lanes::Received& group) noexcept;
    // For the packets of `flows`, a group: 2. where their entries lie, but for those of `found`;
    // 3. backend and bytes.
    void serve_group(const Common& common, BurstMask flows, const lanes::Settled& found,
                     std::span<Packet> packets, std::span<Verdict> verdicts, Run& run) noexcept;
    Verdict serve(const Common& common, std::size_t i, Packet& packet, Run& run) noexcept;
    // The loop over a group, whose `open` flows come last: serves each, or takes the way of
    // serve_by_cid() for those of by_cid_.
    template <bool with_cids>
    void serve_in_turn(const Common& common, BurstMask flows, BurstMask open,
                       std::span<Packet> packets, std::span<Verdict> verdicts, Run& run) noexcept;
    void serve_with_cids(const Common& common, BurstMask flows, BurstMask open,
                         std::span<Packet> packets, std::span<Verdict> verdicts, Run& run) noexcept;
    Verdict serve_by_cid(const Common& common, std::size_t i, Packet& packet, Run& run) noexcept;
    // To `backend`, and counted there.
    Verdict send(const Common& common, std::size_t i, const BackendEntry& backend, Packet& packet,
                 Run& run) noexcept;
    // Whether the flow has a live entry that names another backend than this one.
    bool is_held_by_other(const Common& common, std::size_t i,
                          const BackendEntry& backend) noexcept;
    // The entry of backend number `backend`, unless it is gone or takes no packets of old flows.
    const BackendEntry* named(const Tables& tables, std::size_t i,
                              std::uint32_t backend) const noexcept;
    LinePlace place_now(std::size_t i) const noexcept;
    // The flow's backend while it may keep it; otherwise nullptr.
    const BackendEntry* kept(const Common& common, std::size_t i) noexcept;
    // One picked by the service's table.
    Choice pick(const Common& common, std::size_t i, const Packet& packet) noexcept;
    // The same for many, beforehand, so that their hashes and slots do not wait for each other.
    void choose(const Tables& tables, BurstMask flows, std::span<const Packet> packets) noexcept;
    // What the service's table says; nullptr: it has no live backend.
    const BackendEntry* by_slot(const Tables& tables, std::size_t i,
                                const Packet& packet) const noexcept;
    // Without sloppy_tcp: whether the packet begins a flow.
    bool may_begin(std::size_t i) const noexcept;
    // What the entry of a flow says when it gets a backend.
    FlowValue first_value(const Common& common, std::size_t i,
                          const BackendEntry& backend) const noexcept;
    // The flow's old entry names `backend` now; or a new one does that does not simply go to its
    // home; or there is no room for one.
    Choice pick_again(const Common& common, std::size_t i, const BackendEntry& backend) noexcept;
    Choice pick_elsewhere(const Common& common, std::size_t i,
                          const BackendEntry& backend) noexcept;
    Choice untracked(const Tables& tables, const BackendEntry& backend) noexcept;
    void unsettle(std::size_t i) noexcept;
    // In inserted_: one of 64 for the flow's home line.
    [[nodiscard]] BurstMask home_bit(std::size_t i) const noexcept {
        return bit(burst_.homes[i] % 64);
    }
    void count(std::size_t i, BackendId backend, Run& run) noexcept;
    void count_service(Run& run) noexcept;
    // An entry names `backend` now; forget(): it does no longer.
    void remember(const BackendEntry& backend) noexcept;
    void forget(std::uint32_t backend) noexcept;

    FlowTable& flows_;
    LcoreCounters& counters_;
    WorkerTraffic& traffic_;
    const bool lanes_;
    // A member and not a local: it is read again by the next stage, and never cleared.
    FlowBurst burst_;
    // Of this group: flows whose entry need not be looked at; those that had none when they were
    // looked up, or may have none, and have their backend chosen; home lines of those that are new;
    // and whether places that were looked up before may not hold any more.
    BurstMask settled_ = 0, chosen_ = 0, inserted_ = 0;
    bool moved_ = false;
    BurstMask following_ = 0;  // settled flows of the next group
    BurstMask echoes_ = 0;     // of this burst: echo requests for a service
    // Of the burst: packets that name their backend (FlowBurst::chosen) by a connection ID. Cleared
    // when they are served.
    BurstMask by_cid_ = 0;
    const WorkerPlace place_;
    NatTable* const nat_;
    PacketIds packet_ids_;
    FragmentTable fragments_;
    std::array<FragmentPorts, max_burst> fragment_ports_{};
    TokenBucket untracked_icmp_{untracked_icmp_limit};
    RateLimit answer_limit_;  // as it was when the bucket was made
    TokenBucket answers_{answer_limit_};
    StationMailbox unknown_stations_;
};

}  // namespace weir
