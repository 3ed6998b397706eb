// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "lib/dpdk/device.hh"
#include "lib/dpdk/eal.hh"
#include "lib/dpdk/output_capture.hh"
#include "tests/unit/dpdk/support.hh"

using namespace weir;
using Catch::Matchers::Contains;

namespace {

bool has(const std::vector<std::string>& line, const std::string& word) {
    return std::ranges::count(line, word) == 1;
}

bool has_start(const std::vector<std::string>& line, const std::string& start) {
    return std::ranges::any_of(line, [&](const auto& word) { return word.starts_with(start); });
}

}  // namespace

TEST_CASE("device: PCI addresses and vdevs are told apart", "[dpdk]") {
    CHECK(is_pci_device("0000:8a:00.0"));
    CHECK(is_pci_device("8a:00.1"));
    CHECK(is_pci_device("0000:8a:00.0,dv_flow_en=1"));
    for (const char* other : {"net_af_xdp0,iface=veth0", "", "8a:00", "8a:00.8", "0000:8a:00.0.1",
                              "net:8a:00.0", "00000000:8a:00.0x", "123:45.0"})
        CHECK_FALSE(is_pci_device(other));
    CHECK(device_name("8a:00.1,x=1") == "0000:8a:00.1");
    CHECK(device_name("0001:8a:00.1") == "0001:8a:00.1");
    CHECK(device_name("net_memif12,role=server") == "net_memif12");
    CHECK(vdev_driver("net_af_xdp0,iface=x1") == "net_af_xdp");
    CHECK(vdev_driver("8a:00.1").empty());
}

TEST_CASE("device: its own arguments win over the profile's", "[dpdk]") {
    const std::string device = "net_af_xdp0,iface=veth0,busy_budget=64";
    CHECK(device_argument(device, "iface") == "veth0");
    CHECK(device_argument(device, "face").empty());
    CHECK(device_argument(device, "net_af_xdp0").empty());
    CHECK(device_argument(device, "queues", "1") == "1");
    CHECK(with_default_arguments(device, "busy_budget=0,force_copy=1") == device + ",force_copy=1");
    CHECK(with_default_arguments("net_null0", "") == "net_null0");
}

TEST_CASE("eal line: memory modes", "[dpdk]") {
    EalOptions options;
    options.memory_bytes = (std::uint64_t{64} << 20) + 1;
    auto line = eal_arguments(options);
    CHECK(has(line, "--in-memory"));
    CHECK(has(line, "--single-file-segments"));
    CHECK(has(line, "65"));
    options.memory = EalOptions::Memory::shared;
    line = eal_arguments(options);
    CHECK_FALSE(has_start(line, "--in-memory"));
    CHECK(has(line, "--single-file-segments"));
    options.memory = EalOptions::Memory::no_huge;
    line = eal_arguments(options);
    CHECK(has(line, "--no-huge"));
    CHECK_FALSE(has(line, "--in-memory"));  // EAL refuses both
    CHECK(has(line, "-m"));
}

TEST_CASE("eal line: devices, lcores, and what the operator's own arguments replace", "[dpdk]") {
    EalOptions options;
    options.lcores = "0@0,1@1,2@1";
    options.devices = {"net_null0"};
    auto line = eal_arguments(options);
    CHECK(has(line, "--lcores=0@0,1@1,2@1"));
    CHECK(has(line, "--main-lcore=0"));
    CHECK(has(line, "--no-pci"));
    CHECK(has(line, "--vdev=net_null0"));
    CHECK(has(line, "--iova-mode=va"));
    CHECK(has(line, "--file-prefix=weir"));

    options.devices = {"0000:8a:00.0", "net_null0", "8a:00.1"};
    line = eal_arguments(options);
    CHECK_FALSE(has(line, "--no-pci"));
    CHECK(std::ranges::count(line, "-a") == 2);
    CHECK(has(line, "0000:8a:00.0"));

    options.extra = {"--file-prefix=mine", "--iova-mode", "pa"};
    line = eal_arguments(options);
    CHECK_FALSE(has(line, "--file-prefix=weir"));
    CHECK_FALSE(has(line, "--iova-mode=va"));
    CHECK(line.back() == "pa");  // the operator's arguments stand last
}

TEST_CASE("huge pages: counted over sizes, and the lack of them names the command", "[dpdk]") {
    namespace fs = std::filesystem;
    const fs::path sysfs = fs::path(test::directory()) / "sys";
    for (const auto& [size, pages] : {std::pair{"2048", "10"}, std::pair{"1048576", "1"}}) {
        const fs::path where =
            sysfs / ("kernel/mm/hugepages/hugepages-" + std::string(size) + "kB");
        fs::create_directories(where);
        std::ofstream(where / "free_hugepages") << pages << '\n';
    }
    const std::uint64_t all = (std::uint64_t{1} << 30) + (std::uint64_t{20} << 20);
    CHECK(free_hugepage_bytes(-1, sysfs) == all);
    CHECK(free_hugepage_bytes(3, sysfs) == 0);
    CHECK(check_hugepages(EalOptions::Memory::in_memory, all, sysfs).ok());
    const auto lacking = check_hugepages(EalOptions::Memory::shared, all + 1, sysfs);
    REQUIRE_FALSE(lacking.ok());
    CHECK_THAT(lacking.error().message, Contains("hugepages/reserve 1045MiB"));
    CHECK(check_hugepages(EalOptions::Memory::no_huge, all + 1, sysfs).ok());
    const std::string mounts = test::directory() + "/mounts";
    std::ofstream(mounts) << "nodev /tmp tmpfs rw 0 0\n";
    const auto unmounted = check_hugepages(EalOptions::Memory::shared, all, sysfs, mounts);
    REQUIRE_FALSE(unmounted.ok());
    CHECK_THAT(unmounted.error().message, Contains("mount -t hugetlbfs"));
    CHECK(check_hugepages(EalOptions::Memory::in_memory, all, sysfs, mounts).ok());
    std::ofstream(mounts) << "nodev /dev/hugepages hugetlbfs rw 0 0\n";
    CHECK(check_hugepages(EalOptions::Memory::shared, all, sysfs, mounts).ok());
    CHECK_FALSE(check_hugepages(EalOptions::Memory::in_memory, 0, sysfs.string() + "/none").ok());
}

TEST_CASE("eal failures: one sentence with what mends it", "[dpdk]") {
    const auto told = [](const char* output) { return explain_eal_failure(output, {"-m", "64"}); };
    CHECK_THAT(told("EAL: No free 2048 kB hugepages reported on node 0\n"
                    "EAL: FATAL: Cannot get hugepage information.\n"),
               Contains("hugepages/reserve"));
    CHECK_THAT(told("EAL: Cannot create lock on '/var/run/dpdk/weir/config'. Is another primary "
                    "process running?\n"),
               Contains("--file-prefix=NAME"));
    CHECK_THAT(told("EAL: failed to parse device \"net_foo0\"\nEAL: Unable to parse device\n"),
               Contains("no driver for device 'net_foo0'"));
    CHECK_THAT(told("EAL: lcore 99 unavailable\nEAL: invalid core list\n"), Contains("CPU"));
    CHECK_THAT(told("weir: unrecognized option '--bogus'\n\nEAL common options:\n  -c MASK\n"),
               Contains("--bogus"));
    CHECK_THAT(told("EAL: something new cannot be done\n"),
               Contains("something new cannot be done"));
    CHECK(told("").find('\n') == std::string::npos);
}

TEST_CASE("output: EAL's words were caught, not printed", "[dpdk]") {
    CHECK_THAT(eal_output(), Contains("Detected CPU lcores"));
    CHECK_THAT(eal_output(), Contains("failed to initialize net_memif1"));
    OutputCapture capture;
    std::printf("to stdout\n");
    std::fprintf(stderr, "libxdp: cannot matter\nx(): Failed to do it.\n");
    CHECK_THAT(capture.stop(), Contains("to stdout"));
    CHECK(first_complaint(capture.stop()) == "x(): Failed to do it");
    CHECK(first_complaint("EAL: Selected IOVA mode 'VA'\n").empty());
}
