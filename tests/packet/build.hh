// SPDX-License-Identifier: BSD-3-Clause
// Frames for tests, built layer by layer from values. Shares no code with lib/: what a test expects
// must not come from what it tests. Every field can be made wrong on purpose.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir::test {

using Bytes = std::vector<std::uint8_t>;

Bytes operator+(Bytes left, const Bytes& right);
Bytes bytes_of(const std::string& text);
Bytes filled(std::size_t count, std::uint8_t value = 0xa5);
Bytes cut(const Bytes& whole, std::size_t begin, std::size_t end);  // [begin, end)
Bytes mac(const std::string& text);                                 // "02:00:00:00:00:01"
Bytes address(const std::string& text);                             // 4 or 16 bytes
// RFC 1071, inverted, ready for the field.
std::uint16_t internet_checksum(const Bytes& bytes);

struct Ethernet {
    std::string destination, source;
    std::uint16_t type = 0x0800;
    std::vector<std::uint16_t> tags;  // TCI values, outermost first
    std::uint16_t tag_type = 0x8100;  // EtherType of the outermost tag
};
Bytes operator/(const Ethernet& layer, const Bytes& payload);

struct Ip4 {
    std::string source = "198.18.0.7", destination;
    std::uint8_t protocol = 6, ttl = 64, tos = 0;
    std::uint16_t id = 0x1234;
    std::uint16_t fragment = 0x4000;  // DF; 0x2000 is MF, the low 13 bits the offset / 8
    Bytes options;                    // a multiple of 4 bytes
    std::uint8_t version = 4;
    std::optional<std::uint8_t> ihl;  // words
    std::optional<std::uint16_t> total_length, checksum;
};
Bytes operator/(const Ip4& layer, const Bytes& payload);

struct Ip6 {
    std::string source = "2001:db8:7::7", destination;
    std::uint8_t next = 6, hop_limit = 64, traffic_class = 0;
    std::uint32_t flow_label = 0;
    std::uint8_t version = 6;
    std::optional<std::uint16_t> payload_length;
};
Bytes operator/(const Ip6& layer, const Bytes& payload);

// An extension header of 8 + 8 * extra bytes (hop-by-hop, routing, destination options).
Bytes extension(std::uint8_t next, std::uint8_t extra = 0, std::uint8_t type = 1);
// RFC 8200 4.5; offset in units of 8 bytes.
Bytes fragment_header(std::uint8_t next, std::uint16_t offset, bool more, std::uint32_t id = 1);

struct Tcp {
    std::uint16_t source = 40000, destination = 80;
    std::uint8_t flags = 0x10;
    std::uint8_t data_offset = 5;     // words; those that `options` leave are no-operations
    std::uint16_t checksum = 0xbeef;  // never verified when forwarding
    std::uint32_t sequence = 0x11111111, acknowledgment = 0x11111111;
    std::uint16_t urgent = 0;
    Bytes options;  // a multiple of 4 bytes, counted in data_offset where that is 5
};
Bytes operator/(const Tcp& layer, const Bytes& payload);

struct Udp {
    std::uint16_t source = 40000, destination = 53;
    std::optional<std::uint16_t> length;
    std::uint16_t checksum = 0xbeef;
};
Bytes operator/(const Udp& layer, const Bytes& payload);

// `transport` (TCP or UDP) with the checksum that RFC 9293 and RFC 768 want between these
// addresses; UDP: 0xffff for 0.
Bytes summed(const std::string& source, const std::string& destination, std::uint8_t protocol,
             Bytes transport);

// RFC 2784 without options.
Bytes gre(std::uint16_t protocol_type);
// The header of GUE variant 0 without options.
Bytes gue_header(std::uint8_t protocol);

Bytes icmp(std::uint8_t type, std::uint8_t code, const Bytes& rest);

// With the right checksum, of ICMP and of ICMPv6 between these addresses. `word`: the four bytes
// behind it.
Bytes sound_icmp(std::uint8_t type, std::uint8_t code, std::uint32_t word, const Bytes& payload);
Bytes sound_icmp6(const Ip6& ip, std::uint8_t type, std::uint8_t code, std::uint32_t word,
                  const Bytes& payload);
// The IP packet in which a VIP tells the sender of `ip`, who is `to` (RFC 1812 4.3.2.3: at most 576
// bytes; RFC 4443 2.4 c: 1280).
Bytes told_by4(const std::string& vip, std::uint8_t type, std::uint8_t code, std::uint32_t word,
               const Bytes& ip, const std::string& to = Ip4{}.source);
Bytes told_by6(const std::string& vip, std::uint8_t type, std::uint32_t word, const Bytes& ip,
               const std::string& to = Ip6{}.source);

}  // namespace weir::test
