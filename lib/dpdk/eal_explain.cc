// SPDX-License-Identifier: BSD-3-Clause
// What EAL's riddles mean.
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "lib/dpdk/eal.hh"
#include "lib/dpdk/output_capture.hh"

namespace weir {

namespace {

struct Riddle {
    std::string_view sign;    // in EAL's output
    std::string_view answer;  // what it means and what mends it
};

// The first sign that occurs decides; special ones stand before general ones.
constexpr std::array riddles{
    Riddle{"Is another primary process running",
           "another DPDK process runs under the same file prefix; stop it, or start this one with "
           "`-- --file-prefix=NAME`"},
    Riddle{"Option --no-huge is not compatible",
           "--no-huge and --in-memory exclude each other; set "
           "system.memory.mode = \"no-huge\" instead"},
    Riddle{
        "no mounted hugetlbfs found",
        "shared memory needs a mounted hugetlbfs: `mkdir -p /dev/hugepages && mount -t hugetlbfs "
        "nodev /dev/hugepages`"},
    Riddle{"Cannot get hugepage information",
           "there are no free huge pages; reserve some with `hugepages/reserve SIZE`, or set "
           "system.memory.mode = \"no-huge\""},
    Riddle{
        "Not enough memory available",
        "there are not enough free huge pages; reserve more with `hugepages/reserve SIZE`, or set "
        "system.memory.mode = \"no-huge\""},
    Riddle{"could not be mapped",
           "there are not enough huge pages, or a file in /dev/hugepages "
           "cannot be written; see `grep Huge /proc/meminfo`"},
    Riddle{"Cannot create directory",
           "DPDK's runtime directory cannot be made: start as root, or "
           "set XDG_RUNTIME_DIR to a directory that can be written"},
    Riddle{"failed to parse device", ""},
    Riddle{" unavailable\n",
           "a CPU of the lcore lists is not on this machine or not allowed to "
           "this process; see `taskset -p $$` and `lscpu -e`"},
    Riddle{"invalid core list", "a CPU of the lcore lists is not on this machine; see `lscpu -e`"},
    Riddle{"invalid coremap", "a CPU of the lcore lists is not on this machine; see `lscpu -e`"},
    Riddle{"invalid lcore", "the --lcores argument is not well formed: `--lcores=0@0,1@1`"},
    Riddle{"EAL common options", "EAL does not know one of its arguments"},
    Riddle{"FATAL: Cannot init VFIO", "VFIO cannot be used: load it with `modprobe vfio-pci`"},
    Riddle{"Requested IOVA mode",
           "the IOVA mode does not fit the machine or a device; try "
           "`-- --iova-mode=pa` as root, or `-- --iova-mode=va`"},
};

std::string_view between_quotes(std::string_view text) {
    const auto start = text.find_first_of("\"'");
    if (start == std::string_view::npos) return {};
    const auto end = text.find(text[start], start + 1);
    return end == std::string_view::npos ? std::string_view{}
                                         : text.substr(start + 1, end - start - 1);
}

}  // namespace

std::string explain_eal_failure(const std::string& output,
                                const std::vector<std::string>& arguments) {
    const std::string line = fmt::format("{}", fmt::join(arguments, " "));
    const std::string complaint = first_complaint(output);
    for (const Riddle& riddle : riddles) {
        const auto at = output.find(riddle.sign);
        if (at == std::string::npos) continue;
        if (riddle.answer.empty())
            return fmt::format(
                "DPDK has no driver for device '{}'; correct `device`, or install its driver "
                "(`apt-cache search librte-net`)",
                between_quotes(std::string_view(output).substr(at)));
        return fmt::format("DPDK does not start: {} (EAL: {}; arguments: {})", riddle.answer,
                           complaint.empty() ? "no further words" : complaint, line);
    }
    return fmt::format("DPDK does not start: {} (arguments: {})",
                       complaint.empty() ? "EAL gives no reason" : complaint, line);
}

}  // namespace weir
