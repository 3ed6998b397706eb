// SPDX-License-Identifier: BSD-3-Clause
// [system]
#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "lib/control/config_sections.hh"

namespace weir {

namespace {

constexpr unsigned max_cpu = 1023;
constexpr std::size_t max_lcores = 128;  // RTE_MAX_LCORE of Debian's DPDK

std::vector<unsigned> read_cpus(TableReader& reader, std::string_view key) {
    std::vector<unsigned> cpus;
    for (const Node& element : reader.list(key)) {
        const auto cpu = element_integer(element, key, 0, max_cpu, reader.problems());
        if (!cpu) continue;
        if (std::ranges::find(cpus, static_cast<unsigned>(*cpu)) != cpus.end()) {
            reader.problems().add(element.place(),
                                  fmt::format("CPU {} stands twice in '{}'", *cpu, key));
            continue;
        }
        cpus.push_back(static_cast<unsigned>(*cpu));
    }
    return cpus;
}

void read_lcores(TableReader& reader, SystemConfig& system) {
    system.control_lcore = reader.integer<unsigned>("control_lcore", 0, max_cpu, 0);
    system.rx_lcores = read_cpus(reader, "rx_lcores");
    if (!reader.require("worker_lcores")) return;
    const std::size_t before = reader.problems().size();
    system.worker_lcores = read_cpus(reader, "worker_lcores");
    if (system.worker_lcores.empty() && reader.problems().size() == before) {
        reader.wrong("worker_lcores", "'worker_lcores' must name at least one CPU");
    }
    std::set<unsigned> pollers(system.rx_lcores.begin(), system.rx_lcores.end());
    pollers.insert(system.worker_lcores.begin(), system.worker_lcores.end());
    if (pollers.size() + 1 > max_lcores) {
        reader.wrong("worker_lcores",
                     fmt::format("{} CPUs for control, RX and workers, but DPDK runs at most {}",
                                 pollers.size() + 1, max_lcores));
    }
}

void read_hash_seed(TableReader& reader, SystemConfig& system) {
    const std::optional<std::string> text = reader.text("hash_seed");
    if (!text) return;
    std::string_view digits = *text;
    if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), system.hash_seed, 16);
    if (error != std::errc{} || end != digits.data() + digits.size() || digits.size() > 16) {
        reader.wrong("hash_seed",
                     fmt::format("'hash_seed' must be up to 16 hexadecimal digits like "
                                 "\"0x5765697200000001\", not {}",
                                 in_quotes(*text)));
    }
}

void read_memory(TableReader& parent, Draft& draft) {
    const std::optional<Node> table = parent.table("memory");
    if (!table) return;
    static constexpr Word<MemoryMode> modes[] = {{"in-memory", MemoryMode::in_memory},
                                                 {"shared", MemoryMode::shared},
                                                 {"no-huge", MemoryMode::no_huge}};
    TableReader reader(*table, "'memory' of [system]", draft.problems);
    MemoryConfig& memory = draft.config.system.memory;
    memory.hugepages = reader.size("hugepages", 64ull << 20, 1ull << 42, 0);
    draft.hugepages = reader.place("hugepages");
    memory.mode = reader.word("mode", modes).value_or(memory.mode);
    memory.mbufs = reader.integer<std::uint32_t>("mbufs", 4096, 1u << 26, 0);
    reader.finish();
}

void read_log(TableReader& parent, SystemConfig& system) {
    const std::optional<Node> table = parent.table("log");
    if (!table) return;
    static constexpr Word<LogLevel> levels[] = {{"error", LogLevel::error},
                                                {"warning", LogLevel::warning},
                                                {"info", LogLevel::info},
                                                {"debug", LogLevel::debug}};
    TableReader reader(*table, "'log' of [system]", parent.problems());
    system.log_level = reader.word("level", levels).value_or(system.log_level);
    reader.finish();
}

}  // namespace

void read_system(TableReader& root, Draft& draft) {
    const std::size_t before = draft.problems.size();
    if (!root.has("system")) {
        draft.problems.add({}, "missing table [system]: it must name at least worker_lcores");
        draft.plan_ok = false;
    }
    const std::optional<Node> table = root.table("system");
    if (!table) return;
    TableReader reader(*table, "[system]", draft.problems);
    SystemConfig& system = draft.config.system;
    system.name = reader.name("name").value_or(system.name);
    read_hash_seed(reader, system);
    read_lcores(reader, system);
    read_memory(reader, draft);
    static constexpr Word<bool> idle[] = {{"busy", false}, {"pause", true}};
    system.idle_pause = reader.word("idle", idle).value_or(system.idle_pause);
    read_log(reader, system);
    reader.finish();
    if (draft.problems.size() != before) draft.plan_ok = false;
}

}  // namespace weir
