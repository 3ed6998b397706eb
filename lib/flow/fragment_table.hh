// SPDX-License-Identifier: BSD-3-Clause
// FragmentTable: which datagram a fragment belongs to, so that all of them go the way of the first
// one, which alone has ports. Nothing is put together: fragments pass one by one, those that come
// before the first one wait for it. Datagrams are told apart as by RFC 791 2.3 (addresses,
// protocol, identification) and RFC 8200 4.5 (addresses, identification).
//
// Fixed memory: a datagram has a second to be complete; where it would not find a place it takes
// that of the oldest one nearby, so that a flood of first fragments costs the others little: theirs
// follow each other closely. Of a datagram whose fragments overlap (RFC 5722), leave a header cut
// in two or reach behind its end, none passes any more.
//
// Threads: one worker, nobody else. The bytes of those that wait are the caller's, by slot.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/flow/key.hh"
#include "lib/flow/tick.hh"

namespace weir {

// What only the first fragment says; host byte order.
struct FragmentPorts {
    std::uint16_t source = 0, destination = 0;
    std::uint8_t protocol = 0;  // behind all extension headers
    friend bool operator==(const FragmentPorts&, const FragmentPorts&) = default;
};

struct Fragment {
    // Addresses; `rest`: identification, and for IPv4 the protocol from bit 32 on; family from 40.
    FlowWords datagram;
    // Bytes of the datagram's payload in it: [begin, end).
    std::uint32_t begin = 0, end = 0;
    bool last = false;                     // no more fragments
    const FragmentPorts* ports = nullptr;  // of a first fragment with a whole transport header
    // Where it ends at most: the length field of the whole datagram counts headers, too.
    std::uint32_t limit = 65'535;
};

class FragmentTable {
public:
    static constexpr std::uint32_t timeout = 1000;  // ms, from the first fragment seen
    static constexpr std::size_t datagrams = 2048;
    // Fragments that wait for their first one, of all datagrams together. A slot is a byte.
    static constexpr std::size_t slots = 255;

    explicit FragmentTable(const HashSecret& secret) noexcept;

    enum class What : std::uint8_t {
        pass,  // by `ports`
        wait,  // in `slot`, until released() names it
        bad,   // it or its datagram is broken: frag_bad
        full,  // no room to wait: frag_table_full
    };
    struct Answer {
        What what = What::bad;
        std::uint8_t slot = 0;
        FragmentPorts ports;
    };
    // Cost: a random line of 32 KiB, one or two of 256 KiB, and few branches that depend on who
    // came before.
    [[nodiscard]] Answer admit(const Fragment& fragment, Tick now) noexcept;

    // One that waited and does no longer.
    struct Released {
        std::uint8_t slot = 0;
        What what =
            What::bad;        // pass, bad, full (its datagram had to make room), or wait: too long
        FragmentPorts ports;  // of `pass`
    };
    // All since the last call, in the order of their coming for each datagram; their slots are free
    // again. Valid until the next call of anything.
    [[nodiscard]] std::span<const Released> released() noexcept;
    [[nodiscard]] bool has_released() const noexcept { return released_count_ != 0; }

    // Housekeeping: looks at `count` datagrams, and lets go of what waited too long.
    void sweep(std::uint32_t count, Tick now) noexcept;

    [[nodiscard]] std::size_t waiting() const noexcept { return slots - free_count_; }

private:
    static constexpr std::size_t ways = 4, buckets = datagrams / ways, max_ranges = 16;
    static constexpr std::uint8_t no_slot = 255;
    static constexpr std::uint32_t no_end = 0xffffffff;

    // In bytes of the payload. What lies side by side is one range.
    struct Range {
        std::uint16_t begin = 0, end = 0;
    };
    struct alignas(64) Datagram {
        FlowWords key{};
        std::uint32_t end = no_end;  // of the payload, once the last fragment was seen
        FragmentPorts ports;
        bool broken = false, has_ports = false;
        std::uint8_t ranges = 0;
        std::array<Range, max_ranges> range{};  // the first ones in the first line
    };
    static_assert(sizeof(Datagram) == 128);
    // What tells the datagrams of a bucket apart, and whether one may make room, side by side.
    struct alignas(64) Bucket {
        std::array<std::uint32_t, ways> tag{};    // of the key's hash, not 0; 0: the place is free
        std::array<std::uint32_t, ways> order{};  // a count of datagrams: which is older
        std::array<Tick, ways> deadline{};
        std::array<std::uint8_t, ways> first_waiting{};  // no_slot: nobody
        std::array<std::uint8_t, ways> last_waiting{};   // when somebody does
    };
    // What one look at a bucket says, a bit for each way.
    struct Look {
        std::uint32_t same_tag = 0, late = 0;
        std::size_t oldest = 0;  // the way that is free or has the oldest datagram
    };

    enum class Added : std::uint8_t { fits, repeats, overlaps, too_many };
    // Places: of a datagram in datagrams_, and of its way in its bucket.
    [[nodiscard]] std::size_t find(const FlowWords& key, Tick now) noexcept;
    [[nodiscard]] Look look(const Bucket& bucket, std::uint32_t tag, Tick now) const noexcept;
    void begin(std::size_t place, std::uint32_t tag, const FlowWords& key, Tick now) noexcept;
    void end_late(std::size_t place, Tick now) noexcept;
    [[nodiscard]] std::uint32_t& tag_of(std::size_t place) noexcept {
        return buckets_[place / ways].tag[place % ways];
    }
    [[nodiscard]] std::uint8_t& first_waiting(std::size_t place) noexcept {
        return buckets_[place / ways].first_waiting[place % ways];
    }
    [[nodiscard]] std::uint8_t& last_waiting(std::size_t place) noexcept {
        return buckets_[place / ways].last_waiting[place % ways];
    }
    [[nodiscard]] static bool is_sound(const Datagram& datagram, const Fragment& fragment) noexcept;
    [[nodiscard]] static Added add(Datagram& datagram, Range range) noexcept;
    [[nodiscard]] Answer hold(std::size_t place) noexcept;
    [[nodiscard]] Answer spoil(std::size_t place) noexcept;
    void let_go(std::size_t place, What what) noexcept;
    void release(std::size_t place, What what) noexcept;

    HashSecret secret_;
    std::uint32_t sweep_next_ = 0, order_ = 0;
    std::size_t free_count_ = slots, released_count_ = 0;
    std::array<std::uint8_t, slots> free_{}, next_{};
    // A slot is in it once at most: it becomes free when it is read.
    std::array<Released, slots> released_{};
    std::array<Bucket, buckets> buckets_{};
    std::array<Datagram, datagrams> datagrams_{};  // a bucket's lie side by side
};

}  // namespace weir
