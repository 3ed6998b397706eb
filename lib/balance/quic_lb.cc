// SPDX-License-Identifier: BSD-3-Clause
#include "lib/balance/quic_lb.hh"

#include <algorithm>
#include <bit>
#include <cstring>

namespace weir {
namespace {

constexpr unsigned config_shift = 5;  // of the first octet

// Section 5.4.2: the two halves of server ID and nonce. Of an odd number of bytes each half has
// four bits of the middle one: the left half the upper ones, the right half the lower ones, and
// zeros in place of the others.
class Halves {
public:
    explicit Halves(std::span<const std::uint8_t> both) noexcept
        : length_(static_cast<std::uint8_t>(both.size())), half_((both.size() + 1) / 2) {
        std::ranges::copy(both.first(half_), left_.begin());
        std::ranges::copy(both.last(half_), right_.begin());
        clear();
    }

    // One round of the Feistel network: the half that `pass` (1 .. 4) leaves alone turns the other.
    // Each undoes itself.
    void turn(const Aes128& key, std::uint8_t pass) noexcept {
        const bool by_left = pass % 2 != 0;
        Aes128::Block input = by_left ? left_ : right_;
        input[14] = length_;
        input[15] = pass;
        const Aes128::Block mask = key.encrypt(input);
        Aes128::Block& turned = by_left ? right_ : left_;
        for (std::size_t i = 0; i < half_; ++i)
            turned[i] ^= mask[i];
        clear();
    }

    // Byte `i` of both together.
    [[nodiscard]] std::uint8_t operator[](std::size_t i) const noexcept {
        const std::size_t right_at = length_ - half_;
        const std::uint8_t left = i < half_ ? left_[i] : std::uint8_t{0};
        const std::uint8_t right = i >= right_at ? right_[i - right_at] : std::uint8_t{0};
        return left | right;
    }

private:
    void clear() noexcept {
        if (length_ % 2 == 0) return;
        left_[half_ - 1] &= 0xf0;
        right_[0] &= 0x0f;
    }

    Aes128::Block left_{}, right_{};  // half_ bytes, then zeros
    std::uint8_t length_;
    std::size_t half_;
};

std::uint64_t mixed(std::uint64_t low, std::uint64_t high) noexcept {
    const std::uint64_t word = low * 0x9e3779b97f4a7c15 ^ std::rotl(high, 32);
    return (word ^ word >> 32) * 0xd6e8feb86659fd93;
}

}  // namespace

QuicServerId decode_server_id(const QuicLbConfig& config, const Aes128* key,
                              std::span<const std::uint8_t> cid) noexcept {
    const std::size_t wanted = config.server_id_length;
    const auto both = cid.subspan(1, wanted + config.nonce_length);
    QuicServerId id{};
    if (key == nullptr) {
        std::ranges::copy(both.first(wanted), id.begin());
    } else if (both.size() == id.size()) {
        std::ranges::copy(both, id.begin());
        id = key->decrypt(id);
        std::fill(id.begin() + static_cast<std::ptrdiff_t>(wanted), id.end(), std::uint8_t{0});
    } else {
        Halves halves(both);
        for (const std::uint8_t pass : {std::uint8_t{4}, std::uint8_t{3}, std::uint8_t{2}})
            halves.turn(*key, pass);
        // The rest is nonce unless the server ID reaches into the right half.
        if (wanted > both.size() / 2) halves.turn(*key, 1);
        for (std::size_t i = 0; i < wanted; ++i)
            id[i] = halves[i];
    }
    return id;
}

QuicLb::QuicLb(std::span<const QuicLbConfig> configs, std::span<const Server> servers)
    : slots_(std::bit_ceil(2 * servers.size() + 2)) {
    for (const QuicLbConfig& config : configs) {
        std::optional<Config>& mine = configs_.at(config.id);
        if (mine) continue;
        mine.emplace(Config{config, std::nullopt});
        if (config.key) mine->key.emplace(*config.key);
    }
    for (const Server& server : servers) {
        Slot slot;
        std::memcpy(&slot.low, server.id.data(), 8);
        std::memcpy(&slot.high, server.id.data() + 8, 8);
        slot.seat = server.seat;
        Slot& place = slots_[place_of(slot)];
        if (place.seat == no_seat) place = slot;
    }
}

// Where `wanted` is, or the empty slot where it would be.
std::size_t QuicLb::place_of(const Slot& wanted) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = mixed(wanted.low, wanted.high) & mask;; i = (i + 1) & mask) {
        const Slot& slot = slots_[i];
        if (slot.seat == no_seat || (slot.low == wanted.low && slot.high == wanted.high)) return i;
    }
}

Seat QuicLb::find(std::span<const std::uint8_t> cid) const noexcept {
    if (cid.empty()) return no_seat;
    const unsigned id = cid[0] >> config_shift;
    if (id >= quic_config_ids || !configs_[id]) return no_seat;
    const Config& mine = *configs_[id];
    const std::size_t needed =
        std::size_t{1} + mine.config.server_id_length + mine.config.nonce_length;
    if (cid.size() < needed) return no_seat;
    const QuicServerId server = decode_server_id(mine.config, mine.key ? &*mine.key : nullptr, cid);
    Slot wanted;
    std::memcpy(&wanted.low, server.data(), 8);
    std::memcpy(&wanted.high, server.data() + 8, 8);
    return slots_[place_of(wanted)].seat;
}

bool operator==(const QuicLb& a, const QuicLb& b) noexcept {
    const auto same = [](const auto& one, const auto& other) {
        return one.has_value() == other.has_value() && (!one || one->config == other->config);
    };
    return std::ranges::equal(a.configs_, b.configs_, same) && a.slots_ == b.slots_;
}

}  // namespace weir
