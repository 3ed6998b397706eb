// SPDX-License-Identifier: BSD-3-Clause
// EAL: DPDK's environment, started once per process.
//
// What EAL, drivers and their libraries print is caught: on failure one sentence says what is wrong
// and what mends it; everything else goes line by line to the log sink at debug level.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/wire/result.hh"

namespace weir {

struct EalOptions {
    // in_memory: hugepages without files; shared: hugepages with files (other processes may
    // attach); no_huge: ordinary pages.
    enum class Memory : std::uint8_t { in_memory, shared, no_huge };
    Memory memory = Memory::in_memory;
    std::uint64_t memory_bytes =
        0;                       // taken at start; 0: on demand (no_huge: EAL's default, 64 MiB)
    std::string lcores = "0@0";  // --lcores: "LCORE@CPU,..."
    unsigned main_lcore = 0;     // the control lcore
    std::string file_prefix = "weir";  // unless `extra` names one
    std::string iova = "va";           // "va" | "pa" (a PCI device on uio) | "" (EAL decides)
    std::vector<std::string> devices;  // vdevs and PCI addresses, each with its arguments
    std::vector<std::string> extra;    // after everything else, so that they win
    bool debug = false;                // more words from EAL
};

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

// The EAL line without the program's name. Pure.
[[nodiscard]] std::vector<std::string> eal_arguments(const EalOptions& options);

// Free huge pages of all sizes, in bytes. `sysfs` is "/sys" except in tests. node < 0: all nodes.
[[nodiscard]] std::uint64_t free_hugepage_bytes(int node = -1, const std::string& sysfs = "/sys");
// Before EAL: are there enough free huge pages for `bytes`? Always ok for no_huge.
Result<void> check_hugepages(EalOptions::Memory memory, std::uint64_t bytes,
                             const std::string& sysfs = "/sys");

// A line of DPDK. Level: RTE_LOG_*, 1 (emergency) .. 8 (debug). Called on any thread, never two
// calls at once; must not call DPDK.
using DpdkLogSink = std::function<void(unsigned level, std::string_view line)>;

// Starts EAL with `arguments` (of eal_arguments()). Once per process, by the thread that becomes
// the main lcore. Afterwards `sink` gets all that DPDK logs; without one, warnings and worse go to
// stderr. On failure EAL cannot be started again in this process.
Result<void> eal_init(const std::vector<std::string>& arguments, DpdkLogSink sink = {});
// After every port is closed. Main lcore.
void eal_cleanup();

// What EAL's output means, as one sentence; the line that tells most when nothing is known of it.
// `arguments` as given to eal_init(). Pure.
[[nodiscard]] std::string explain_eal_failure(const std::string& output,
                                              const std::vector<std::string>& arguments);

}  // namespace weir
