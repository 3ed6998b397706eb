// SPDX-License-Identifier: BSD-3-Clause
// Frames for tests, built layer by layer. Every length and checksum is right unless a test then
// spoils it on purpose.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/wire/address.hh"
#include "lib/wire/checksum.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"

namespace weir::test {

using Bytes = std::vector<std::uint8_t>;

inline void append(Bytes& to, const Bytes& what) {
    to.insert(to.end(), what.begin(), what.end());
}
inline void append16(Bytes& to, unsigned value) {
    to.push_back(static_cast<std::uint8_t>(value >> 8));
    to.push_back(static_cast<std::uint8_t>(value));
}
inline void put16(Bytes& in, std::size_t at, unsigned value) {
    in[at] = static_cast<std::uint8_t>(value >> 8);
    in[at + 1] = static_cast<std::uint8_t>(value);
}
inline IpAddress ip(const char* text) {
    return *parse_ip(text);
}

inline Bytes tcp(unsigned source_port, unsigned destination_port, std::uint8_t flags = tcp_ack,
                 std::size_t payload = 0) {
    Bytes bytes;
    append16(bytes, source_port);
    append16(bytes, destination_port);
    append(bytes, {0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0x12, 0x34, 0, 0});
    bytes.resize(bytes.size() + payload, 0xaa);
    return bytes;
}

inline Bytes udp(unsigned source_port, unsigned destination_port, std::size_t payload = 4,
                 unsigned checksum = 0x1234) {
    Bytes bytes;
    append16(bytes, source_port);
    append16(bytes, destination_port);
    append16(bytes, static_cast<unsigned>(8 + payload));
    append16(bytes, checksum);
    bytes.resize(bytes.size() + payload, 0xbb);
    return bytes;
}

struct Ipv4Fields {
    IpAddress source = ip("10.1.2.3"), destination = ip("192.0.2.10");
    std::uint8_t tos = 0, ttl = 61, protocol = proto_tcp;
    std::uint16_t fragment = 0x4000;  // DF
    Bytes options{};                  // padded to four bytes
};

// Writes the right checksum into the IPv4 header at `at`.
inline void fix_ipv4_checksum(Bytes& frame, std::size_t at) {
    const std::size_t length = (frame[at] & 15u) * 4;
    put16(frame, at + 10, 0);
    put16(frame, at + 10, checksum_finish(checksum_sum({frame.data() + at, length})));
}

inline Bytes ipv4(Ipv4Fields fields, const Bytes& payload) {
    while (fields.options.size() % 4 != 0)
        fields.options.push_back(0);
    const std::size_t header = 20 + fields.options.size();
    Bytes bytes{static_cast<std::uint8_t>(0x40 | header / 4), fields.tos};
    append16(bytes, static_cast<unsigned>(header + payload.size()));
    append16(bytes, 0x7777);
    append16(bytes, fields.fragment);
    append(bytes, {fields.ttl, fields.protocol, 0, 0});
    bytes.insert(bytes.end(), fields.source.bytes.begin(), fields.source.bytes.begin() + 4);
    bytes.insert(bytes.end(), fields.destination.bytes.begin(),
                 fields.destination.bytes.begin() + 4);
    append(bytes, fields.options);
    fix_ipv4_checksum(bytes, 0);
    append(bytes, payload);
    return bytes;
}

struct Ipv6Fields {
    IpAddress source = ip("2001:db8::1"), destination = ip("2001:db8:f::80");
    std::uint8_t traffic_class = 0, hop_limit = 61, next_header = proto_tcp;
};

// `payload` begins with the extension headers, if any.
inline Bytes ipv6(const Ipv6Fields& fields, const Bytes& payload) {
    Bytes bytes{static_cast<std::uint8_t>(0x60 | fields.traffic_class >> 4),
                static_cast<std::uint8_t>(fields.traffic_class << 4 | 5), 0x12, 0x34};
    append16(bytes, static_cast<unsigned>(payload.size()));
    append(bytes, {fields.next_header, fields.hop_limit});
    bytes.insert(bytes.end(), fields.source.bytes.begin(), fields.source.bytes.end());
    bytes.insert(bytes.end(), fields.destination.bytes.begin(), fields.destination.bytes.end());
    append(bytes, payload);
    return bytes;
}

// An extension header of `units` * 8 bytes in front of `rest`, which `next` names.
inline Bytes extension(std::uint8_t next, unsigned units, const Bytes& rest) {
    Bytes bytes{next, static_cast<std::uint8_t>(units - 1), 4, 0};
    bytes.resize(std::size_t{units} * 8, 0);
    append(bytes, rest);
    return bytes;
}

// `tags`: EtherType of the tag and its control information, outermost first.
struct Tag {
    std::uint16_t type = ether_type_vlan, control = 0;
};
inline Bytes ethernet(std::uint16_t ether_type, const Bytes& payload,
                      const std::vector<Tag>& tags = {}) {
    Bytes bytes{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    for (const Tag& tag : tags) {
        append16(bytes, tag.type);
        append16(bytes, tag.control);
    }
    append16(bytes, ether_type);
    append(bytes, payload);
    return bytes;
}

// Parses a copy in a heap buffer of exactly its size, so that AddressSanitizer sees an overread.
inline Parsed parse_exact(std::span<const std::uint8_t> bytes, const ParseOptions& options = {},
                          std::size_t frame_length = 0) {
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), copy.get());
    const std::size_t length = frame_length != 0 ? frame_length : bytes.size();
    return parse({copy.get(), bytes.size()}, static_cast<std::uint32_t>(length), options);
}

}  // namespace weir::test
