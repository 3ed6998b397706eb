// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/tap.hh"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/dpdk/link_setup.hh"

namespace weir {

namespace {

IpPrefix host_prefix(const IpAddress& address) {
    return {address, static_cast<std::uint8_t>(address.bits())};
}

std::vector<IpAddress> sorted(std::vector<IpAddress> addresses) {
    std::ranges::sort(addresses);
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
    return addresses;
}

std::string reason_of(int error, const std::string& name) {
    switch (error) {
        case EPERM:
            return "no permission; start as root or with CAP_NET_ADMIN";
        case EBUSY:
            return fmt::format(
                "another process has it open; stop that one, or choose another "
                "exception_tap than '{}'",
                name);
        case EINVAL:
            return fmt::format(
                "an interface of that name exists and is no TAP; choose another "
                "exception_tap, or `ip link del {}`",
                name);
        default:
            return std::strerror(error);
    }
}

}  // namespace

Result<Tap> Tap::create(const TapOptions& options) {
    Tap tap;
    if (options.name.empty() || options.name.size() >= IFNAMSIZ)
        return Error{fmt::format("exception_tap '{}' must have 1 to {} characters", options.name,
                                 IFNAMSIZ - 1)};
    tap.name_ = options.name;
    if (auto opened = tap.open_descriptor(options); !opened) return opened.error();
    if (auto up = tap.set_up(options); !up) return up.error();
    return tap;
}

Result<void> Tap::open_descriptor(const TapOptions& options) {
    const auto failed = [this](const char* what) {
        return Error{fmt::format("TAP '{}' {}: {}", name_, what, reason_of(errno, name_))};
    };
    fd_ = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd_ < 0)
        return Error{
            fmt::format("TAP '{}': /dev/net/tun cannot be opened: {}; load it with `modprobe tun`",
                        name_, std::strerror(errno))};
    ifreq request{};
    std::ranges::copy(name_, request.ifr_name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (ioctl(fd_, TUNSETIFF, &request) != 0) return failed("cannot be made");
    // No offloads: the kernel finishes checksums and segments before it gives a frame to us.
    if (ioctl(fd_, TUNSETOFFLOAD, 0UL) != 0) return failed("keeps its offloads");
    if (ioctl(fd_, TUNSETPERSIST, options.persist ? 1UL : 0UL) != 0)
        return failed("cannot be made persistent");
    return {};
}

Result<void> Tap::set_up(const TapOptions& options) {
    auto opened = LinkSetup::open(name_);
    if (!opened) return opened.error();
    LinkSetup& link = opened.value();
    index_ = link.index();
    if (auto set = link.set_mac_and_mtu(options.mac, options.mtu); !set) return set;
    if (auto set = set_behaviour(link); !set) return set;
    if (auto up = link.set_up(); !up) return up;

    // A persistent TAP may hold addresses of an earlier configuration. Its VIPs stay until
    // set_vips() says which of them left.
    auto left_over = link.own_addresses();
    if (!left_over) return left_over.error();
    for (const IpPrefix& prefix : left_over.value()) {
        if (std::ranges::find(options.addresses, prefix) != options.addresses.end()) continue;
        if (prefix == host_prefix(prefix.address))
            vips_.push_back(prefix.address);
        else if (auto removed = link.remove_address(prefix); !removed)
            return removed;
    }
    vips_ = sorted(std::move(vips_));
    for (const IpPrefix& prefix : options.addresses) {
        if (auto added = link.add_address(prefix, false); !added) return added;
        own_.push_back(prefix.address);
    }
    own_ = sorted(std::move(own_));
    for (const IpAddress& gateway : options.gateways)
        if (auto added = add_route(link, options, gateway); !added) return added;
    return {};
}

Result<void> Tap::set_behaviour(LinkSetup& link) {
    struct Setting {
        Family family;
        const char* key;
        int value;
    };
    constexpr std::array settings{
        Setting{Family::v4, "arp_ignore", 1},    // answer for addresses of this interface only
        Setting{Family::v4, "arp_announce", 2},  // never ask with a VIP as sender
        Setting{Family::v4, "rp_filter", 0},     // answers may come from anywhere
        Setting{Family::v6, "disable_ipv6", 0}, Setting{Family::v6, "accept_ra", 0},
        Setting{Family::v6, "autoconf", 0},
    };
    for (const Setting& setting : settings)
        if (auto set = link.set_sysctl(setting.family, setting.key, setting.value); !set)
            return set;
    // The kernel takes the larger of "all" and the interface's own; "all" belongs to the machine.
    if (const int all = LinkSetup::all_sysctl(Family::v4, "rp_filter"); all != 0)
        warnings_.push_back(fmt::format(
            "net.ipv4.conf.all.rp_filter is {}, which overrides the 0 of '{}': answers to health "
            "probes and pings may be lost; mend it with `sysctl -w net.ipv4.conf.all.rp_filter=0`",
            all, name_));
    return {};
}

Result<void> Tap::add_route(LinkSetup& link, const TapOptions& options, const IpAddress& gateway) {
    // As source: the address whose prefix covers the gateway, else any of the family.
    const IpAddress* source = nullptr;
    bool on_link = true;
    for (const IpPrefix& prefix : options.addresses) {
        if (prefix.address.family != gateway.family) continue;
        const bool covers = prefix.contains(gateway);
        if (source == nullptr || (covers && on_link)) source = &prefix.address;
        if (covers) on_link = false;
    }
    return link.add_default_route(gateway, source, options.metric, on_link);
}

Result<void> Tap::set_vips(std::span<const IpAddress> vips) {
    std::vector<IpAddress> next = sorted({vips.begin(), vips.end()});
    // A VIP that is also the port's own address stands there already.
    std::erase_if(next,
                  [this](const IpAddress& vip) { return std::ranges::binary_search(own_, vip); });
    std::vector<IpAddress> added, removed;
    std::ranges::set_difference(next, vips_, std::back_inserter(added));
    std::ranges::set_difference(vips_, next, std::back_inserter(removed));
    if (added.empty() && removed.empty()) return {};

    auto link = LinkSetup::open(name_);
    if (!link) return link.error();
    Result<void> outcome;
    const auto note = [&outcome](Result<void> result) {
        if (!result && outcome) outcome = std::move(result);
    };
    for (const IpAddress& vip : added)
        note(link.value().add_address(host_prefix(vip), true));
    for (const IpAddress& vip : removed)
        note(link.value().remove_address(host_prefix(vip)));
    vips_ = std::move(next);
    return outcome;
}

std::size_t Tap::read_frame(std::span<std::byte> frame) noexcept {
    const ssize_t got = read(fd_, frame.data(), frame.size());
    return got > 0 ? static_cast<std::size_t>(got) : 0;
}

bool Tap::write_frame(std::span<const std::byte> frame) noexcept {
    return write(fd_, frame.data(), frame.size()) == static_cast<ssize_t>(frame.size());
}

Tap::Tap(Tap&& other) noexcept {
    *this = std::move(other);
}

Tap& Tap::operator=(Tap&& other) noexcept {
    if (this == &other) return *this;
    if (fd_ >= 0) close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    index_ = other.index_;
    name_ = std::move(other.name_);
    vips_ = std::move(other.vips_);
    own_ = std::move(other.own_);
    warnings_ = std::move(other.warnings_);
    return *this;
}

Tap::~Tap() {
    if (fd_ >= 0) close(fd_);
}

}  // namespace weir
