// SPDX-License-Identifier: BSD-3-Clause
// Bytes put into a TCP segment: what a sum over everything says holds, and the rest only moves.
#include <memory>

#include <catch2/catch.hpp>

#include "lib/wire/segment.hh"
#include "tests/unit/wire/frames.hh"

using namespace weir;
using namespace weir::test;

namespace {

struct Built {
    Bytes packet;
    std::size_t transport = 0;
    Family family = Family::v4;
};

// A whole packet with `options` bytes of IPv4 options and right checksums.
Built packet4(std::size_t options, const Bytes& segment) {
    const std::size_t length = 20 + options;
    Bytes bytes{static_cast<std::uint8_t>(0x40 | length / 4), 0};
    append16(bytes, static_cast<unsigned>(length + segment.size()));
    append(bytes, {0x12, 0x34, 0x40, 0, 61, proto_tcp, 0, 0, 10, 1, 2, 3, 192, 0, 2, 10});
    append(bytes, Bytes(options, 1));
    put16(bytes, 10, checksum_finish(checksum_sum(bytes)));
    append(bytes, segment);
    return {bytes, length, Family::v4};
}
Built packet6(const Bytes& segment) {
    Bytes bytes{0x60, 0, 0, 0};
    append16(bytes, static_cast<unsigned>(segment.size()));
    append(bytes, {proto_tcp, 61});
    for (const IpAddress& address : {ip("2001:db8::1"), ip("2001:db8::2")})
        append(bytes, Bytes(address.bytes.begin(), address.bytes.end()));
    append(bytes, segment);
    return {bytes, 40, Family::v6};
}

Bytes summed(Built built) {
    Bytes& bytes = built.packet;
    const std::size_t from = built.family == Family::v4 ? 12 : 8,
                      size = built.family == Family::v4 ? 4 : 16;
    const std::span all(bytes);
    put16(bytes, built.transport + 16, 0);
    const auto pseudo =
        pseudo_header_sum(all.subspan(from, size), all.subspan(from + size, size), proto_tcp,
                          static_cast<std::uint32_t>(bytes.size() - built.transport));
    put16(bytes, built.transport + 16,
          checksum_finish(checksum_sum(all.subspan(built.transport), pseudo)));
    return bytes;
}

Bytes inserted(const Built& built, std::size_t at, const Bytes& what) {
    const Bytes in = summed(built);
    const std::unique_ptr<std::uint8_t[]> buffer(new std::uint8_t[what.size() + in.size()]);
    std::uint8_t* const start = buffer.get() + what.size();
    std::copy(in.begin(), in.end(), start);
    const PacketHeaders headers{start, start + built.transport, built.family, proto_tcp};
    ChecksumChange change;
    const PacketHeaders moved = insert_into_segment(headers, at, what, change);
    CHECK(moved.ip == buffer.get());
    CHECK(moved.transport == buffer.get() + built.transport);
    change.apply_to_transport(moved);
    return {buffer.get(), buffer.get() + what.size() + in.size()};
}

Bytes with(Bytes segment, std::size_t at, const Bytes& what) {
    segment.insert(segment.begin() + static_cast<std::ptrdiff_t>(at), what.begin(), what.end());
    return segment;
}

}  // namespace

TEST_CASE("segment: bytes put in, lengths and checksums follow", "[wire][segment][property]") {
    for (const std::size_t payload : {0U, 1U, 2U, 7U, 1000U, 1452U}) {
        for (const std::size_t count : {2U, 8U, 20U, 28U, 52U}) {
            for (const std::size_t at : {20U, 32U}) {
                Bytes segment = tcp(40000, 80, tcp_ack, payload + 12);
                segment[12] = 0x80;
                Bytes what;
                for (std::size_t i = 0; i < count; ++i)
                    what.push_back(static_cast<std::uint8_t>(0xf0 + i * 7));
                const Bytes grown = with(segment, at, what);
                INFO(payload << " bytes of payload, " << count << " more at " << at);
                CHECK(inserted(packet4(0, segment), at, what) == summed(packet4(0, grown)));
                CHECK(inserted(packet4(40, segment), at, what) == summed(packet4(40, grown)));
                CHECK(inserted(packet6(segment), at, what) == summed(packet6(grown)));
            }
        }
    }
}

TEST_CASE("segment: the header is what its data offset says", "[wire][segment]") {
    Bytes segment = tcp(1, 2, tcp_ack, 60);
    const PacketHeaders headers{nullptr, segment.data(), Family::v4, proto_tcp};
    CHECK(tcp_header(headers).size() == 20);
    segment[12] = 0xf0;
    CHECK(tcp_header(headers).size() == 60);
    CHECK(tcp_header(headers).data() == segment.data());
}

TEST_CASE("segment: payload taken away, lengths and checksums follow",
          "[wire][segment][property]") {
    for (const std::size_t payload : {1U, 2U, 7U, 1000U, 1453U}) {
        const auto removed = [&](Built built, std::size_t readable, int error) {
            Bytes bytes = summed(built);
            bytes[built.transport + 16] ^= static_cast<std::uint8_t>(error);
            const std::unique_ptr<std::uint8_t[]> buffer(
                new std::uint8_t[bytes.size() - payload + readable]);
            std::copy_n(bytes.begin(), bytes.size() - payload + readable, buffer.get());
            remove_payload({buffer.get(), buffer.get() + built.transport, built.family, proto_tcp},
                           payload, readable);
            Bytes result(buffer.get(), buffer.get() + bytes.size() - payload);
            if (error == 0) return result;
            CHECK_FALSE(result == summed({result, built.transport, built.family}));
            return Bytes{};
        };
        const Bytes segment = tcp(40000, 80, tcp_syn, payload), bare = tcp(40000, 80, tcp_syn);
        INFO(payload << " bytes");
        for (const std::size_t readable : {payload, payload - 1, std::size_t{0}}) {
            CHECK(removed(packet4(0, segment), readable, 0) == summed(packet4(0, bare)));
            CHECK(removed(packet4(40, segment), readable, 0) == summed(packet4(40, bare)));
            CHECK(removed(packet6(segment), readable, 0) == summed(packet6(bare)));
        }
        removed(packet4(0, segment), payload, 0x20);
    }
}
