// SPDX-License-Identifier: BSD-3-Clause
#include "perf/bench/packets.hh"

#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <stdexcept>

#include <fmt/format.h>

#include "lib/wire/checksum.hh"
#include "lib/wire/headers.hh"

namespace weir::bench {

namespace {

constexpr std::uint32_t no_flow = 0xffffffff;

std::uint16_t word_at(const std::uint8_t* at) {
    return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}
void set_word(std::uint8_t* at, std::uint16_t word) {
    at[0] = static_cast<std::uint8_t>(word >> 8);
    at[1] = static_cast<std::uint8_t>(word);
}

// The frames as clients of the backends' own family would send them. Only full-nat makes other ones
// of them; a tunnel's inner packet stays.
gen::Frames arriving_frames(const Setting& setting, const Case& which, std::uint64_t flows,
                            const gen::Frames& sent) {
    gen::FrameOptions options = setting.frames(which, flows);
    if (which.forward != Forward::full_nat || !which.to_other_family)
        return gen::Frames::make(options).value();
    constexpr std::size_t fcs = 4, growth = sizeof(Ipv6Header) - sizeof(Ipv4Header);
    options.destination = Setting::pool(which);  // any of that family
    options.size = static_cast<std::uint16_t>(sent.blank().size() + fcs);
    options.size = static_cast<std::uint16_t>(which.family == Family::v4 ? options.size + growth
                                                                         : options.size - growth);
    return gen::Frames::make(options).value();
}

// The word becomes `to`, and the checksums that cover it follow (RFC 1624).
void change_word(std::uint8_t* at, std::uint16_t to, std::initializer_list<std::uint8_t*> sums) {
    for (std::uint8_t* sum : sums)
        set_word(sum, checksum_update(word_at(sum), word_at(at), to));
    set_word(at, to);
}

void set_fragment(std::uint8_t* ip, std::uint16_t id, std::uint16_t field) {
    Ipv4Header header;
    std::memcpy(&header, ip, sizeof header);
    const std::uint16_t sum = checksum_update(header.checksum.host(), header.id.host(), id);
    header.checksum = be16::from_host(checksum_update(sum, header.fragment.host(), field));
    header.id = be16::from_host(id);
    header.fragment = be16::from_host(field);
    std::memcpy(ip, &header, sizeof header);
}

}  // namespace

Packets::Packets(const Setting& setting, const Case& which, std::uint64_t flows,
                 std::uint32_t round)
    : setting_(setting),
      which_(which),
      frames_(gen::Frames::make(setting.frames(which, flows)).value()),
      arriving_(arriving_frames(setting, which, flows, frames_)),
      checker_(gen::Checker::make(setting.expectation(which), arriving_, 0).value()),
      pool_(std::size_t{buffers} * buffer_bytes),
      flows_(flows),
      round_(round),
      scratch_(frames_.blank().begin(), frames_.blank().end()),
      arrived_(arriving_.blank().begin(), arriving_.blank().end()),
      flow_at_port_(which.forward == Forward::full_nat ? 65'536 : 0, no_flow) {
    packets_.reserve(round);
    verdicts_.reserve(round);
    sent_.reserve(round);
}

void Packets::fill(std::size_t i, std::uint32_t flow, bool syn) {
    auto* const buffer = reinterpret_cast<std::uint8_t*>(pool_.bytes().data()) +
                         std::size_t{next_buffer_} * buffer_bytes;
    next_buffer_ = (next_buffer_ + 1) % buffers;
    const auto blank = frames_.blank();
    const auto length = static_cast<std::uint32_t>(blank.size());
    std::memcpy(buffer + headroom, blank.data(), length);
    frames_.set_flow(buffer + headroom, flow, syn);
    packets_[i] = {
        .data = buffer + headroom, .contiguous = length, .length = length, .headroom = headroom};
    sent_[i] = flow;
}

void Packets::fill_random(bool syn) {
    packets_.resize(round_);
    verdicts_.resize(round_);
    sent_.resize(round_);
    for (std::size_t i = 0; i < round_; ++i)
        fill(i, random_.below(flows_), syn);
}

void Packets::fill_from(std::uint64_t first, std::uint32_t count, bool syn) {
    packets_.resize(count);
    verdicts_.resize(count);
    sent_.resize(count);
    for (std::uint32_t i = 0; i < count; ++i)
        fill(i, static_cast<std::uint32_t>(first + i), syn);
}

void Packets::make_first_fragments() {
    for (const Packet& packet : packets_)
        set_fragment(packet.data + sizeof(EthernetHeader), ++datagram_, ipv4_more_fragments);
}

void Packets::make_whole() {
    const std::span<const std::uint8_t> blank = frames_.blank();
    Ipv4Header header;
    std::memcpy(&header, blank.data() + sizeof(EthernetHeader), sizeof header);
    for (const Packet& packet : packets_)
        set_fragment(packet.data + (packet.length - blank.size()) + sizeof(EthernetHeader),
                     header.id.host(), header.fragment.host());
}

// A full-nat packet becomes one of nat: its source is the pool's, from a port that is this flow's
// alone, and is again the client's. An IPv4 packet that was made of an IPv6 one has an
// identification of Weir's choice.
void Packets::take_back_source(std::size_t i) {
    const bool v4 = which_.backend_family() == Family::v4;
    const IpAddress pool = Setting::pool(which_);
    const std::size_t ip = sizeof(EthernetHeader), source = ip + (v4 ? 12 : 8),
                      port = ip + (v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header));
    std::uint8_t* const frame = packets_[i].data;
    std::uint8_t* const tcp_sum = frame + port + offsetof(TcpHeader, checksum);
    std::uint32_t& flow = flow_at_port_[word_at(frame + port)];
    if (flow == no_flow) flow = sent_[i];
    if (flow != sent_[i] || std::memcmp(frame + source, pool.bytes.data(), pool.size()) != 0)
        throw std::runtime_error(
            fmt::format("a packet of flow {} has the source of another one", sent_[i]));
    arriving_.set_flow(arrived_.data(), sent_[i], false);
    for (std::size_t at = 0; at < pool.size(); at += 2) {
        const std::uint16_t own = word_at(&arrived_[source + at]);
        if (v4)
            change_word(frame + source + at, own,
                        {tcp_sum, frame + ip + offsetof(Ipv4Header, checksum)});
        else
            change_word(frame + source + at, own, {tcp_sum});
    }
    change_word(frame + port, word_at(&arrived_[port]), {tcp_sum});
    if (v4 && which_.to_other_family) {
        const std::size_t id = ip + offsetof(Ipv4Header, id);
        change_word(frame + id, word_at(&arrived_[id]),
                    {frame + ip + offsetof(Ipv4Header, checksum)});
    }
}

void Packets::check() {
    for (std::size_t i = 0; i < packets_.size(); ++i) {
        if (verdicts_[i].action != Action::send)
            throw std::runtime_error(
                fmt::format("a packet of flow {} was not sent but {}", sent_[i],
                            drop_reasons[static_cast<std::size_t>(verdicts_[i].reason)].name));
        if (which_.forward == Forward::full_nat) take_back_source(i);
        const std::span<const std::uint8_t> frame(packets_[i].data, packets_[i].length);
        const gen::Opened opened = checker_.open(frame);
        if (opened.verdict != gen::Verdict::right || opened.flow != sent_[i])
            throw std::runtime_error(fmt::format("a packet of flow {} is wrong: {}", sent_[i],
                                                 gen::name_of(opened.verdict)));
        frames_.set_flow(scratch_.data(), sent_[i], false);
        if (!checker_.is_backend(setting_.backend_of(scratch_), frame))
            throw std::runtime_error(
                fmt::format("a packet of flow {} went to another backend", sent_[i]));
    }
    checked_ += packets_.size();
}

}  // namespace weir::bench
