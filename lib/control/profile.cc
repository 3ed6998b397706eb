// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/profile.hh"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lib/control/config_document.hh"
#include "lib/control/config_reader.hh"
#include "lib/control/config_text.hh"
#include "lib/control/plan.hh"

namespace weir {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_profile_bytes = 64u << 10;
constexpr const char* installed = "/usr/share/weir/drivers-config";

std::vector<std::string> read_names(TableReader& reader, std::string_view key) {
    std::vector<std::string> names;
    for (const Node& element : reader.list(key)) {
        if (element.type() != Node::Type::text || !is_name(element.text())) {
            reader.problems().add(element.place(),
                                  fmt::format("'{}' must hold names like \"rx_ipv4_cksum\"", key));
            continue;
        }
        names.emplace_back(element.text());
    }
    return names;
}

std::string read_word(TableReader& reader, std::string_view key, const std::string& fallback,
                      std::vector<std::string_view> words) {
    const std::optional<std::string> word = reader.text(key);
    if (!word) return fallback;
    if (std::ranges::find(words, *word) == words.end()) {
        reader.wrong(key, fmt::format("'{}' must be one of {}, not {}", key, fmt::join(words, ", "),
                                      in_quotes(*word)));
    }
    return *word;
}

Profile read_profile(Node document, Problems& problems) {
    TableReader reader(document, "a profile", problems);
    Profile profile;
    reader.require("driver");
    profile.driver = reader.name("driver").value_or("");
    profile.summary = reader.text("summary").value_or("");
    profile.kind = read_word(reader, "kind", profile.kind, {"vdev", "pci"});
    profile.rx_descriptors = reader.integer<std::uint16_t>(
        "rx_descriptors", 32, default_rx_descriptors, profile.rx_descriptors);
    profile.tx_descriptors = reader.integer<std::uint16_t>(
        "tx_descriptors", 32, default_tx_descriptors, profile.tx_descriptors);
    profile.max_queues = reader.integer<std::uint16_t>("max_queues", 0, 1024, 0);
    profile.rss = reader.boolean("rss", profile.rss);
    profile.all_multicast = reader.boolean("all_multicast", profile.all_multicast);
    profile.offloads_wanted = read_names(reader, "offloads_wanted");
    profile.offloads_required = read_names(reader, "offloads_required");
    profile.devargs = reader.text("devargs").value_or("");
    profile.binding = read_word(reader, "binding", profile.binding, {"none", "vfio", "bifurcated"});
    profile.kernel_sees_frames = reader.boolean("kernel_sees_frames", false);
    profile.max_mtu = reader.integer<std::uint16_t>("max_mtu", 0, 65535, 0);
    reader.finish();
    return profile;
}

Error located(const std::string& path, Place place, std::string_view message) {
    return Error{fmt::format("{}:{}:{}: {}", path, place.line, place.column, message)};
}

bool is_file(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

// "mlx5_pci" has its profile in net_mlx5.toml, like the other NICs.
std::string stem_of(const std::string& driver) {
    constexpr std::string_view suffix = "_pci";
    if (!driver.ends_with(suffix) || driver.starts_with("net_")) return driver;
    return "net_" + driver.substr(0, driver.size() - suffix.size());
}

std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        if (entry->path().extension() == ".toml") names.push_back(entry->path().stem());
    }
    std::ranges::sort(names);
    return names;
}

}  // namespace

std::string profile_directory() {
    if (const char* chosen = std::getenv("WEIR_DRIVERS_CONFIG")) return chosen;
    std::error_code error;
    fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path();
    // build/app/weir and build/tests/unit/control/unit_x both lie below the source tree.
    for (int level = 0; !error && level < 5 && beside.has_relative_path(); ++level) {
        if (is_file(beside / "drivers-config" / "default.toml")) return beside / "drivers-config";
        beside = beside.parent_path();
    }
    return installed;
}

Result<Profile> load_profile(const std::string& path) {
    const Result<std::string> text = read_whole_file(path, max_profile_bytes);
    if (!text) return Error{fmt::format("{}: {}", path, text.error().message)};
    const std::variant<Document, SyntaxError> parsed = Document::parse(text.value());
    if (const SyntaxError* error = std::get_if<SyntaxError>(&parsed)) {
        return located(path, error->place, error->message);
    }
    Problems problems;
    Profile profile = read_profile(std::get<Document>(parsed).root(), problems);
    if (problems.empty()) return profile;
    const Problems::Problem first = problems.sorted().front();
    return located(path, first.place, first.message);
}

Result<Profile> find_profile(const std::string& directory, const std::string& driver) {
    const std::string stem = stem_of(driver);
    const fs::path own = fs::path(directory) / (stem + ".toml");
    if (is_name(stem) && is_file(own)) return load_profile(own);
    const fs::path common = fs::path(directory) / "default.toml";
    if (is_file(common)) return load_profile(common);
    return Error{
        fmt::format("there is no default.toml in {}; set WEIR_DRIVERS_CONFIG to the "
                    "directory of the driver profiles",
                    directory)};
}

Result<Profile> choose_profile(const std::string& directory, const std::string& wanted,
                               const std::string& driver) {
    if (wanted == "auto") return find_profile(directory, driver);
    const fs::path own = fs::path(directory) / (wanted + ".toml");
    if (is_name(wanted) && is_file(own)) return load_profile(own);
    const std::vector<std::string> names = names_in(directory);
    return Error{
        fmt::format("there is no profile '{}' in {}{}; there are {}", printable(wanted), directory,
                    did_you_mean(wanted, std::vector<std::string_view>(names.begin(), names.end())),
                    fmt::join(names, ", "))};
}

}  // namespace weir
