// SPDX-License-Identifier: BSD-3-Clause
#include <set>

#include <catch2/catch.hpp>

#include "lib/dataplane/inspect.hh"
#include "tests/unit/dataplane/fixture.hh"

using namespace weir;
using namespace weir::test;

TEST_CASE("a flow dump in pieces gives every flow once", "[dataplane][inspect]") {
    World1 world(2);
    Worker1 worker(4096);
    for (int i = 0; i < 1000; ++i)
        (void)worker.run(world.tables, client_frame(static_cast<std::uint16_t>(5000 + i), 0x02));
    FlowMailbox mailbox;
    FlowDump dump;
    std::set<std::uint16_t> ports;
    int rounds = 0;
    while (!dump.end) {
        dump.entries.resize(100);
        dump.filled = 0;
        mailbox.post(&dump);
        CHECK(mailbox.collect() == nullptr);
        FlowDump* done = nullptr;
        for (int loop = 0; loop < 1000 && done == nullptr; ++loop) {
            mailbox.serve(worker.table, Tick{1000});
            done = mailbox.collect();
        }
        REQUIRE(done == &dump);
        for (std::size_t i = 0; i < dump.filled; ++i)
            CHECK(ports.insert(dump.entries[i].client_port).second);
        REQUIRE(++rounds < 100);
    }
    CHECK(ports.size() == 1000);
}

TEST_CASE("a mailbox without a request does nothing", "[dataplane][inspect]") {
    Worker1 worker;
    FlowMailbox mailbox;
    mailbox.serve(worker.table, Tick{0});
    CHECK(mailbox.collect() == nullptr);
}
