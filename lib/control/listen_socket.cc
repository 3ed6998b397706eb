// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/listen_socket.hh"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/control/api_server.hh"
#include "lib/wire/address.hh"

namespace weir {
namespace {

class Fd {
public:
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd() {
        if (fd_ >= 0) ::close(fd_);
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    [[nodiscard]] int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_;
};

std::optional<sockaddr_un> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) return std::nullopt;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Error system_error(const std::string& what, const std::string& mend) {
    return {fmt::format("{}: {}; {}", what, std::strerror(errno), mend)};
}

Result<void> make_directory(const std::string& socket_path) {
    const auto directory = std::filesystem::path(socket_path).parent_path();
    std::error_code code;
    if (directory.empty() || std::filesystem::exists(directory, code)) return {};
    if (std::filesystem::create_directories(directory, code)) {
        ::chmod(directory.c_str(), 0750);
        return {};
    }
    return Error{
        fmt::format("cannot create the directory {}: {}; create it or change "
                    "api.socket.path",
                    directory.string(), code.message())};
}

}  // namespace

Result<void> control_socket_free(const std::string& path) {
    const auto address = unix_address(path);
    if (!address) {
        return Error{
            fmt::format("the control socket's path '{}' must have 1 to {} bytes; change "
                        "api.socket.path",
                        path, sizeof(sockaddr_un::sun_path) - 1)};
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return {};
    if (!S_ISSOCK(status.st_mode)) {
        return Error{
            fmt::format("{} exists and is not a socket; remove it or change "
                        "api.socket.path",
                        path)};
    }
    const Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) !=
        0) {
        if (errno == ECONNREFUSED || errno == ENOENT) return {};  // stale
        if (errno == EAGAIN) {
            return Error{fmt::format("already running: the control socket {} is busy", path)};
        }
        return system_error(fmt::format("cannot ask who owns the control socket {}", path),
                            "run as its owner or change api.socket.path");
    }
    ucred peer{};  // of the process that called listen()
    socklen_t size = sizeof(peer);
    ::getsockopt(client.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return Error{fmt::format("already running, pid {} (it answers on {})", peer.pid, path)};
}

Result<int> listen_unix(const std::string& path, unsigned mode) {
    if (auto free = control_socket_free(path); !free) return free.error();
    if (auto made = make_directory(path); !made) return made.error();
    ::unlink(path.c_str());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const auto address = unix_address(path);
    // Never wider than `mode`, not even between bind() and chmod().
    const mode_t before = ::umask(static_cast<mode_t>(~mode & 0777));
    const int bound =
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address));
    const int bind_errno = errno;
    ::umask(before);
    errno = bind_errno;
    if (bound != 0 || ::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0 ||
        ::listen(fd.get(), listen_backlog) != 0) {
        return system_error(fmt::format("cannot listen on the control socket {}", path),
                            "check its directory or change api.socket.path");
    }
    return fd.release();
}

Result<int> listen_tcp(const std::string& host, std::uint16_t port) {
    const auto address = parse_ip(host);
    if (!address) {
        return Error{fmt::format("api.http.listen: '{}' is not an IP address", host)};
    }
    sockaddr_storage storage{};
    socklen_t size = 0;
    if (address->family == Family::v4) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&v4.sin_addr, address->bytes.data(), sizeof(v4.sin_addr));
        std::memcpy(&storage, &v4, size = sizeof(v4));
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        std::memcpy(&v6.sin6_addr, address->bytes.data(), sizeof(v6.sin6_addr));
        std::memcpy(&storage, &v6, size = sizeof(v6));
    }
    Fd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 ||
        ::listen(fd.get(), listen_backlog) != 0) {
        return system_error(fmt::format("cannot listen on {} port {}", host, port),
                            "change api.http.listen");
    }
    return fd.release();
}

std::uint16_t local_port(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof(storage);
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
    if (storage.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &storage, sizeof(v4));
        return ntohs(v4.sin_port);
    }
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof(v6));
    return ntohs(v6.sin6_port);
}

}  // namespace weir
