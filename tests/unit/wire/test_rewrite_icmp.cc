// SPDX-License-Identifier: BSD-3-Clause
// Translation of ICMP errors: every field as asked, every checksum as if computed anew.
#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/parse.hh"
#include "lib/wire/rewrite_icmp.hh"

using namespace weir;

namespace {

using Bytes = std::vector<std::uint8_t>;

// An error about a packet, of which `quoted` bytes of the transport header are inside; all else
// is random. IPv4 headers are without options.
struct Sample {
    Family family = Family::v4;
    std::uint8_t protocol = proto_tcp;
    std::size_t quoted = 8;
    Bytes bytes, transport;  // the transport packet as it was sent, whole

    [[nodiscard]] bool v4() const { return family == Family::v4; }
    [[nodiscard]] std::size_t ip_length() const { return v4() ? 20 : 40; }
    [[nodiscard]] std::size_t icmp_at() const { return ip_length(); }
    [[nodiscard]] std::size_t embedded_at() const { return icmp_at() + 8; }
    [[nodiscard]] std::size_t transport_at() const { return embedded_at() + ip_length(); }
    [[nodiscard]] std::size_t address_size() const { return v4() ? 4 : 16; }
    [[nodiscard]] std::size_t source_at() const { return v4() ? 12 : 8; }
    [[nodiscard]] std::size_t destination_at() const { return source_at() + address_size(); }
    [[nodiscard]] std::size_t sum_at() const { return protocol == proto_tcp ? 16 : 6; }

    static void put(Bytes& to, std::size_t at, std::uint16_t value) {
        to[at] = static_cast<std::uint8_t>(value >> 8);
        to[at + 1] = static_cast<std::uint8_t>(value);
    }
    void put_address(std::size_t at, const IpAddress& address) {
        std::copy_n(address.bytes.begin(), address_size(),
                    bytes.begin() + static_cast<std::ptrdiff_t>(at));
    }
    [[nodiscard]] std::span<const std::uint8_t> part(std::size_t at, std::size_t size) const {
        return std::span(bytes).subspan(at, size);
    }
    // All checksums from nothing. UDP without one keeps none.
    void finish(bool udp_sum) {
        put(transport, sum_at(), 0);
        if (protocol == proto_tcp || udp_sum) {
            const std::uint32_t pseudo =
                pseudo_header_sum(part(embedded_at() + source_at(), address_size()),
                                  part(embedded_at() + destination_at(), address_size()), protocol,
                                  static_cast<std::uint32_t>(transport.size()));
            const std::uint16_t sum = checksum_finish(checksum_sum(transport, pseudo));
            put(transport, sum_at(), protocol == proto_udp && sum == 0 ? 0xffff : sum);
        }
        bytes.resize(transport_at());
        bytes.insert(bytes.end(), transport.begin(),
                     transport.begin() + static_cast<std::ptrdiff_t>(quoted));
        if (v4()) {
            for (const std::size_t at : {std::size_t{0}, embedded_at()}) {
                put(bytes, at + 10, 0);
                put(bytes, at + 10, checksum_finish(checksum_sum(part(at, 20))));
            }
        }
        put(bytes, icmp_at() + 2, 0);
        const std::uint32_t pseudo =
            v4() ? 0
                 : pseudo_header_sum(part(8, 16), part(24, 16), proto_icmp6,
                                     static_cast<std::uint32_t>(bytes.size() - icmp_at()));
        put(bytes, icmp_at() + 2,
            checksum_finish(checksum_sum(part(icmp_at(), bytes.size() - icmp_at()), pseudo)));
    }
    [[nodiscard]] IcmpErrorParts parts() {
        std::uint8_t* const all = bytes.data();
        return {all,
                all + icmp_at(),
                {all + embedded_at(), all + transport_at(), family, protocol},
                static_cast<std::uint32_t>(quoted)};
    }
};

Sample random_sample(std::mt19937& random, Family family, std::uint8_t protocol, bool udp_sum) {
    Sample sample;
    sample.family = family;
    sample.protocol = protocol;
    sample.transport.resize(20 + random() % 30);
    sample.quoted = 8 + random() % (sample.transport.size() - 7);
    if (sample.quoted == 17) ++sample.quoted;  // half of TCP's checksum cannot be updated
    sample.bytes.resize(sample.transport_at());
    for (Bytes* bytes : {&sample.bytes, &sample.transport})
        for (std::uint8_t& byte : *bytes)
            byte = static_cast<std::uint8_t>(random() % 4 == 0 ? 0xff : random());
    sample.bytes[sample.v4() ? 8 : 7] |= 1;  // TTL
    sample.finish(udp_sum);
    return sample;
}

PacketEnd random_end(std::mt19937& random, Family family) {
    PacketEnd end;
    end.address.family = family;
    for (std::size_t i = 0; i < end.address.size(); ++i)
        end.address.bytes[i] = static_cast<std::uint8_t>(random());
    end.port = static_cast<std::uint16_t>(random());
    return end;
}

}  // namespace

TEST_CASE("translate ICMP error: equals writing the fields and summing all anew",
          "[wire][property]") {
    std::mt19937 random(5508);
    for (int round = 0; round < 100'000; ++round) {
        const Family family = round % 2 == 0 ? Family::v4 : Family::v6;
        const std::uint8_t protocol = round % 4 < 2 ? proto_tcp : proto_udp;
        const bool udp_sum = family == Family::v6 || random() % 4 != 0;
        Sample sample = random_sample(random, family, protocol, udp_sum), expected = sample;
        const PacketEnd source = random_end(random, family), from = random_end(random, family),
                        destination = random_end(random, family), to = random_end(random, family);
        const auto which = static_cast<unsigned>(random() % 16);
        IcmpErrorRewrite rewrite;
        if ((which & 1) != 0) {
            rewrite.source = &source.address;
            expected.put_address(expected.source_at(), source.address);
        }
        if ((which & 2) != 0) {
            rewrite.destination = &destination.address;
            expected.put_address(expected.destination_at(), destination.address);
        }
        if ((which & 4) != 0) {
            rewrite.embedded_source = &from;
            expected.put_address(expected.embedded_at() + expected.source_at(), from.address);
            Sample::put(expected.transport, 0, from.port);
        }
        if ((which & 8) != 0) {
            rewrite.embedded_destination = &to;
            expected.put_address(expected.embedded_at() + expected.destination_at(), to.address);
            Sample::put(expected.transport, 2, to.port);
        }
        --expected.bytes[sample.v4() ? 8 : 7];
        expected.finish(udp_sum);
        translate_icmp_error(sample.parts(), rewrite);
        REQUIRE(sample.bytes == expected.bytes);
    }
}

TEST_CASE("translate ICMP error: a checksum that was wrong stays wrong", "[wire]") {
    std::mt19937 random(792);
    for (int round = 0; round < 1000; ++round) {
        const Family family = round % 2 == 0 ? Family::v4 : Family::v6;
        Sample sample = random_sample(random, family, proto_tcp, true);
        sample.bytes[sample.icmp_at() + 3] ^= static_cast<std::uint8_t>(1 + random() % 255);
        const PacketEnd end = random_end(random, family);
        translate_icmp_error(sample.parts(), {.embedded_source = &end});
        const Bytes before = sample.bytes;
        sample.transport[0] = static_cast<std::uint8_t>(end.port >> 8);
        sample.transport[1] = static_cast<std::uint8_t>(end.port);
        sample.finish(true);
        CHECK(before != sample.bytes);
    }
}
