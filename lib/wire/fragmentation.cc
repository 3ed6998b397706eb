// SPDX-License-Identifier: BSD-3-Clause
#include "lib/wire/fragmentation.hh"

#include <algorithm>
#include <cstring>

#include "lib/wire/checksum.hh"
#include "lib/wire/extension.hh"

namespace weir {
namespace {

// RFC 791 3.1: options with the copied flag go into every fragment. Answers how many bytes of them
// there are, padded. What cannot be read ends the list.
std::size_t write_copied_options(std::span<const std::uint8_t> options,
                                 std::uint8_t* out) noexcept {
    constexpr std::uint8_t end = 0, no_operation = 1, copied = 0x80;
    std::size_t written = 0;
    for (std::size_t at = 0; at < options.size() && options[at] != end;) {
        if (options[at] == no_operation) {
            ++at;
            continue;
        }
        const std::size_t length = at + 1 < options.size() ? options[at + 1] : 0;
        if (length < 2 || at + length > options.size()) break;
        if ((options[at] & copied) != 0) {
            std::memcpy(out + written, &options[at], length);
            written += length;
        }
        at += length;
    }
    for (; written % 4 != 0; ++written)
        out[written] = end;
    return written;
}

}  // namespace

Fragmentation::Fragmentation(std::span<const std::uint8_t> headers, std::uint32_t l3_offset,
                             std::uint32_t mtu, std::uint32_t id) noexcept
    : frame_(headers.data()), l3_offset_(l3_offset), id_(id), is_v4_(headers[l3_offset] >> 4 == 4) {
    const std::uint8_t* const start = frame_ + l3_offset;
    std::uint32_t own = 0;
    if (is_v4_) {
        const auto& ip = *reinterpret_cast<const Ipv4Header*>(start);
        own = header_ = (ip.version_ihl & 15u) * 4;
        payload_ = ip.total_length.host() - header_;
        const std::uint16_t old = ip.id.host();
        const bool is_fragment = (ip.fragment.host() & ipv4_fragment_mask) != 0;
        if (old != 0 || is_fragment) id_ = old;
    } else {
        const auto& ip = *reinterpret_cast<const Ipv6Header*>(start);
        own = sizeof ip + sizeof(Ipv6FragmentHeader);
        is_fragment_v6_ = ip.next_header == ext_fragment;
        header_ = is_fragment_v6_ ? own : sizeof ip;
        payload_ = ip.payload_length.host() + std::uint32_t{sizeof ip} - header_;
    }
    count_ = fragment_count(payload_, own, mtu);
    if (count_ != 0) step_ = (mtu - own) / 8 * 8;
}

Fragmentation::Part Fragmentation::part(std::uint32_t i) const noexcept {
    const std::uint32_t at = i * step_;
    return {l3_offset_ + header_ + at, std::min(step_, payload_ - at)};
}

std::size_t Fragmentation::write_headers(std::uint32_t i, std::uint8_t* out) const noexcept {
    std::memcpy(out, frame_, l3_offset_);
    return l3_offset_ +
           (is_v4_ ? write_ipv4(i, out + l3_offset_) : write_ipv6(i, out + l3_offset_));
}

std::size_t Fragmentation::write_ipv4(std::uint32_t i, std::uint8_t* out) const noexcept {
    const std::uint8_t* const from = frame_ + l3_offset_;
    auto& ip = *reinterpret_cast<Ipv4Header*>(out);
    std::memcpy(out, from, sizeof ip);
    const std::span options(from + sizeof ip, header_ - sizeof ip);
    std::size_t length = sizeof ip;
    if (i == 0) {
        std::ranges::copy(options, out + length);
        length += options.size();
    } else {
        length += write_copied_options(options, out + length);
    }
    const std::uint16_t old = ip.fragment.host();
    const bool more = i + 1 < count_ || (old & ipv4_more_fragments) != 0;
    const auto offset = static_cast<std::uint16_t>((old & ipv4_offset_mask) + units(i));
    ip.version_ihl = static_cast<std::uint8_t>(0x40 | length / 4);
    ip.total_length = be16::from_host(static_cast<std::uint16_t>(length + part(i).length));
    ip.id = be16::from_host(static_cast<std::uint16_t>(id_));
    ip.fragment =
        be16::from_host(static_cast<std::uint16_t>(offset | (more ? ipv4_more_fragments : 0)));
    ip.checksum = {};
    ip.checksum = be16::from_host(checksum_finish(checksum_sum({out, length})));
    return length;
}

std::size_t Fragmentation::write_ipv6(std::uint32_t i, std::uint8_t* out) const noexcept {
    auto& ip = *reinterpret_cast<Ipv6Header*>(out);
    auto& fragment = *reinterpret_cast<Ipv6FragmentHeader*>(out + sizeof ip);
    const std::uint8_t* const from = frame_ + l3_offset_;
    std::memcpy(out, from, sizeof ip);
    std::uint16_t old = 0;
    fragment = {
        .next_header = ip.next_header, .reserved = 0, .offset = {}, .id = be32::from_host(id_)};
    if (is_fragment_v6_) {
        std::memcpy(&fragment, from + sizeof ip, sizeof fragment);
        old = fragment.offset.host();
    }
    const bool more = i + 1 < count_ || (old & ipv6_more_fragments) != 0;
    const auto offset = static_cast<std::uint16_t>((old & ipv6_offset_mask) + (units(i) << 3));
    fragment.offset =
        be16::from_host(static_cast<std::uint16_t>(offset | (more ? ipv6_more_fragments : 0)));
    ip.next_header = ext_fragment;
    ip.payload_length =
        be16::from_host(static_cast<std::uint16_t>(sizeof fragment + part(i).length));
    return sizeof ip + sizeof fragment;
}

}  // namespace weir
