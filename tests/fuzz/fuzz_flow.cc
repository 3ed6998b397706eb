// SPDX-License-Identifier: BSD-3-Clause
// FlowTable, all three kinds of keys in it, against a map: what is inserted is found until it
// expired and was swept or replaced, with what was written last; nothing else is found.
//
// Input: a byte of sizes, then operations. Byte 0, low 3 bits: 0-4 a packet of a flow, 5 time, 6 a
// sweep, 7 a dump; see Program.
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "lib/flow/table.hh"
#include "lib/wire/parse.hh"
#include "tests/fuzz/input.hh"
#include "tests/fuzz/require.hh"

namespace weir::fuzz {

namespace {

constexpr HashSecret secret{{3, 5, 6, 7}};

// A flow by its number: bits 0-1 the kind, then ports and client.
struct Flow {
    static constexpr std::uint16_t numbers = 0x3fff;
    std::uint16_t number = 0;
    [[nodiscard]] bool is_v6() const { return (number & 1) != 0; }
    [[nodiscard]] bool in_range() const { return (number & 2) != 0; }
    [[nodiscard]] FlowKey key() const {
        FlowKey key;
        key.family = is_v6() ? Family::v6 : Family::v4;
        key.source = {198, 18, static_cast<std::uint8_t>(number >> 6), 7};
        if (is_v6()) key.source[15] = static_cast<std::uint8_t>(number >> 8);
        key.source_port = static_cast<std::uint16_t>(1024 + (number >> 2 & 7));
        key.destination = {203, 0, 113, 10};
        key.destination_port = static_cast<std::uint16_t>(80 + (number >> 5 & 1));
        key.protocol = proto_tcp;
        return key;
    }
    // Of a VIP, so of one family; a service of one port has one for each.
    [[nodiscard]] std::uint16_t endpoint() const {
        return static_cast<std::uint16_t>((in_range() ? 2 : 4 + (number >> 4 & 2)) + is_v6());
    }
};

class Program {
public:
    explicit Program(Input input)
        : input_(input),
          sizes_(std::array{1u, 8u, 60u, 700u}[input_.byte() & 3]),
          region_(static_cast<std::byte*>(operator new (FlowTable::footprint(sizes_),
                                                        std::align_val_t{64}))),
          table_({region_.get(), FlowTable::footprint(sizes_)}, sizes_, secret) {}

    void run() {
        while (!input_.empty()) {
            step(input_.byte());
            require(table_.size() == known_.size(), "entries are counted");
        }
        compare_all();
        now_ = now_ + 3'600'000;
        if (!known_.empty()) sweep(table_.lines());
        require(known_.empty(), "nothing lives for ever");
    }

private:
    void step(std::uint8_t first) {
        const std::uint8_t more = first >> 3;
        switch (first & 7) {
            case 5:
                // Hours at most in a whole program, which may go without a sweep.
                now_ = now_ + input_.byte() * std::uint32_t{more} * 2u;
                return;
            case 6:
                return sweep((more & 1) != 0 ? table_.lines() : more * 4u);
            case 7:
                return compare_all();
            default:
                return packet({static_cast<std::uint16_t>(input_.two() & Flow::numbers)}, more);
        }
    }

    [[nodiscard]] FlowName name_of(const Flow& flow) const {
        return table_.name(flow.key(), flow.endpoint(), flow.in_range());
    }
    // As the pipeline looks, in two steps and in one.
    LinePlace look(const Flow& flow) {
        const FlowName name = name_of(flow);
        LinePlace place = table_.look(name, now_);
        if (place.is_open()) place = table_.finish(name, place);
        const LinePlace again = table_.find(name);
        require(static_cast<bool>(place) == static_cast<bool>(again), "two ways find the same");
        const auto known = known_.find(flow.number);
        require(static_cast<bool>(place) == (known != known_.end()), "what is there is found");
        if (!place) return place;
        require(place.line() == again.line() && place.slot() == again.slot(), "in one place");
        const FlowEntry entry = table_.entry(name, place);
        const FlowValue& value = known->second;
        require(entry.backend() == value.backend && entry.state() == value.state &&
                    entry.expiry() == value.expiry,
                "as it was written");
        return place;
    }

    // `settings`: bits 0-1 the state, 2-4 how long it lives.
    void packet(const Flow& flow, std::uint8_t settings) {
        const FlowName name = name_of(flow);
        const FlowValue value{static_cast<std::uint32_t>(flow.number) * 2,
                              static_cast<FlowState>(settings & 3),
                              expiry_of(now_ + (1u << (settings >> 2) % 8 * 2))};
        if (const LinePlace place = look(flow)) {
            const FlowEntry entry = table_.entry(name, place);
            entry.set(value);
            known_[flow.number] = value;
            return;
        }
        if (table_.insert_at_home(name, value)) {
            known_[flow.number] = value;
            return;
        }
        const bool is_full = table_.is_full_for(name, now_);
        const FlowTable::Inserted inserted = table_.insert(name, value, now_);
        require(!is_full || !inserted.done, "a full table is full");
        if (inserted.replaced) {
            require(inserted.done, "nobody goes for nothing");
            forget_one(inserted.old_backend);
        }
        if (inserted.done) known_[flow.number] = value;
    }

    // One that expired and counted for `backend`.
    void forget_one(std::uint32_t backend) {
        const auto number = static_cast<std::uint16_t>(backend / 2);
        const auto gone = known_.find(number);
        require(gone != known_.end() && gone->second.backend == backend, "who goes was there");
        require(is_past(gone->second.expiry, now_), "and had expired");
        require(!table_.find(name_of({number})), "and is there no more");
        known_.erase(gone);
    }
    void sweep(std::uint32_t lines) {
        std::vector<std::uint32_t> gone;
        const std::uint32_t removed =
            table_.sweep(lines, now_, [&](std::uint32_t backend) { gone.push_back(backend); });
        require(removed == gone.size(), "each that goes is told");
        for (const std::uint32_t backend : gone)
            forget_one(backend);
        if (lines < table_.lines()) return;
        for (const auto& [number, value] : known_)
            require(!is_past(value.expiry, now_), "what expired goes");
    }
    void compare_all() {
        std::size_t live = 0, shown = 0;
        for (const auto& [number, value] : known_) {
            (void)look({number});
            live += is_past(value.expiry, now_) ? 0 : 1;
        }
        std::vector<FlowRecord> records(64);
        for (std::uint32_t cursor = 0; cursor < table_.lines();) {
            const std::size_t count = table_.copy(cursor, records, now_);
            shown += count;
            for (std::size_t i = 0; i < count; ++i)
                check_record(records[i]);
        }
        require(shown == live, "a dump shows what lives");
    }
    void check_record(const FlowRecord& record) {
        const Flow flow{static_cast<std::uint16_t>(record.backend / 2)};
        const FlowKey key = flow.key();
        require(known_.contains(flow.number), "a dump shows what is there");
        require(record.client == key.source && record.client_port == key.source_port &&
                    record.endpoint == flow.endpoint(),
                "with the addresses that it came from");
        require(record.destination_port == (flow.in_range() ? key.destination_port : 0),
                "and the port where there are several");
    }

    struct Free {
        void operator()(std::byte* first) const { operator delete (first, std::align_val_t{64}); }
    };
    Input input_;
    FlowSizes sizes_;
    std::unique_ptr<std::byte, Free> region_;
    FlowTable table_;
    std::map<std::uint16_t, FlowValue> known_;  // by number
    Tick now_{0xffff'0000};                     // the clock wraps early
};

}  // namespace

}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using weir::fuzz::Input;
    weir::fuzz::Program(Input({data, size})).run();
    return 0;
}
