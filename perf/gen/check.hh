// SPDX-License-Identifier: BSD-3-Clause
// Checker: is a packet that came back what the balancer owes us? It knows the formats by itself
// and shares nothing with the code that wrote them but the header structs.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/wire/address.hh"
#include "lib/wire/headers.hh"
#include "lib/wire/result.hh"
#include "perf/gen/frames.hh"

namespace weir::gen {

// How the packet should come back. macfwd: the same packet with other MACs (testpmd). junk: nothing
// is expected, and nothing is wrong.
enum class Forwarding : std::uint8_t { dsr_l2, ipip, gre, gue, l3dsr, nat, macfwd, junk };

struct ExpectedBackend {
    std::string name;
    IpAddress address;       // outer destination of a tunnel; destination of l3dsr and nat
    MacAddress mac;          // of the backend, or of the next hop towards it
    bool mac_known = false;  // all but dsr-l2: checked only when known
    bool leaves = false;     // it may leave while we look: then its flows may go to others, once
};

struct Expectation {
    Forwarding forwarding = Forwarding::dsr_l2;
    std::vector<ExpectedBackend> backends;  // 1..65535; macfwd: one
    std::vector<IpPrefix> tunnel_sources;   // tunnels: the outer source is in one of them
    MacAddress weir_mac;                    // source of every frame; macfwd: not checked
    std::uint16_t gue_port = 6080;          // gue: UDP destination
    std::uint8_t gue_variant = 1;           // gue: 0 or 1
    std::uint8_t dscp = 0;                  // l3dsr
};

enum class Verdict : std::uint8_t {
    right,
    other,           // not ours: ARP, multicast; all that comes back from junk
    length,          // shorter than its headers
    ethernet,        // MAC addresses or EtherType
    outer_version,   // IPv4 with options, or another version
    outer_class,     // DSCP and ECN are not those of the inner header
    outer_ttl,       // not 64
    outer_protocol,  // neither 4 nor 41, or not that of the inner packet
    outer_length,
    outer_checksum,
    outer_source,  // not within tunnel_source
    shim,          // GRE, or UDP and GUE
    unknown_backend,
    inner_changed,  // a byte of the client's packet differs
    unknown_flow,   // a flow that was never sent
    moved,          // another backend than before
    count
};
inline constexpr std::size_t verdict_count = static_cast<std::size_t>(Verdict::count);
// "inner_changed"; as keys of the JSON, too.
[[nodiscard]] std::string_view name_of(Verdict verdict) noexcept;

// A packet but for its backend: right, with its flow, or what is wrong with it.
struct Opened {
    Verdict verdict;
    std::uint32_t flow = 0;
    std::uint64_t stamp = 0;  // of stamped frames
};

class Checker {
public:
    // `frames` must outlive it. Takes two bytes a flow. Fails on an expectation that contradicts
    // itself, such as dsr-l2 without MACs.
    static Result<Checker> make(const Expectation& expectation, const Frames& frames,
                                std::uint64_t flows);

    // Hot. `frame` without FCS. Remembers which backend the flow had, if it is below make()'s
    // `flows`; a packet of a flow beyond is its first and only one, so any backend is right.
    [[nodiscard]] Opened judge(std::span<const std::uint8_t> frame) noexcept;
    [[nodiscard]] Verdict check(std::span<const std::uint8_t> frame) noexcept {
        return judge(frame).verdict;
    }
    // Flows from `count` on were never sent: unknown_flow. As Frames knows, unless told.
    void set_sent(std::uint64_t count) noexcept { sent_ = count; }

    // The same for who knows which backend is the right one: open() judges all the rest, and
    // is_backend() says whether the frame that open() just took went to the backend of that place
    // in the expectation. Remember nothing, so `flows` may be 0.
    [[nodiscard]] Opened open(std::span<const std::uint8_t> frame) noexcept;
    [[nodiscard]] bool is_backend(std::uint16_t index,
                                  std::span<const std::uint8_t> frame) const noexcept;

    // Right packets of each backend, in the order of the expectation.
    [[nodiscard]] const std::vector<std::uint64_t>& packets() const noexcept { return packets_; }
    // Flows that went from a backend that may leave to another one.
    [[nodiscard]] std::uint64_t rehomed() const noexcept { return rehomed_; }
    // Flows seen at each backend.
    [[nodiscard]] std::vector<std::uint64_t> flows() const;

private:
    Result<void> expect_rewritten();
    explicit Checker(const Expectation& expectation, const Frames& frames);
    struct Source {  // as two 64-bit words of the address
        std::array<std::uint64_t, 2> value, mask;
        Family family;
    };
    [[nodiscard]] bool is_tunnel() const noexcept {
        return expectation_.forwarding == Forwarding::ipip ||
               expectation_.forwarding == Forwarding::gre ||
               expectation_.forwarding == Forwarding::gue;
    }
    // The client's packet arrives with other addresses.
    [[nodiscard]] bool is_rewritten() const noexcept {
        return expectation_.forwarding == Forwarding::l3dsr ||
               expectation_.forwarding == Forwarding::nat;
    }
    [[nodiscard]] bool goes_by_address() const noexcept { return is_tunnel() || is_rewritten(); }
    [[nodiscard]] std::size_t shim_bytes() const noexcept;
    [[nodiscard]] std::uint8_t outer_protocol(std::uint8_t inner_version) const noexcept;
    // The first backend that `frame` went to, by what names it; as many as there are: none.
    [[nodiscard]] std::size_t backend_of(std::span<const std::uint8_t> frame) const noexcept;
    [[nodiscard]] Opened recognise(std::span<const std::uint8_t> frame,
                                   std::span<const std::uint8_t> ip) const noexcept;
    [[nodiscard]] bool check_shim(std::span<const std::uint8_t> shim,
                                  std::span<const std::uint8_t> inner) const noexcept;
    // Where in a frame the byte lies that tells most backends apart.
    [[nodiscard]] std::size_t telling_byte() const noexcept {
        return goes_by_address() ? ethernet_length + (v4_outside_ ? 19 : 39) : 5;
    }
    Verdict check_outer(std::span<const std::uint8_t> ip) noexcept;
    [[nodiscard]] bool judge_known(std::span<const std::uint8_t> frame, Opened& opened) noexcept;
    void remember(std::span<const std::uint8_t> frame);
    [[nodiscard]] std::vector<std::uint8_t> fixed_bits(std::size_t backend) const;
    void free_outer_bits(std::span<std::uint8_t> ip) const;
    [[nodiscard]] const Frames& frames_at(std::size_t backend) const noexcept {
        return is_rewritten() ? at_backend_[backend] : *frames_;
    }
    Verdict settle(std::uint32_t flow, std::span<const std::uint8_t> frame) noexcept;
    Verdict settle_only(std::span<const std::uint8_t> frame) noexcept;

    Expectation expectation_;
    const Frames* frames_;
    std::vector<Source> sources_;
    std::vector<std::uint16_t> backend_of_;  // by flow; 0: not seen, else index + 1
    std::vector<std::uint64_t> packets_;
    std::array<std::uint16_t, 256>
        by_byte_{};  // a backend with this byte at the end of its address
    std::uint64_t sent_ = ~std::uint64_t{0}, rehomed_ = 0;
    std::vector<Frames> at_backend_;  // l3dsr, nat: the frames as each backend gets them
    // The first frame of each backend that was right. Another one that differs from it where it may
    // alone is right as well, which one look tells.
    struct Known {
        Pattern pattern;
        std::size_t inner_at = 0;  // from the frame's start
    };
    std::vector<Known> known_;
    // Of the last packet: bytes in front of the client's IP header, and the family outside.
    std::size_t inner_at_ = 0;
    bool v4_outside_ = true;
};

}  // namespace weir::gen
