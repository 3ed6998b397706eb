// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/address.hh"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace weir {

namespace {

int socket_family(Family family) noexcept {
    return family == Family::v4 ? AF_INET : AF_INET6;
}

// Decimal without sign, space or leading zero.
std::optional<unsigned> parse_number(std::string_view text, unsigned max) {
    if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > max)
        return std::nullopt;
    return value;
}

std::optional<std::uint8_t> hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
    return std::nullopt;
}

}  // namespace

bool IpPrefix::contains(const IpAddress& other) const noexcept {
    if (other.family != address.family) return false;
    const unsigned bits = std::min<unsigned>(length, address.bits());
    const unsigned whole = bits / 8;
    if (std::memcmp(address.bytes.data(), other.bytes.data(), whole) != 0) return false;
    const unsigned rest = bits % 8;
    if (rest == 0) return true;
    return ((address.bytes[whole] ^ other.bytes[whole]) >> (8 - rest)) == 0;
}

std::optional<IpAddress> parse_ip(std::string_view text) {
    // inet_pton wants a terminated string; a NUL inside would end it early and hide the rest.
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos)
        return std::nullopt;
    std::ranges::copy(text, terminated.begin());
    for (const Family family : {Family::v4, Family::v6}) {
        IpAddress address{{}, family};
        if (inet_pton(socket_family(family), terminated.data(), address.bytes.data()) == 1)
            return address;
    }
    return std::nullopt;
}

std::optional<IpPrefix> parse_prefix(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto address = parse_ip(text.substr(0, slash));
    if (!address) return std::nullopt;
    if (slash == std::string_view::npos)
        return IpPrefix{*address, static_cast<std::uint8_t>(address->bits())};
    const auto length = parse_number(text.substr(slash + 1), address->bits());
    if (!length) return std::nullopt;
    return IpPrefix{*address, static_cast<std::uint8_t>(*length)};
}

std::optional<MacAddress> parse_mac(std::string_view text) {
    if (text.size() != 17) return std::nullopt;
    MacAddress mac;
    for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
        const auto high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
        if (!high || !low || (i < 5 && text[3 * i + 2] != ':')) return std::nullopt;
        mac.bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
    }
    return mac;
}

std::string to_string(const IpAddress& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(socket_family(address.family), address.bytes.data(), text.data(), text.size());
    return text.data();
}

std::string to_string(const IpPrefix& prefix) {
    return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

std::string to_string(const MacAddress& mac) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(17);
    for (const std::uint8_t byte : mac.bytes) {
        if (!text.empty()) text += ':';
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

bool is_multicast(const IpAddress& address) noexcept {
    return address.family == Family::v4 ? (address.bytes[0] & 0xf0) == 0xe0
                                        : address.bytes[0] == 0xff;
}

bool is_loopback(const IpAddress& address) noexcept {
    if (address.family == Family::v4) return address.bytes[0] == 127;
    IpAddress one{{}, Family::v6};
    one.bytes[15] = 1;
    return address == one;
}

bool is_unspecified(const IpAddress& address) noexcept {
    return address == IpAddress{{}, address.family};
}

}  // namespace weir

std::size_t std::hash<weir::IpAddress>::operator()(const weir::IpAddress& address) const noexcept {
    std::uint64_t words[2];
    std::memcpy(words, address.bytes.data(), sizeof words);
    // Two rounds of multiply and shift: enough for tables of the control plane, which nobody
    // outside can fill with keys of his choice.
    std::uint64_t mixed = (words[0] ^ static_cast<unsigned>(address.family)) * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 32) ^ words[1]) * 0xd6e8feb86659fd93u;
    return static_cast<std::size_t>(mixed ^ (mixed >> 32));
}
