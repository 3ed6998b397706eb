// SPDX-License-Identifier: BSD-3-Clause
// Connections of a full-nat service whose backend is told the client's address by a TCP option.
#include <string>

#include <catch2/catch.hpp>

#include "tests/unit/dataplane/telling_talk.hh"

using namespace weir;
using namespace weir::test;

namespace {

const Bytes toa = Bytes{254, 8} + Bytes{0x12, 0x67} + address("198.18.0.7");  // port 4711
const Bytes forged{254, 8, 0, 80, 9, 9, 9, 9};
const Bytes usual{2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};

// The option behind the 20 bytes that each header has.
Segment told(Segment segment) {
    segment.options = toa + segment.options;
    return segment;
}

struct Toa : Talk {
    Toa() : Talk(ClientAddress::toa) {}
};

}  // namespace

TEST_CASE("toa: SYN, the handshake's end and the first data tell the client's address",
          "[dataplane][toa]") {
    Toa talk;
    const Segment hello{.flags = syn, .sequence = isn, .acknowledgment = 0, .options = usual};
    CHECK(talk.passes(hello, told(hello)));
    const Segment greeted{.flags = syn_ack, .sequence = 7000, .acknowledgment = isn + 1};
    CHECK(talk.returns(greeted, greeted));
    const Segment up{.sequence = isn + 1, .acknowledgment = 7001};
    CHECK(talk.passes(up, told(up)));
    const Segment data{.sequence = isn + 1, .acknowledgment = 7001, .data = filled(101)};
    CHECK(talk.passes(data, told(data)));
    // Whichever of them arrives first opens the connection.
    const Segment second{.sequence = isn + 102, .acknowledgment = 7001, .data = filled(7)};
    CHECK(talk.passes(second, told(second)));
    const Segment got{.sequence = 7001, .acknowledgment = isn + 102};
    CHECK(talk.returns(got, got));
    CHECK(talk.passes(second, second));
}

TEST_CASE("toa: an acknowledgment of nothing new ends nothing, data does", "[dataplane][toa]") {
    Toa talk;
    talk.handshake();
    // As a backend answers what it refuses before the handshake's end.
    const Segment up{.sequence = isn + 1, .acknowledgment = 7001};
    talk.to_client({.sequence = 7001, .acknowledgment = isn + 1});
    CHECK(talk.passes(up, told(up)));
    talk.to_client({.flags = rst, .sequence = 7001, .acknowledgment = isn + 9});
    CHECK(talk.passes(up, told(up)));
    const Segment banner{.sequence = 7001, .acknowledgment = isn + 1, .data = filled(1)};
    CHECK(talk.returns(banner, banner));
    CHECK(talk.passes(up, up));
}

TEST_CASE("toa: the backend's MSS leaves room for the option", "[dataplane][toa]") {
    Toa talk;
    talk.to_backend({.flags = syn, .sequence = isn});
    Segment greeted{
        .flags = syn_ack, .sequence = 7000, .acknowledgment = isn + 1, .options = usual};
    Segment lower = greeted;
    lower.options[3] -= 8;
    CHECK(talk.returns(greeted, lower));
    // Below the clamp as well, which says what the way carries.
    for (BackendEntry& seat : talk.world.service->seats)
        seat.mss_clamp = 1400;
    talk.world.rebuild();
    lower.options[2] = 1392 >> 8;
    lower.options[3] = 1392 & 0xff;
    CHECK(talk.returns(greeted, lower));
    Segment hello{.flags = syn, .sequence = isn, .options = usual};
    Segment clamped = hello;
    clamped.options[2] = 1400 >> 8;
    clamped.options[3] = 1400 & 0xff;
    CHECK(talk.passes(hello, told(clamped)));
}

TEST_CASE("toa: no client writes the option itself", "[dataplane][toa]") {
    Toa talk;
    // Before a SYN, and for ever after.
    Segment up{.sequence = isn + 1, .acknowledgment = 7001, .options = forged};
    Segment blank = up;
    blank.options = filled(8, 1);
    CHECK(talk.passes(up, blank));
    Segment hello{.flags = syn, .sequence = isn, .options = forged};
    Segment honest = hello;
    honest.options = filled(8, 1);
    CHECK(talk.passes(hello, told(honest)));
    talk.handshake();
    CHECK(talk.passes(up, told(blank)));
    talk.to_client({.sequence = 7001, .acknowledgment = isn + 2});
    CHECK(talk.passes(up, blank));
    // A header that is full tells nothing, false or true.
    hello.options = usual + forged + filled(8, 1);
    honest.options = usual + filled(16, 1);
    CHECK(talk.passes(hello, honest));
    hello.options = usual + filled(12, 1);
    CHECK(talk.passes(hello, told(hello)));
}

TEST_CASE("toa: what has no room goes without", "[dataplane][toa]") {
    Toa talk;
    talk.handshake();
    Segment data{.sequence = isn + 1, .acknowledgment = 7001, .data = filled(1500 - 40 - 8)};
    CHECK(talk.passes(data, told(data)));
    data.data.push_back(1);
    CHECK(talk.passes(data, data));
    data.data = filled(1460);
    CHECK(talk.passes(data, data));
    data.data.push_back(1);
    CHECK(talk.run(talk.from_client(data)).reason == DropReason::too_big);
    data.data = filled(3);
    CHECK(talk.passes(data, told(data), 8));
    CHECK(talk.passes(data, data, 7));
}

TEST_CASE("toa: Ethernet padding is no part of the segment", "[dataplane][toa]") {
    Toa talk;
    talk.handshake();
    const Segment up{.sequence = isn + 1, .acknowledgment = 7001};
    const Bytes padding = filled(6, 0xab);
    REQUIRE(talk.run(talk.from_client(up) + padding).is_sent());
    CHECK(talk.sent() == talk.at_backend(told(up)) + padding);
}

TEST_CASE("toa: fragments go as they are", "[dataplane][toa]") {
    Toa talk;
    talk.handshake();
    const Segment data{.sequence = isn + 1, .acknowledgment = 7001, .data = filled(44)};
    const Bytes whole = talk.from_client(data), there = talk.at_backend(data);
    const auto piece = [](const Bytes& segment, Ip4 ip, std::uint16_t fragment, std::size_t begin,
                          std::size_t end) {
        ip.fragment = fragment;
        return ip / cut(segment, begin, end);
    };
    const Bytes in(whole.begin() + 34, whole.end()), out(there.begin() + 20, there.end());
    const Ethernet link{.destination = our_mac, .source = "02:00:00:00:00:c1"};
    struct Part {
        std::uint16_t fragment;
        std::size_t begin, end;
    };
    for (const auto& [fragment, begin, end] : {Part{0x2000, 0, 40}, Part{5, 40, 64}}) {
        REQUIRE(talk.run(link / piece(in, talk.ip_from_client(), fragment, begin, end)).is_sent());
        CHECK(talk.sent() == piece(out, talk.ip_at_backend(), fragment, begin, end));
    }
}

TEST_CASE("toa: a connection from before a restart goes on without", "[dataplane][toa]") {
    Toa talk;
    const Segment data{.sequence = 5, .acknowledgment = 6, .data = filled(9)};
    CHECK(talk.passes(data, data));
    talk.to_client({.sequence = 6, .acknowledgment = 14});
    CHECK(talk.passes(data, data));
}

TEST_CASE("toa: a tuple used again is told anew", "[dataplane][toa]") {
    Toa talk;
    talk.handshake();
    talk.to_client({.sequence = 7001, .acknowledgment = isn + 2});
    const Segment up{.sequence = 900, .acknowledgment = 50};
    CHECK(talk.passes(up, up));
    talk.to_backend({.flags = syn, .sequence = 899});
    talk.to_client({.flags = syn_ack, .sequence = 49, .acknowledgment = 900});
    CHECK(talk.passes(up, told(up)));
}

TEST_CASE("toa: a connection goes on when a reload changes its service", "[dataplane][toa]") {
    Toa talk;
    talk.handshake();
    const FullNatWorld plain;
    talk.world.tables.nat = plain.tables.nat;
    const Segment up{.sequence = isn + 1, .acknowledgment = 7001};
    CHECK(talk.passes(up, told(up)));
    const Segment hello{.flags = syn, .sequence = isn};
    CHECK(talk.passes(hello, hello));
}
