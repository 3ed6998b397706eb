// SPDX-License-Identifier: BSD-3-Clause
// Plays packets through Pipeline::process() for the differential test, which writes what to do to
// stdin and reads the verdicts from stdout. compare/pipeline.py is the other end.
//
// Words of the input, little-endian, each begins with one byte:
//   p  u8 port, u32 length, bytes     a packet, kept until its burst is complete
//   b                                 the burst is complete (at most max_burst packets): decide
//   t  u32 milliseconds               time passes, and what waits too long is swept out
//   s  u8 state, u16 length, text     operator's word about "service/backend": 0 active, 1 drain,
//                                     2 disabled
//   c  u32 length, text               this configuration from now on, as by a reload
//   w  u32 worker, u32 workers        whose share of the pools' ports is played from the next f on
//   f                                 a new worker with empty tables
// Answers, one for each packet of a burst: u8 number of the action, u8 of the drop reason, u8 of
// the punt class, u8 port, u32 length, bytes (none of a drop, or of a fragment that is held). Of a
// packet that leaves in pieces each of them, with the number of that action, and then one without
// bytes that was sent. Then u32 number of fragments that wait no longer since the last burst, and
// for each of them u32 number of the packet, counted from 0 on, and its answer. Written out at the
// end of each burst. The first word is c. The names of drop reasons and punt classes: `play
// --names`.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "lib/control/compile.hh"
#include "lib/control/config.hh"
#include "lib/dataplane/fragments.hh"
#include "lib/dataplane/process.hh"
#include "tests/packet/pieces.hh"

using namespace weir;

namespace {

using Bytes = std::vector<std::uint8_t>;

// Bytes of stdin; false at its end.
bool read_bytes(void* to, std::size_t length) {
    return std::fread(to, 1, length, stdin) == length;
}
template <typename Value>
Value read_value() {
    Value value;
    if (!read_bytes(&value, sizeof value)) throw std::runtime_error("input ends within a word");
    return value;
}
std::string read_text(std::size_t length) {
    std::string text(length, '\0');
    if (!read_bytes(text.data(), length)) throw std::runtime_error("input ends within a text");
    return text;
}

// Frame of exactly its own size behind exactly the headroom that DPDK gives, so that a sanitizer
// sees every byte read or written outside.
struct Frame {
    static constexpr std::uint16_t headroom = 128;
    std::unique_ptr<std::uint8_t[]> bytes;
    Packet packet;
    std::uint32_t number = 0;
};

Frame read_frame() {
    const auto port = read_value<std::uint8_t>();
    const auto length = read_value<std::uint32_t>();
    Frame frame{std::unique_ptr<std::uint8_t[]>(new std::uint8_t[Frame::headroom + length]), {}};
    if (!read_bytes(frame.bytes.get() + Frame::headroom, length))
        throw std::runtime_error("input ends within a packet");
    frame.packet = {.data = frame.bytes.get() + Frame::headroom,
                    .contiguous = length,
                    .length = length,
                    .headroom = Frame::headroom,
                    .port = PortId{port}};
    return frame;
}

// An answer as it is written.
struct Answer {
    Verdict verdict;
    Bytes bytes;
    std::vector<Bytes> pieces;
};
Answer answer_of(const Tables& tables, const Verdict& verdict, const Packet& packet) {
    static constexpr std::uint32_t fragment_id = 0x77;  // of what leaves in pieces
    if (verdict.action == Action::send_in_pieces)
        return {Verdict::sent(verdict.port),
                {},
                test::pieces_of(packet, tables.ports[index(verdict.port)], fragment_id)};
    const bool leaves = verdict.action != Action::drop && verdict.action != Action::hold;
    return {verdict, {packet.data, packet.data + (leaves ? packet.length : 0)}, {}};
}
void write_value(std::uint32_t value) {
    std::fwrite(&value, sizeof value, 1, stdout);
}
void write(const Verdict& verdict, const Bytes& bytes) {
    const std::array<std::uint8_t, 4> head{
        static_cast<std::uint8_t>(verdict.action), static_cast<std::uint8_t>(verdict.reason),
        static_cast<std::uint8_t>(verdict.punt_class), static_cast<std::uint8_t>(verdict.port)};
    std::fwrite(head.data(), 1, head.size(), stdout);
    write_value(static_cast<std::uint32_t>(bytes.size()));
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}
void write(const Answer& answer) {
    for (const Bytes& piece : answer.pieces)
        write(Verdict::sent_in_pieces(answer.verdict.port), piece);
    write(answer.verdict, answer.bytes);
}

// One worker's tables and pipeline.
class Worker {
public:
    explicit Worker(const NatTable::Size& size)
        : bindings_(NatTable::footprint(size) / sizeof(Line) + 1),
          nat_(std::as_writable_bytes(std::span(bindings_)), size, HashSecret{{5, 6, 7, 8}}) {}

    void decide(const Tables& tables, std::vector<Frame>& frames, Tick now) {
        std::array<Packet, max_burst> packets;
        std::array<Verdict, max_burst> verdicts;
        for (std::size_t i = 0; i < frames.size(); ++i)
            packets[i] = frames[i].packet;
        pipeline_.process(tables, {packets.data(), frames.size()}, {verdicts.data(), frames.size()},
                          now);
        for (std::size_t i = 0; i < frames.size(); ++i) {
            write(answer_of(tables, verdicts[i], packets[i]));
            if (verdicts[i].action == Action::hold)
                held_.insert_or_assign(verdicts[i].slot(), std::move(frames[i]));
        }
        release(tables, now);
        write_value(static_cast<std::uint32_t>(released_.size()));
        for (const auto& [number, answer] : released_) {
            write_value(number);
            write(answer);
        }
        released_.clear();
        std::fflush(stdout);
    }
    void sweep(const Tables& tables, Tick now) {
        pipeline_.sweep_fragments(FragmentTable::datagrams, now);
        nat_.sweep(nat_.places(), now);
        release(tables, now);
    }

private:
    void release(const Tables& tables, Tick now) {
        for (const FragmentTable::Released& one : pipeline_.released()) {
            Frame frame = std::move(held_.at(one.slot));
            held_.erase(one.slot);
            Verdict verdict = Verdict::dropped(reason_of(one.what));
            if (one.what == FragmentTable::What::pass)
                pipeline_.process_fragments(tables, {&frame.packet, 1}, {&one.ports, 1},
                                            {&verdict, 1}, now);
            released_.emplace_back(frame.number, answer_of(tables, verdict, frame.packet));
        }
    }

    struct alignas(64) Line {
        std::byte bytes[64];
    };
    static constexpr std::uint32_t entries = 1u << 17;
    static constexpr HashSecret secret_of_fragments{
        {0x9216d5d98979fb1b, 0xd1310ba698dfb5ac, 0x2ffd72dbd01adfb7, 0xb8e1afed6a267e96}};
    std::vector<Line> memory_ = std::vector<Line>(FlowTable::footprint(entries) / sizeof(Line) + 1);
    FlowTable flows_{std::as_writable_bytes(std::span(memory_)), entries, HashSecret{{1, 2, 3, 4}}};
    LcoreCounters counters_;
    std::unique_ptr<WorkerTraffic> traffic_ = std::make_unique<WorkerTraffic>();
    std::vector<Line> bindings_;
    NatTable nat_;
    Pipeline pipeline_{
        flows_, counters_, *traffic_, Pipeline::Lanes::where_available, {secret_of_fragments},
        &nat_};
    std::map<std::uint8_t, Frame> held_;  // by slot
    std::vector<std::pair<std::uint32_t, Answer>> released_;
};

// The control plane's part: what is published for the worker.
class Control {
public:
    void configure(const std::string& text) {
        ConfigResult result = parse_config(text, "configuration");
        if (!result.config) throw std::runtime_error(to_string(result.errors.front()));
        world_.config = std::make_shared<const Config>(std::move(*result.config));
        world_.overrides.clear();  // a reload puts the file's states back
        world_.ports.clear();
        for (const PortConfig& port : world_.config->ports) {
            // The station addresses that DPDK gives to net_pcap0, net_pcap1 ...
            const MacAddress mac{
                {2, 0x70, 0x63, 0x61, 0x70, static_cast<std::uint8_t>(world_.ports.size())}};
            world_.ports.push_back({.mac = mac, .has_tap = port.exception_tap.has_value()});
        }
        if (const auto adopted = registry_.adopt(*world_.config); !adopted)
            throw std::runtime_error(adopted.error().message);
        for (const auto& key : needed_next_hops(*world_.config))
            (void)registry_.next_hop(key.port, key.address);
        publish();
    }
    void set_state(const std::string& name, BackendState state) {
        const auto slash = name.find('/');
        world_.overrides[{name.substr(0, slash), name.substr(slash + 1)}] = state;
        publish();
    }
    const Tables& tables() const { return *tables_; }
    [[nodiscard]] std::uint32_t pool_size() const {
        return static_cast<std::uint32_t>(pool_addresses(*world_.config).size());
    }

private:
    void publish() {
        ++world_.generation;
        tables_ = compile(tables_.get(), world_, registry_);
    }
    Registry registry_;
    weir::World world_;
    std::unique_ptr<const Tables> tables_;
};

void play() {
    Control control;
    std::unique_ptr<Worker> worker;
    NatTable::Size share;
    const auto new_worker = [&] {
        share.addresses = control.pool_size();
        worker = std::make_unique<Worker>(share);
    };
    std::vector<Frame> burst;
    Tick now{1};
    std::uint32_t packets = 0;
    for (char word; read_bytes(&word, 1);) {
        switch (word) {
            case 'p':
                burst.push_back(read_frame());
                burst.back().number = packets++;
                break;
            case 'b':
                worker->decide(control.tables(), burst, now);
                burst.clear();
                break;
            case 't':
                now = now + read_value<std::uint32_t>();
                worker->sweep(control.tables(), now);
                break;
            case 's': {
                static constexpr std::array states{BackendState::active, BackendState::drain,
                                                   BackendState::disabled};
                const auto state = states.at(read_value<std::uint8_t>());
                control.set_state(read_text(read_value<std::uint16_t>()), state);
                break;
            }
            case 'c':
                control.configure(read_text(read_value<std::uint32_t>()));
                if (worker == nullptr) new_worker();
                break;
            case 'w':
                share.worker = read_value<std::uint32_t>();
                share.workers = read_value<std::uint32_t>();
                break;
            case 'f':
                new_worker();
                break;
            default:
                throw std::runtime_error(fmt::format("no word begins with byte {}", int{word}));
        }
    }
}

void print_names() {
    for (const DropReasonText& reason : drop_reasons)
        fmt::print("reason {}\n", reason.name);
    for (const std::string_view name : punt_class_names)
        fmt::print("class {}\n", name);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc == 2 && std::string(argv[1]) == "--names")
            print_names();
        else
            play();
    } catch (const std::exception& error) {
        fmt::print(stderr, "play: {}\n", error.what());
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
