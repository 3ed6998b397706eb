// SPDX-License-Identifier: BSD-3-Clause
// What a worker makes of a packet that is too long for its port and may be cut.
#include <algorithm>
#include <array>

#include "lib/wire/fragmentation.hh"
#include "tests/fuzz/process_checks.hh"
#include "tests/fuzz/require.hh"

namespace weir::fuzz {

void check_pieces(const PortTable& port, const Flight& flight, const Parsed& whole,
                  NicChecksum nic) {
    const std::span<const std::uint8_t> frame = flight.present();
    require(whole.ip_length > port.mtu, "only what does not fit is cut");
    require(flight.front() >= sizeof(Ipv6FragmentHeader), "there is room for a fragment header");
    const Fragmentation cut(frame, whole.l3_offset, port.mtu, 77);
    require(cut.count() >= 2 && cut.count() <= max_fragments, "in a bounded number of pieces");
    const std::uint32_t first = cut.part(0).offset;
    std::uint32_t at = first;
    for (std::uint32_t i = 0; i < cut.count(); ++i) {
        const auto [offset, length] = cut.part(i);
        require(offset == at, "no byte is lost or sent twice");
        std::array<std::uint8_t, Fragmentation::max_headers> headers;
        const std::size_t size = cut.write_headers(i, headers.data());
        std::vector<std::uint8_t> piece(headers.begin(),
                                        headers.begin() + static_cast<std::ptrdiff_t>(size));
        const std::size_t begin = std::min<std::size_t>(offset, frame.size()),
                          end = std::min<std::size_t>(offset + length, frame.size());
        piece.insert(piece.end(), frame.begin() + static_cast<std::ptrdiff_t>(begin),
                     frame.begin() + static_cast<std::ptrdiff_t>(end));
        const Parsed parsed = parse(piece, static_cast<std::uint32_t>(size) + length,
                                    {.vlan = port.vlan, .ip_checksum = nic});
        require(parsed.l3 == L3Status::ip && parsed.l4 == L4Status::fragment,
                "each piece is a sound fragment");
        require(parsed.ip_length <= port.mtu &&
                    std::size_t{parsed.l3_offset} + parsed.ip_length == size + length,
                "that fits");
        require(parsed.fragment.offset == whole.fragment.offset + (at - first), "in its place");
        require(parsed.fragment.more == (i + 1 < cut.count() || whole.fragment.more),
                "and only the last is the last");
        at += length;
    }
    require(at == std::uint32_t{whole.l3_offset} + whole.ip_length, "all of it leaves");
}

}  // namespace weir::fuzz
