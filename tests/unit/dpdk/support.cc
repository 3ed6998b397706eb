// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/dpdk/support.hh"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weir::test {

std::string file_prefix() {
    static const std::string prefix = fmt::format("weirunit.{}", getpid());
    return prefix;
}

std::string directory() {
    static const std::string path =
        (std::filesystem::temp_directory_path() / file_prefix()).string();
    return path;
}

namespace {

template <typename T>
void put(std::ofstream& file, T value) {
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

// A pcap file of `count` Ethernet frames of 60 bytes whose last byte counts them.
void write_pcap(const std::string& path, unsigned count) {
    std::ofstream file(path, std::ios::binary);
    put<std::uint32_t>(file, 0xa1b2c3d4);
    put<std::uint16_t>(file, 2);
    put<std::uint16_t>(file, 4);
    for (const std::uint32_t word : {0U, 0U, 65535U, 1U})
        put(file, word);
    for (unsigned i = 0; i < count; ++i) {
        for (const std::uint32_t word : {0U, i, 60U, 60U})
            put(file, word);
        std::array<char, 60> frame{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
        frame.back() = static_cast<char>(i);
        file.write(frame.data(), frame.size());
    }
}

}  // namespace

void prepare_files() {
    std::filesystem::create_directories(directory());
    write_pcap(directory() + "/in.pcap", 100);
}

void remove_files() {
    std::error_code none;
    std::filesystem::remove_all(directory(), none);
    std::filesystem::remove_all("/var/run/dpdk/" + file_prefix(), none);
}

std::vector<std::string> devices() {
    return {
        "net_null0,size=64",
        "net_ring0",
        "net_ring1",
        fmt::format("net_pcap0,rx_pcap={0}/in.pcap,tx_pcap={0}/out.pcap", directory()),
        fmt::format("net_memif0,role=server,socket={}/memif.sock,socket-abstract=no", directory()),
        "net_memif1,role=wrong",
        fmt::format("net_tap0,iface=wu{}", getpid()),
        "net_af_packet0,iface=lo,qpairs=2",
    };
}

std::string in_private_network(const std::function<std::string()>& body) {
    std::array<int, 2> pipe_ends{};
    if (pipe(pipe_ends.data()) != 0) return "no pipe";
    const pid_t child = fork();
    if (child == 0) {
        close(pipe_ends[0]);
        std::string answer;
        if (unshare(CLONE_NEWNET) != 0 || !run("ip link set lo up")) {
            answer = "no network namespace of its own";
        } else {
            try {
                answer = body();
            } catch (const std::exception& error) {
                answer = error.what();
            }
        }
        if (write(pipe_ends[1], answer.data(), answer.size()) < 0) _exit(2);
        _exit(0);
    }
    close(pipe_ends[1]);
    std::string answer;
    std::array<char, 4096> buffer;
    pollfd waiting{pipe_ends[0], POLLIN, 0};
    bool done = false;
    while (!done && poll(&waiting, 1, 20'000) > 0) {
        const ssize_t got = read(pipe_ends[0], buffer.data(), buffer.size());
        if (got > 0)
            answer.append(buffer.data(), static_cast<std::size_t>(got));
        else
            done = true;
    }
    close(pipe_ends[0]);
    if (!done) kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (!done) return "hangs; it said: " + answer;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return fmt::format("died with status {:#x}; it said: {}", status, answer);
    return answer;
}

bool run(const std::string& command, std::string* output) {
    FILE* pipe_end = popen((command + " 2>&1").c_str(), "r");
    if (pipe_end == nullptr) return false;
    std::array<char, 4096> buffer;
    std::size_t got = 0;
    while ((got = fread(buffer.data(), 1, buffer.size(), pipe_end)) > 0)
        if (output != nullptr) output->append(buffer.data(), got);
    return pclose(pipe_end) == 0;
}

}  // namespace weir::test
