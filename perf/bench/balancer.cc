// SPDX-License-Identifier: BSD-3-Clause
#include "perf/bench/balancer.hh"

#include <algorithm>
#include <bit>
#include <numeric>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "lib/control/compile.hh"
#include "lib/control/forward_mode.hh"
#include "lib/dataplane/forward.hh"
#include "lib/dataplane/lanes.hh"
#include "lib/dataplane/plain.hh"
#include "lib/dataplane/steer.hh"

namespace weir::bench {

namespace {

constexpr unsigned backends = 16;
constexpr const char* weir_mac = "02:00:00:00:00:05";

std::string vip(const Case& which) {
    return fmt::format("{}{}", which.family == Family::v4 ? "203.0.113." : "2001:db8:443::",
                       (which.to_other_family ? 110 : 10) + static_cast<unsigned>(which.forward));
}

std::string backend_address(Family family, unsigned i) {
    return family == Family::v4 ? fmt::format("10.0.1.{}", i) : fmt::format("fd00:1::1:{:x}", i);
}

std::string backend_mac(unsigned i) {
    return fmt::format("02:00:00:00:01:{:02x}", i);
}

constexpr unsigned dscp = 10;

std::string mode_text(const Case& which) {
    if (which.forward == Forward::l3dsr) return fmt::format("l3dsr = {{ dscp = {} }}\n", dscp);
    if (which.forward != Forward::full_nat) return "";
    return fmt::format("nat = {{ source_pool = \"{}\" }}\n", to_string(Setting::pool(which)));
}

std::string service_text(const Case& which) {
    std::string text = fmt::format(
        "[[service]]\nname = \"{0}-{1}-{2}\"\nvip = \"{3}\"\nprotocol = \"tcp\"\nport = 80\n"
        "forward = \"{0}\"\n{4}backend = [\n",
        name_of(which.forward), which.family == Family::v4 ? 4 : 6,
        which.backend_family() == Family::v4 ? 4 : 6, vip(which), mode_text(which));
    for (unsigned i = 1; i <= backends; ++i)
        text += fmt::format("  {{ name = \"b{:02}\", address = \"{}\" }},\n", i,
                            backend_address(which.backend_family(), i));
    return text + "]\n";
}

std::string configuration() {
    std::string neighbors;
    for (const Family family : {Family::v4, Family::v6})
        for (unsigned i = 1; i <= backends; ++i)
            neighbors += fmt::format("  {{ address = \"{}\", mac = \"{}\" }},\n",
                                     backend_address(family, i), backend_mac(i));
    std::string text = fmt::format(
        "config_version = 1\n[system]\nname = \"bench\"\ncontrol_lcore = 0\nworker_lcores = [1]\n"
        "[[port]]\nname = \"wan0\"\ndevice = \"net_null0\"\nmtu = 1560\n"
        "address = [\"10.0.0.5/16\", \"fd00:1::5/64\"]\n"
        "tunnel_source = [\"10.64.0.0/16\", \"fd00:64::/96\"]\nneighbor = [\n{}]\n",
        neighbors);
    for (const Family family : {Family::v4, Family::v6})
        for (const Forward forward : modes) {
            text += service_text({.family = family, .forward = forward});
            if (may_change_family(forward))
                text +=
                    service_text({.family = family, .forward = forward, .to_other_family = true});
        }
    return text;
}

}  // namespace

namespace {
gen::Forwarding forwarding_of(Forward forward) {
    switch (forward) {
        case Forward::dsr_l2:
            break;
        case Forward::ipip:
            return gen::Forwarding::ipip;
        case Forward::gre:
            return gen::Forwarding::gre;
        case Forward::gue:
            return gen::Forwarding::gue;
        case Forward::l3dsr:
            return gen::Forwarding::l3dsr;
        case Forward::nat:
        case Forward::full_nat:  // when Packets took back what the source became
            return gen::Forwarding::nat;
    }
    return gen::Forwarding::dsr_l2;
}
}  // namespace

IpAddress Setting::pool(const Case& which) {
    return *parse_ip(
        fmt::format("{}{}", which.backend_family() == Family::v4 ? "10.0.200." : "fd00:1::200:",
                    which.to_other_family ? 2 : 1));
}

Setting::Setting() {
    ConfigResult parsed = parse_config(configuration(), "bench.toml");
    if (!parsed.config) throw std::runtime_error(to_string(parsed.errors.front()));
    World world;
    world.config = std::make_shared<const Config>(std::move(*parsed.config));
    world.ports = {{*parse_mac(weir_mac), false}};
    world.generation = 1;
    Registry registry;
    if (const auto adopted = registry.adopt(*world.config); !adopted)
        throw std::runtime_error(adopted.error().message);
    tables_ = compile(nullptr, world, registry);
}

gen::FrameOptions Setting::frames(const Case& which, std::uint64_t flows) const {
    return {.source_mac = *parse_mac("02:00:00:00:00:c1"),
            .destination_mac = *parse_mac(weir_mac),
            .destination = *parse_ip(vip(which)),
            .destination_port = 80,
            .udp = false,
            .flows = flows,
            .size = which.frame_bytes};
}

gen::Expectation Setting::expectation(const Case& which) const {
    gen::Expectation expected;
    expected.forwarding = forwarding_of(which.forward);
    expected.dscp = dscp;
    for (unsigned i = 1; i <= backends; ++i)
        expected.backends.push_back({fmt::format("b{:02}", i),
                                     *parse_ip(backend_address(which.backend_family(), i)),
                                     *parse_mac(backend_mac(i)), true});
    expected.tunnel_sources = {*parse_prefix("10.64.0.0/16"), *parse_prefix("fd00:64::/96")};
    expected.weir_mac = *parse_mac(weir_mac);
    return expected;
}

std::uint16_t Setting::backend_of(std::span<const std::uint8_t> frame) const {
    const Parsed parsed = parse(frame, static_cast<std::uint32_t>(frame.size()), {});
    const FlowKey key = flow_key(frame.data(), parsed);
    const ServiceMatch match =
        tables_->index.find(key.destination_address(), parsed.protocol, key.destination_port);
    return maglev_lookup(tables_->services[match.place]->slots, slot_hash(key, tables_->hash_seed));
}

namespace {
// There are services of both families, with one port each.
FlowSizes sizes_of(std::uint32_t entries) {
    return {entries, true, false};
}
constexpr NatTable::Size nat_size{.addresses = 4};  // the pools, see Setting::pool()
}  // namespace

Balancer::Balancer(const Setting& setting, std::span<std::byte> memory, std::uint32_t entries)
    : setting_(setting),
      table_(memory, sizes_of(entries), secret_),
      nat_memory_(NatTable::footprint(nat_size)),
      nat_(nat_memory_.bytes(), nat_size, secret_),
      pipeline_(table_, counters_, *traffic_, Pipeline::Lanes::where_available, {.secret = secret_},
                &nat_) {}

std::size_t Balancer::footprint(std::uint32_t entries) {
    return FlowTable::footprint(sizes_of(entries));
}

std::uint64_t Balancer::plain_only(std::span<const Packet> packets) const noexcept {
    std::uint64_t ports = 0;
    for (const Packet& packet : packets) {
        PacketMeta meta;
        if (read_plain(packet, setting_.tables().ports[index(packet.port)], meta))
            ports += meta.source_port;
    }
    return ports;
}

std::uint64_t Balancer::service_only(std::span<const Sorted> sorted) const noexcept {
    std::uint64_t found = 0;
    for (const Sorted& one : sorted) {
        const MixWords words = key_words(one.key);
        const ServiceIndex& index = setting_.tables().index;
        const ServiceHit hit =
            one.key.family == Family::v4
                ? index.find_single(static_cast<std::uint32_t>(words[2]), one.key.protocol,
                                    one.key.destination_port)
                : index.find_single(words[2], words[3], one.key.protocol, one.key.destination_port);
        found += hit ? 1 : 0;
    }
    return found;
}

std::uint64_t Balancer::parse_only(std::span<const Packet> packets) const noexcept {
    std::uint64_t ports = 0;
    for (const Packet& packet : packets)
        ports += parse({packet.data, packet.contiguous}, packet.length, {}).source_port;
    return ports;
}

std::uint64_t Balancer::classify_only(std::span<const Packet> packets) const noexcept {
    std::uint64_t found = 0;
    for (const Packet& packet : packets)
        found += classify(setting_.tables(), packet).service != nullptr ? 1 : 0;
    return found;
}

void Balancer::name_only(std::span<const Packet> packets, std::span<Sorted> sorted) const noexcept {
    for (std::size_t i = 0; i < packets.size(); ++i) {
        const FlowWords words = flow_words(packets[i].data, sorted[i].meta);
        const auto endpoint =
            static_cast<std::uint16_t>(sorted[i].packet.service->endpoint(sorted[i].meta.protocol));
        if (words.is_v4()) {
            table_.name(sorted[i].name, static_cast<std::uint32_t>(words.source),
                        sorted[i].meta.source_port, endpoint);
        } else {
            table_.name(sorted[i].name, {words.source, words.source_rest},
                        sorted[i].meta.source_port, endpoint);
        }
    }
}

std::uint64_t Balancer::lookup_only(std::span<const Sorted> sorted, Tick now) noexcept {
    for (const Sorted& one : sorted)
        table_.prefetch(one.name);
    std::array<LinePlace, max_burst> places;
    for (std::size_t i = 0; i < sorted.size(); ++i)
        places[i] = table_.look(sorted[i].name, now);
    std::uint64_t found = 0;
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        const LinePlace place =
            places[i].is_open() ? table_.finish(sorted[i].name, places[i]) : places[i];
        if (place && !is_past(table_.entry(sorted[i].name, place).expiry(), now))
            found += table_.entry(sorted[i].name, place).backend() + 1;
    }
    return found;
}

void Balancer::forward_only(std::span<const Sorted> sorted,
                            std::span<Packet> packets) const noexcept {
    for (std::size_t i = 0; i < packets.size(); ++i)
        (void)forward(setting_.tables(), *sorted[i].backend, sorted[i].meta, sorted[i].name.hash(),
                      packets[i]);
}

void Balancer::count_only(std::span<const Sorted> sorted) noexcept {
    for (const Sorted& one : sorted) {
        for (TrafficCounters* traffic : {&traffic_->services[index(one.packet.service->id)],
                                         &traffic_->backends[index(one.backend->id)]}) {
            traffic->packets.add(1);
            traffic->bytes.add(one.packet.parsed.ip_length);
        }
    }
}

std::uint64_t Balancer::owners_only(std::span<const Packet> packets) const noexcept {
    constexpr std::uint32_t workers = 2;
    std::array<const std::uint8_t*, max_burst> frames;
    std::array<std::uint32_t, max_burst> owners;
    for (std::size_t i = 0; i < packets.size(); ++i)
        frames[i] = packets[i].data;
    BurstMask known = 0;
    if (lanes::available())
        known = lanes::steer({frames.data(), packets.size()}, true, workers, secret_, owners);
    for (BurstMask rest = first_bits(packets.size()) & ~known; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        FlowWords words;
        owners[i] = steering::read_key(packets[i], 0, words)
                        ? owner_of(words, workers, secret_)
                        : steer_parsed(setting_.tables(), packets[i], workers, secret_);
    }
    return std::accumulate(owners.begin(), owners.begin() + packets.size(), std::uint64_t{0});
}

void Balancer::sort(std::span<const Packet> packets, std::span<Sorted> sorted) const noexcept {
    for (std::size_t i = 0; i < packets.size(); ++i) {
        sorted[i].packet = classify(setting_.tables(), packets[i]);
        const ServiceTable& service = *sorted[i].packet.service;
        sorted[i].meta = meta_of(sorted[i].packet.parsed);
        flow_words(packets[i].data, sorted[i].meta).store(sorted[i].key);
        name_only(packets.subspan(i, 1), sorted.subspan(i, 1));
        sorted[i].backend = &service.seats[maglev_lookup(
            service.slots, slot_hash(sorted[i].key, setting_.tables().hash_seed))];
    }
}

std::uint32_t Balancer::sweep(std::uint32_t entries, Tick now) noexcept {
    pipeline_.sweep(entries, now);
    return entries;
}

}  // namespace weir::bench
