// SPDX-License-Identifier: BSD-3-Clause
// Starts EAL once, without huge pages, PCI or a fixed prefix, before the first test; those that
// need other network namespaces fork and leave EAL alone.
#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include <cstdio>
#include <cstdlib>

#include <catch2/catch.hpp>

#include "lib/dpdk/eal.hh"
#include "tests/unit/dpdk/support.hh"

namespace {

class EalListener : public Catch::TestEventListenerBase {
public:
    using TestEventListenerBase::TestEventListenerBase;

    void testRunStarting(const Catch::TestRunInfo& info) override {
        TestEventListenerBase::testRunStarting(info);
        weir::test::prepare_files();
        weir::EalOptions options;
        options.memory = weir::EalOptions::Memory::no_huge;
        options.memory_bytes = std::uint64_t{256} << 20;
        options.file_prefix = weir::test::file_prefix();
        options.devices = weir::test::devices();
        const auto started = weir::eal_init(weir::eal_arguments(options));
        if (started) return;
        std::fprintf(stderr, "%s\n", started.error().message.c_str());
        std::exit(1);
    }

    void testRunEnded(const Catch::TestRunStats& stats) override {
        TestEventListenerBase::testRunEnded(stats);
        weir::eal_cleanup();
        weir::test::remove_files();
    }
};

}  // namespace

CATCH_REGISTER_LISTENER(EalListener)
