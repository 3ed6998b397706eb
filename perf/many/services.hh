// SPDX-License-Identifier: BSD-3-Clause
// Many services of some backends each: a configuration as the parser reads it, and the world that
// tables are compiled from. For the programs that measure how Weir carries that.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "lib/balance/tables.hh"
#include "lib/control/compile.hh"
#include "lib/control/registry.hh"
#include "lib/wire/result.hh"

namespace weir::many {

struct Options {
    std::uint32_t services = 10'000;  // at most 16 384
    std::uint32_t backends = 10;      // of each; at most 131 072 in all
};

// TCP port 80 of one address each, forwarded by ipip to backends behind a gateway of the only port;
// all are probed.
[[nodiscard]] std::string configuration(const Options& options);

// A file in /tmp with this text, as long as the object lives. Throws std::runtime_error.
class File {
public:
    explicit File(const std::string& text);
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_ = "/tmp/weir-many-XXXXXX";
};

// Service s stands on first_vip + s, its backend b has address first_backend + s * backends + b.
// In host byte order. The low 16 bits of first_vip are zero.
inline constexpr std::uint32_t first_vip = 0xcb00'0000;      // 203.0.0.0
inline constexpr std::uint32_t first_backend = 0x0a80'0000;  // 10.128.0.0
[[nodiscard]] IpAddress address_of(std::uint32_t value) noexcept;
inline constexpr const char *tunnel_source = "172.16.0.0/16", *gateway_mac = "02:00:00:00:01:01";

[[nodiscard]] std::string service_name(std::uint32_t service);
[[nodiscard]] std::string backend_name(std::uint32_t service, std::uint32_t backend);

// What the controller has at hand: configuration, ids and health.
class Instance {
public:
    // Bytes of the heap that were taken for the configuration, for the ids, and for the tables.
    struct Memory {
        std::size_t config = 0, ids = 0, tables = 0;
    };
    // As at a start: from the file to tables that can be published. `mac`: of the port. `memory`:
    // filled, where it is asked for; that takes time of its own.
    static Result<std::unique_ptr<Instance>> load(const std::string& path, const MacAddress& mac,
                                                  Memory* memory = nullptr);

    // The tables of load(), once.
    [[nodiscard]] std::unique_ptr<const Tables> take_tables() { return std::move(tables_); }

    // A probe's result: what Controller does with it.
    void set_health(std::uint32_t service, std::uint32_t backend, Liveness liveness);
    // Everything that set_health() said since the last call, as one change of `previous`.
    [[nodiscard]] std::unique_ptr<const Tables> compile_changes(const Tables& previous);

private:
    World world_;
    Registry registry_;
    Changes changes_;
    std::unique_ptr<const Tables> tables_;
};

}  // namespace weir::many
