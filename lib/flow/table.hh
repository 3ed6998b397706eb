// SPDX-License-Identifier: BSD-3-Clause
// FlowTable: the connections of one worker, in a table for each length of key (line_table.hh says
// how they work): narrow for IPv4 clients of an endpoint with one port, wide for IPv6 ones, ranges
// for services of several ports. All lie in one region that the caller owns.
//
// Endpoints are numbered by the control plane (control/registry.hh): a VIP, protocol and port or
// range of ports has one number for as long as an entry can name it.
// Threads: one worker, nobody else. Other threads ask the worker (see dataplane/inspect.hh).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/flow/key.hh"
#include "lib/flow/narrow_table.hh"
#include "lib/flow/wide_table.hh"

namespace weir {

// Entries of each table, 1 .. 2^28.
struct FlowSizes {
    std::uint32_t narrow = 0, wide = 0, ranges = 0;
    // All tables of the same size.
    FlowSizes(std::uint32_t entries) : narrow(entries), wide(entries), ranges(entries) {}
    // `entries` IPv4 flows; the others as many when they are needed, else a reserve for services
    // that a reload brings: a sixteenth, and 2^15 at most.
    FlowSizes(std::uint32_t entries, bool needs_wide, bool needs_ranges)
        : narrow(entries),
          wide(needs_wide ? entries : reserve(entries)),
          ranges(needs_ranges ? entries : reserve(entries)) {}

private:
    static constexpr std::uint32_t reserve(std::uint32_t entries) noexcept {
        return entries < (1u << 19) ? entries / 16 + 1 : 1u << 15;
    }
};

// A flow on its way through a burst: which table, and its name there. Made by FlowTable::name();
// without initial values, as a burst has many of them.
struct FlowName {
    enum class Kind : std::uint8_t { narrow, wide, range };
    std::uint64_t wanted;
    std::uint32_t home;
    Kind kind;
    std::uint64_t rest[2];  // of Format::Rest; narrow: unused

    // Bits 0..31 are well mixed; the same for each packet of the flow.
    [[nodiscard]] std::uint64_t hash() const noexcept { return (wanted >> remnant_shift) ^ home; }
};

// An entry in its line. Valid while its place is.
struct FlowEntry {
    FlowLine& line;
    unsigned slot;
    Soonest& soonest;  // of its table

    [[nodiscard]] std::uint32_t backend() const noexcept { return line.backend(slot); }
    [[nodiscard]] FlowState state() const noexcept { return line.state(slot); }
    [[nodiscard]] Expiry expiry() const noexcept { return line.expiry(slot); }
    void set(const FlowValue& value) const noexcept {
        line.set(slot, value);
        soonest.note(value.expiry);
    }
    void set_time(FlowState state, Expiry expiry) const noexcept {
        line.set_time(slot, state, expiry);
        soonest.note(expiry);
    }
};

// An entry as a dump shows it.
struct FlowRecord {
    std::array<std::uint8_t, 16> client{};  // IPv4: first 4 bytes
    std::uint16_t client_port = 0;          // host byte order
    std::uint16_t destination_port = 0;     // host byte order; 0: the endpoint's one
    std::uint16_t endpoint = 0;
    std::uint8_t protocol = 0;  // 0: the endpoint's one
    FlowState state = FlowState::untracked;
    std::uint32_t backend = 0;
    Tick expires{};  // the last moment of its life
};

class FlowTable {
public:
    // Bytes of the region; 0 when a size is out of range. Also the validator. From 128 MiB on whole
    // huge pages of 2 MiB, and at most 16 bytes an IPv4 flow and 32 an IPv6 flow, whatever the
    // reserves take (see table.cc).
    [[nodiscard]] static std::size_t footprint(const FlowSizes& sizes) noexcept;

    // `region`: footprint(sizes) bytes, 64-byte aligned, outliving the table. Its content is
    // overwritten. Touches every page.
    FlowTable(std::span<std::byte> region, const FlowSizes& sizes,
              const HashSecret& secret) noexcept;

    // `client`: an IPv4 address as the machine reads its bytes. `port`: of the client. `endpoint`:
    // what the packet came for, which has one port.
    void name(FlowName& name, std::uint32_t client, std::uint16_t port,
              std::uint16_t endpoint) const noexcept;
    // An IPv6 address as two words.
    void name(FlowName& name, std::array<std::uint64_t, 2> client, std::uint16_t port,
              std::uint16_t endpoint) const noexcept;
    // `key`: of a client's packet to `endpoint`, which has one port unless `several_ports`.
    [[nodiscard]] FlowName name(const FlowWords& key, std::uint16_t endpoint,
                                bool several_ports) const noexcept;
    [[nodiscard]] FlowName name(const FlowKey& key, std::uint16_t endpoint,
                                bool several_ports) const noexcept {
        return name(std::bit_cast<FlowWords>(key), endpoint, several_ports);
    }

    // For a burst, each over all its flows: prefetch() asks for the line; look() reads it, and
    // where the entry may lie in another line, asks for that and answers a place that is_open();
    // finish() then says. Both hold until an entry is added, moved or removed. Who knows already
    // that the other line will be asked for calls prefetch_alternate().
    void prefetch(const FlowName& name) const noexcept;
    void prefetch_alternate(const FlowName& name) const noexcept;
    [[nodiscard]] LinePlace look(const FlowName& name, Tick now) const noexcept;
    [[nodiscard]] LinePlace finish(const FlowName& name, LinePlace looked) const noexcept;
    // All at once. The entry may have expired.
    [[nodiscard]] LinePlace find(const FlowName& name) const noexcept;

    // `at`: where find() or finish() saw it. Not none.
    [[nodiscard]] FlowEntry entry(const FlowName& name, LinePlace at) noexcept {
        using enum FlowName::Kind;
        const auto in = [at](auto& table) -> FlowEntry {
            return {table.line(at), at.slot(), table.soonest()};
        };
        if (name.kind == narrow) [[likely]]
            return in(narrow_);
        return name.kind == wide ? in(wide_) : in(ranges_);
    }

    // As LineTable::insert(). Precondition: find() just answered none.
    struct Inserted {
        bool done = false;
        bool replaced = false;  // an expired flow gave its place:
        bool moved = false;     // places of others may not hold; else they do, and only this flow
                                // is somewhere now where it was not before
        std::uint32_t old_backend = 0;
    };
    [[nodiscard]] Inserted insert(const FlowName& name, const FlowValue& value, Tick now) noexcept;
    // As those of LineTable: what becomes of most new flows, told with less work than by insert().
    [[nodiscard]] bool insert_at_home(const FlowName& name, const FlowValue& value) noexcept;
    [[nodiscard]] bool is_full_for(const FlowName& name, Tick now) const noexcept;

    // Visits the next `count` lines of all tables, wrapping round, and removes the expired entries;
    // calls expired(backend) for each. Returns how many were removed.
    template <typename Expired>
    std::uint32_t sweep(std::uint32_t count, Tick now, Expired&& expired) noexcept {
        std::uint32_t removed = 0;
        const auto part = [&](auto& table, std::uint32_t first) {
            if (count == 0 || sweep_next_ < first || sweep_next_ >= first + table.lines()) return;
            const std::uint32_t rest = first + table.lines() - sweep_next_;
            const std::uint32_t visits = count < rest ? count : rest;
            removed += table.sweep(visits, now, expired);
            sweep_next_ += visits;
            count -= visits;
        };
        count = count < lines() ? count : lines();
        while (count != 0) {
            part(narrow_, 0);
            part(wide_, narrow_.lines());
            part(ranges_, narrow_.lines() + wide_.lines());
            if (sweep_next_ == lines()) sweep_next_ = 0;
        }
        return removed;
    }

    // What lookups of IPv4 and of IPv6 clients read.
    [[nodiscard]] NarrowTable::Lines narrow_lines() const noexcept { return narrow_.all_lines(); }
    [[nodiscard]] WideTable::Lines wide_lines() const noexcept { return wide_.all_lines(); }
    // As those of LineTable.
    [[nodiscard]] std::uint32_t narrow_tells_all_below(Tick now) const noexcept {
        return narrow_.tells_all_below(now);
    }
    [[nodiscard]] std::uint32_t wide_tells_all_below(Tick now) const noexcept {
        return wide_.tells_all_below(now);
    }

    // Live entries in table order, from line `cursor` on (0 at first): copies at most out.size(),
    // looks at no more than as many lines, returns how many were copied and moves the cursor;
    // lines() when the end is reached. Less than a line's worth of room (5): may copy none.
    std::size_t copy(std::uint32_t& cursor, std::span<FlowRecord> out, Tick now) const noexcept;

    [[nodiscard]] std::uint32_t size() const noexcept;      // entries in use, expired ones included
    [[nodiscard]] std::uint32_t capacity() const noexcept;  // entries, of all tables
    [[nodiscard]] std::uint32_t lines() const noexcept {    // of all tables
        return narrow_.lines() + wide_.lines() + ranges_.lines();
    }

private:
    // Calls `use` with the table of the name's kind and the name there.
    template <typename Use>
    static decltype(auto) with(auto& self, const FlowName& name, Use&& use) noexcept {
        using enum FlowName::Kind;
        if (name.kind == narrow) [[likely]]
            return use(self.narrow_, NarrowTable::Name{name.wanted, name.home, {}});
        if (name.kind == wide)
            return use(self.wide_,
                       WideTable::Name{name.wanted,
                                       name.home,
                                       {name.rest[0], static_cast<std::uint32_t>(name.rest[1])}});
        return use(self.ranges_,
                   RangeTable::Name{name.wanted, name.home, {name.rest[0], name.rest[1]}});
    }

    NarrowTable narrow_;
    WideTable wide_;
    RangeTable ranges_;
    std::uint32_t sweep_next_ = 0;
};

inline void FlowTable::name(FlowName& name, std::uint32_t client, std::uint16_t port,
                            std::uint16_t endpoint) const noexcept {
    const NarrowTable::Name own = narrow_.name({client, port, endpoint});
    name.wanted = own.wanted;
    name.home = own.home;
    name.kind = FlowName::Kind::narrow;
}

inline void FlowTable::name(FlowName& name, std::array<std::uint64_t, 2> client, std::uint16_t port,
                            std::uint16_t endpoint) const noexcept {
    const WideTable::Name own = wide_.name({client, port, endpoint});
    name.wanted = own.wanted;
    name.home = own.home;
    name.kind = FlowName::Kind::wide;
    name.rest[0] = own.rest.client;
    name.rest[1] = own.rest.ports;
}

inline void FlowTable::prefetch(const FlowName& name) const noexcept {
    with(*this, name, [](const auto& table, const auto& own) { table.prefetch(own); });
}

inline void FlowTable::prefetch_alternate(const FlowName& name) const noexcept {
    with(*this, name, [](const auto& table, const auto& own) { table.prefetch_alternate(own); });
}

inline LinePlace FlowTable::look(const FlowName& name, Tick now) const noexcept {
    return with(*this, name,
                [&](const auto& table, const auto& own) { return table.look(own, now); });
}

inline bool FlowTable::insert_at_home(const FlowName& name, const FlowValue& value) noexcept {
    return with(*this, name,
                [&](auto& table, const auto& own) { return table.insert_at_home(own, value); });
}

inline bool FlowTable::is_full_for(const FlowName& name, Tick now) const noexcept {
    return with(*this, name,
                [&](const auto& table, const auto& own) { return table.is_full_for(own, now); });
}

inline LinePlace FlowTable::find(const FlowName& name) const noexcept {
    return with(*this, name, [](const auto& table, const auto& own) { return table.find(own); });
}

inline LinePlace FlowTable::finish(const FlowName& name, LinePlace looked) const noexcept {
    return with(*this, name,
                [&](const auto& table, const auto& own) { return table.finish(own, looked); });
}

}  // namespace weir
