// SPDX-License-Identifier: BSD-3-Clause
// FragmentTable against a model of maps and lists: every answer is the model's, and what waits is
// let go exactly once, in its order, within the timeout.
//
// Input: operations. Byte 0, low 3 bits: 0-4 a fragment, 5 a row of fragments, 6 time, 7 a sweep or
// what was released; see Program.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "lib/flow/fragment_table.hh"
#include "tests/fuzz/input.hh"
#include "tests/fuzz/require.hh"

namespace weir::fuzz {

namespace {

using What = FragmentTable::What;

constexpr HashSecret secret{{5, 6, 7, 8}};
constexpr std::size_t key_count = 32;

FlowWords key_of(std::uint32_t id) {
    FlowWords words;
    words.source = 0x0700'12c6;
    words.destination = 0x0a71'00cb;
    words.rest = id | std::uint64_t{17} << 32 | std::uint64_t{4} << 40;
    return words;
}

// Half of the keys share a bucket, which has room for four of them; each other has one alone.
struct Keys {
    std::array<FlowWords, key_count> words;
    static std::uint64_t bucket_of(const FlowWords& key) {
        return flow_hash(key, secret) % (FragmentTable::datagrams / ways);
    }
    static constexpr std::size_t ways = 4, together = key_count / 2;
    static bool share_bucket(std::size_t a, std::size_t b) {
        return a == b || (a < together && b < together);
    }
    Keys() {
        std::vector<std::uint64_t> taken{bucket_of(key_of(0))};
        std::size_t here = 0, elsewhere = together;
        for (std::uint32_t id = 0; here < together || elsewhere < key_count; ++id) {
            const FlowWords key = key_of(id);
            const std::uint64_t bucket = bucket_of(key);
            if (bucket == taken.front()) {
                if (here < together) words[here++] = key;
            } else if (elsewhere < key_count && std::ranges::count(taken, bucket) == 0) {
                taken.push_back(bucket);
                words[elsewhere++] = key;
            }
        }
    }
};

struct Piece {
    std::size_t key = 0;
    std::uint32_t begin = 0, end = 0;
    bool last = false, whole_header = true;
    FragmentPorts ports;
};

// What the table is told to be, in the plainest form.
class Model {
public:
    struct Datagram {
        std::size_t key = 0;
        Tick deadline{};
        bool broken = false;
        std::optional<std::uint32_t> end;
        std::optional<FragmentPorts> ports;
        std::map<std::uint32_t, std::uint32_t> ranges;  // begin -> end; none touches another
        std::vector<std::uint8_t> waiting;
    };
    struct Fate {
        What what = What::bad;
        FragmentPorts ports;
    };

    // What admit() must answer; of `wait` hold() then tells the slot.
    Fate admit(const Piece& piece, Tick now) {
        Datagram& datagram = find(piece.key, now);
        if (datagram.broken) return {};
        if (!is_sound(datagram, piece)) return broken(datagram);
        for (const auto& [begin, end] : datagram.ranges) {
            if (piece.begin >= begin && piece.end <= end) return {};
            if (piece.begin < end && begin < piece.end) return broken(datagram);
        }
        if (!add(datagram, piece)) return {What::full, {}};
        if (piece.last) datagram.end = piece.end;
        if (piece.begin == 0) {
            datagram.ports = piece.ports;
            let_go(datagram, {What::pass, piece.ports});
        }
        if (!datagram.ports) {
            if (taken_ == FragmentTable::slots) return {What::full, {}};
            ++taken_;
            return {What::wait, {}};
        }
        const Fate fate{What::pass, *datagram.ports};
        const bool complete = datagram.ranges.size() == 1 && datagram.ranges.begin()->first == 0 &&
                              datagram.ranges.begin()->second == datagram.end;
        if (complete) std::erase_if(datagrams_, [&](const auto& d) { return &d == &datagram; });
        return fate;
    }
    void hold(std::size_t key, std::uint8_t slot) {
        require(slot < FragmentTable::slots, "a slot is one of them");
        for (const Datagram& datagram : datagrams_)
            require(std::ranges::count(datagram.waiting, slot) == 0, "a slot has one fragment");
        require(!gone_.contains(slot), "a slot is not free before it is read");
        lookup(key)->waiting.push_back(slot);
    }

    // What released() answers. Of those whose time is over, the table may let go when it likes.
    void check_released(std::span<const FragmentTable::Released> released, Tick now) {
        std::map<std::uint8_t, std::size_t> place;
        for (std::size_t i = 0; i < released.size(); ++i) {
            const FragmentTable::Released& one = released[i];
            require(place.emplace(one.slot, i).second, "a slot is let go once");
            const auto found = gone_.find(one.slot);
            if (found == gone_.end()) {
                require(one.what == What::wait, "nobody is let go without reason");
                expire(one.slot, now);
                continue;
            }
            require(found->second.what == one.what, "each goes for the reason that it has");
            if (one.what == What::pass)
                require(found->second.ports == one.ports, "by the first fragment's ports");
            gone_.erase(found);
        }
        require(gone_.empty(), "who is to go goes");
        for (const std::vector<std::uint8_t>& order : orders_)
            require(std::ranges::is_sorted(order, {}, [&](auto slot) { return place.at(slot); }),
                    "in the order of their coming");
        orders_.clear();
        taken_ -= released.size();
    }
    [[nodiscard]] std::size_t taken() const { return taken_; }

private:
    Datagram* lookup(std::size_t key) {
        const auto found = std::ranges::find(datagrams_, key, &Datagram::key);
        return found == datagrams_.end() ? nullptr : &*found;
    }
    static bool is_over(const Datagram& datagram, Tick now) {
        return elapsed(datagram.deadline, now) >= 0;
    }
    Datagram& find(std::size_t key, Tick now) {
        if (Datagram* known = lookup(key); known != nullptr) {
            if (!is_over(*known, now)) return *known;
            remove(*known, What::wait);
        }
        const auto near = [&](const Datagram& d) { return Keys::share_bucket(d.key, key); };
        for (std::size_t i = datagrams_.size(); i-- > 0;)
            if (near(datagrams_[i]) && is_over(datagrams_[i], now))
                remove(datagrams_[i], What::wait);
        if (std::ranges::count_if(datagrams_, near) == Keys::ways)
            remove(*std::ranges::find_if(datagrams_, near), What::full);  // the oldest
        datagrams_.push_back({.key = key, .deadline = now + FragmentTable::timeout});
        return datagrams_.back();
    }
    static bool is_sound(const Datagram& datagram, const Piece& piece) {
        if (piece.begin >= piece.end || piece.end > 65'535) return false;
        if (!piece.last && (piece.end - piece.begin) % 8 != 0) return false;
        if (piece.begin == 0 && !piece.whole_header) return false;
        if (datagram.end)
            return piece.last ? piece.end == *datagram.end : piece.end <= *datagram.end;
        if (!piece.last) return true;
        return std::ranges::all_of(datagram.ranges,
                                   [&](const auto& range) { return range.second <= piece.begin; });
    }
    // False: there would be too many holes.
    static bool add(Datagram& datagram, const Piece& piece) {
        auto ranges = datagram.ranges;
        auto [begin, end] = std::pair{piece.begin, piece.end};
        for (const auto& [other_begin, other_end] : datagram.ranges) {
            if (other_end != piece.begin && other_begin != piece.end) continue;
            begin = std::min(begin, other_begin);
            end = std::max(end, other_end);
            ranges.erase(other_begin);
        }
        ranges[begin] = end;
        if (ranges.size() > 16) return false;
        datagram.ranges = std::move(ranges);
        return true;
    }
    Fate broken(Datagram& datagram) {
        datagram.broken = true;
        let_go(datagram, {What::bad, {}});
        return {};
    }
    void let_go(Datagram& datagram, const Fate& fate) {
        for (const std::uint8_t slot : datagram.waiting)
            gone_[slot] = fate;
        orders_.push_back(std::move(datagram.waiting));
        datagram.waiting.clear();
    }
    void remove(Datagram& datagram, What what) {
        let_go(datagram, {what, {}});
        std::erase_if(datagrams_, [&](const auto& d) { return &d == &datagram; });
    }
    void expire(std::uint8_t slot, Tick now) {
        for (Datagram& datagram : datagrams_) {
            if (std::erase(datagram.waiting, slot) == 0) continue;
            require(is_over(datagram, now), "nobody is let go before time");
            return;
        }
        require(false, "only who waits is let go");
    }

    std::vector<Datagram> datagrams_;  // the oldest first
    std::map<std::uint8_t, Fate> gone_;
    std::vector<std::vector<std::uint8_t>> orders_;
    std::size_t taken_ = 0;  // slots
};

class Program {
public:
    explicit Program(std::span<const std::uint8_t> bytes) : input_(bytes) {
        // A copy is much cheaper than to build one.
        static const auto fresh = std::make_unique<const FragmentTable>(secret);
        static const auto table = std::make_unique<FragmentTable>(secret);
        static_assert(std::is_trivially_copyable_v<FragmentTable>);
        std::memcpy(static_cast<void*>(table.get()), fresh.get(), sizeof *fresh);
        table_ = table.get();
        // Near the end of the clock, so that it wraps in long programs.
        now_ = Tick{0xffff'f000};
    }
    void run() {
        while (!input_.empty())
            step(input_.byte());
        if (table_->waiting() != 0) {
            now_ = now_ + FragmentTable::timeout;
            table_->sweep(FragmentTable::datagrams, now_);
            read_released();
        }
        require(table_->waiting() == 0, "nobody waits for longer than the timeout");
    }

private:
    void step(std::uint8_t first) {
        const std::uint8_t more = first >> 3;
        switch (first & 7) {
            case 5:
                return row(more + 1u);
            case 6:
                now_ = now_ + input_.byte() * std::uint32_t{more};
                return;
            case 7:
                if ((more & 1) != 0) return read_released();
                table_->sweep((more & 2) != 0 ? FragmentTable::datagrams : more * 16u, now_);
                return;
            default:
                return admit(read_piece(more));
        }
    }
    // `settings`: bit 0: the last, bit 1: fields of any size, bits 2-4: ports.
    Piece read_piece(std::uint8_t settings) {
        const std::uint8_t key = input_.byte();
        Piece piece{.key = key % key_count, .whole_header = (key & 0x80) == 0};
        piece.last = (settings & 1) != 0;
        const bool any = (settings & 2) != 0;
        piece.begin = any ? input_.two() : input_.byte() % 64 * 8u;
        piece.end = piece.begin + (any ? input_.two() : input_.byte() % 16 * 8u);
        piece.ports = {static_cast<std::uint16_t>(settings >> 2), 53, 17};
        return piece;
    }
    // Fragments of eight bytes that lie side by side.
    void row(std::uint32_t count) {
        Piece piece = read_piece(0);
        for (; count != 0; --count) {
            piece.end = piece.begin + 8;
            admit(piece);
            piece.begin = piece.end;
        }
    }
    void admit(const Piece& piece) {
        static const Keys keys;
        const bool has_ports = piece.begin == 0 && piece.whole_header;
        const FragmentTable::Answer answer =
            table_->admit({keys.words[piece.key], piece.begin, piece.end, piece.last,
                           has_ports ? &piece.ports : nullptr},
                          now_);
        const Model::Fate expected = model_.admit(piece, now_);
        require(answer.what == expected.what, "the answer is the model's");
        if (answer.what == What::pass) require(answer.ports == expected.ports, "by its ports");
        if (answer.what == What::wait) model_.hold(piece.key, answer.slot);
        require(table_->waiting() == model_.taken(), "slots are counted");
    }
    void read_released() {
        const bool any = table_->has_released();
        const auto released = table_->released();
        require(any == !released.empty(), "it is told that there is something");
        model_.check_released(released, now_);
        require(table_->waiting() == model_.taken(), "slots are counted");
    }

    Input input_;
    FragmentTable* table_ = nullptr;
    Model model_;
    Tick now_{};
};

}  // namespace

}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    weir::fuzz::Program({data, size}).run();
    return 0;
}
