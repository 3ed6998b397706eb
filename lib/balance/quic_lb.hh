// SPDX-License-Identifier: BSD-3-Clause
// QUIC-LB: which server made the connection ID that a QUIC packet goes to.
//
// Source: draft-ietf-quic-load-balancers-21, "QUIC-LB: Generating Routable QUIC Connection IDs".
// A server writes its ID and a nonce behind the first octet of each connection ID that it issues,
// encrypted where there is a key; so its packets find it wherever their client moved. The upper
// three bits of the first octet say by which configuration (section 3.1); the other five are the
// server's (3.3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/balance/aes128.hh"
#include "lib/balance/ids.hh"

namespace weir {

// Bounds of section 5.3. A connection ID of QUIC version 1 has 20 bytes, one of them the first
// octet.
inline constexpr std::uint8_t quic_config_ids = 7;  // 0 .. 6; 7 means unroutable
inline constexpr std::uint8_t quic_longest_server_id = 15, quic_shortest_nonce = 4,
                              quic_longest_nonce = 18, quic_longest_both = 19;

// How servers make connection IDs: what they and the balancer agree on.
struct QuicLbConfig {
    std::uint8_t id = 0;                // 0 .. 6
    std::uint8_t server_id_length = 0;  // bytes, 1 .. 15
    std::uint8_t nonce_length = 0;      // bytes, 4 .. 18; with the server ID at most 19
    std::optional<Aes128::Key> key;     // none: the server ID is there for all to read
    bool operator==(const QuicLbConfig&) const = default;
};

// A server ID, with zeros behind it. All those of a service are of one length.
using QuicServerId = std::array<std::uint8_t, 16>;

// The server ID in `cid`, a connection ID or longer, by a configuration with its key. Precondition:
// cid.size() > server_id_length + nonce_length. Without key nothing is computed; else one AES block
// where both lengths sum to 16, three or four otherwise (section 5.5).
[[nodiscard]] QuicServerId decode_server_id(const QuicLbConfig& config, const Aes128* key,
                                            std::span<const std::uint8_t> cid) noexcept;

// The servers of one service. Immutable; any thread may look up.
class QuicLb {
public:
    struct Server {
        QuicServerId id;
        Seat seat;
    };
    // Configurations with distinct ids, within the bounds above and of one server_id_length;
    // servers with distinct ids. Of equal ones the first counts. Allocates; cold.
    QuicLb(std::span<const QuicLbConfig> configs, std::span<const Server> servers);

    // Who made the connection ID, by quic_destination()'s answer; no_seat: it is unroutable
    // (section 4.1), as it has no known configuration, is too short, or names no server. Any bytes
    // will do, and what a client made up names a server by chance alone. Cost: decode_server_id(),
    // and a line of memory or two.
    [[nodiscard]] Seat find(std::span<const std::uint8_t> cid) const noexcept;

    // Made of the same.
    friend bool operator==(const QuicLb& a, const QuicLb& b) noexcept;

private:
    struct Config {
        QuicLbConfig config;
        std::optional<Aes128> key;
    };
    struct Slot {
        std::uint64_t low = 0, high = 0;  // of the server ID, as the machine reads its bytes
        Seat seat = no_seat;              // no_seat: empty
        bool operator==(const Slot&) const = default;
    };
    [[nodiscard]] std::size_t place_of(const Slot& wanted) const noexcept;

    std::array<std::optional<Config>, quic_config_ids> configs_;  // by id
    std::vector<Slot> slots_;  // a power of two, at most half full, linear probing
};

}  // namespace weir
