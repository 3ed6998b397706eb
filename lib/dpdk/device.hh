// SPDX-License-Identifier: BSD-3-Clause
// Device: what the text of `device` in [[port]] means: a PCI address or a vdev with its arguments.
// Pure text.
#pragma once

#include <string>
#include <string_view>

namespace weir {

// True for "0000:8a:00.0" or "8a:00.0", with or without ",arguments".
[[nodiscard]] bool is_pci_device(std::string_view device);
// The part before the first comma: the name that DPDK gives to the port. A short PCI address gets
// its domain.
[[nodiscard]] std::string device_name(std::string_view device);
// The driver that a vdev's name stands for ("net_af_xdp0,iface=x" -> "net_af_xdp"); empty for PCI.
[[nodiscard]] std::string vdev_driver(std::string_view device);
// The value of `key` in the arguments of `device`; `otherwise` when it is not there.
[[nodiscard]] std::string device_argument(std::string_view device, std::string_view key,
                                          std::string_view otherwise = {});
// `device` with each argument of `defaults` ("busy_budget=0,x=1") that it does not give itself.
[[nodiscard]] std::string with_default_arguments(std::string_view device,
                                                 std::string_view defaults);

}  // namespace weir
