// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/config_scan.hh"

#include <algorithm>

#include <fmt/format.h>

#include "lib/balance/ids.hh"

namespace weir {

namespace {

// Beyond these no configuration is valid. Each is far above what ids.hh allows, and low enough that
// the parser is done in seconds.
constexpr unsigned max_array_tables = max_services + max_ports;
constexpr unsigned max_tables = max_backends + max_next_hops + 4 * max_services;
constexpr unsigned max_values = 16 * max_tables;

// Where the byte at `at` stands.
Place place_of(std::string_view text, std::size_t at) noexcept {
    Place place;
    for (std::size_t i = 0; i < at; ++i) {
        if (text[i] == '\n') {
            ++place.line;
            place.column = 1;
        } else if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
            ++place.column;
        }
    }
    return place;
}

// One past the string that begins at `at`; also right for strings that never end. A wrong string
// may end elsewhere for the parser, but then the parser stops at it.
std::size_t skip_string(std::string_view text, std::size_t at) noexcept {
    const char quote = text[at];
    for (std::size_t i = at + 1; i < text.size(); ++i) {
        if (quote == '"' && text[i] == '\\') {
            ++i;
        } else if (text[i] == quote) {
            return i + 1;
        } else if (text[i] == '\n') {
            return i;
        }
    }
    return text.size();
}

bool is_multi_line_string(std::string_view rest) noexcept {
    return rest.starts_with("\"\"\"") || rest.starts_with("'''");
}

// "[[name]]" without a dot, seen from its first bracket.
bool is_top_array_header(std::string_view line) noexcept {
    return line.starts_with("[[") && line.substr(0, line.find(']')).find('.') == line.npos;
}

struct Scan {
    unsigned dots = 0;    // in the key or value at hand
    unsigned dotted = 0;  // keys and values with a dot, so far
    unsigned array_tables = 0, tables = 0, values = 0;
    unsigned depth = 0;      // of open brackets and braces
    bool line_start = true;  // only blanks since the newline
};

// The sentence when the '.' passes a bound, else nothing.
std::optional<std::string> step_dot(Scan& scan) {
    if (++scan.dots == 1 && ++scan.dotted > max_dotted_keys) {
        return fmt::format("more than {} dotted keys; write tables instead", max_dotted_keys);
    }
    if (scan.dots >= max_key_parts) {
        return fmt::format("a key of more than {} parts", max_key_parts);
    }
    return std::nullopt;
}

// The same for the '[' of a header.
std::optional<std::string> step_header(Scan& scan, std::string_view rest) {
    ++scan.tables;
    if (is_top_array_header(rest.substr(0, 256)) && ++scan.array_tables > max_array_tables) {
        return fmt::format("more than {} [[tables]]; at most {} services and {} ports are possible",
                           max_array_tables, max_services, max_ports);
    }
    return std::nullopt;
}

std::optional<std::string> step(Scan& scan, std::string_view text, std::size_t at) {
    const char c = text[at];
    std::optional<std::string> refused;
    if (static_cast<unsigned char>(c) >= 0x80) refused = "a character beyond ASCII outside quotes";
    if (c == '.') refused = step_dot(scan);
    if (c == '[' && scan.line_start && scan.depth == 0) {
        refused = step_header(scan, text.substr(at));
    }
    if (c == '{') ++scan.tables;
    if (c == '=' || c == ',') ++scan.values;
    if (scan.tables > max_tables || scan.values > max_values) {
        return fmt::format("too large: at most {} services and {} backends are possible",
                           max_services, max_backends);
    }
    if (c == '[' || c == '{') ++scan.depth;
    if ((c == ']' || c == '}') && scan.depth > 0) --scan.depth;
    if (c == '\n' || c == ',' || c == '=' || c == '[' || c == ']' || c == '{' || c == '}') {
        scan.dots = 0;
    }
    if (c == '\n') {
        scan.line_start = true;
    } else if (c != ' ' && c != '\t') {
        scan.line_start = false;
    }
    return refused;
}

}  // namespace

std::optional<SyntaxError> scan_toml(std::string_view text) {
    if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
        return SyntaxError{place_of(text, nul), "a NUL byte; the file must be UTF-8 text"};
    }
    Scan scan;
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] == '"' || text[i] == '\'') {
            if (is_multi_line_string(text.substr(i))) {
                return SyntaxError{place_of(text, i), "a multi-line string; no value here is one"};
            }
            scan.line_start = false;
            i = skip_string(text, i);
            continue;
        }
        if (text[i] == '#') {
            i = std::min(text.find('\n', i), text.size());
            continue;
        }
        if (std::optional<std::string> sentence = step(scan, text, i)) {
            return SyntaxError{place_of(text, i), *std::move(sentence)};
        }
        ++i;
    }
    return std::nullopt;
}

}  // namespace weir
