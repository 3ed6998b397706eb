// SPDX-License-Identifier: BSD-3-Clause
// Looks for a port's device before EAL does, because EAL starts without it and says nothing.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include "lib/dpdk/device.hh"
#include "lib/dpdk/port.hh"

namespace weir {

namespace {

namespace fs = std::filesystem;

// Kernel drivers that DPDK works through.
constexpr std::array user_drivers{"vfio-pci", "uio_pci_generic", "igb_uio", "uio_hv_generic"};
// Drivers that keep the NIC while DPDK uses it beside them (bifurcated).
constexpr std::array bifurcated_drivers{"mlx4_core", "mlx5_core", "mana", "gve"};

Result<void> probe_interface(const std::string& port, const std::string& device,
                             const std::string& interface) {
    if (interface.empty())
        return Error{
            fmt::format("port {}: device \"{}\" names no interface; add iface=NAME", port, device)};
    if (interface.size() >= IFNAMSIZ || if_nametoindex(interface.c_str()) == 0)
        return Error{fmt::format(
            "port {}: no interface '{}' in this network namespace; create it, or correct device "
            "\"{}\" (`ip link show` lists what is there)",
            port, interface, device)};
    return {};
}

Result<void> probe_pci(const std::string& port, const std::string& device,
                       const std::string& sysfs) {
    const std::string name = device_name(device);
    const fs::path path = fs::path(sysfs) / "bus/pci/devices" / name;
    std::error_code none;
    if (!fs::exists(path, none))
        return Error{
            fmt::format("port {}: no PCI device {}; correct device (`dpdk-devbind.py "
                        "--status-dev net` lists what is there)",
                        port, name)};
    const std::string driver = fs::read_symlink(path / "driver", none).filename();
    const auto is = [&driver](const char* known) { return driver == known; };
    if (std::ranges::any_of(user_drivers, is) || std::ranges::any_of(bifurcated_drivers, is))
        return {};
    return Error{fmt::format(
        "port {}: PCI device {} is bound to {}; hand it to DPDK with "
        "`dpdk-devbind.py --bind=vfio-pci {}`",
        port, name, driver.empty() ? "no driver" : "the kernel's driver " + driver, name)};
}

Result<void> probe_readable(const std::string& port, const std::string& path) {
    if (path.empty() || access(path.c_str(), R_OK) == 0) return {};
    return Error{fmt::format("port {}: cannot read '{}': {}; correct the path in device", port,
                             path, std::strerror(errno))};
}

Result<void> probe_pcap(const std::string& port, const std::string& device) {
    for (const char* key : {"iface", "rx_iface", "rx_iface_in", "tx_iface"}) {
        const std::string interface = device_argument(device, key);
        if (interface.empty()) continue;
        if (auto found = probe_interface(port, device, interface); !found) return found;
    }
    if (auto found = probe_readable(port, device_argument(device, "rx_pcap")); !found) return found;
    const std::string out = device_argument(device, "tx_pcap");
    const fs::path directory = fs::path(out).has_parent_path() ? fs::path(out).parent_path() : ".";
    if (!out.empty() && access(directory.c_str(), W_OK) != 0)
        return Error{fmt::format("port {}: cannot write '{}': {}; correct the path in device", port,
                                 out, std::strerror(errno))};
    return {};
}

// virtio-user as client needs its peer's socket; as server it makes it, but not over a stale file.
Result<void> probe_virtio_user(const std::string& port, const std::string& device) {
    const std::string path = device_argument(device, "path");
    if (path.empty())
        return Error{
            fmt::format("port {}: device \"{}\" names no socket; add path=FILE", port, device)};
    const bool server = device_argument(device, "server") == "1";
    const bool there = access(path.c_str(), F_OK) == 0;
    if (server || there) return {};
    return Error{
        fmt::format("port {}: no vhost-user socket '{}'; start its other end first, or add "
                    "server=1 to device",
                    port, path)};
}

}  // namespace

Result<void> probe_device(const std::string& port, const std::string& device,
                          const std::string& sysfs) {
    if (is_pci_device(device)) return probe_pci(port, device, sysfs);
    const std::string driver = vdev_driver(device);
    if (driver == "net_af_xdp" || driver == "net_af_packet")
        return probe_interface(port, device, device_argument(device, "iface"));
    if (driver == "net_pcap") return probe_pcap(port, device);
    if (driver == "net_virtio_user") return probe_virtio_user(port, device);
    if (!driver.starts_with("net_") && !driver.starts_with("eth_"))
        return Error{
            fmt::format("port {}: device \"{}\" is neither a PCI address (0000:8a:00.0) nor "
                        "a network vdev (net_NAME0,...)",
                        port, device)};
    return {};
}

}  // namespace weir
