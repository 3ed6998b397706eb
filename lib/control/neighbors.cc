// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/neighbors.hh"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <new>
#include <set>
#include <span>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "lib/control/kernel_socket.hh"
#include "lib/control/timer.hh"

namespace weir {

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

// The requests of the loop's one pass are bounded, so that they stop nobody else.
constexpr unsigned asks_per_pass = 256;

constexpr std::uint16_t usable_states =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;

std::string_view state_word(std::uint16_t state) noexcept {
    static constexpr std::pair<std::uint16_t, std::string_view> words[] = {
        {NUD_INCOMPLETE, "INCOMPLETE"}, {NUD_REACHABLE, "REACHABLE"}, {NUD_STALE, "STALE"},
        {NUD_DELAY, "DELAY"},           {NUD_PROBE, "PROBE"},         {NUD_FAILED, "FAILED"},
        {NUD_NOARP, "NOARP"},           {NUD_PERMANENT, "PERMANENT"}};
    const auto* found =
        std::ranges::find(words, state, &std::pair<std::uint16_t, std::string_view>::first);
    return found == std::end(words) ? "NONE" : found->second;
}

// One neighbour message of the kernel.
struct KernelNeighbor {
    int interface = 0;
    IpAddress address;
    bool has_address = false;
    std::uint16_t state = NUD_NONE;
    std::optional<MacAddress> mac;
};

int read_attribute(const nlattr* attribute, void* user) {
    auto& neighbor = *static_cast<KernelNeighbor*>(user);
    const std::size_t length = mnl_attr_get_payload_len(attribute);
    const void* payload = mnl_attr_get_payload(attribute);
    if (mnl_attr_get_type(attribute) == NDA_DST && length == neighbor.address.size()) {
        std::memcpy(neighbor.address.bytes.data(), payload, length);
        neighbor.has_address = true;
    } else if (mnl_attr_get_type(attribute) == NDA_LLADDR && length == 6) {
        std::memcpy(neighbor.mac.emplace().bytes.data(), payload, length);
    }
    return MNL_CB_OK;
}

std::optional<KernelNeighbor> read_neighbor(const nlmsghdr& message) {
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(ndmsg)) return std::nullopt;
    const auto* head = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(&message));
    if (head->ndm_family != AF_INET && head->ndm_family != AF_INET6) return std::nullopt;
    KernelNeighbor neighbor;
    neighbor.interface = head->ndm_ifindex;
    neighbor.state = head->ndm_state;
    neighbor.address.family = head->ndm_family == AF_INET ? Family::v4 : Family::v6;
    mnl_attr_parse(&message, sizeof(ndmsg), &read_attribute, &neighbor);
    if (!neighbor.has_address) return std::nullopt;
    return neighbor;
}

// A frame can be sent to it: neither all zero nor a group address.
bool is_station(const MacAddress& mac) noexcept {
    return mac != MacAddress{} && (mac.bytes[0] & 1) == 0;
}

}  // namespace

struct NeighborMonitor::Impl {
    using Key = Registry::NextHopKey;
    struct Entry {
        std::uint16_t state = NUD_NONE;
        std::optional<MacAddress> mac;  // the last one told
        int refused = 0;                // errno of the last request
        Time next_ask;
        [[nodiscard]] bool usable() const noexcept { return (state & usable_states) != 0; }
    };

    OnNeighbor on_neighbor;
    Pace pace;
    KernelSocket kernel;
    Timer timer;
    std::vector<int> interfaces;  // by PortId; 0: no TAP
    std::map<int, PortId> port_of_interface;
    std::map<Key, Entry> entries;        // the wanted ones
    std::set<std::pair<Time, Key>> due;  // one for each entry
    std::map<std::uint32_t, Key> asked;  // the last requests, by sequence number
    std::uint32_t sequence = 0, dump_number = 0;
    bool dump_running = false, dump_again = false;

    Impl(event_base* base, OnNeighbor told, Pace asks)
        : on_neighbor(std::move(told)),
          pace(asks),
          kernel({.message = [this](const nlmsghdr& message) { handle(message); },
                  .lost = [this] { dump_again = true; },
                  .pass_over =
                      [this] {
                          if (dump_again && !dump_running) dump();
                      }}),
          timer(base, [this] { ask_due(); }) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    Result<void> open(event_base* base, const std::vector<std::string>& taps);
    void handle(const nlmsghdr& message);
    void learn(const KernelNeighbor& neighbor, bool removed);
    void refused(const nlmsghdr& message);
    void dump();
    void look_up(const Key& key);
    void ask(const Key& key, Entry& entry);
    void ask_due();
    void remember(const Key& key);
    void plan(const Key& key, Entry& entry, Time when);
    void arm();
};

Result<void> NeighborMonitor::Impl::open(event_base* base, const std::vector<std::string>& taps) {
    auto found = interfaces_of(taps, "neighbours");
    if (!found) return found.error();
    interfaces = std::move(found.value());
    for (std::size_t port = 0; port < interfaces.size(); ++port)
        if (interfaces[port] != 0) port_of_interface[interfaces[port]] = static_cast<PortId>(port);
    if (auto opened = kernel.open(base, "neighbours", RTMGRP_NEIGH); !opened) return opened;
    dump();
    return {};
}

void NeighborMonitor::Impl::handle(const nlmsghdr& message) {
    if ((message.nlmsg_flags & NLM_F_DUMP_INTR) != 0) dump_again = true;
    switch (message.nlmsg_type) {
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
            if (const auto neighbor = read_neighbor(message)) {
                learn(*neighbor, message.nlmsg_type == RTM_DELNEIGH);
            }
            break;
        case NLMSG_DONE:
            dump_running = false;
            arm();
            break;
        case NLMSG_ERROR:
            refused(message);
            break;
        default:
            break;
    }
}

void NeighborMonitor::Impl::learn(const KernelNeighbor& neighbor, bool removed) {
    const auto port = port_of_interface.find(neighbor.interface);
    if (port == port_of_interface.end()) return;
    const auto found = entries.find(Key{port->second, neighbor.address});
    if (found == entries.end()) return;
    const Key key = found->first;
    Entry& entry = found->second;
    entry.state = removed ? std::uint16_t{NUD_NONE} : neighbor.state;
    entry.refused = 0;
    if (!entry.usable()) {
        plan(key, entry, std::min(entry.next_ask, Clock::now() + pace.retry));
        return;
    }
    if (!neighbor.mac || !is_station(*neighbor.mac) || entry.mac == neighbor.mac) return;
    entry.mac = neighbor.mac;
    on_neighbor(key, *neighbor.mac);
}

// The kernel's answer to a request that it did not take, or to a dump.
void NeighborMonitor::Impl::refused(const nlmsghdr& message) {
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(nlmsgerr)) return;
    const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message));
    if (error->error == 0) return;
    const bool is_dump =
        error->msg.nlmsg_type == RTM_GETNEIGH && error->msg.nlmsg_seq == dump_number;
    if (is_dump) {
        dump_running = false;
        arm();
        return;
    }
    const auto key = asked.find(error->msg.nlmsg_seq);
    if (key == asked.end()) return;
    const auto entry = entries.find(key->second);
    if (entry == entries.end()) return;
    if (error->msg.nlmsg_type != RTM_GETNEIGH) {
        entry->second.refused = -error->error;
    } else if (!entry->second.usable()) {  // it has none, or cannot tell of a single one
        plan(entry->first, entry->second, Clock::now());
        arm();
    }
}

// Does the kernel know it already? If so it answers like a dump, else with an error.
void NeighborMonitor::Impl::look_up(const Key& key) {
    alignas(nlmsghdr) std::array<char, 256> buffer{};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = RTM_GETNEIGH;
    message->nlmsg_flags = NLM_F_REQUEST;
    message->nlmsg_seq = ++sequence;
    auto* head = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ndmsg)));
    head->ndm_family = key.address.family == Family::v4 ? AF_INET : AF_INET6;
    head->ndm_ifindex = interfaces[index(key.port)];
    mnl_attr_put(message, NDA_DST, key.address.size(), key.address.bytes.data());
    remember(key);
    static_cast<void>(kernel.send(*message));
}

void NeighborMonitor::Impl::dump() {
    alignas(nlmsghdr) std::array<char, 256> buffer{};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = RTM_GETNEIGH;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message->nlmsg_seq = dump_number = ++sequence;
    mnl_nlmsg_put_extra_header(message, sizeof(ndmsg));
    dump_running = kernel.send(*message);
    dump_again = !dump_running;
    // What the dump does not name is not there.
    for (auto& [key, entry] : entries)
        entry.state = NUD_NONE;
}

// RTM_NEWNEIGH with NTF_USE: the kernel makes the entry if there is none and treats it as just used
// by a packet (neigh_event_send() in net/core/neighbour.c): it resolves what is not resolved and
// re-confirms what is stale. An entry that an operator made PERMANENT would lose that by being
// asked for (NEIGH_UPDATE_F_USE), so the table is read before the first request, and those are left
// alone.
void NeighborMonitor::Impl::ask(const Key& key, Entry& entry) {
    // Confirmations spread over a fifth of their interval, so that they do not stay one burst.
    const auto confirm = pace.confirm - pace.confirm * (++sequence % 8) / 40;
    plan(key, entry, Clock::now() + (entry.usable() ? confirm : pace.retry));
    if ((entry.state & NUD_PERMANENT) != 0) return;
    alignas(nlmsghdr) std::array<char, 256> buffer{};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = RTM_NEWNEIGH;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
    message->nlmsg_seq = sequence;
    auto* head = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ndmsg)));
    head->ndm_family = key.address.family == Family::v4 ? AF_INET : AF_INET6;
    head->ndm_ifindex = interfaces[index(key.port)];
    head->ndm_state = NUD_NONE;
    head->ndm_flags = NTF_USE;
    mnl_attr_put(message, NDA_DST, key.address.size(), key.address.bytes.data());
    remember(key);
    // Nobody waits: an error comes back as a message, and what got lost is asked again.
    static_cast<void>(kernel.send(*message));
}

void NeighborMonitor::Impl::ask_due() {
    if (dump_running) return;  // its end arms the timer
    const Time now = Clock::now();
    for (unsigned asks = 0; asks < asks_per_pass && !due.empty(); ++asks) {
        if (due.begin()->first > now) break;
        const Key key = due.begin()->second;
        ask(key, entries.at(key));
    }
    arm();
}

// Whom the request of this number is about.
void NeighborMonitor::Impl::remember(const Key& key) {
    if (asked.size() > 16 * asks_per_pass) asked.clear();
    asked[sequence] = key;
}

void NeighborMonitor::Impl::plan(const Key& key, Entry& entry, Time when) {
    due.erase({entry.next_ask, key});
    entry.next_ask = when;
    due.emplace(when, key);
}

void NeighborMonitor::Impl::arm() {
    if (due.empty() || dump_running) return;
    const auto us = std::chrono::ceil<std::chrono::microseconds>(due.begin()->first - Clock::now());
    timer.set(std::max(us, std::chrono::microseconds(0)));
}

Result<std::unique_ptr<NeighborMonitor>> NeighborMonitor::create(event_base* base,
                                                                 std::vector<std::string> taps,
                                                                 OnNeighbor on_neighbor,
                                                                 Pace pace) {
    auto impl = std::make_unique<Impl>(base, std::move(on_neighbor), pace);
    if (const auto opened = impl->open(base, taps); !opened) return opened.error();
    return std::make_unique<NeighborMonitor>(std::move(impl));
}

NeighborMonitor::NeighborMonitor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NeighborMonitor::~NeighborMonitor() = default;

void NeighborMonitor::want(std::vector<Registry::NextHopKey> keys) {
    const std::set<Registry::NextHopKey> wanted(keys.begin(), keys.end());
    std::erase_if(impl_->entries, [&](const auto& item) {
        if (wanted.contains(item.first)) return false;
        impl_->due.erase({item.second.next_ask, item.first});
        return true;
    });
    bool more = false;
    for (const Registry::NextHopKey& key : wanted) {
        if (index(key.port) >= impl_->interfaces.size()) continue;
        if (impl_->interfaces[index(key.port)] == 0) continue;
        const auto [entry, inserted] = impl_->entries.try_emplace(key);
        if (!inserted) continue;
        impl_->plan(key, entry->second, Clock::now());
        more = true;
    }
    // The kernel may know the new ones already, and then has nothing to tell: read its table.
    if (more) impl_->dump_again = true;
    if (impl_->dump_again && !impl_->dump_running) impl_->dump();
    impl_->arm();
}

void NeighborMonitor::want_one(const Registry::NextHopKey& key) {
    if (index(key.port) >= impl_->interfaces.size()) return;
    if (impl_->interfaces[index(key.port)] == 0) return;
    const auto [entry, inserted] = impl_->entries.try_emplace(key);
    if (!inserted) return;
    // Asked for when the kernel says that it does not know it; or else then.
    impl_->plan(key, entry->second, Clock::now() + impl_->pace.retry);
    impl_->look_up(key);
    impl_->arm();
}

void NeighborMonitor::forget(const Registry::NextHopKey& key) {
    const auto entry = impl_->entries.find(key);
    if (entry == impl_->entries.end()) return;
    impl_->due.erase({entry->second.next_ask, key});
    impl_->entries.erase(entry);
}

bool NeighborMonitor::is_usable(const Registry::NextHopKey& key) const {
    const auto entry = impl_->entries.find(key);
    return entry != impl_->entries.end() && entry->second.usable();
}

std::string NeighborMonitor::state(const Registry::NextHopKey& key) const {
    const auto found = impl_->entries.find(key);
    if (found == impl_->entries.end()) return {};
    const Impl::Entry& entry = found->second;
    if (entry.state == NUD_NONE && entry.refused != 0) {
        return fmt::format("refused: {}", std::generic_category().message(entry.refused));
    }
    return std::string(state_word(entry.state));
}

std::size_t NeighborMonitor::size() const noexcept {
    return impl_->entries.size();
}

}  // namespace weir
