// SPDX-License-Identifier: BSD-3-Clause
#include "perf/loop/many_flows.hh"

#include <cstring>

#include "lib/wire/checksum.hh"
#include "lib/wire/endian.hh"
#include "lib/wire/headers.hh"

namespace weir::loop {

namespace {

constexpr std::size_t outer_length = sizeof(Ipv4Header);

std::uint16_t load16(const std::uint8_t* at) noexcept {
    be16 value;
    std::memcpy(&value, at, sizeof value);
    return value.host();
}
std::uint32_t load32(const std::uint8_t* at) noexcept {
    return std::uint32_t{load16(at)} << 16 | load16(at + 2);
}
void store16(std::uint8_t* at, std::uint16_t value) noexcept {
    const be16 wire = be16::from_host(value);
    std::memcpy(at, &wire, sizeof wire);
}

// Both checksums of the packet at `ip` when the low half of its destination goes from 0 to `low`.
// Its sums are not zero, so add and take undo each other to the last bit.
void readdress(std::uint8_t* ip, std::uint16_t from, std::uint16_t to) noexcept {
    store16(ip + offsetof(Ipv4Header, destination) + 2, to);
    for (const std::size_t at :
         {offsetof(Ipv4Header, checksum), sizeof(Ipv4Header) + offsetof(TcpHeader, checksum)})
        store16(ip + at, checksum_update(load16(ip + at), from, to));
}

}  // namespace

ManyFlows::ManyFlows(const many::Options& size, std::uint32_t flows)
    : size_(size),
      flows_(flows),
      seen_(flows),
      down_(std::make_unique<std::atomic<bool>[]>(std::size_t{size.services} * size.backends)) {}

void ManyFlows::address(std::uint8_t* frame, std::uint32_t flow) const noexcept {
    readdress(frame + ethernet_length, 0, static_cast<std::uint16_t>(service_of(flow)));
}

gen::Verdict ManyFlows::judge(gen::Checker& checker, std::span<std::uint8_t> frame) noexcept {
    if (frame.size() < ethernet_length + outer_length + sizeof(Ipv4Header) + sizeof(TcpHeader))
        return gen::Verdict::length;
    static const MacAddress gateway = *parse_mac(many::gateway_mac);
    if (std::memcmp(frame.data(), gateway.bytes.data(), 6) != 0) return gen::Verdict::ethernet;
    std::uint8_t* const ip = frame.data() + ethernet_length;
    std::uint8_t* const inner = ip + outer_length;
    const std::uint32_t service =
        load32(inner + offsetof(Ipv4Header, destination)) - many::first_vip;
    if (service >= size_.services) return gen::Verdict::inner_changed;
    readdress(inner, static_cast<std::uint16_t>(service), 0);
    const gen::Opened opened = checker.open(frame);
    if (opened.verdict != gen::Verdict::right) return opened.verdict;
    if (service_of(opened.flow) != service) return gen::Verdict::inner_changed;

    const std::uint32_t first = service * size_.backends;
    const std::uint32_t backend =
        load32(ip + offsetof(Ipv4Header, destination)) - many::first_backend;
    if (backend - first >= size_.backends || down_[backend].load(std::memory_order_relaxed))
        return gen::Verdict::unknown_backend;
    std::uint32_t& seen = seen_[opened.flow];
    const bool stays = seen == 0 || seen == backend + 1 || seen == first + size_.backends;
    seen = backend + 1;
    return stays ? gen::Verdict::right : gen::Verdict::moved;
}

}  // namespace weir::loop
