// SPDX-License-Identifier: BSD-3-Clause
// Addresses as values: MAC, IPv4 or IPv6, prefix. Bytes are in network order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

enum class Family : std::uint8_t { v4 = 4, v6 = 6 };

struct MacAddress {
    std::array<std::uint8_t, 6> bytes{};
    auto operator<=>(const MacAddress&) const = default;
};

// An IPv4 address fills bytes[0..3], the rest is zero; so equality is plain equality of members.
struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};
    Family family = Family::v4;
    auto operator<=>(const IpAddress&) const = default;

    [[nodiscard]] unsigned bits() const noexcept { return family == Family::v4 ? 32 : 128; }
    [[nodiscard]] unsigned size() const noexcept { return family == Family::v4 ? 4 : 16; }
};

// An address with a prefix length, as an interface carries it ("10.0.0.5/24"): host bits are kept.
struct IpPrefix {
    IpAddress address;
    std::uint8_t length = 0;  // 0..address.bits()
    auto operator<=>(const IpPrefix&) const = default;

    // True when `other` is of the same family and shares the first `length` bits.
    [[nodiscard]] bool contains(const IpAddress& other) const noexcept;
};

// Text to value and back. Parsing takes exactly the usual numeric forms (inet_pton; no names, no
// scope, no leading or trailing space) and answers nullopt for anything else. Cold; may allocate.
std::optional<IpAddress> parse_ip(std::string_view text);
std::optional<IpPrefix> parse_prefix(std::string_view text);  // a bare address is a /32 or /128
std::optional<MacAddress> parse_mac(std::string_view text);   // "02:00:00:00:00:01"
std::string to_string(const IpAddress& address);
std::string to_string(const IpPrefix& prefix);
std::string to_string(const MacAddress& mac);

[[nodiscard]] bool is_multicast(const IpAddress& address) noexcept;
[[nodiscard]] bool is_loopback(const IpAddress& address) noexcept;     // 127.0.0.0/8, ::1
[[nodiscard]] bool is_unspecified(const IpAddress& address) noexcept;  // 0.0.0.0, ::

}  // namespace weir

template <>
struct std::hash<weir::IpAddress> {
    std::size_t operator()(const weir::IpAddress& address) const noexcept;
};
