// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/binary_run.hh"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <pcap/pcap.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weir::test {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

class Directory {
public:
    Directory() {
        std::string name = fs::temp_directory_path() / "weir-packet-XXXXXX";
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
        path = name;
    }
    ~Directory() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    fs::path path;
};

void write_pcap(const fs::path& path, const std::vector<Bytes>& frames) {
    pcap_t* dead = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t* file = pcap_dump_open(dead, path.c_str());
    if (file == nullptr) throw std::runtime_error("cannot write " + path.string());
    for (const Bytes& frame : frames) {
        pcap_pkthdr header{};
        header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
        pcap_dump(reinterpret_cast<u_char*>(file), &header, frame.data());
    }
    pcap_dump_close(file);
    pcap_close(dead);
}

std::vector<Bytes> read_pcap(const fs::path& path) {
    std::array<char, PCAP_ERRBUF_SIZE> error{};
    pcap_t* file = pcap_open_offline(path.c_str(), error.data());
    if (file == nullptr) throw std::runtime_error(path.string() + ": " + error.data());
    std::vector<Bytes> frames;
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    while (pcap_next_ex(file, &header, &data) == 1)
        frames.emplace_back(data, data + header->caplen);
    pcap_close(file);
    return frames;
}

// The running daemon; the destructor stops what still runs.
class Daemon {
public:
    Daemon(const fs::path& config, const std::string& prefix) {
        std::array<int, 2> pipe_ends{};
        if (pipe(pipe_ends.data()) != 0) throw std::runtime_error("pipe failed");
        pid_ = fork();
        if (pid_ == 0) {
            dup2(pipe_ends[1], STDERR_FILENO);
            close(pipe_ends[0]);
            close(pipe_ends[1]);
            execl(WEIR_BINARY, "weir", "--config", config.c_str(), "--",
                  ("--file-prefix=" + prefix).c_str(), nullptr);
            _exit(127);
        }
        close(pipe_ends[1]);
        stderr_ = pipe_ends[0];
        fcntl(stderr_, F_SETFL, O_NONBLOCK);
    }
    ~Daemon() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
        close(stderr_);
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    void wait_ready(Clock::time_point deadline) {
        while (log.find("weir: ready") == std::string::npos) {
            read_some(deadline);
            if (closed_ || Clock::now() > deadline)
                throw std::runtime_error("weir did not become ready:\n" + log);
        }
    }
    void stop(Clock::time_point deadline) {
        kill(pid_, SIGTERM);
        while (!closed_ && Clock::now() < deadline)
            read_some(deadline);
        if (!closed_) throw std::runtime_error("weir did not stop:\n" + log);
        int status = 0;
        waitpid(pid_, &status, 0);
        pid_ = -1;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            throw std::runtime_error(fmt::format("weir ended with status {}:\n{}", status, log));
    }

    std::string log;

private:
    void read_some(Clock::time_point deadline) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        pollfd wait{.fd = stderr_, .events = POLLIN, .revents = 0};
        if (poll(&wait, 1, static_cast<int>(std::max<long>(left, 0))) <= 0) return;
        std::array<char, 4096> text{};
        const ssize_t count = read(stderr_, text.data(), text.size());
        if (count > 0) log.append(text.data(), static_cast<std::size_t>(count));
        if (count == 0) closed_ = true;
    }

    pid_t pid_ = -1;
    int stderr_ = -1;
    bool closed_ = false;
};

nlohmann::json ask(const fs::path& socket, const std::string& words) {
    const std::string command =
        fmt::format("{} -s {} -j {} 2>&1", WEIRCTL_BINARY, socket.string(), words);
    FILE* output = popen(command.c_str(), "r");
    std::string text;
    std::array<char, 4096> part{};
    while (const std::size_t count = fread(part.data(), 1, part.size(), output))
        text.append(part.data(), count);
    if (pclose(output) != 0) throw std::runtime_error(command + ": " + text);
    return nlohmann::json::parse(text);
}

// Waits until every frame was received and has its verdict.
void wait_decided(const fs::path& socket, std::uint64_t total, BinaryResult& result,
                  const Daemon& daemon, Clock::time_point deadline) {
    nlohmann::json status;
    do {
        status = ask(socket, "status").at("packets");
        result.received = status.at("received");
        result.sent = status.at("sent");
        result.punted = status.at("punted");
        const std::uint64_t dropped = status.at("dropped");
        if (result.received == total && result.sent + result.punted + dropped == total) return;
    } while (Clock::now() < deadline);
    throw std::runtime_error("not every frame was decided: " + status.dump() + "\n" + daemon.log);
}

}  // namespace

BinaryResult run_binary(const Cases& cases, Fill fill) {
    const auto deadline = Clock::now() + std::chrono::seconds(30);
    const Directory directory;
    const fs::path socket = directory.path / "ctl.sock";
    std::array<std::vector<Bytes>, 3> in;
    for (const Case& one : cases)
        in[static_cast<std::size_t>(one.in)].push_back(one.frame);
    for (std::size_t port = 0; port < in.size(); ++port) {
        const fs::path rx = directory.path / fmt::format("in{}.pcap", port);
        const fs::path tx = directory.path / fmt::format("out{}.pcap", port);
        write_pcap(rx, in[port]);
        fill.devices[port] =
            fmt::format("net_pcap{},rx_pcap={},tx_pcap={}", port, rx.string(), tx.string());
    }
    const fs::path config = directory.path / "weir.toml";
    std::ofstream(config) << packet_configuration(fill)
                          << fmt::format("\n[api]\nsocket = {{ path = \"{}\" }}\n",
                                         socket.string());

    BinaryResult result;
    Daemon daemon(config, "weirpacket" + std::to_string(getpid()));
    daemon.wait_ready(deadline);
    wait_decided(socket, cases.size(), result, daemon, deadline);
    const nlohmann::json drops = ask(socket, "drop list");
    for (const auto& drop : drops.at("drops"))
        result.dropped[drop.at("reason")] = drop.at("packets");
    daemon.stop(deadline);
    result.log = daemon.log;
    for (std::size_t port = 0; port < in.size(); ++port)
        result.left[port] = read_pcap(directory.path / fmt::format("out{}.pcap", port));
    return result;
}

}  // namespace weir::test
