// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/config.hh"

#include <utility>
#include <variant>

#include <fmt/format.h>

#include "lib/control/config_document.hh"
#include "lib/control/config_reader.hh"
#include "lib/control/config_sections.hh"

namespace weir {

namespace {

constexpr std::size_t max_file_bytes = 256u << 20;

void read_version(TableReader& root, Draft& draft) {
    if (!root.has("config_version")) {
        draft.problems.add({},
                           "missing key 'config_version': the file must say "
                           "config_version = 1");
    }
    const auto version = root.integer<std::int64_t>("config_version", 0, INT64_MAX, 1);
    if (version != 1) {
        root.wrong("config_version",
                   fmt::format("config_version = {} is not known; this version reads "
                               "config_version = 1",
                               version));
    }
}

void read_sections(Node document, Draft& draft) {
    TableReader root(document, "the file", draft.problems);
    read_version(root, draft);
    read_system(root, draft);
    read_ports(root, draft);
    read_conntrack(root, draft);
    read_icmp(root, draft);
    read_health(root, draft);
    read_services(root, draft);
    read_api(root, draft);
    root.finish();
}

void check_sections(Draft& draft) {
    check_names(draft);
    check_addresses(draft);
    check_service_keys(draft);
    check_health_references(draft);
    check_egress(draft);
    check_l3dsr(draft);
    check_quic(draft);
    check_nat(draft);
    check_memory(draft);
}

ConfigResult one_error(const std::string& path, Place place, std::string message) {
    return {std::nullopt, {{path, place.line, place.column, std::move(message)}}};
}

}  // namespace

std::string to_string(const ConfigError& error) {
    return fmt::format("{}:{}:{}: {}", error.file, error.line, error.column, error.message);
}

ConfigResult load_config(const std::string& path) {
    Result<std::string> text = read_whole_file(path, max_file_bytes);
    if (!text) return one_error(path, {}, text.error().message);
    return parse_config(text.value(), path);
}

ConfigResult parse_config(std::string_view text, const std::string& path) {
    const std::variant<Document, SyntaxError> parsed = Document::parse(text);
    if (const SyntaxError* error = std::get_if<SyntaxError>(&parsed)) {
        return one_error(path, error->place, error->message);
    }
    Draft draft;
    draft.config.path = path;
    read_sections(std::get<Document>(parsed).root(), draft);
    check_sections(draft);

    ConfigResult result;
    for (Problems::Problem& problem : draft.problems.sorted()) {
        result.errors.push_back(
            {path, problem.place.line, problem.place.column, std::move(problem.message)});
    }
    if (result.errors.empty()) result.config = std::move(draft.config);
    return result;
}

}  // namespace weir
