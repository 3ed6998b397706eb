// SPDX-License-Identifier: BSD-3-Clause
#include "perf/bench/packets.hh"

#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

#include "lib/wire/checksum.hh"
#include "lib/wire/headers.hh"

namespace weir::bench {

namespace {

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
      frames_(gen::Frames::make(setting.frames(which, flows)).value()),
      checker_(gen::Checker::make(setting.expectation(which), frames_, 0).value()),
      pool_(std::size_t{buffers} * buffer_bytes),
      flows_(flows),
      round_(round),
      scratch_(frames_.blank().begin(), frames_.blank().end()) {
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

void Packets::check() {
    for (std::size_t i = 0; i < packets_.size(); ++i) {
        if (verdicts_[i].action != Action::send)
            throw std::runtime_error(
                fmt::format("a packet of flow {} was not sent but {}", sent_[i],
                            drop_reasons[static_cast<std::size_t>(verdicts_[i].reason)].name));
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
