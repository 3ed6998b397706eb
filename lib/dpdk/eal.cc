// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/eal.hh"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <initializer_list>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/dpdk/device.hh"
#include "lib/dpdk/output_capture.hh"

namespace weir {

namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

std::uint64_t in_mebibytes(std::uint64_t bytes) {
    return (bytes + mebibyte - 1) / mebibyte;
}

// True when one of `names` ("--iova-mode", "-m") is among the arguments, alone or with its value.
bool gives(const std::vector<std::string>& arguments, std::initializer_list<const char*> names) {
    return std::ranges::any_of(arguments, [names](const std::string& argument) {
        return std::ranges::any_of(names, [&argument](std::string_view name) {
            if (!argument.starts_with(name)) return false;
            const bool is_short = !name.starts_with("--");
            return is_short || argument.size() == name.size() || argument[name.size()] == '=';
        });
    });
}

void add_memory(std::vector<std::string>& line, const EalOptions& options) {
    switch (options.memory) {
        case EalOptions::Memory::in_memory:
            line.insert(line.end(), {"--in-memory", "--single-file-segments"});
            break;
        case EalOptions::Memory::shared:
            line.emplace_back("--single-file-segments");
            break;
        case EalOptions::Memory::no_huge:
            line.emplace_back("--no-huge");
            break;
    }
    if (options.memory_bytes > 0 && !gives(options.extra, {"-m", "--socket-mem"}))
        line.insert(line.end(), {"-m", std::to_string(in_mebibytes(options.memory_bytes))});
}

void add_devices(std::vector<std::string>& line, const EalOptions& options) {
    const bool any_pci = std::ranges::any_of(
        options.devices, [](const std::string& device) { return is_pci_device(device); });
    if (!any_pci && !gives(options.extra, {"--no-pci", "-a", "--allow"}))
        line.emplace_back("--no-pci");
    for (const std::string& device : options.devices) {
        if (is_pci_device(device))
            line.insert(line.end(), {"-a", device});
        else
            line.push_back("--vdev=" + device);
    }
}

}  // namespace

std::vector<std::string> eal_arguments(const EalOptions& options) {
    std::vector<std::string> line;
    if (!gives(options.extra, {"--lcores"})) line.push_back("--lcores=" + options.lcores);
    if (!gives(options.extra, {"--main-lcore"}))
        line.push_back(fmt::format("--main-lcore={}", options.main_lcore));
    add_memory(line, options);
    if (!options.iova.empty() && !gives(options.extra, {"--iova-mode"}))
        line.push_back("--iova-mode=" + options.iova);
    if (!gives(options.extra, {"--file-prefix"}))
        line.push_back("--file-prefix=" + options.file_prefix);
    if (options.debug && !gives(options.extra, {"--log-level"}))
        line.emplace_back("--log-level=lib.eal:debug");
    add_devices(line, options);
    line.insert(line.end(), options.extra.begin(), options.extra.end());
    return line;
}

std::string reserve_command(std::uint64_t bytes) {
    return fmt::format("hugepages/reserve {}MiB", in_mebibytes(bytes));
}

std::uint64_t free_hugepage_bytes(int node, const std::string& sysfs) {
    namespace fs = std::filesystem;
    const fs::path root =
        node < 0 ? fs::path(sysfs) / "kernel/mm/hugepages"
                 : fs::path(sysfs) / fmt::format("devices/system/node/node{}/hugepages", node);
    std::uint64_t bytes = 0;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(root, none)) {
        const std::string name = entry.path().filename();  // "hugepages-2048kB"
        const auto dash = name.find('-');
        if (dash == std::string::npos) continue;
        std::uint64_t kib = 0, pages = 0;
        std::from_chars(name.data() + dash + 1, name.data() + name.size(), kib);
        std::ifstream(entry.path() / "free_hugepages") >> pages;
        bytes += kib * 1024 * pages;
    }
    return bytes;
}

namespace {

bool mounts_hugetlbfs(const std::string& mounts) {
    std::ifstream file(mounts);
    for (std::string line; std::getline(file, line);)
        if (line.find(" hugetlbfs ") != std::string::npos) return true;
    return false;
}

}  // namespace

Result<void> check_hugepages(EalOptions::Memory memory, std::uint64_t bytes,
                             const std::string& sysfs, const std::string& mounts) {
    if (memory == EalOptions::Memory::no_huge) return {};
    const std::uint64_t free = free_hugepage_bytes(-1, sysfs);
    if (free == 0 || free < bytes)
        return Error{fmt::format(
            "{} MiB of huge pages are needed and {} MiB are free; reserve them with `{}`, or set "
            "system.memory.mode = \"no-huge\"",
            in_mebibytes(bytes), free / mebibyte, reserve_command(bytes))};
    if (memory == EalOptions::Memory::shared && !mounts_hugetlbfs(mounts))
        return Error{
            "shared memory needs a mounted hugetlbfs; `mkdir -p /dev/hugepages && mount -t "
            "hugetlbfs "
            "nodev /dev/hugepages`, or set system.memory.mode = \"in-memory\""};
    return {};
}

namespace {

std::string captured_output;

// Huge pages come faulted in; without them EAL's memory is mapped only, and would be faulted in by
// the loops. DPDK's own threads may use it already, so nothing is overwritten.
void fault_in_memory() {
    const auto one = [](const rte_memseg_list*, const rte_memseg* segment, std::size_t bytes,
                        void*) {
        auto* memory = static_cast<std::byte*>(segment->addr);
        if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0) return 0;
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        for (std::size_t at = 0; at < bytes; at += page)
            std::atomic_ref(reinterpret_cast<char&>(memory[at])).fetch_or(0);
        return 0;
    };
    rte_memseg_contig_walk(one, nullptr);
}

}  // namespace

const std::string& eal_output() {
    return captured_output;
}

Result<void> eal_init(const std::vector<std::string>& arguments, DpdkLogSink sink) {
    if (gives(arguments, {"-h", "--help"}))
        return Error{"EAL's own help is printed by `dpdk-testpmd --help`, not by this program"};
    // EAL may keep pointers into argv, and permutes it.
    static std::vector<std::string> words;
    static std::vector<char*> pointers;
    words.assign(1, "weir");
    words.insert(words.end(), arguments.begin(), arguments.end());
    pointers.clear();
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);

    // Drivers write to sockets of peers that may be gone (virtio-user, memif).
    std::signal(SIGPIPE, SIG_IGN);
    set_dpdk_log_sink(std::move(sink));
    OutputCapture capture;
    const int taken = rte_eal_init(static_cast<int>(words.size()), pointers.data());
    captured_output = capture.stop();
    log_captured(captured_output);
    if (taken >= 0 && rte_eal_has_hugepages() == 0) fault_in_memory();
    if (taken >= 0) return {};
    return Error{explain_eal_failure(captured_output, arguments)};
}

void eal_cleanup() {
    OutputCapture capture;
    rte_eal_cleanup();
    log_captured(capture.stop());
}

}  // namespace weir
