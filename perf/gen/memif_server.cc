// SPDX-License-Identifier: BSD-3-Clause
#include "perf/gen/memif_server.hh"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace weir::gen {

namespace {

constexpr std::uint32_t cookie = 0x3e3'1f20;
constexpr std::uint16_t version = 2 << 8, ring_to_server = 1, chained = 1, polled = 1;
constexpr std::uint16_t most_regions = 255;
constexpr std::uint8_t most_log2_size = 14;
constexpr std::size_t line = 64;

enum Kind : std::uint16_t {
    none,
    ack,
    hello,
    init,
    add_region,
    add_ring,
    connect_,
    connected,
    disconnect
};

struct [[gnu::packed]] Hello {
    char name[32];
    std::uint16_t least_version, most_version, last_region, last_to_client, last_to_server;
    std::uint8_t log2_size;
};
struct [[gnu::packed]] Init {
    std::uint16_t version;
    std::uint32_t id;
    std::uint8_t mode;  // 0: Ethernet
    char secret[24], name[32];
};
struct [[gnu::packed]] AddRegion {
    std::uint16_t index;
    std::uint64_t size;
};
struct [[gnu::packed]] AddRing {
    std::uint16_t flags, index, region;
    std::uint32_t offset;
    std::uint8_t log2_size;
    std::uint16_t private_header;
};
struct [[gnu::packed]] Disconnect {
    std::uint32_t code;
    char reason[96];
};

struct Descriptor {
    std::uint16_t flags, region;
    std::uint32_t length, offset, metadata;
};
static_assert(sizeof(Descriptor) == 16);

std::string system_error(const std::string& what) {
    return fmt::format("memif: {}: {}", what, std::strerror(errno));
}

}  // namespace

// In shared memory. The client writes `head` of both; the server `tail`.
struct MemifRing {
    std::uint32_t cookie;
    std::uint16_t flags;
    std::atomic<std::uint16_t> head;
    alignas(line) std::atomic<std::uint16_t> tail;
    alignas(line) Descriptor descriptors[1];  // as many as the ring has slots

    Descriptor& at(unsigned slot) noexcept { return *(descriptors + slot); }
};
static_assert(offsetof(MemifRing, head) == 6 && offsetof(MemifRing, tail) == 64 &&
              offsetof(MemifRing, descriptors) == 128);

struct MemifServer::Message {
    std::uint16_t kind = none;
    std::uint8_t body[126]{};  // NOLINT: as the protocol has it
    int descriptor = -1;       // beside the bytes

    static constexpr std::size_t bytes = 128;
    template <typename Body>
    [[nodiscard]] Body as() const noexcept {
        static_assert(sizeof(Body) <= sizeof body);
        Body value;
        std::memcpy(&value, body, sizeof value);
        return value;
    }
};

Result<std::unique_ptr<Link>> MemifServer::open(const std::string& socket_name) {
    std::unique_ptr<MemifServer> server(new MemifServer);
    server->listener_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_name.size() + 1 > sizeof address.sun_path)
        return Error{fmt::format("memif: the name '{}' is too long", socket_name)};
    std::ranges::copy(socket_name, address.sun_path + 1);
    const auto length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + socket_name.size());
    if (server->listener_ < 0 ||
        bind(server->listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
        listen(server->listener_, 1) != 0)
        return Error{system_error(fmt::format("cannot listen on '{}'", socket_name))};
    return std::unique_ptr<Link>(std::move(server));
}

MemifServer::~MemifServer() {
    for (const Region& region : regions_)
        munmap(region.start, region.size);
    for (const int interrupt : interrupts_)
        close(interrupt);
    if (peer_ >= 0) close(peer_);
    if (listener_ >= 0) close(listener_);
}

Result<void> MemifServer::fill(Frame frame) {
    frame_.assign(frame.begin(), frame.end());
    return {};
}

Result<void> MemifServer::accept_client(double wait_seconds) {
    pollfd waiting{listener_, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(wait_seconds * 1000)) <= 0)
        return Error{
            fmt::format("no memif client came within {} s: does the other end run with "
                        "role=client and the same socket?",
                        wait_seconds)};
    peer_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer_ < 0) return Error{system_error("accept")};
    const timeval patience{static_cast<time_t>(wait_seconds) + 1, 0};
    setsockopt(peer_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return {};
}

Result<void> MemifServer::say(const Message& message) const {
    std::uint8_t bytes[Message::bytes];
    std::memcpy(bytes, &message.kind, 2);
    std::memcpy(bytes + 2, message.body, sizeof message.body);
    if (::send(peer_, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes)
        return Error{system_error("the client does not listen")};
    return {};
}

Result<void> MemifServer::start(double wait_seconds) {
    if (auto came = accept_client(wait_seconds); !came) return came;
    Message greeting{hello};
    const Hello words{"weir gen", version, version, most_regions, 0, 0, most_log2_size};
    std::memcpy(greeting.body, &words, sizeof words);
    if (auto said = say(greeting); !said) return said;
    for (bool done = false; !done;) {
        std::uint8_t bytes[Message::bytes];
        alignas(cmsghdr) char beside[CMSG_SPACE(sizeof(int))];
        iovec part{bytes, sizeof bytes};
        msghdr header{nullptr, 0, &part, 1, beside, sizeof beside, 0};
        if (recvmsg(peer_, &header, MSG_CMSG_CLOEXEC) != sizeof bytes)
            return Error{"memif: the client left before the link was up"};
        Message message;
        std::memcpy(&message.kind, bytes, 2);
        std::memcpy(message.body, bytes + 2, sizeof message.body);
        const cmsghdr* const extra = CMSG_FIRSTHDR(&header);
        if (extra != nullptr && extra->cmsg_type == SCM_RIGHTS)
            std::memcpy(&message.descriptor, CMSG_DATA(extra), sizeof(int));
        auto answered = answer(message);
        if (!answered) return answered.error();
        done = answered.value();
    }
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(wait_seconds);
    while (to_->head.load(std::memory_order_acquire) == 0) {
        if (std::chrono::steady_clock::now() > deadline)
            return Error{"memif: the client offers no buffers; does it poll?"};
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return {};
}

// True when the link is up.
Result<bool> MemifServer::answer(const Message& message) {
    Result<void> done;
    switch (message.kind) {
        case init: {
            const auto asked = message.as<Init>();
            if (asked.version != version || asked.mode != 0)
                return Error{"memif: the client wants another version or mode"};
            break;
        }
        case add_region:
            done = map_region(message);
            break;
        case add_ring:
            done = note_ring(message);
            break;
        case connect_: {
            auto to = ring_at(to_place_), from = ring_at(from_place_);
            if (!to) return to.error();
            if (!from) return from.error();
            to_ = to.value(), from_ = from.value();
            to_mask_ = static_cast<std::uint16_t>((1u << to_place_.log2_size) - 1);
            from_mask_ = static_cast<std::uint16_t>((1u << from_place_.log2_size) - 1);
            for (MemifRing* ring : {to_, from_})
                ring->head.store(0), ring->tail.store(0);
            from_->flags = polled;
            if (auto said = say({connected}); !said) return said.error();
            return true;
        }
        case disconnect: {
            const auto words = message.as<Disconnect>();
            return Error{fmt::format("memif: the client refuses: {:.96}", words.reason)};
        }
        default:
            return Error{fmt::format("memif: unexpected message {}", message.kind)};
    }
    if (done) done = say({ack});
    if (!done) return done.error();
    return false;
}

Result<void> MemifServer::map_region(const Message& message) {
    const auto wanted = message.as<AddRegion>();
    if (wanted.index != regions_.size() || message.descriptor < 0)
        return Error{"memif: regions out of order"};
    void* const start = mmap(nullptr, wanted.size, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_POPULATE, message.descriptor, 0);
    const std::string problem = start == MAP_FAILED ? system_error("cannot map a region") : "";
    close(message.descriptor);
    if (!problem.empty()) return Error{problem};
    regions_.push_back({static_cast<std::uint8_t*>(start), wanted.size});
    return {};
}

Result<void> MemifServer::note_ring(const Message& message) {
    const auto wanted = message.as<AddRing>();
    if (message.descriptor >= 0) interrupts_.push_back(message.descriptor);
    if (wanted.index != 0) return Error{"memif: one queue each way, no more"};
    RingPlace& place = (wanted.flags & ring_to_server) != 0 ? from_place_ : to_place_;
    place = {wanted.region, wanted.offset, wanted.log2_size, true};
    return {};
}

Result<MemifRing*> MemifServer::ring_at(const RingPlace& place) const {
    if (!place.known || place.log2_size > most_log2_size)
        return Error{"memif: the client gave no ring, or one too large"};
    const auto size = static_cast<std::uint32_t>(offsetof(MemifRing, descriptors) +
                                                 (sizeof(Descriptor) << place.log2_size));
    auto* const ring = reinterpret_cast<MemifRing*>(buffer(place.region, place.offset, size));
    if (ring == nullptr || ring->cookie != cookie) return Error{"memif: there is no ring"};
    return ring;
}

unsigned MemifServer::claim(std::span<std::uint8_t*> out) noexcept {
    const auto offered =
        static_cast<std::uint16_t>(to_->head.load(std::memory_order_acquire) - sent_);
    const auto count =
        static_cast<unsigned>(std::min<std::size_t>({offered, out.size(), most_burst}));
    const auto size = static_cast<std::uint32_t>(frame_.size());
    for (unsigned i = 0; i < count; ++i) {
        const Descriptor& slot = to_->at((sent_ + i) & to_mask_);
        out[i] = slot.length >= size ? buffer(slot.region, slot.offset, size) : nullptr;
        if (out[i] == nullptr) return 0;  // such a client is broken, and nothing will come back
        if (i < asked_ahead) ask_for({out[i], size});
    }
    for (unsigned i = 0; i < count; ++i) {
        if (i + asked_ahead < count) ask_for({out[i + asked_ahead], size});
        std::memcpy(out[i], frame_.data(), size);
    }
    return count;
}

unsigned MemifServer::send(unsigned count) noexcept {
    for (unsigned i = 0; i < count; ++i) {
        Descriptor& slot = to_->at((sent_ + i) & to_mask_);
        slot.length = static_cast<std::uint32_t>(frame_.size());
        slot.flags = 0;
    }
    sent_ = static_cast<std::uint16_t>(sent_ + count);
    to_->tail.store(sent_, std::memory_order_release);  // pairs with the client's load
    return count;
}

unsigned MemifServer::receive(std::span<Frame> out) noexcept {
    const auto there =
        static_cast<std::uint16_t>(from_->head.load(std::memory_order_acquire) - taken_);
    received_ = static_cast<unsigned>(std::min<std::size_t>(there, out.size()));
    for (unsigned i = 0; i < received_; ++i) {
        const Descriptor& slot = from_->at((taken_ + i) & from_mask_);
        const std::uint32_t length = slot.length;
        std::uint8_t* const start = buffer(slot.region, slot.offset, length);
        const bool whole = start != nullptr && length != 0 && (slot.flags & chained) == 0;
        out[i] = whole ? Frame(start, length) : Frame{};
        if (i < asked_ahead) ask_for(out[i]);
    }
    return received_;
}

void MemifServer::release() noexcept {
    if (received_ == 0) return;
    taken_ = static_cast<std::uint16_t>(taken_ + received_);
    received_ = 0;
    from_->tail.store(taken_, std::memory_order_release);  // pairs with the client's load
}

}  // namespace weir::gen
