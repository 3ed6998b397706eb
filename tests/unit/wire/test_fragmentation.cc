// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "lib/wire/checksum.hh"
#include "lib/wire/fragmentation.hh"

namespace weir {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::uint16_t more = 0x2000, dont = 0x4000, offset_bits = 0x1fff;

Bytes random_bytes(std::mt19937& random, std::size_t count) {
    Bytes bytes(count);
    for (std::uint8_t& byte : bytes)
        byte = static_cast<std::uint8_t>(random());
    return bytes;
}

// A frame with `options` (IPv4) behind `link` bytes of link header.
Bytes frame_of(const Ipv4Header& ip, const Bytes& options, std::size_t link, const Bytes& payload) {
    Bytes frame(link, 0xee);
    Ipv4Header header = ip;
    const std::size_t length = sizeof header + options.size();
    header.version_ihl = static_cast<std::uint8_t>(0x40 | length / 4);
    header.total_length = be16::from_host(static_cast<std::uint16_t>(length + payload.size()));
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&header);
    frame.insert(frame.end(), bytes, bytes + sizeof header);
    frame.insert(frame.end(), options.begin(), options.end());
    frame.insert(frame.end(), payload.begin(), payload.end());
    return frame;
}
Bytes frame_of(Ipv6Header ip, std::size_t link, const Bytes& payload) {
    Bytes frame(link, 0xee);
    ip.payload_length = be16::from_host(static_cast<std::uint16_t>(payload.size()));
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&ip);
    frame.insert(frame.end(), bytes, bytes + sizeof ip);
    frame.insert(frame.end(), payload.begin(), payload.end());
    return frame;
}

struct Cut {
    std::vector<Bytes> headers;  // from the IP header on
    std::vector<Bytes> payloads;
};
Cut cut(const Bytes& frame, std::size_t link, std::uint32_t mtu, std::uint32_t id) {
    const Bytes before = frame;
    const Fragmentation fragmentation(frame, static_cast<std::uint32_t>(link), mtu, id);
    Cut result;
    for (std::uint32_t i = 0; i < fragmentation.count(); ++i) {
        // Exactly as much as is promised, for the sanitizer.
        const auto out = std::make_unique<std::uint8_t[]>(Fragmentation::max_headers);
        const std::size_t size = fragmentation.write_headers(i, out.get());
        REQUIRE(size <= Fragmentation::max_headers);
        REQUIRE(std::equal(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(link),
                           out.get()));
        const auto [offset, length] = fragmentation.part(i);
        REQUIRE(offset + length <= frame.size());
        result.headers.emplace_back(out.get() + link, out.get() + size);
        result.payloads.emplace_back(frame.begin() + offset, frame.begin() + offset + length);
        REQUIRE(size - link + length <= mtu);
        REQUIRE(length > 0);
    }
    REQUIRE(frame == before);
    return result;
}

Bytes joined(const Cut& cut) {
    Bytes all;
    for (const Bytes& part : cut.payloads)
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

}  // namespace

TEST_CASE("fragmentation: IPv4 pieces put together are the packet", "[wire][property]") {
    std::mt19937 random(791);
    for (int round = 0; round < 2000; ++round) {
        const Bytes options(random() % 11 * 4, 1);  // no operation
        const std::size_t link = random() % 2 == 0 ? 14 : 18;
        const auto mtu = static_cast<std::uint32_t>(576 + random() % 1000);
        const Bytes payload = random_bytes(random, mtu + random() % 9000);
        Ipv4Header ip{};
        ip.id = be16::from_host(static_cast<std::uint16_t>(1 + random() % 65535));
        // A fragment itself, or not: a multiple of 8 bytes, unless it is the last.
        const bool is_last = random() % 2 == 0;
        const auto start = static_cast<std::uint16_t>(random() % 2 == 0 ? 0 : random() % 6000);
        ip.fragment = be16::from_host(static_cast<std::uint16_t>(start | (is_last ? 0 : more)));
        ip.ttl = 7;
        ip.protocol = 17;
        const Cut pieces = cut(frame_of(ip, options, link, payload), link, mtu, 99);
        REQUIRE(pieces.headers.size() >= 2);
        REQUIRE(joined(pieces) == payload);
        std::size_t at = 0;
        for (std::size_t i = 0; i < pieces.headers.size(); ++i) {
            const Bytes& bytes = pieces.headers[i];
            const auto& piece = *reinterpret_cast<const Ipv4Header*>(bytes.data());
            const bool last = i + 1 == pieces.headers.size();
            REQUIRE(bytes.size() == (i == 0 ? 20 + options.size() : 20));
            REQUIRE((piece.version_ihl & 15u) * 4 == bytes.size());
            REQUIRE(piece.total_length.host() == bytes.size() + pieces.payloads[i].size());
            REQUIRE(piece.id.host() == ip.id.host());
            REQUIRE((piece.fragment.host() & offset_bits) == start + at / 8);
            REQUIRE(((piece.fragment.host() & more) != 0) == (!last || !is_last));
            REQUIRE((piece.fragment.host() & dont) == 0);
            REQUIRE(checksum_finish(checksum_sum(bytes)) == 0);
            REQUIRE(piece.ttl == 7);
            at += pieces.payloads[i].size();
            REQUIRE((last || at % 8 == 0));
        }
    }
}

TEST_CASE("fragmentation: IPv6 pieces put together are the packet", "[wire][property]") {
    std::mt19937 random(8200);
    for (int round = 0; round < 2000; ++round) {
        const std::size_t link = random() % 2 == 0 ? 14 : 18;
        const auto mtu = static_cast<std::uint32_t>(1280 + random() % 300);
        const Bytes payload = random_bytes(random, mtu + random() % 9000);
        Ipv6Header ip{.version_class_label = be32::from_host(0x6b900000),
                      .payload_length = {},
                      .next_header = 47,
                      .hop_limit = 64,
                      .source = {1},
                      .destination = {2}};
        const std::uint32_t id = static_cast<std::uint32_t>(random());
        // With a fragment header already, or not.
        const bool has_header = random() % 2 == 0;
        const bool is_last = !has_header || random() % 2 == 0;
        const std::size_t start = has_header ? random() % 6000 * 8 : 0;
        Bytes behind = payload;
        if (has_header) {
            const Ipv6FragmentHeader header{
                .next_header = 47,
                .reserved = 0,
                .offset = be16::from_host(static_cast<std::uint16_t>(start | (is_last ? 0 : 1))),
                .id = be32::from_host(id)};
            ip.next_header = 44;
            const auto* const at_front = reinterpret_cast<const std::uint8_t*>(&header);
            behind.insert(behind.begin(), at_front, at_front + sizeof header);
        }
        const Cut pieces =
            cut(frame_of(ip, link, behind), link, mtu, has_header ? std::uint32_t{99} : id);
        REQUIRE(pieces.headers.size() >= 2);
        REQUIRE(joined(pieces) == payload);
        std::size_t at = 0;
        for (std::size_t i = 0; i < pieces.headers.size(); ++i) {
            const Bytes& bytes = pieces.headers[i];
            REQUIRE(bytes.size() == 48);
            const auto& outer = *reinterpret_cast<const Ipv6Header*>(bytes.data());
            const auto& fragment = *reinterpret_cast<const Ipv6FragmentHeader*>(bytes.data() + 40);
            const bool last = i + 1 == pieces.headers.size();
            REQUIRE(outer.next_header == 44);
            REQUIRE(outer.version_class_label.host() == 0x6b900000);
            REQUIRE(outer.payload_length.host() == 8 + pieces.payloads[i].size());
            REQUIRE(fragment.next_header == 47);
            REQUIRE(fragment.reserved == 0);
            REQUIRE(fragment.id.host() == id);
            REQUIRE(fragment.offset.host() == ((start + at) | (last && is_last ? 0 : 1)));
            at += pieces.payloads[i].size();
            REQUIRE((last || at % 8 == 0));
        }
    }
}

TEST_CASE("fragmentation: a whole IPv4 packet without an id gets one", "[wire]") {
    for (const std::uint16_t fragment : {std::uint16_t{0}, dont, more, std::uint16_t{7}}) {
        Ipv4Header ip{};
        ip.fragment = be16::from_host(fragment);
        const Cut pieces = cut(frame_of(ip, {}, 14, Bytes(1600)), 14, 1500, 0x56789);
        REQUIRE(pieces.headers.size() == 2);
        for (const Bytes& bytes : pieces.headers) {
            const auto& piece = *reinterpret_cast<const Ipv4Header*>(bytes.data());
            CHECK(piece.id.host() == ((fragment & ~dont) == 0 ? 0x6789 : 0));
        }
    }
}

TEST_CASE("fragmentation: later fragments have the options that ask for it", "[wire]") {
    struct Sample {
        Bytes options, copied;
    };
    const Sample samples[] = {
        {{148, 4, 0, 0}, {148, 4, 0, 0}},
        {{7, 4, 4, 0}, {}},
        {{1, 1, 148, 4, 0, 0, 7, 3, 4, 0, 0, 0}, {148, 4, 0, 0}},
        {{136, 3, 9, 148, 4, 0, 0, 0}, {136, 3, 9, 148, 4, 0, 0, 0}},
        {{136, 3, 9, 0}, {136, 3, 9, 0}},                // padded
        {{0, 148, 4, 0}, {}},                            // behind the end of the list
        {{136, 0, 0, 0, 148, 4, 0, 0}, {}},              // no length
        {{136, 1, 0, 0, 148, 4, 0, 0}, {}},              // too short a length
        {{148, 4, 0, 0, 136, 9, 0, 0}, {148, 4, 0, 0}},  // past the end
        {{1, 1, 1, 136}, {}},                            // no room for its length
        {Bytes(40, 1), {}},
    };
    for (const Sample& sample : samples) {
        const Cut pieces =
            cut(frame_of(Ipv4Header{}, sample.options, 14, Bytes(3000)), 14, 1500, 1);
        REQUIRE(pieces.headers.size() == 3);
        CHECK(Bytes(pieces.headers[0].begin() + 20, pieces.headers[0].end()) == sample.options);
        for (const std::size_t i : {1u, 2u})
            CHECK(Bytes(pieces.headers[i].begin() + 20, pieces.headers[i].end()) == sample.copied);
    }
}

TEST_CASE("fragmentation: how many there are, and when there are too many", "[wire]") {
    CHECK(fragment_count(1480, 20, 1500) == 1);
    CHECK(fragment_count(1481, 20, 1500) == 2);
    CHECK(fragment_count(1452, 48, 1500) == 2);  // 1448 in the first
    CHECK(fragment_count(1448, 48, 1500) == 1);
    CHECK(fragment_count(32 * 552, 20, 576) == 32);
    CHECK(fragment_count(32 * 552 + 1, 20, 576) == 0);
    CHECK(fragment_count(8, 20, 28) == 1);
    CHECK(fragment_count(8, 20, 27) == 0);
    CHECK(fragment_count(8, 60, 40) == 0);
    const Bytes frame = frame_of(Ipv4Header{}, {}, 14, Bytes(20'000));
    CHECK(Fragmentation(frame, 14, 576, 1).count() == 0);
}

}  // namespace weir
