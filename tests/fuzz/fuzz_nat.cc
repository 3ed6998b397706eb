// SPDX-License-Identifier: BSD-3-Clause
// Any headers through translate() and translate_icmp_error(): what is replaced is what was asked
// for, every checksum is as right or wrong as before, and the way back restores all but the TTL.
//
// Input: a byte of settings (bit 0: IPv6, bit 1: UDP, bit 2: an ICMP error, bits 3 and 4: source
// and destination change, bits 5 and 6: those of the packet in the error, bit 7: a later fragment,
// or the error's bytes end early), a byte for the lengths of both IP headers, the new ends, then
// the packet.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/wire/parse.hh"
#include "lib/wire/rewrite.hh"
#include "lib/wire/rewrite_icmp.hh"
#include "tests/fuzz/input.hh"
#include "tests/fuzz/require.hh"
#include "tests/fuzz/sums.hh"

namespace weir::fuzz {

namespace {

using Bytes = std::vector<std::uint8_t>;

// Where things lie in an IP packet of a family.
struct Layout {
    Family family = Family::v4;
    std::size_t header = 20;  // with options or extension headers
    [[nodiscard]] bool v4() const { return family == Family::v4; }
    [[nodiscard]] std::size_t ttl() const { return v4() ? 8 : 7; }
    [[nodiscard]] std::size_t address_size() const { return v4() ? 4 : 16; }
    [[nodiscard]] std::size_t source() const { return v4() ? 12 : 8; }
    [[nodiscard]] std::size_t destination() const { return source() + address_size(); }
};

std::uint16_t load(const Bytes& bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
void store(Bytes& bytes, std::size_t at, std::uint16_t value) {
    bytes[at] = static_cast<std::uint8_t>(value >> 8);
    bytes[at + 1] = static_cast<std::uint8_t>(value);
}
std::size_t checksum_at(std::uint8_t protocol) {
    return protocol == proto_tcp ? 16 : 6;
}

PacketEnd read_end(Input& input, Family family) {
    PacketEnd end;
    end.address.family = family;
    const auto bytes = input.take(end.address.size());
    std::ranges::copy(bytes, end.address.bytes.begin());
    end.port = input.two();
    return end;
}
PacketEnd end_in(const Bytes& bytes, Family family, std::size_t address, std::size_t port) {
    PacketEnd end;
    end.address.family = family;
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(address), end.address.size(),
                end.address.bytes.begin());
    if (port != 0) end.port = load(bytes, port);
    return end;
}
void put_address(Bytes& bytes, std::size_t at, const IpAddress& address) {
    std::copy_n(address.bytes.begin(), address.size(),
                bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

// Bytes of exactly the size, in which AddressSanitizer sees a step outside.
struct Exact {
    explicit Exact(const Bytes& from) : size(from.size()), bytes(new std::uint8_t[from.size()]) {
        std::ranges::copy(from, bytes.get());
    }
    [[nodiscard]] Bytes copy() const { return {bytes.get(), bytes.get() + size}; }
    std::size_t size;
    std::unique_ptr<std::uint8_t[]> bytes;
};

struct Settings {
    explicit Settings(Input& input) : bits(input.byte()) {
        const std::uint8_t lengths = input.byte();
        const auto layout = [&](std::uint8_t more) {
            const Family family = (bits & 1) != 0 ? Family::v6 : Family::v4;
            const std::size_t extra = family == Family::v4 ? more % 11 * 4u : more * 8u;
            return Layout{family, (family == Family::v4 ? 20 : 40) + extra};
        };
        outer = layout(lengths & 15);
        inner = layout(lengths >> 4);
        for (PacketEnd& end : ends)
            end = read_end(input, outer.family);
    }
    [[nodiscard]] bool has(unsigned bit) const { return (bits >> bit & 1) != 0; }
    [[nodiscard]] std::uint8_t protocol() const { return has(1) ? proto_udp : proto_tcp; }
    // At least: what the contract wants to be there behind the IP header.
    [[nodiscard]] std::size_t transport_length() const { return has(1) ? 8 : 20; }
    [[nodiscard]] const PacketEnd* end(std::size_t i) const {
        return has(static_cast<unsigned>(3 + i)) ? &ends[i] : nullptr;
    }

    std::uint8_t bits;
    Layout outer, inner;
    PacketEnd ends[4];
};

// The packet, at least `least` bytes of it, that can be a hop older.
Bytes read_packet(Input& input, const Layout& layout, std::size_t least) {
    const auto rest = input.take(input.size());
    Bytes bytes(rest.begin(), rest.end());
    bytes.resize(std::max(bytes.size(), least));
    if (layout.v4()) bytes[0] = static_cast<std::uint8_t>(0x40 | layout.header / 4);
    bytes[layout.ttl()] |= 1;
    return bytes;
}

std::uint32_t header_sum(const Bytes& bytes, std::size_t at, const Layout& layout) {
    return layout.v4() ? sum_of(std::span(bytes).subspan(at, layout.header)) : 0;
}
// With the addresses of the pseudo header, all else of which stays.
std::uint32_t transport_sum(const Bytes& bytes, std::size_t ip, std::size_t transport,
                            const Layout& layout) {
    const std::span all(bytes);
    return sum_of_all(all.subspan(ip + layout.source(), 2 * layout.address_size()),
                      all.subspan(transport));
}

// --- translate() ---

struct Case {
    Layout layout;
    std::uint8_t protocol = proto_tcp;
    bool later = false;
    [[nodiscard]] bool has_sum(const Bytes& bytes) const {
        // Over IPv6 a checksum of 0 is one, and wrong.
        const bool may_lack = protocol == proto_udp && layout.v4();
        return !later && (!may_lack || load(bytes, layout.header + 6) != 0);
    }
};

Bytes translated(const Case& one, const Bytes& from, const PacketEnd* source,
                 const PacketEnd* destination) {
    const Exact exact(from);
    std::uint8_t* const ip = exact.bytes.get();
    translate({ip, one.later ? nullptr : ip + one.layout.header, one.layout.family, one.protocol},
              source, destination);
    return exact.copy();
}

// Those of `from` in place of those of `to`.
void copy_checksums(const Case& one, const Bytes& from, Bytes& to) {
    if (one.layout.v4()) store(to, 10, load(from, 10));
    if (one.later) return;
    const std::size_t at = one.layout.header + checksum_at(one.protocol);
    store(to, at, load(from, at));
}

void check_sums(const Case& one, const Bytes& before, const Bytes& after) {
    const Layout& layout = one.layout;
    require(header_sum(before, 0, layout) == header_sum(after, 0, layout),
            "the header's checksum is as right as before");
    if (one.later) return;
    require(one.has_sum(before) == one.has_sum(after), "none stays none, and some stays some");
    if (one.has_sum(before))
        require(transport_sum(before, 0, layout.header, layout) ==
                    transport_sum(after, 0, layout.header, layout),
                "the transport's checksum is as right as before");
}

void check_translate(Input& input, const Settings& settings) {
    const Case one{settings.outer, settings.protocol(), settings.has(7)};
    const Layout& layout = one.layout;
    const Bytes before =
        read_packet(input, layout, layout.header + (one.later ? 0 : settings.transport_length()));
    const PacketEnd *source = settings.end(0), *destination = settings.end(1);
    const Bytes after = translated(one, before, source, destination);

    Bytes expected = before;
    --expected[layout.ttl()];
    if (source != nullptr) put_address(expected, layout.source(), source->address);
    if (destination != nullptr) put_address(expected, layout.destination(), destination->address);
    if (source != nullptr && !one.later) store(expected, layout.header, source->port);
    if (destination != nullptr && !one.later) store(expected, layout.header + 2, destination->port);
    copy_checksums(one, after, expected);
    require(after == expected, "what is asked for changes, and nothing else");
    check_sums(one, before, after);

    if (after[layout.ttl()] == 0) return;
    const std::size_t port = one.later ? 0 : layout.header;
    const PacketEnd from = end_in(before, layout.family, layout.source(), port),
                    to = end_in(before, layout.family, layout.destination(),
                                one.later ? 0 : port + 2);
    Bytes back = translated(one, after, source != nullptr ? &from : nullptr,
                            destination != nullptr ? &to : nullptr);
    check_sums(one, before, back);
    back[layout.ttl()] = before[layout.ttl()];
    copy_checksums(one, before, back);
    require(back == before, "the way back restores all but the TTL");
}

// --- translate_icmp_error() ---

// An ICMP error about a packet, and how much of it may be read.
struct Error {
    Layout outer, inner;
    std::uint8_t protocol = proto_tcp;
    std::size_t readable = 0;  // bytes of the transport header inside
    [[nodiscard]] std::size_t icmp() const { return outer.header; }
    [[nodiscard]] std::size_t embedded() const { return icmp() + 8; }
    [[nodiscard]] std::size_t transport() const { return embedded() + inner.header; }
    [[nodiscard]] bool has_sum(const Bytes& bytes) const {
        if (readable < checksum_at(protocol) + 2) return false;
        return protocol == proto_tcp || load(bytes, transport() + 6) != 0;
    }
    [[nodiscard]] std::uint32_t message_sum(const Bytes& bytes) const {
        const std::span all(bytes);
        if (outer.v4()) return sum_of(all.subspan(icmp()));
        return sum_of_all(all.subspan(outer.source(), 2 * outer.address_size()),
                          all.subspan(icmp()));
    }
};

Bytes translated(const Error& error, const Bytes& from, const Settings& settings) {
    const Exact exact(from);
    std::uint8_t* const ip = exact.bytes.get();
    const auto address = [&](std::size_t i) {
        return settings.end(i) != nullptr ? &settings.end(i)->address : nullptr;
    };
    translate_icmp_error(
        {ip,
         ip + error.icmp(),
         {ip + error.embedded(), ip + error.transport(), error.inner.family, error.protocol},
         static_cast<std::uint32_t>(error.readable)},
        {address(0), address(1), settings.end(2), settings.end(3)});
    return exact.copy();
}

Bytes expected_of(const Error& error, const Bytes& before, const Bytes& after,
                  const Settings& settings) {
    Bytes expected = before;
    --expected[error.outer.ttl()];
    const std::size_t places[] = {error.outer.source(), error.outer.destination(),
                                  error.embedded() + error.inner.source(),
                                  error.embedded() + error.inner.destination()};
    for (std::size_t i = 0; i < 4; ++i) {
        const PacketEnd* end = settings.end(i);
        if (end == nullptr) continue;
        put_address(expected, places[i], end->address);
        if (i >= 2) store(expected, error.transport() + (i - 2) * 2, end->port);
    }
    std::vector<std::size_t> sums{error.icmp() + 2};
    if (error.outer.v4()) sums.insert(sums.end(), {10, error.embedded() + 10});
    if (error.has_sum(before)) sums.push_back(error.transport() + checksum_at(error.protocol));
    for (const std::size_t at : sums)
        store(expected, at, load(after, at));
    return expected;
}

void check_error(Input& input, const Settings& settings) {
    Error error{settings.outer, settings.inner, settings.protocol(), 8};
    const Bytes before = read_packet(input, error.outer, error.transport() + 8);
    const std::size_t there = before.size() - error.transport();
    error.readable = settings.has(7) ? 8 + there % 13 : there;
    error.readable = std::min(error.readable, there);
    const Bytes after = translated(error, before, settings);
    require(after == expected_of(error, before, after, settings),
            "what is asked for changes, and nothing else");
    require(header_sum(before, 0, error.outer) == header_sum(after, 0, error.outer),
            "the header's checksum is as right as before");
    require(header_sum(before, error.embedded(), error.inner) ==
                header_sum(after, error.embedded(), error.inner),
            "the inner header's checksum is as right as before");
    require(error.message_sum(before) == error.message_sum(after),
            "the message's checksum is as right as before");
    require(error.has_sum(before) == error.has_sum(after), "none stays none, some stays some");
    if (error.has_sum(before))
        require(transport_sum(before, error.embedded(), error.transport(), error.inner) ==
                    transport_sum(after, error.embedded(), error.transport(), error.inner),
                "the inner transport's checksum is as right as before");
}

}  // namespace

}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weir::fuzz;
    Input input({data, size});
    const Settings settings(input);
    if (settings.has(2))
        check_error(input, settings);
    else
        check_translate(input, settings);
    return 0;
}
