// SPDX-License-Identifier: BSD-3-Clause
// IPv4 headers, right and wrong (RFC 791, RFC 1812 5.2.2).
#include "tests/packet/case.hh"

namespace weir::test {
namespace {

const Bytes segment = Tcp{.source = 42000} / filled(12);

Ip4 to_vip() {
    return {.destination = net::vip_web4};
}

Case broken(const std::string& name, const Ip4& header, DropReason reason, int fault,
            const Bytes& payload = segment) {
    return {name, In::wan, to_wan() / (header / payload), drop(reason), fault};
}

Case served(const std::string& name, const Ip4& header, int fault, const Bytes& payload = segment) {
    const Bytes ip = header / payload;
    return {name, In::wan, to_wan() / ip,
            send(In::lan, Ethernet{.destination = net::web4_mac, .source = net::lan_mac} / ip),
            fault};
}

template <typename Edit>
Ip4 with(Edit edit) {
    Ip4 header = to_vip();
    edit(header);
    return header;
}

}  // namespace

Cases ipv4_cases() {
    Cases cases{
        broken("version 6 in an IPv4 frame", with([](Ip4& h) { h.version = 6; }),
               DropReason::ip_bad_header, 1),
        broken("version 0", with([](Ip4& h) { h.version = 0; }), DropReason::ip_bad_header, 1),
        broken("header length 4 words", with([](Ip4& h) { h.ihl = 4; }), DropReason::ip_bad_header,
               1),
        broken("header length 0", with([](Ip4& h) { h.ihl = 0; }), DropReason::ip_bad_header, 1),
        broken("header length past the frame", with([](Ip4& h) { h.ihl = 15; }),
               DropReason::ip_bad_header, 1, filled(8)),
        broken("total length beyond the frame", with([](Ip4& h) { h.total_length = 1400; }),
               DropReason::ip_bad_length, 2),
        broken("total length below the header", with([](Ip4& h) { h.total_length = 19; }),
               DropReason::ip_bad_length, 2),
        broken("total length 0", with([](Ip4& h) { h.total_length = 0; }),
               DropReason::ip_bad_length, 2),
        broken("a wrong header checksum", with([](Ip4& h) { h.checksum = 0x1234; }),
               DropReason::ip_bad_checksum, 3),
        broken("header checksum 0", with([](Ip4& h) { h.checksum = 0; }),
               DropReason::ip_bad_checksum, 3),
        served("40 bytes of no-operation options", with([](Ip4& h) { h.options = filled(40, 1); }),
               4),
        served("an end-of-options byte hides what follows", with([](Ip4& h) {
                   h.options = Bytes{0, 131, 3, 4};
               }),
               4),
        served("a record route option is carried",
               with([](Ip4& h) { h.options = Bytes{7, 7, 4, 0, 0, 0, 0, 0}; }), 4),
        broken("an option of length 0", with([](Ip4& h) {
                   h.options = Bytes{7, 0, 0, 0};
               }),
               DropReason::ip_bad_header, 4),
        broken("an option of length 1", with([](Ip4& h) {
                   h.options = Bytes{7, 1, 0, 0};
               }),
               DropReason::ip_bad_header, 4),
        broken("an option past the header", with([](Ip4& h) {
                   h.options = Bytes{7, 9, 4, 0};
               }),
               DropReason::ip_bad_header, 4),
        broken("an option without its length byte", with([](Ip4& h) {
                   h.options = Bytes{1, 1, 1, 7};
               }),
               DropReason::ip_bad_header, 4),
        broken("loose source route", with([](Ip4& h) {
                   h.options = Bytes{131, 3, 4, 0};
               }),
               DropReason::ip_source_route, 4),
        broken("strict source route behind no-operations", with([](Ip4& h) {
                   h.options = Bytes{1, 137, 3, 4};
               }),
               DropReason::ip_source_route, 4),
        served("TTL 2 is forwarded and not decremented", with([](Ip4& h) { h.ttl = 2; }), 13),
        served("DSCP and ECN stay as they are", with([](Ip4& h) { h.tos = 0xbb; }), 0),
        served("the reserved fragment bit does not matter",
               with([](Ip4& h) { h.fragment = 0x8000; }), 0),
        broken("source equals destination", with([](Ip4& h) { h.source = h.destination; }),
               DropReason::martian, 15),
    };
    for (const char* source : {"127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250",
                               "240.0.0.1", "255.255.255.255"})
        cases.push_back(broken(std::string("source ") + source,
                               with([&](Ip4& h) { h.source = source; }), DropReason::martian, 15));
    return cases;
}

}  // namespace weir::test
