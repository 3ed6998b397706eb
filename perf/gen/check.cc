// SPDX-License-Identifier: BSD-3-Clause
#include "perf/gen/check.hh"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "lib/wire/headers.hh"

namespace weir::gen {

namespace {

constexpr std::array<std::string_view, verdict_count> names{
    "right",           "other",          "length",       "ethernet",
    "outer_version",   "outer_class",    "outer_ttl",    "outer_protocol",
    "outer_length",    "outer_checksum", "outer_source", "shim",
    "unknown_backend", "inner_changed",  "unknown_flow", "moved"};

constexpr std::uint8_t protocol_ipv4 = 4, protocol_ipv6 = 41, protocol_gre = 47, protocol_udp = 17,
                       outer_ttl = 64;
constexpr std::size_t gre_bytes = 4, udp_bytes = 8, gue_header_bytes = 4;

std::uint16_t word_at(std::span<const std::uint8_t> bytes, std::size_t at) noexcept {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// The header at the front of `bytes`, which are long enough.
template <typename Header>
Header at_front(std::span<const std::uint8_t> bytes) noexcept {
    Header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    return header;
}

std::array<std::uint64_t, 2> words(const std::array<std::uint8_t, 16>& bytes) noexcept {
    std::array<std::uint64_t, 2> result;
    std::memcpy(result.data(), bytes.data(), sizeof result);
    return result;
}

std::uint8_t class_of(std::span<const std::uint8_t> ip) noexcept {  // two bytes are enough
    if (ip[0] >> 4 == 4) return ip[1];
    return static_cast<std::uint8_t>(ip[0] << 4 | ip[1] >> 4);
}

// RFC 791: the ones' complement sum over a header with its checksum is all ones.
bool checksum_holds(std::span<const std::uint8_t> header) noexcept {
    std::uint64_t sum = 0;
    for (std::size_t at = 0; at < sizeof(Ipv4Header); at += 4) {
        std::uint32_t word;
        std::memcpy(&word, &header[at], sizeof word);
        sum += word;
    }
    sum = (sum & 0xffff'ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

void set(std::span<std::uint8_t> bytes, std::size_t at, std::size_t count, std::uint8_t value) {
    std::ranges::fill(bytes.subspan(at, count), value);
}

}  // namespace

std::string_view name_of(Verdict verdict) noexcept {
    return names[static_cast<std::size_t>(verdict)];
}

Result<Checker> Checker::make(const Expectation& expectation, const Frames& frames,
                              std::uint64_t flows) {
    const auto& backends = expectation.backends;
    if (expectation.forwarding == Forwarding::junk) return Checker(expectation, frames);
    if (backends.empty() || backends.size() > 65'535)
        return Error{
            fmt::format("{} backends: name 1 to 65535 with --backend, or read them from "
                        "a running weir with --weir",
                        backends.size())};
    for (const ExpectedBackend& backend : backends) {
        if (expectation.forwarding == Forwarding::dsr_l2 && !backend.mac_known)
            return Error{fmt::format(
                "backend {}: dsr-l2 is checked by MAC address, and it has none", backend.name)};
    }
    Checker checker(expectation, frames);
    if (checker.is_tunnel() && expectation.tunnel_sources.empty())
        return Error{"a tunnel is checked by its outer source: give --tunnel-source, or --weir"};
    if (checker.is_rewritten()) {
        if (auto made = checker.expect_rewritten(); !made) return made.error();
    }
    checker.backend_of_.assign(flows, 0);
    return checker;
}

Checker::Checker(const Expectation& expectation, const Frames& frames)
    : expectation_(expectation),
      frames_(&frames),
      packets_(expectation.backends.size()),
      known_(std::max<std::size_t>(expectation.backends.size(), 1)) {
    for (const IpPrefix& prefix : expectation.tunnel_sources) {
        std::array<std::uint8_t, 16> mask{};
        for (unsigned bit = 0; bit < prefix.length; ++bit)
            mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] | 0x80 >> bit % 8);
        Source source{words(prefix.address.bytes), words(mask), prefix.address.family};
        for (std::size_t i = 0; i < 2; ++i)
            source.value[i] &= source.mask[i];
        sources_.push_back(source);
    }
    for (std::size_t i = expectation.backends.size(); i-- > 0;) {
        const ExpectedBackend& backend = expectation.backends[i];
        const bool v4 = backend.address.family == Family::v4;
        const std::uint8_t last =
            goes_by_address() ? backend.address.bytes[v4 ? 3 : 15] : backend.mac.bytes[5];
        by_byte_[last] = static_cast<std::uint16_t>(i);
    }
}

bool Checker::is_backend(std::uint16_t index, std::span<const std::uint8_t> frame) const noexcept {
    const ExpectedBackend& backend = expectation_.backends[index];
    if (backend.mac_known && std::memcmp(frame.data(), backend.mac.bytes.data(), 6) != 0)
        return false;
    if (!goes_by_address()) return true;
    if (v4_outside_ != (backend.address.family == Family::v4)) return false;
    const std::size_t destination = ethernet_length + (v4_outside_ ? 16 : 24);
    return std::memcmp(&frame[destination], backend.address.bytes.data(), v4_outside_ ? 4 : 16) ==
           0;
}

std::size_t Checker::backend_of(std::span<const std::uint8_t> frame) const noexcept {
    const std::uint16_t guess = by_byte_[frame[telling_byte()]];
    if (is_backend(guess, frame)) [[likely]]
        return guess;
    std::size_t i = 0;
    while (i < expectation_.backends.size() && !is_backend(static_cast<std::uint16_t>(i), frame))
        ++i;
    return i;
}

// The client's frames with each backend's address, and the DSCP or a hop's TTL; all checksums
// computed anew.
Result<void> Checker::expect_rewritten() {
    for (const ExpectedBackend& backend : expectation_.backends) {
        FrameOptions options = frames_->options();
        options.destination = backend.address;
        if (expectation_.forwarding == Forwarding::l3dsr)
            options.traffic_class = static_cast<std::uint8_t>(expectation_.dscp << 2);
        else
            --options.ttl;
        options.size = static_cast<std::uint16_t>(frames_->blank().size() + 4);  // FCS
        if (backend.address.family != frames_->options().destination.family)
            return Error{fmt::format("backend {}: this mode keeps the family", backend.name)};
        auto made = Frames::make(options);
        if (!made) return made.error();
        at_backend_.push_back(std::move(made).value());
    }
    return {};
}

// The backend of an intact packet: the flow's own, or a known one for a flow not seen before.
Verdict Checker::settle(std::uint32_t flow, std::span<const std::uint8_t> frame) noexcept {
    std::uint16_t& seen = backend_of_[flow];
    if (seen != 0 && is_backend(static_cast<std::uint16_t>(seen - 1), frame)) [[likely]] {
        ++packets_[seen - 1u];
        return Verdict::right;
    }
    for (std::size_t i = 0; i < expectation_.backends.size(); ++i) {
        if (!is_backend(static_cast<std::uint16_t>(i), frame)) continue;
        const bool other = seen != 0, may = other && expectation_.backends[seen - 1u].leaves;
        seen = static_cast<std::uint16_t>(i + 1);
        if (other && !may) return Verdict::moved;
        if (other) ++rehomed_;
        ++packets_[i];
        return Verdict::right;
    }
    return Verdict::unknown_backend;
}

// Of a flow with a single packet, of which nothing is remembered.
Verdict Checker::settle_only(std::span<const std::uint8_t> frame) noexcept {
    const std::size_t backend = backend_of(frame);
    if (backend == expectation_.backends.size()) return Verdict::unknown_backend;
    ++packets_[backend];
    return Verdict::right;
}

std::size_t Checker::shim_bytes() const noexcept {
    if (expectation_.forwarding == Forwarding::gre) return gre_bytes;
    if (expectation_.forwarding != Forwarding::gue) return 0;
    return udp_bytes + (expectation_.gue_variant == 0 ? gue_header_bytes : 0);
}

std::uint8_t Checker::outer_protocol(std::uint8_t inner_version) const noexcept {
    if (expectation_.forwarding == Forwarding::gre) return protocol_gre;
    if (expectation_.forwarding == Forwarding::gue) return protocol_udp;
    return inner_version == 4 ? protocol_ipv4 : protocol_ipv6;
}

// RFC 2784; RFC 768 without a checksum, from a port that nobody has registered; GUE.
bool Checker::check_shim(std::span<const std::uint8_t> shim,
                         std::span<const std::uint8_t> inner) const noexcept {
    const bool v4 = inner[0] >> 4 == 4;
    if (expectation_.forwarding == Forwarding::gre)
        return word_at(shim, 0) == 0 &&
               word_at(shim, 2) == (v4 ? ether_type_ipv4 : ether_type_ipv6);
    if (expectation_.forwarding != Forwarding::gue) return true;
    if (word_at(shim, 0) < 49'152 || word_at(shim, 2) != expectation_.gue_port) return false;
    if (word_at(shim, 4) != shim.size() + inner.size() || word_at(shim, 6) != 0) return false;
    if (expectation_.gue_variant == 1) return true;
    return word_at(shim, 8) == (v4 ? protocol_ipv4 : protocol_ipv6) && word_at(shim, 10) == 0;
}

Verdict Checker::check_outer(std::span<const std::uint8_t> ip) noexcept {
    const bool v4 = v4_outside_;
    const std::size_t header_bytes = v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
    inner_at_ = header_bytes + shim_bytes();
    if (ip.size() < inner_at_ + sizeof(Ipv4Header)) return Verdict::length;
    if (v4 ? ip[0] != 0x45 : ip[0] >> 4 != 6) return Verdict::outer_version;
    const auto inner = ip.subspan(inner_at_);
    if (class_of(ip) != class_of(inner)) return Verdict::outer_class;
    const std::uint8_t protocol = outer_protocol(inner[0] >> 4);
    std::array<std::uint8_t, 16> source{};
    if (v4) {
        const auto header = at_front<Ipv4Header>(ip);
        if (header.ttl != outer_ttl) return Verdict::outer_ttl;
        if (header.protocol != protocol) return Verdict::outer_protocol;
        if (header.total_length.host() != ip.size()) return Verdict::outer_length;
        if (!checksum_holds(ip)) return Verdict::outer_checksum;
        std::ranges::copy(header.source, source.begin());
    } else {
        const auto header = at_front<Ipv6Header>(ip);
        if (header.hop_limit != outer_ttl) return Verdict::outer_ttl;
        if (header.next_header != protocol) return Verdict::outer_protocol;
        if (header.payload_length.host() != ip.size() - header_bytes) return Verdict::outer_length;
        source = header.source;
    }
    if (!check_shim(ip.subspan(header_bytes, shim_bytes()), inner)) return Verdict::shim;
    const auto value = words(source);
    const Family family = v4 ? Family::v4 : Family::v6;
    for (const Source& allowed : sources_) {
        if (allowed.family == family && (value[0] & allowed.mask[0]) == allowed.value[0] &&
            (value[1] & allowed.mask[1]) == allowed.value[1])
            return Verdict::right;
    }
    return Verdict::outer_source;
}

Opened Checker::open(std::span<const std::uint8_t> frame) noexcept {
    if (expectation_.forwarding == Forwarding::junk) return {Verdict::other};
    if (frame.size() < ethernet_length + sizeof(Ipv4Header)) return {Verdict::length};
    if ((frame[0] & 1) != 0) return {Verdict::other};  // group address: ND, MLD, broadcast ARP
    const auto ethernet = at_front<EthernetHeader>(frame);
    const std::uint16_t type = ethernet.ether_type.host();
    if (type == ether_type_arp) return {Verdict::other};
    if (type != ether_type_ipv4 && type != ether_type_ipv6) return {Verdict::ethernet};
    const bool v4 = type == ether_type_ipv4;
    if (expectation_.forwarding != Forwarding::macfwd &&
        ethernet.source != expectation_.weir_mac.bytes)
        return {Verdict::ethernet};

    auto ip = frame.subspan(ethernet_length);
    inner_at_ = 0;
    v4_outside_ = v4;
    if (is_tunnel()) {
        if (const Verdict outer = check_outer(ip); outer != Verdict::right) return {outer};
        ip = ip.subspan(inner_at_);
    } else if (v4 != (frames_->blank_ip()[0] >> 4 == 4)) {
        return {Verdict::ethernet};
    }
    return recognise(frame, ip);
}

// `ip`: the client's packet in `frame`.
Opened Checker::recognise(std::span<const std::uint8_t> frame,
                          std::span<const std::uint8_t> ip) const noexcept {
    std::size_t backend = 0;
    if (is_rewritten()) {
        if (frame.size() <
            ethernet_length + (v4_outside_ ? sizeof(Ipv4Header) : sizeof(Ipv6Header)))
            return {Verdict::length};
        backend = backend_of(frame);
        if (backend == at_backend_.size()) return {Verdict::unknown_backend};
    }
    const Frames::Found found = frames_at(backend).recognise(ip);
    if (found.match == Frames::Match::changed) return {Verdict::inner_changed};
    if (found.match == Frames::Match::unknown) return {Verdict::unknown_flow};
    return {Verdict::right, found.flow, found.stamp};
}

// What may differ between right frames of a backend is what open() does not look at, what it
// allows, and what is looked at beside the pattern.
std::vector<std::uint8_t> Checker::fixed_bits(std::size_t backend) const {
    std::vector<std::uint8_t> fixed(ethernet_length + inner_at_, 0xff);
    if (!expectation_.backends[backend].mac_known) set(fixed, 0, 6, 0);
    if (expectation_.forwarding == Forwarding::macfwd) set(fixed, 6, 6, 0);
    if (is_tunnel()) free_outer_bits(std::span(fixed).subspan(ethernet_length));
    const auto inner = frames_at(backend).pattern().fixed();
    fixed.insert(fixed.end(), inner.begin(), inner.end());
    return fixed;
}

// As check_outer() and check_shim() judge.
void Checker::free_outer_bits(std::span<std::uint8_t> ip) const {
    const std::size_t source = v4_outside_ ? 12 : 8, address = v4_outside_ ? 4 : 16;
    if (v4_outside_) {
        set(ip, 4, 4, 0);   // identification, fragments
        set(ip, 10, 2, 0);  // checksum
    } else {
        set(ip, 1, 1, 0xf0);  // flow label
        set(ip, 2, 2, 0);
    }
    const Family family = v4_outside_ ? Family::v4 : Family::v6;
    const auto ours = [family](const Source& of) { return of.family == family; };
    if (std::ranges::count_if(sources_, ours) == 1)
        std::memcpy(&ip[source], std::ranges::find_if(sources_, ours)->mask.data(), address);
    if (expectation_.forwarding == Forwarding::gue) {
        set(ip, source + 2 * address, 1, 0xc0);  // a port from 49152 on
        set(ip, source + 2 * address + 1, 1, 0);
    }
}

// `frame`: of the last open(), and right.
void Checker::remember(std::span<const std::uint8_t> frame) {
    const std::size_t backend = backend_of(frame);
    Known& known = known_[backend];
    if (!known.pattern.empty()) return;
    known.pattern = Pattern({frame.begin(), frame.end()}, fixed_bits(backend));
    known.inner_at = ethernet_length + inner_at_;
}

// False: it may be right all the same.
[[gnu::always_inline]] inline bool Checker::judge_known(std::span<const std::uint8_t> frame,
                                                        Opened& opened) noexcept {
    if (frame.size() < ethernet_length + sizeof(Ipv6Header)) return false;
    v4_outside_ = frame[12] == ether_type_ipv4 >> 8;
    const std::size_t backend = by_byte_[frame[telling_byte()]];
    const Known& known = known_[backend];
    if (!known.pattern.fits(frame)) return false;
    const Frames::Found found = frames_at(backend).read_flow(&frame[known.inner_at]);
    if (found.match != Frames::Match::exact || found.flow >= sent_) return false;
    if (v4_outside_ && is_tunnel() && !checksum_holds(frame.subspan(ethernet_length))) return false;
    if (found.flow < backend_of_.size()) {
        std::uint16_t& seen = backend_of_[found.flow];
        if (seen == 0)
            seen = static_cast<std::uint16_t>(backend + 1);
        else if (seen != backend + 1)
            return false;
    }
    ++packets_[backend];
    opened = {Verdict::right, found.flow, found.stamp};
    return true;
}

Opened Checker::judge(std::span<const std::uint8_t> frame) noexcept {
    Opened opened{Verdict::right};
    if (judge_known(frame, opened)) [[likely]]
        return opened;
    opened = open(frame);
    if (opened.verdict != Verdict::right) return opened;
    if (opened.flow >= sent_)
        opened.verdict = Verdict::unknown_flow;
    else if (opened.flow < backend_of_.size()) [[likely]]
        opened.verdict = settle(opened.flow, frame);
    else
        opened.verdict = settle_only(frame);
    if (opened.verdict == Verdict::right) remember(frame);
    return opened;
}

std::vector<std::uint64_t> Checker::flows() const {
    std::vector<std::uint64_t> counts(expectation_.backends.size());
    for (const std::uint16_t seen : backend_of_)
        if (seen != 0) ++counts[seen - 1u];
    return counts;
}

}  // namespace weir::gen
