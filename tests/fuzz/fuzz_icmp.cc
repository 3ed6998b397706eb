// SPDX-License-Identifier: BSD-3-Clause
// Any bytes through read_icmp(), icmp_sum_is_good() and read_embedded(), and the promises of their
// header.
//
// Input: one byte of settings (bit 0: port with VLAN 7, bits 1-7: length of a first segment in
// units of 4 bytes, for a second look), two bytes for how many bytes of the frame lie in further
// segments, then the frame.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "lib/wire/headers.hh"
#include "lib/wire/icmp.hh"
#include "tests/fuzz/require.hh"

namespace weir::fuzz {

namespace {

using Kind = IcmpMessage::Kind;
using Status = EmbeddedPacket::Status;

// What the pipeline has in the first segment at least.
constexpr std::size_t gathered = 14 + 4 + longest_verified_icmp;
constexpr std::size_t most_embedded = 40 + 256 + 8;

struct Read {
    Parsed parsed;
    IcmpMessage message;
    bool sum = false;
};

// In buffers of exactly the size, so that AddressSanitizer sees an overread.
Read read_exact(std::span<const std::uint8_t> frame, std::uint32_t frame_length,
                std::uint16_t vlan) {
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[frame.size()]);
    std::copy(frame.begin(), frame.end(), copy.get());
    const std::span<const std::uint8_t> exact{copy.get(), frame.size()};
    Read read{parse(exact, frame_length, {.vlan = vlan, .ip_checksum = NicChecksum::good}), {}};
    if (read.parsed.l3 != L3Status::ip || read.parsed.l4 != L4Status::other) return read;
    read.message = read_icmp(exact, read.parsed);
    read.sum = icmp_sum_is_good(exact, read.parsed);
    return read;
}
EmbeddedPacket embedded_exact(std::span<const std::uint8_t> bytes, Family family) {
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), copy.get());
    return read_embedded({copy.get(), bytes.size()}, family);
}

bool same(const EmbeddedPacket& a, const EmbeddedPacket& b) {
    return a.status == b.status && a.protocol == b.protocol && a.source_port == b.source_port &&
           a.destination_port == b.destination_port;
}
bool same(const Read& a, const Read& b) {
    return a.message.kind == b.message.kind && a.sum == b.sum &&
           a.message.embedded_offset == b.message.embedded_offset &&
           a.message.about_destination == b.message.about_destination &&
           same(a.message.embedded, b.message.embedded);
}

void check_embedded(std::span<const std::uint8_t> bytes, Family family) {
    const EmbeddedPacket embedded = embedded_exact(bytes, family);
    const std::size_t least = (family == Family::v4 ? 20 : 40) + 8;
    if (embedded.status != Status::bad)
        require(bytes.size() >= least, "eight bytes behind the header, at least");
    if (embedded.status == Status::flow)
        require(embedded.protocol == proto_tcp || embedded.protocol == proto_udp ||
                    embedded.protocol == proto_sctp,
                "ports belong to TCP, UDP and SCTP");
    else
        require(embedded.source_port == 0 &&
                    (embedded.destination_port == 0 || embedded.status == Status::echo_reply),
                "no ports without a flow, and an identifier of an echo reply alone");
    require(
        same(embedded, embedded_exact(bytes.first(std::min(bytes.size(), most_embedded)), family)),
        "no more is read than the contract says");
}

void check_message(const Read& read, std::span<const std::uint8_t> frame) {
    const IcmpMessage& message = read.message;
    if (message.kind != Kind::error) {
        require(message.embedded.status == Status::bad && !message.about_destination,
                "only errors are about a packet");
        return;
    }
    const std::size_t end = std::min<std::size_t>(
        frame.size(), read.parsed.l3_offset + std::size_t{read.parsed.ip_length});
    require(message.embedded_offset == read.parsed.l4_offset + 8, "it lies behind the header");
    require(message.embedded_offset <= end, "it lies in packet and frame");
    check_embedded(frame.subspan(message.embedded_offset, end - message.embedded_offset),
                   read.parsed.family);
}

void check(std::span<const std::uint8_t> frame, std::uint32_t frame_length, std::uint16_t vlan,
           std::size_t first_segment) {
    const Read read = read_exact(frame, frame_length, vlan);
    require(same(read, read_exact(frame, frame_length, vlan)), "reading is repeatable");
    require(
        same(read, read_exact(frame.first(std::min(frame.size(), gathered)), frame_length, vlan)),
        "what is gathered is enough");
    const Read less =
        read_exact(frame.first(std::min(frame.size(), first_segment)), frame_length, vlan);
    require(less.message.embedded.status != Status::flow || read.parsed.l4 != L4Status::other ||
                same(less.message.embedded, read.message.embedded),
            "a shorter first segment never names another flow");
    check_message(read, frame);
    check_message(less, frame.first(std::min(frame.size(), first_segment)));
    check_embedded(frame, Family::v4);
    check_embedded(frame, Family::v6);
}

}  // namespace

}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir;
    constexpr std::size_t settings = 3;
    if (size < settings) return 0;
    const std::span<const std::uint8_t> frame(data + settings, size - settings);
    const std::uint32_t behind = data[1] | std::uint32_t{data[2]} << 8;
    fuzz::check(frame, static_cast<std::uint32_t>(frame.size()) + behind,
                static_cast<std::uint16_t>((data[0] & 1) != 0 ? 7 : 0),
                std::size_t{data[0]} >> 1 << 2);
    return 0;
}
