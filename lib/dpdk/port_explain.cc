// SPDX-License-Identifier: BSD-3-Clause
// What DPDK's and its drivers' words about a port mean.
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "lib/dpdk/device.hh"
#include "lib/dpdk/output_capture.hh"
#include "lib/dpdk/port_config.hh"

namespace weir {

namespace {

struct Hint {
    std::string_view sign;  // in what was printed
    std::string_view mend;
};

constexpr std::array hints{
    Hint{"larger than combined queue count",
         "lower queue_count in device, or give the interface more: `ethtool -L INTERFACE combined "
         "N`"},
    Hint{"Failed to create umem",
         "AF_XDP needs CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK (start as root) and mbufs of at most "
         "3.8 KiB: lower mtu to 3378 or less"},
    Hint{
        "Failed to create xsk socket",
        "the interface lacks that queue, another process uses it, or an XDP program was left on "
        "it: "
        "see `ip -d link show`, and take the program off with `ip link set dev INTERFACE xdp off`"},
    Hint{"Failed to load custom XDP program", "correct xdp_prog in device"},
    Hint{"memif_connect_client(): Failed to connect",
         "nobody listens on its socket: start the other end first, or make this end the one that "
         "listens with role=server"},
    Hint{"Device or resource busy", "another process uses it: stop that one"},
    Hint{"Expecting 'PA' IOVA mode",
         "it is bound to a uio driver, which needs physical addresses: "
         "start with `-- --iova-mode=pa`"},
    Hint{"VFIO group is not viable",
         "bind every device of its IOMMU group to vfio-pci: `dpdk-devbind.py --bind=vfio-pci "
         "ADDRESS`"},
    Hint{"failed to initialize vfio", "load VFIO with `modprobe vfio-pci`"},
    Hint{"Failed to set memory table",
         "the vhost side takes at most 8 memory regions: use memory mode in-memory or no-huge"},
    Hint{"Operation not permitted", "start as root, or with CAP_NET_ADMIN and CAP_NET_RAW"},
    Hint{"Permission denied", "start as root, or give access to the path in device"},
    Hint{"No such file or directory", "correct the path in device"},
    Hint{"No such device", "create the interface, or correct device"},
    Hint{"Address already in use",
         "another process listens on that socket: stop it, or choose "
         "another path"},
    Hint{"Cannot allocate memory",
         "give more memory (system.memory.hugepages) or lower rings and mbufs"},
};

// The mending of the first hint that fits, with the device's interface in its command.
std::string mending(std::string_view output, const std::string& device) {
    for (const Hint& hint : hints) {
        if (output.find(hint.sign) == std::string_view::npos) continue;
        std::string mend = fmt::format("; {}", hint.mend);
        constexpr std::string_view blank = "INTERFACE";
        const std::string interface = device_argument(device, "iface");
        if (const auto at = mend.find(blank); at != std::string::npos && !interface.empty())
            mend.replace(at, blank.size(), interface);
        return mend;
    }
    return {};
}

// The lines before "failed to initialize NAME device", back to the end of the device before.
std::string_view words_about(std::string_view output, const std::string& name) {
    const auto end = output.find(fmt::format("failed to initialize {} device", name));
    if (end == std::string_view::npos) return output;
    constexpr std::string_view other = "failed to initialize";
    const auto before = end == 0 ? std::string_view::npos : output.rfind(other, end - 1);
    auto start = before == std::string_view::npos ? 0 : output.find('\n', before);
    const std::string_view words = output.substr(start, end - start);
    const auto line = words.rfind('\n');  // the line of the sentence itself says nothing
    return line == std::string_view::npos ? words : words.substr(0, line);
}

}  // namespace

std::string explain_missing_port(const std::string& port, const std::string& device,
                                 const std::string& eal_output) {
    const std::string name = device_name(device);
    const std::string_view words = words_about(eal_output, name);
    const std::string complaint = first_complaint(words);
    const std::string mend = mending(words, device);
    if (complaint.empty() && mend.empty())
        return fmt::format(
            "port {}: DPDK made no port of device \"{}\"; correct it, or install its driver "
            "(`apt-cache search librte-net`)",
            port, device);
    const std::string reason = complaint.empty() ? "" : fmt::format(" ({})", complaint);
    return fmt::format("port {}: DPDK cannot use device \"{}\"{}{}", port, device, reason,
                       mend.empty() ? "; correct device" : mend);
}

std::string explain_port_failure(const std::string& port, const std::string& device,
                                 const std::string& what, const std::string& output) {
    const std::string complaint = first_complaint(output);
    const std::string reason = complaint.empty() ? "" : fmt::format(" ({})", complaint);
    std::string mend = mending(output + "\n" + what, device);
    if (mend.empty() && what.find(';') == std::string::npos) mend = "; correct device or profile";
    return fmt::format("port {} ({}): {}{}{}", port, device, what, reason, mend);
}

}  // namespace weir
