// SPDX-License-Identifier: BSD-3-Clause
// Any UDP payload through quic_destination() and QuicLb, and connection IDs as servers make them.
//
// Input: a byte with the length of server IDs (bits 0-3) and a configuration's number (bits 5-7), a
// byte with the length of nonces (bits 0-4; bit 7: there is a key), 16 bytes of key, then the
// payload.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/balance/quic_lb.hh"
#include "lib/wire/quic.hh"
#include "tests/fuzz/input.hh"
#include "tests/fuzz/require.hh"
#include "tests/unit/balance/quic_cid.hh"

namespace weir::fuzz {

namespace {

constexpr Seat last_seat = 4;

// In a buffer of exactly the size, so that AddressSanitizer sees an overread.
struct Exact {
    explicit Exact(std::span<const std::uint8_t> from)
        : bytes(new std::uint8_t[from.size()]), view(bytes.get(), from.size()) {
        std::ranges::copy(from, bytes.get());
    }
    std::unique_ptr<std::uint8_t[]> bytes;
    std::span<const std::uint8_t> view;
};

QuicLbConfig read_config(Input& input) {
    const std::uint8_t first = input.byte(), second = input.byte();
    QuicLbConfig config;
    config.id = static_cast<std::uint8_t>((first >> 5) % quic_config_ids);
    config.server_id_length = static_cast<std::uint8_t>(1 + (first & 15) % quic_longest_server_id);
    const unsigned most =
        std::min<unsigned>(quic_longest_nonce, quic_longest_both - config.server_id_length);
    config.nonce_length = static_cast<std::uint8_t>(
        quic_shortest_nonce + (second & 31) % (most - quic_shortest_nonce + 1));
    Aes128::Key key{};
    std::ranges::copy(input.take(key.size()), key.begin());
    if ((second & 0x80) != 0) config.key = key;
    return config;
}

// RFC 8999 section 5 by other means.
void check_destination(std::span<const std::uint8_t> payload,
                       std::span<const std::uint8_t> destination) {
    std::size_t at = 1,
                length = payload.empty() ? 0 : std::min<std::size_t>(payload.size() - 1, 20);
    if (!payload.empty() && payload[0] >= 0x80) {
        at = 6;
        length = payload.size() > 5 ? payload[5] : 0;
        if (at + length > payload.size()) length = 0;
    }
    require(destination.size() == length, "the connection ID is as long as the header says");
    if (length != 0) require(destination.data() == payload.data() + at, "and lies where it says");
}

// The seat by decoding and a look at each server.
Seat find_slowly(const QuicLbConfig& config, std::span<const QuicLb::Server> servers,
                 std::span<const std::uint8_t> cid) {
    const std::size_t needed = 1u + config.server_id_length + config.nonce_length;
    if (cid.size() < needed || cid[0] >> 5 != config.id) return no_seat;
    const Exact enough(cid.first(needed));
    std::optional<Aes128> key;
    if (config.key) key.emplace(*config.key);
    const QuicServerId id = decode_server_id(config, key ? &*key : nullptr, enough.view);
    const auto found = std::ranges::find(servers, id, &QuicLb::Server::id);
    return found != servers.end() ? found->seat : no_seat;
}

void check(Input input) {
    const QuicLbConfig config = read_config(input);
    const auto payload = input.take(input.size());
    // Servers have the IDs that the payload begins with, and some that lie beside each other.
    std::vector<QuicLb::Server> servers;
    for (Seat seat = 0; seat <= last_seat; ++seat) {
        QuicServerId id{};
        const std::size_t there = std::min<std::size_t>(payload.size(), config.server_id_length);
        std::ranges::copy(payload.first(there), id.begin());
        id[0] = static_cast<std::uint8_t>(id[0] + seat);
        servers.push_back({id, seat});
    }
    const QuicLb balancer({&config, 1}, servers);

    const Exact exact(payload);
    const auto destination = quic_destination(exact.view);
    check_destination(exact.view, destination);
    const Exact cid(destination);
    require(balancer.find(cid.view) == find_slowly(config, servers, cid.view),
            "the table finds what decoding and a search find");

    CidBytes nonce(payload.begin(), payload.end());
    nonce.resize(config.nonce_length);
    for (const QuicLb::Server& server : servers) {
        const CidBytes id(server.id.begin(), server.id.begin() + config.server_id_length);
        const CidBytes made = make_cid(config, id, nonce);
        const Exact issued(made);
        require(balancer.find(issued.view) == server.seat, "a server's connection ID leads to it");
        CidBytes packet{0x40};
        packet.insert(packet.end(), made.begin(), made.end());
        const Exact whole(packet);
        require(balancer.find(quic_destination(whole.view)) == server.seat,
                "and so does a packet to it");
    }
}

}  // namespace

}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    weir::fuzz::check(weir::fuzz::Input({data, size}));
    return 0;
}
