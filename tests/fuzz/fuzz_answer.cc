// SPDX-License-Identifier: BSD-3-Clause
// Any sound packet through deserves_answer() and make_answer(): what comes out is a sound ICMP
// error about it, small enough, to its source.
//
// Input: one byte of settings (bit 0: port with VLAN 7, bit 1: too big instead of expired, bits
// 2-7: headroom), two bytes for the MTU that is told, then the frame.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "lib/dataplane/answer.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/icmp.hh"
#include "tests/fuzz/require.hh"

namespace weir::fuzz {

namespace {

using Status = EmbeddedPacket::Status;

std::span<const std::uint8_t> address(std::span<const std::uint8_t> frame, const Parsed& parsed,
                                      bool source) {
    const bool v4 = parsed.family == Family::v4;
    const std::size_t size = v4 ? 4 : 16, first = v4 ? 12 : 8;
    return frame.subspan(parsed.l3_offset + first + (source ? 0 : size), size);
}

void check_answer(std::span<const std::uint8_t> frame, const Parsed& parsed,
                  std::span<const std::uint8_t> sent, const ParseOptions& options) {
    const Parsed answer = parse(sent, static_cast<std::uint32_t>(sent.size()), options);
    require(answer.l3 == L3Status::ip && answer.l4 == L4Status::other, "the answer is sound");
    require(answer.family == parsed.family, "in the family of the packet");
    require(answer.ip_length <= (parsed.family == Family::v4 ? 576 : 1280), "and no longer");
    require(answer.l3_offset + std::size_t{answer.ip_length} == sent.size(), "without padding");
    require(icmp_sum_is_good(sent, answer), "its checksum is right");
    const IcmpMessage message = read_icmp(sent, answer);
    require(message.kind == IcmpMessage::Kind::error && message.about_destination,
            "it is about what its destination sent");
    require(message.embedded.status != Status::icmp_error &&
                message.embedded.status != Status::fragment &&
                message.embedded.status != Status::bad,
            "nobody is told about these");
    require(std::ranges::equal(address(sent, answer, true), address(frame, parsed, false)) &&
                std::ranges::equal(address(sent, answer, false), address(frame, parsed, true)),
            "it goes back");
    require(std::equal(sent.begin() + message.embedded_offset, sent.end(),
                       frame.begin() + parsed.l3_offset),
            "it quotes the packet as it was");
}

void check(std::span<const std::uint8_t> frame, bool tagged, bool too_big, std::uint16_t headroom,
           std::uint32_t mtu) {
    PortTable port;
    port.vlan = tagged ? 7 : 0;
    const ParseOptions options{.vlan = port.vlan, .ip_checksum = NicChecksum::unknown};
    const auto length = static_cast<std::uint32_t>(frame.size());
    const Parsed parsed = parse(frame, length, options);
    if (parsed.l3 != L3Status::ip) return;
    const std::unique_ptr<std::uint8_t[]> buffer(new std::uint8_t[headroom + frame.size()]);
    std::copy(frame.begin(), frame.end(), buffer.get() + headroom);
    Packet packet{.data = buffer.get() + headroom,
                  .contiguous = length,
                  .length = length,
                  .headroom = headroom};
    const Refusal refusal{.type = too_big ? IcmpErrorType::too_big : IcmpErrorType::time_exceeded,
                          .family = parsed.family,
                          .l3_offset = parsed.l3_offset,
                          .ip_length = parsed.ip_length,
                          .mtu = mtu};
    if (!deserves_answer(packet, refusal)) return;
    if (!make_answer(port, refusal, packet)) {
        require(std::equal(frame.begin(), frame.end(), buffer.get() + headroom), "unchanged");
        return;
    }
    require(packet.data >= buffer.get(), "the answer begins in the buffer");
    check_answer(frame, parsed, {packet.data, packet.length}, options);
}

}  // namespace

}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir;
    constexpr std::size_t settings = 3;
    if (size < settings) return 0;
    fuzz::check({data + settings, size - settings}, (data[0] & 1) != 0, (data[0] & 2) != 0,
                static_cast<std::uint16_t>(data[0] & 0xfc), data[1] | std::uint32_t{data[2]} << 8);
    return 0;
}
