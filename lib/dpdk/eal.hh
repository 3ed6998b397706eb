// SPDX-License-Identifier: BSD-3-Clause
// EAL: DPDK's environment, started once per process.
//
// What EAL, drivers and their libraries print is caught: on failure one sentence says what is wrong
// and what mends it; everything else goes line by line to the log sink at debug level.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/dpdk/log.hh"
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

// The EAL line without the program's name. Pure.
[[nodiscard]] std::vector<std::string> eal_arguments(const EalOptions& options);

// Free huge pages of all sizes, in bytes. `sysfs` is "/sys" except in tests. node < 0: all nodes.
[[nodiscard]] std::uint64_t free_hugepage_bytes(int node = -1, const std::string& sysfs = "/sys");
// Before EAL: are there enough free huge pages for `bytes`, and for shared memory a hugetlbfs to
// put their files in? Always ok for no_huge.
Result<void> check_hugepages(EalOptions::Memory memory, std::uint64_t bytes,
                             const std::string& sysfs = "/sys",
                             const std::string& mounts = "/proc/self/mounts");

// Starts EAL with `arguments` (of eal_arguments()). Once per process, by the thread that becomes
// the main lcore. Afterwards `sink` gets all that DPDK logs; without one, warnings and worse go to
// stderr. SIGPIPE is ignored from now on: drivers write to peers that may be gone. A vdev that
// waits for its peer (net_virtio_user with server=1) blocks here until it comes. On failure EAL
// cannot be started again in this process.
Result<void> eal_init(const std::vector<std::string>& arguments, DpdkLogSink sink = {});
// After every port is closed. Main lcore.
void eal_cleanup();

// All that EAL printed in eal_init(); empty before. Main thread.
[[nodiscard]] const std::string& eal_output();

// What EAL's output means, as one sentence; the line that tells most when nothing is known of it.
// `arguments` as given to eal_init(). Pure.
[[nodiscard]] std::string explain_eal_failure(const std::string& output,
                                              const std::vector<std::string>& arguments);

// The command that reserves `bytes` of huge pages.
[[nodiscard]] std::string reserve_command(std::uint64_t bytes);

}  // namespace weir
