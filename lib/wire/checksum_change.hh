// SPDX-License-Identifier: BSD-3-Clause
// Checksums of a packet that is rewritten in place, updated by what changed alone (RFC 1624,
// equation 3; RFC 3022 4.1). A checksum that was wrong before is as wrong afterwards, so nothing
// broken on the way to us arrives as sound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "lib/wire/address.hh"
#include "lib/wire/checksum.hh"
#include "lib/wire/packet_headers.hh"

namespace weir {

// The sum of ~m + m' over what was replaced. Words are taken as the machine reads them: the sum of
// swapped words is the swapped sum (RFC 1071 2.B), and checksum fields are read and written in the
// same way.
class ChecksumChange {
public:
    // Replaces the `Word` at `at`, an even number of bytes behind the start of what is summed, by
    // the one at `with`; 4 bytes count as two words of 16 bits.
    template <typename Word>
    void replace(std::uint8_t* at, const void* with) noexcept {
        Word before, after;
        std::memcpy(&before, at, sizeof before);
        std::memcpy(&after, with, sizeof after);
        std::memcpy(at, &after, sizeof after);
        sum_ += static_cast<Word>(~before);
        sum_ += after;
    }
    void replace_address(std::uint8_t* at, const std::uint8_t* with, std::size_t size) noexcept {
        for (std::size_t i = 0; i < size; i += 4)
            replace<std::uint32_t>(at + i, with + i);
    }
    // `bytes`, an even number of them, are new at an even place.
    void add(std::span<const std::uint8_t> bytes) noexcept {
        for (std::size_t i = 0; i + 2 <= bytes.size(); i += 2) {
            std::uint16_t word;
            std::memcpy(&word, bytes.data() + i, sizeof word);
            sum_ += word;
        }
    }
    // `bytes`, any number of them, that began at an even place are gone; none is left behind them.
    void remove_tail(std::span<const std::uint8_t> bytes) noexcept {
        for (std::size_t i = 0; i < bytes.size(); i += 2) {
            std::uint16_t word = 0;
            std::memcpy(&word, bytes.data() + i, i + 2 <= bytes.size() ? 2 : 1);
            sum_ += static_cast<std::uint16_t>(~word);
        }
    }
    void operator+=(const ChecksumChange& other) noexcept { sum_ += other.sum_; }

    // What the checksum at `at` is after the change, and writes it.
    [[nodiscard]] std::uint16_t applied(const std::uint8_t* at) const noexcept {
        std::uint16_t checksum;
        std::memcpy(&checksum, at, sizeof checksum);
        std::uint64_t sum = sum_ + static_cast<std::uint16_t>(~checksum);
        sum = (sum & 0xffffffff) + (sum >> 32);
        sum = (sum & 0xffffffff) + (sum >> 32);
        const auto folded = static_cast<std::uint32_t>(sum);
        return checksum_finish((folded & 0xffff) + (folded >> 16));
    }
    void apply(std::uint8_t* at) const noexcept {
        const std::uint16_t checksum = applied(at);
        std::memcpy(at, &checksum, sizeof checksum);
    }
    // To the transport header, after its ports or the addresses of its pseudo header changed. A UDP
    // checksum of 0 over IPv4 says that there is none and stays (RFC 768); one that becomes 0 is
    // written as 0xffff. ICMP for IPv4 sums no addresses.
    void apply_to_transport(const PacketHeaders& headers) const noexcept;

private:
    std::uint64_t sum_ = 0;
};

}  // namespace weir
