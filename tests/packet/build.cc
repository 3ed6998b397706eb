// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/build.hh"

#include <algorithm>
#include <stdexcept>

#include <arpa/inet.h>

namespace weir::test {
namespace {

Bytes word(std::uint32_t value) {
    return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

Bytes long_word(std::uint32_t value) {
    return word(value >> 16) + word(value & 0xffff);
}

void put_word(Bytes& bytes, std::size_t at, std::uint16_t value) {
    bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
    bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}

}  // namespace

Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

Bytes bytes_of(const std::string& text) {
    return Bytes(text.begin(), text.end());
}
Bytes filled(std::size_t count, std::uint8_t value) {
    return Bytes(count, value);
}

Bytes cut(const Bytes& whole, std::size_t begin, std::size_t end) {
    return {whole.begin() + static_cast<std::ptrdiff_t>(begin),
            whole.begin() + static_cast<std::ptrdiff_t>(end)};
}

Bytes mac(const std::string& text) {
    Bytes bytes;
    for (std::size_t at = 0; at < text.size(); at += 3)
        bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(at, 2), nullptr, 16)));
    if (bytes.size() != 6) throw std::invalid_argument("MAC " + text);
    return bytes;
}

Bytes address(const std::string& text) {
    Bytes bytes(16);
    if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return bytes;
    bytes.resize(4);
    if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return bytes;
    throw std::invalid_argument("address " + text);
}

std::uint16_t internet_checksum(const Bytes& bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

Bytes operator/(const Ethernet& layer, const Bytes& payload) {
    Bytes frame = mac(layer.destination) + mac(layer.source);
    std::uint16_t type = layer.tag_type;
    for (const std::uint16_t tag : layer.tags) {
        frame = frame + word(type) + word(tag);
        type = 0x8100;
    }
    return frame + word(layer.type) + payload;
}

Bytes operator/(const Ip4& layer, const Bytes& payload) {
    const std::size_t header = 20 + layer.options.size();
    const auto ihl = layer.ihl.value_or(static_cast<std::uint8_t>(header / 4));
    const auto total =
        layer.total_length.value_or(static_cast<std::uint16_t>(header + payload.size()));
    Bytes bytes{static_cast<std::uint8_t>(layer.version << 4 | ihl), layer.tos};
    bytes = bytes + word(total) + word(layer.id) + word(layer.fragment) +
            Bytes{layer.ttl, layer.protocol, 0, 0} + address(layer.source) +
            address(layer.destination) + layer.options;
    put_word(bytes, 10, layer.checksum.value_or(internet_checksum(bytes)));
    return bytes + payload;
}

Bytes operator/(const Ip6& layer, const Bytes& payload) {
    const std::uint32_t first = std::uint32_t{layer.version} << 28 |
                                std::uint32_t{layer.traffic_class} << 20 | layer.flow_label;
    const auto length = layer.payload_length.value_or(static_cast<std::uint16_t>(payload.size()));
    return word(first >> 16) + word(first & 0xffff) + word(length) +
           Bytes{layer.next, layer.hop_limit} + address(layer.source) + address(layer.destination) +
           payload;
}

Bytes extension(std::uint8_t next, std::uint8_t extra, std::uint8_t type) {
    Bytes bytes{next, extra, type, 4};  // option PadN of 4 bytes, or the routing type
    bytes.resize(8 + std::size_t{8} * extra);
    return bytes;
}

Bytes fragment_header(std::uint8_t next, std::uint16_t offset, bool more, std::uint32_t id) {
    const std::uint32_t field = std::uint32_t{offset} << 3 | (more ? 1U : 0U);
    return Bytes{next, 0} + word(field) + word(id >> 16) + word(id & 0xffff);
}

Bytes operator/(const Tcp& layer, const Bytes& payload) {
    const std::size_t given = layer.options.size();
    const std::size_t words = layer.data_offset != 5 ? layer.data_offset : 5 + given / 4;
    const std::size_t more = words > 5 ? (words - 5) * 4 - given : 0;
    return word(layer.source) + word(layer.destination) + long_word(layer.sequence) +
           long_word(layer.acknowledgment) +
           Bytes{static_cast<std::uint8_t>(words << 4), layer.flags} + word(0x2000) +
           word(layer.checksum) + word(layer.urgent) + layer.options + filled(more, 1) + payload;
}

Bytes operator/(const Udp& layer, const Bytes& payload) {
    const auto length = layer.length.value_or(static_cast<std::uint16_t>(8 + payload.size()));
    return word(layer.source) + word(layer.destination) + word(length) + word(layer.checksum) +
           payload;
}

Bytes summed(const std::string& source, const std::string& destination, std::uint8_t protocol,
             Bytes transport) {
    const std::size_t at = protocol == 17 ? 6 : 16;
    put_word(transport, at, 0);
    const Bytes pseudo = address(source) + address(destination) + word(0) +
                         word(static_cast<std::uint32_t>(transport.size())) + word(protocol);
    const std::uint16_t checksum = internet_checksum(pseudo + transport);
    put_word(transport, at, protocol == 17 && checksum == 0 ? 0xffff : checksum);
    return transport;
}

Bytes gre(std::uint16_t protocol_type) {
    return word(0) + word(protocol_type);
}

Bytes gue_header(std::uint8_t protocol) {
    return {0, protocol, 0, 0};
}

Bytes icmp(std::uint8_t type, std::uint8_t code, const Bytes& rest) {
    return Bytes{type, code, 0xbe, 0xef} + rest;
}

Bytes sound_icmp(std::uint8_t type, std::uint8_t code, std::uint32_t value, const Bytes& payload) {
    Bytes bytes = Bytes{type, code, 0, 0} + word(value >> 16) + word(value & 0xffff) + payload;
    put_word(bytes, 2, internet_checksum(bytes));
    return bytes;
}

Bytes sound_icmp6(const Ip6& ip, std::uint8_t type, std::uint8_t code, std::uint32_t value,
                  const Bytes& payload) {
    Bytes bytes = Bytes{type, code, 0, 0} + word(value >> 16) + word(value & 0xffff) + payload;
    const Bytes pseudo = address(ip.source) + address(ip.destination) +
                         word(static_cast<std::uint32_t>(bytes.size()) >> 16) +
                         word(static_cast<std::uint32_t>(bytes.size()) & 0xffff) + word(0) +
                         word(58);
    put_word(bytes, 2, internet_checksum(pseudo + bytes));
    return bytes;
}

Bytes told_by4(const std::string& vip, std::uint8_t type, std::uint8_t code, std::uint32_t word,
               const Bytes& ip, const std::string& to) {
    return Ip4{.source = vip, .destination = to, .protocol = 1, .tos = 0xc0, .id = 0} /
           sound_icmp(type, code, word, cut(ip, 0, std::min<std::size_t>(ip.size(), 576 - 28)));
}

Bytes told_by6(const std::string& vip, std::uint8_t type, std::uint32_t word, const Bytes& ip,
               const std::string& to) {
    const Ip6 header{.source = vip, .destination = to, .next = 58};
    const Bytes quoted = cut(ip, 0, std::min<std::size_t>(ip.size(), 1280 - 48));
    return header / sound_icmp6(header, type, 0, word, quoted);
}

}  // namespace weir::test
