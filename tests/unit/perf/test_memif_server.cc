// SPDX-License-Identifier: BSD-3-Clause
// The generator's end of memif against a client written from the protocol's description: the
// handshake, and packets both ways through shared memory.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "perf/gen/memif_server.hh"

using namespace weir::gen;

namespace {

constexpr unsigned log2_slots = 6, slots = 1u << log2_slots, buffer_bytes = 2048;
constexpr std::uint32_t ring_bytes = 128 + 16 * slots, buffers_at = 2 * ring_bytes;
constexpr std::size_t region_bytes = buffers_at + std::size_t{2} * slots * buffer_bytes;

// Ring 0 leads to the server, ring 1 comes from it.
class Client {
public:
    Client() : region_(memfd_create("test", 0)) {
        REQUIRE(ftruncate(region_, region_bytes) == 0);
        start_ = static_cast<std::uint8_t*>(
            mmap(nullptr, region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region_, 0));
        for (unsigned ring = 0; ring < 2; ++ring) {
            put(ring * ring_bytes, std::uint32_t{0x3e31f20});
            for (unsigned slot = 0; slot < slots; ++slot) {
                put(descriptor(ring, slot) + 4, buffer_bytes);
                put(descriptor(ring, slot) + 8, buffer(ring, slot));
            }
        }
    }
    ~Client() {
        munmap(start_, region_bytes);
        close(region_);
        if (socket_ >= 0) close(socket_);
    }

    // The whole handshake, then all buffers are offered. False when the server did not play along.
    bool connect_to(const std::string& name) {
        socket_ = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::ranges::copy(name, address.sun_path + 1);
        const auto length =
            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
        if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), length) != 0)
            return false;
        bool good = heard(2);  // hello
        std::array<std::uint8_t, 128> init{3, 0, 0, 2};
        good = say(init, -1) && heard(1) && good;
        std::array<std::uint8_t, 128> region{4};
        const std::uint64_t size = region_bytes;
        std::memcpy(&region[4], &size, sizeof size);
        good = say(region, region_) && heard(1) && good;
        for (std::uint8_t ring = 0; ring < 2; ++ring) {
            std::array<std::uint8_t, 128> words{5, 0, static_cast<std::uint8_t>(1 - ring)};
            const std::uint32_t offset = ring * ring_bytes;
            std::memcpy(&words[8], &offset, sizeof offset);
            words[12] = log2_slots;
            good = say(words, region_) && heard(1) && good;  // any descriptor will do as interrupt
        }
        good = say({6}, -1) && heard(7) && good;
        index(1, 6).store(slots, std::memory_order_release);
        return good;
    }

    static std::uint32_t descriptor(unsigned ring, unsigned slot) {
        return ring * ring_bytes + 128 + 16 * slot;
    }
    static std::uint32_t buffer(unsigned ring, unsigned slot) {
        return buffers_at + (ring * slots + slot) * buffer_bytes;
    }
    // `at`: 6 for the head of a ring, 64 for its tail.
    std::atomic_ref<std::uint16_t> index(unsigned ring, unsigned at) {
        return std::atomic_ref(*reinterpret_cast<std::uint16_t*>(start_ + ring * ring_bytes + at));
    }
    std::uint8_t* at(std::uint32_t offset) { return start_ + offset; }
    template <typename Value>
    void put(std::uint32_t offset, Value value) {
        std::memcpy(start_ + offset, &value, sizeof value);
    }
    std::uint32_t length(unsigned ring, unsigned slot) {
        std::uint32_t value;
        std::memcpy(&value, at(descriptor(ring, slot) + 4), sizeof value);
        return value;
    }

private:
    bool say(std::array<std::uint8_t, 128> bytes, int descriptor) const {
        iovec part{bytes.data(), bytes.size()};
        alignas(cmsghdr) char beside[CMSG_SPACE(sizeof(int))]{};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (descriptor >= 0) {
            message.msg_control = beside;
            message.msg_controllen = sizeof beside;
            cmsghdr* const extra = CMSG_FIRSTHDR(&message);
            extra->cmsg_len = CMSG_LEN(sizeof(int));
            extra->cmsg_level = SOL_SOCKET;
            extra->cmsg_type = SCM_RIGHTS;
            std::memcpy(CMSG_DATA(extra), &descriptor, sizeof descriptor);
        }
        return sendmsg(socket_, &message, 0) == 128;
    }
    [[nodiscard]] bool heard(std::uint8_t kind) const {
        std::array<std::uint8_t, 128> bytes{};
        return recv(socket_, bytes.data(), bytes.size(), 0) == 128 && bytes[0] == kind;
    }

    int region_, socket_ = -1;
    std::uint8_t* start_ = nullptr;
};

}  // namespace

TEST_CASE("memif server: packets go and come back through the client's memory", "[perf]") {
    const std::string name = "weir-test-memif-" + std::to_string(getpid());
    auto opened = MemifServer::open(name);
    REQUIRE(opened.ok());
    Link& link = *opened.value();
    std::vector<std::uint8_t> frame(60);
    for (std::size_t i = 0; i < frame.size(); ++i)
        frame[i] = static_cast<std::uint8_t>(i);
    REQUIRE(link.fill(frame).ok());
    Client client;
    bool played = false;
    std::thread peer([&] { played = client.connect_to(name); });
    const auto started = link.start(10);
    peer.join();
    REQUIRE(started.ok());
    REQUIRE(played);

    std::array<std::uint8_t*, 100> room{};
    Frame back[100];
    std::uint16_t sent = 0;
    for (int round = 0; round < 3000; ++round) {  // the indices pass 65535
        const unsigned count = 1 + static_cast<unsigned>(round) % 50;
        REQUIRE(link.claim({room.data(), count}) == count);
        REQUIRE(std::equal(frame.begin(), frame.end(), room[count - 1]));
        REQUIRE(link.send(count) == count);
        sent = static_cast<std::uint16_t>(sent + count);
        REQUIRE(client.index(1, 64).load() == sent);
        REQUIRE(client.length(1, (sent - 1u) % slots) == frame.size());
        for (std::uint16_t i = static_cast<std::uint16_t>(sent - count); i != sent; ++i)
            std::memcpy(client.at(Client::descriptor(0, i % slots)),
                        client.at(Client::descriptor(1, i % slots)), 16);
        client.index(0, 6).store(sent);
        client.index(1, 6).store(static_cast<std::uint16_t>(sent + slots));
        REQUIRE(link.receive({back, 100}) == count);
        REQUIRE(std::ranges::equal(back[count - 1], frame));
        link.release();
        REQUIRE(client.index(0, 64).load() == sent);
    }
    CHECK(link.receive({back, 100}) == 0);
    CHECK(link.claim({room.data(), 100}) == slots);  // no more than the client offers
}

TEST_CASE("memif server: what is not one whole packet in the shared memory is an empty frame",
          "[perf]") {
    const std::string name = "weir-test-memif-odd-" + std::to_string(getpid());
    auto opened = MemifServer::open(name);
    REQUIRE(opened.ok());
    Link& link = *opened.value();
    const std::vector<std::uint8_t> frame(60);
    REQUIRE(link.fill(frame).ok());
    Client client;
    std::thread peer([&] { client.connect_to(name); });
    const auto started = link.start(10);
    peer.join();
    REQUIRE(started.ok());
    client.put(Client::descriptor(0, 0), std::uint16_t{1});      // goes on in the next buffer
    client.put(Client::descriptor(0, 1) + 4, std::uint32_t{0});  // no byte
    client.put(Client::descriptor(0, 2) + 2, std::uint16_t{9});  // no such region
    client.put(Client::descriptor(0, 3) + 8, std::uint32_t{region_bytes - 10});  // beyond its end
    client.index(0, 6).store(5);
    Frame back[8];
    REQUIRE(link.receive(back) == 5);
    for (int odd = 0; odd < 4; ++odd)
        CHECK(back[odd].empty());
    CHECK(back[4].size() == buffer_bytes);
}

TEST_CASE("memif server: without a client it says so", "[perf]") {
    auto opened = MemifServer::open("weir-test-memif-alone-" + std::to_string(getpid()));
    REQUIRE(opened.ok());
    const auto started = opened.value()->start(0.01);
    REQUIRE(!started.ok());
    CHECK(started.error().message.find("no memif client") != std::string::npos);
}
