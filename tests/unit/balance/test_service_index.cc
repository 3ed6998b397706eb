// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <tuple>

#include <catch2/catch.hpp>

#include "lib/balance/service_index.hh"

using namespace weir;

namespace {

constexpr std::uint8_t tcp = 6, udp = 17, icmp = 1, icmp6 = 58, sctp = 132, esp = 50;

IpAddress v4(std::uint32_t value) {
    IpAddress address;
    for (std::size_t i = 0; i < 4; ++i) {
        address.bytes[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
    }
    return address;
}

IpAddress v6(std::uint32_t value) {
    IpAddress address = v4(0x20010db8);
    address.family = Family::v6;
    for (std::size_t i = 0; i < 4; ++i) {
        address.bytes[12 + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
    }
    return address;
}

struct Found {
    AddressRole role = AddressRole::foreign;
    const ServiceTable* service = nullptr;
};

// Services and the index over them; keeps the tables alive.
class Setup {
public:
    const ServiceTable* add(const ServiceKey& key, Forward forward = Forward::dsr_l2) {
        tables_.push_back(std::make_unique<ServiceTable>());
        tables_.back()->key = key;
        tables_.back()->forward = forward;
        const auto number = static_cast<std::uint16_t>(services_.size());
        tables_.back()->id = ServiceId{number};
        tables_.back()->endpoints = {EndpointId{static_cast<std::uint16_t>(2 * number)},
                                     EndpointId{static_cast<std::uint16_t>(2 * number + 1)}};
        services_.push_back(tables_.back().get());
        return services_.back();
    }
    void build() { index_ = ServiceIndex::build(services_, own, probes); }

    [[nodiscard]] Found find(const IpAddress& to, std::uint8_t protocol, std::uint16_t port) const {
        const ServiceMatch match = index_.find(to, protocol, port);
        return {match.role, match.place == ServiceHit::none ? nullptr : services_.at(match.place)};
    }
    [[nodiscard]] const ServiceIndex& index() const { return index_; }
    [[nodiscard]] const ServiceKey& key(std::size_t i) const { return services_[i]->key; }

    // The rule, word by word.
    [[nodiscard]] Found reference(const IpAddress& to, std::uint8_t protocol,
                                  std::uint16_t port) const {
        Found match;
        if (std::ranges::find(own, to) != own.end()) match.role = AddressRole::own;
        for (const ServiceTable* s : services_) {
            if (s->key.vip == to && match.role == AddressRole::foreign) {
                match.role = AddressRole::vip;
            }
        }
        for (const ServiceTable* s : services_) {
            const ServiceKey& key = s->key;
            if (key.vip != to || port < key.first_port || port > key.last_port) continue;
            if (!takes(*s, protocol)) continue;
            match.role = AddressRole::vip;
            if (match.service == nullptr || more_specific(key, match.service->key))
                match.service = s;
        }
        return match;
    }

    [[nodiscard]] const std::vector<const ServiceTable*>& services() const { return services_; }

    std::vector<IpAddress> own;
    std::vector<ProbeTarget> probes;

private:
    static bool takes(const ServiceTable& service, std::uint8_t protocol) {
        const ServiceKey& key = service.key;
        const bool is_icmp = protocol == icmp || protocol == icmp6;
        if (key.protocol == ServiceProtocol::icmp)
            return protocol == (key.vip.family == Family::v4 ? icmp : icmp6);
        if (key.protocol != ServiceProtocol::any)
            return static_cast<std::uint8_t>(key.protocol) == protocol;
        if (protocol == tcp || protocol == udp) return true;
        if (is_icmp || service.forward == Forward::nat) return false;
        const bool all = key.first_port == 0 && key.last_port == 65'535;
        return protocol == sctp || (all && service.forward != Forward::l3dsr);
    }
    static bool more_specific(const ServiceKey& a, const ServiceKey& b) {
        const int width_a = a.last_port - a.first_port, width_b = b.last_port - b.first_port;
        if (width_a != width_b) return width_a < width_b;
        const bool any_a = a.protocol == ServiceProtocol::any;
        const bool any_b = b.protocol == ServiceProtocol::any;
        if (any_a != any_b) return any_b;
        return a.first_port < b.first_port;
    }

    std::vector<std::unique_ptr<ServiceTable>> tables_;
    std::vector<const ServiceTable*> services_;
    ServiceIndex index_;
};

bool same(const Found& a, const Found& b) {
    return a.role == b.role && a.service == b.service;
}

}  // namespace

TEST_CASE("service index: single ports, ranges, any port, any protocol", "[balance]") {
    Setup setup;
    const IpAddress vip = v4(0xcb00710a), other = v6(1);
    const auto* https = setup.add({vip, ServiceProtocol::tcp, 443, 443});
    const auto* quic = setup.add({vip, ServiceProtocol::udp, 443, 443});
    const auto* range = setup.add({vip, ServiceProtocol::tcp, 8000, 8099});
    const auto* hole = setup.add({vip, ServiceProtocol::tcp, 8050, 8059});
    const auto* both = setup.add({vip, ServiceProtocol::any, 53, 53});
    const auto* rest = setup.add({other, ServiceProtocol::any, 0, 65'535});
    const auto* ssh = setup.add({other, ServiceProtocol::tcp, 22, 22});
    setup.build();
    CHECK(setup.find(vip, tcp, 443).service == https);
    CHECK(setup.find(vip, udp, 443).service == quic);
    CHECK(setup.find(vip, tcp, 7999).service == nullptr);
    CHECK(setup.find(vip, tcp, 8000).service == range);
    CHECK(setup.find(vip, tcp, 8049).service == range);
    CHECK(setup.find(vip, tcp, 8050).service == hole);
    CHECK(setup.find(vip, tcp, 8059).service == hole);
    CHECK(setup.find(vip, tcp, 8060).service == range);
    CHECK(setup.find(vip, tcp, 8099).service == range);
    CHECK(setup.find(vip, tcp, 8100).service == nullptr);
    CHECK(setup.find(vip, udp, 8050).service == nullptr);
    CHECK(setup.find(vip, tcp, 53).service == both);
    CHECK(setup.find(vip, udp, 53).service == both);
    CHECK(setup.find(other, udp, 0).service == rest);
    CHECK(setup.find(other, tcp, 65'535).service == rest);
    CHECK(setup.find(other, tcp, 22).service == ssh);
    CHECK(setup.find(other, udp, 22).service == rest);
}

TEST_CASE("service index: a named protocol wins over any, fewer ports over more", "[balance]") {
    Setup setup;
    const IpAddress vip = v4(1);
    const auto* any = setup.add({vip, ServiceProtocol::any, 53, 53});
    const auto* named = setup.add({vip, ServiceProtocol::udp, 53, 53});
    const auto* any_range = setup.add({vip, ServiceProtocol::any, 100, 199});
    const auto* named_range = setup.add({vip, ServiceProtocol::tcp, 100, 199});
    const auto* narrow_any = setup.add({vip, ServiceProtocol::any, 150, 159});
    setup.build();
    CHECK(setup.find(vip, tcp, 53).service == any);
    CHECK(setup.find(vip, udp, 53).service == named);
    CHECK(setup.find(vip, tcp, 120).service == named_range);
    CHECK(setup.find(vip, udp, 120).service == any_range);
    CHECK(setup.find(vip, tcp, 155).service == narrow_any);
}

TEST_CASE("service index: roles of addresses", "[balance]") {
    Setup setup;
    const IpAddress vip = v4(1), own = v4(2), both = v4(3), foreign = v4(4);
    const auto* on_own = setup.add({both, ServiceProtocol::tcp, 80, 80});
    setup.add({vip, ServiceProtocol::tcp, 80, 80});
    setup.own = {own, both};
    setup.build();
    CHECK(setup.find(vip, tcp, 81).role == AddressRole::vip);
    CHECK(setup.find(vip, icmp, 0).role == AddressRole::vip);
    CHECK(setup.find(vip, sctp, 80).service == nullptr);
    CHECK(setup.find(own, tcp, 80).role == AddressRole::own);
    CHECK(setup.find(own, icmp, 0).role == AddressRole::own);
    CHECK(setup.find(foreign, tcp, 80).role == AddressRole::foreign);
    // A service on a port's own address takes what is its own; SSH and probe replies stay ours.
    CHECK(setup.find(both, tcp, 80).service == on_own);
    CHECK(setup.find(both, tcp, 80).role == AddressRole::vip);
    CHECK(setup.find(both, tcp, 22).role == AddressRole::own);
    // An IPv4 address and the IPv6 address that begins with the same bytes are two.
    IpAddress twin = vip;
    twin.family = Family::v6;
    CHECK(setup.find(twin, tcp, 80).role == AddressRole::foreign);
}

TEST_CASE("service index: probe replies are known by address and port", "[balance]") {
    Setup setup;
    for (std::uint16_t i = 1; i <= 300; ++i) {
        setup.probes.push_back({v4(i), static_cast<std::uint16_t>(8000 + i)});
    }
    setup.probes.push_back({v4(7), 0});       // no port is known: nothing to match
    setup.probes.push_back(setup.probes[0]);  // several services may probe the same place
    setup.build();
    std::uint32_t wrong = 0;
    for (std::uint32_t address = 0; address <= 301; ++address) {
        for (std::uint32_t port = 7999; port <= 8302; ++port) {
            const bool expected = address >= 1 && address <= 300 && port == 8000 + address;
            const bool is = setup.index().is_probe_reply(v4(address), std::uint16_t(port));
            wrong += is != expected ? 1 : 0;
        }
    }
    CHECK(wrong == 0);
    CHECK_FALSE(setup.index().is_probe_reply(v4(7), 0));
    CHECK_FALSE(setup.index().is_probe_reply(v6(1), 8001));
}

TEST_CASE("service index: nothing built, nothing found", "[balance]") {
    const ServiceIndex index;
    CHECK(index.find(v4(1), tcp, 80).role == AddressRole::foreign);
    CHECK_FALSE(index.is_probe_reply(v4(1), 80));
    CHECK_FALSE(index.find_single(1, tcp, 80));
    CHECK_FALSE(index.find_single(1, 2, tcp, 80));
    Setup empty;
    empty.build();
    CHECK(empty.find(v4(1), tcp, 80).role == AddressRole::foreign);
}

TEST_CASE("service index: SCTP by name, by any protocol, and never to be translated", "[balance]") {
    Setup setup;
    const IpAddress vip = v4(1), translated = v4(2), vip6 = v6(1);
    const auto* named = setup.add({vip, ServiceProtocol::sctp, 100, 100});
    const auto* range = setup.add({vip6, ServiceProtocol::sctp, 200, 209});
    const auto* any = setup.add({vip, ServiceProtocol::any, 90, 110});
    const auto* both = setup.add({translated, ServiceProtocol::any, 0, 65'535}, Forward::nat);
    const auto* one = setup.add({translated, ServiceProtocol::any, 80, 80}, Forward::full_nat);
    setup.build();
    CHECK(setup.find(vip, sctp, 100).service == named);
    CHECK(setup.find(vip, tcp, 100).service == any);
    CHECK(setup.find(vip, sctp, 101).service == any);
    CHECK(setup.find(vip6, sctp, 209).service == range);
    CHECK(setup.find(vip6, udp, 209).service == nullptr);
    CHECK(setup.find(translated, tcp, 80).service == one);
    CHECK(setup.find(translated, udp, 81).service == both);
    CHECK(setup.find(translated, sctp, 80).service == nullptr);
    CHECK(setup.find(translated, sctp, 81).service == nullptr);
    CHECK(setup.find(translated, sctp, 81).role == AddressRole::vip);
}

TEST_CASE("service index: echo requests, and all protocols", "[balance]") {
    Setup setup;
    const IpAddress vip = v4(1), vip6 = v6(1), plain = v4(2), marked = v4(3);
    const auto* echo = setup.add({vip, ServiceProtocol::icmp, 0, 0});
    const auto* echo6 = setup.add({vip6, ServiceProtocol::icmp, 0, 0});
    const auto* all = setup.add({vip, ServiceProtocol::any, 0, 65'535}, Forward::ipip);
    const auto* range = setup.add({vip, ServiceProtocol::any, 0, 65'534});
    const auto* l3dsr = setup.add({marked, ServiceProtocol::any, 0, 65'535}, Forward::l3dsr);
    setup.add({plain, ServiceProtocol::any, 80, 80});
    setup.build();
    CHECK(setup.find(vip, icmp, 0).service == echo);
    CHECK(setup.find(vip, icmp6, 0).service == nullptr);
    CHECK(setup.find(vip6, icmp6, 0).service == echo6);
    CHECK(setup.find(vip6, icmp, 0).service == nullptr);
    CHECK(setup.find(vip6, esp, 0).service == nullptr);
    CHECK(setup.find(vip, esp, 0).service == all);
    CHECK(setup.find(vip, 0, 0).service == all);
    CHECK(setup.find(vip, sctp, 65'535).service == all);
    CHECK(setup.find(vip, sctp, 1).service == range);
    CHECK(setup.find(marked, esp, 0).service == nullptr);
    CHECK(setup.find(marked, sctp, 9).service == l3dsr);
    CHECK(setup.find(marked, icmp, 0).role == AddressRole::vip);
    CHECK(setup.find(plain, esp, 0).service == nullptr);
    CHECK(setup.find(plain, esp, 0).role == AddressRole::vip);
}

TEST_CASE("service index: agrees with the rule read word by word", "[balance][property]") {
    for (unsigned seed = 0; seed < 40; ++seed) {
        std::mt19937 random(seed);
        const auto draw = [&](std::uint32_t below) {
            return static_cast<std::uint32_t>(random() % below);
        };
        Setup setup;
        std::vector<IpAddress> addresses;
        for (std::uint32_t i = 0; i < 6; ++i) {
            addresses.push_back(i % 2 == 0 ? v4(0x0a000000 + i) : v6(i));
        }
        setup.own = {addresses[4], addresses[5], v4(99)};
        constexpr ServiceProtocol protocols[] = {ServiceProtocol::any, ServiceProtocol::tcp,
                                                 ServiceProtocol::udp, ServiceProtocol::sctp};
        for (std::uint32_t i = 0; i < 1 + draw(60); ++i) {
            const std::uint32_t first = draw(4) == 0 ? draw(65'536) : draw(40);
            std::uint32_t last = first + (draw(2) == 0 ? 0 : draw(30));
            if (draw(20) == 0) last = 65'535;
            const std::uint32_t mode = draw(5);
            setup.add({addresses[draw(5)], protocols[draw(4)], std::uint16_t(first),
                       std::uint16_t(std::min(last, 65'535u))},
                      mode == 0   ? Forward::nat
                      : mode == 1 ? Forward::l3dsr
                                  : Forward::ipip);
            if (draw(10) == 0) setup.add({addresses[draw(5)], ServiceProtocol::icmp, 0, 0});
            if (draw(10) == 0) setup.add({addresses[draw(5)], ServiceProtocol::any, 0, 65'535});
        }
        setup.build();
        std::vector<std::uint32_t> ports{0, 1, 65'534, 65'535};
        for (const ServiceTable* s : setup.services()) {
            for (const std::uint32_t port : {s->key.first_port + 0u, s->key.last_port + 0u}) {
                ports.insert(ports.end(), {port - 1, port, port + 1});
            }
        }
        addresses.push_back(v4(99));
        addresses.push_back(v4(100));
        std::uint32_t wrong = 0;
        for (const IpAddress& address : addresses) {
            for (const std::uint32_t port : ports) {
                for (const std::uint8_t protocol : {tcp, udp, icmp, icmp6, sctp, esp}) {
                    const bool has_ports = protocol == tcp || protocol == udp || protocol == sctp;
                    const auto p = static_cast<std::uint16_t>(has_ports ? port : 0);
                    wrong += same(setup.find(address, protocol, p),
                                  setup.reference(address, protocol, p))
                                 ? 0
                                 : 1;
                }
            }
        }
        INFO("seed " << seed);
        CHECK(wrong == 0);
    }
}

TEST_CASE("service index: 10 000 services, all found, neighbours not", "[balance][property]") {
    Setup setup;
    for (std::uint32_t i = 0; i < 10'000; ++i) {
        const IpAddress vip = i % 2 == 0 ? v4(0xcb007100 + i / 4) : v6(i / 4);
        const auto first = static_cast<std::uint16_t>(1000 + 100 * (i % 4 / 2));
        const auto last = static_cast<std::uint16_t>(i % 5 == 0 ? first + 9 : first);
        setup.add({vip, i % 3 == 0 ? ServiceProtocol::udp : ServiceProtocol::tcp, first, last});
    }
    setup.own = {v4(1)};
    setup.build();
    std::uint32_t wrong = 0;
    for (const ServiceTable* s : setup.services()) {
        const ServiceKey& key = s->key;
        const auto protocol = static_cast<std::uint8_t>(key.protocol);
        const auto at = [&](int port) {
            return setup.find(key.vip, protocol, static_cast<std::uint16_t>(port));
        };
        std::uint64_t words[2];
        std::memcpy(words, key.vip.bytes.data(), sizeof words);
        const auto single = [&](int port) -> const ServiceTable* {
            const auto number = static_cast<std::uint16_t>(port);
            const ServiceHit hit =
                key.vip.family == Family::v4
                    ? setup.index().find_single(static_cast<std::uint32_t>(words[0]), protocol,
                                                number)
                    : setup.index().find_single(words[0], words[1], protocol, number);
            if (!hit) return nullptr;
            const ServiceTable& found = *setup.services().at(hit.place);
            const bool same = hit.endpoint == found.endpoint(protocol) && hit.id == index(found.id);
            return same ? &found : nullptr;
        };
        wrong += single(key.first_port) == (key.first_port == key.last_port ? s : nullptr) ? 0 : 1;
        wrong += single(key.last_port + 1) == nullptr ? 0 : 1;
        wrong += at(key.first_port).service == s && at(key.last_port).service == s ? 0 : 1;
        wrong +=
            at(key.first_port - 1).service == nullptr && at(key.last_port + 1).service == nullptr
                ? 0
                : 1;
        wrong += at(key.first_port - 1).role == AddressRole::vip ? 0 : 1;
    }
    CHECK(wrong == 0);
}

namespace {

std::uint64_t word_at(const std::byte* at) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return word;
}

// Whether find_single()'s twin over many packets finds it where it looks: in the slot of its hash.
bool is_at_home(const ServiceIndex& index, const ServiceKey& key, std::uint8_t protocol) {
    std::uint64_t address[2];
    std::memcpy(address, key.vip.bytes.data(), sizeof address);
    const std::uint64_t port = key.first_port;
    if (key.vip.family == Family::v4) {
        const auto singles = index.singles_v4();
        const std::uint64_t wanted = address[0] | port << 32 | std::uint64_t{protocol} << 48;
        return word_at(singles.slots + (wanted * singles.factor >> singles.shift) * 16) == wanted;
    }
    const auto singles = index.singles_v6();
    const std::uint64_t rest = port | std::uint64_t{protocol} << 16;
    std::uint64_t hash = (address[0] ^ rest << 32) * ServiceIndex::first_factor;
    hash = (hash ^ hash >> 32 ^ address[1]) * singles.factor;
    const std::byte* const slot = singles.slots + (hash >> singles.shift) * 32;
    return word_at(slot) == address[0] && word_at(slot + 8) == address[1] &&
           word_at(slot + 16) == rest;
}

}  // namespace

TEST_CASE("service index: what lanes look at first is where services are", "[balance][property]") {
    std::mt19937 random(20261122);
    for (const auto& [count, most_away] :
         {std::pair{1u, 0u}, {11u, 0u}, {60u, 0u}, {100u, 1u}, {1000u, 70u}}) {
        for (const bool neighbours : {true, false}) {  // one address behind the other
            for (const bool six : {false, true}) {
                Setup setup;
                for (unsigned i = 0; i < count; ++i) {
                    const std::uint32_t host =
                        neighbours ? 0xcb007100 + i
                                   : 0x0a000000 | static_cast<std::uint32_t>(random() >> 8);
                    const auto port = static_cast<std::uint16_t>(neighbours ? 443 : random());
                    setup.add({six ? v6(host) : v4(host), ServiceProtocol::tcp, port, port});
                }
                setup.build();
                unsigned away = 0;
                for (unsigned i = 0; i < count; ++i)
                    away += is_at_home(setup.index(), setup.key(i), tcp) ? 0 : 1;
                INFO(count << " services, " << away << " away");
                CHECK(away <= most_away);
            }
        }
    }
}

TEST_CASE("service index: 3000 crossing ranges on one VIP", "[balance][property]") {
    Setup setup;
    std::mt19937 random(11);
    const IpAddress vip = v4(5);
    for (std::uint32_t i = 0; i < 3000; ++i) {
        const auto first = static_cast<std::uint32_t>(random() % 60'000);
        const auto last = static_cast<std::uint32_t>(first + random() % 2000);
        setup.add({vip, random() % 2 == 0 ? ServiceProtocol::tcp : ServiceProtocol::any,
                   std::uint16_t(first), std::uint16_t(last)});
    }
    setup.build();
    std::uint32_t wrong = 0;
    for (std::uint32_t port = 0; port < 65'536; port += 17) {
        for (const std::uint8_t protocol : {tcp, udp}) {
            const auto p = static_cast<std::uint16_t>(port);
            wrong += same(setup.find(vip, protocol, p), setup.reference(vip, protocol, p)) ? 0 : 1;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("service index: what looks at connection IDs is found, but not quickly",
          "[balance][quic]") {
    const auto quic = std::make_shared<const QuicLb>(std::span<const QuicLbConfig>{},
                                                     std::span<const QuicLb::Server>{});
    for (const bool is_v4 : {true, false}) {
        const IpAddress vip = is_v4 ? v4(0xcb007101) : v6(0x443);
        ServiceTable both, only, range;
        both.id = ServiceId{0};
        both.key = {vip, ServiceProtocol::any, 443, 443};
        only.id = ServiceId{1};
        only.key = {vip, ServiceProtocol::udp, 443, 443};
        only.quic = quic;
        range.id = ServiceId{2};
        range.key = {vip, ServiceProtocol::udp, 400, 500};
        const ServiceTable* const services[] = {&both, &only, &range};
        const ServiceIndex index = ServiceIndex::build(services, {}, {});
        const auto quickly = [&](std::uint8_t protocol, std::uint16_t port) {
            std::uint64_t words[2];
            std::memcpy(words, vip.bytes.data(), sizeof words);
            const ServiceHit& hit =
                is_v4 ? index.find_single(static_cast<std::uint32_t>(words[0]), protocol, port)
                      : index.find_single(words[0], words[1], protocol, port);
            return hit.place;
        };
        CHECK(index.find(vip, udp, 443).place == 1);
        CHECK(quickly(udp, 443) == ServiceHit::none);
        CHECK(index.find(vip, tcp, 443).place == 0);
        CHECK(quickly(tcp, 443) == 0);
        CHECK(index.find(vip, udp, 442).place == 2);
        CHECK(index.find(vip, udp, 444).place == 2);
    }
}
