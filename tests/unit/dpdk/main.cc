// SPDX-License-Identifier: BSD-3-Clause
// Starts EAL once, without huge pages, PCI or a fixed prefix, before the tests; those that need
// other network namespaces fork and leave EAL alone.
#define CATCH_CONFIG_RUNNER
#include <cstdio>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "lib/dpdk/eal.hh"
#include "tests/unit/dpdk/support.hh"

int main(int argc, char** argv) {
    weir::test::prepare_files();
    weir::EalOptions options;
    options.memory = weir::EalOptions::Memory::no_huge;
    options.memory_bytes = std::uint64_t{256} << 20;
    options.file_prefix = weir::test::file_prefix();
    options.devices = weir::test::devices();
    const auto arguments = weir::eal_arguments(options);
    if (auto started = weir::eal_init(arguments); !started) {
        std::fprintf(stderr, "%s\n", started.error().message.c_str());
        return 1;
    }
    const int result = Catch::Session().run(argc, argv);
    weir::eal_cleanup();
    weir::test::remove_files();
    return result;
}
