// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/config_text.hh"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <vector>

#include <fmt/format.h>

namespace weir {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// Ascending, so that the largest exact unit is found from the back.
constexpr std::array<Unit, 4> time_units{{{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
constexpr std::array<Unit, 5> size_units{
    {{"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40}}};

std::optional<std::uint64_t> parse_quantity(std::string_view text,
                                            std::span<const Unit> units) noexcept {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    for (const Unit& known : units) {
        if (known.name != unit) continue;
        if (number > std::numeric_limits<std::int64_t>::max() / known.factor) return std::nullopt;
        return number * known.factor;
    }
    return std::nullopt;
}

std::string quantity_text(std::uint64_t value, std::span<const Unit> units) {
    for (std::size_t i = units.size(); i-- > 1;) {
        if (value != 0 && value % units[i].factor == 0) {
            return fmt::format("{}{}", value / units[i].factor, units[i].name);
        }
    }
    return fmt::format("{}{}", value, units[0].name);
}

bool is_alphanumeric(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Damerau's distance with swaps of neighbours (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({replace, last[j] + 1, row[j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

}  // namespace

std::optional<std::uint64_t> parse_duration(std::string_view text) noexcept {
    return parse_quantity(text, time_units);
}

std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
    return parse_quantity(text, size_units);
}

std::string duration_text(std::uint64_t milliseconds) {
    return quantity_text(milliseconds, time_units);
}

std::string size_text(std::uint64_t bytes) {
    return quantity_text(bytes, size_units);
}

std::string human_size(std::uint64_t bytes) {
    std::size_t unit = 0;
    while (unit + 1 < size_units.size() && bytes >= size_units[unit + 1].factor)
        ++unit;
    const std::uint64_t factor = size_units[unit].factor;
    if (bytes % factor == 0) return fmt::format("{} {}", bytes / factor, size_units[unit].name);
    return fmt::format("{:.1f} {}", static_cast<double>(bytes) / static_cast<double>(factor),
                       size_units[unit].name);
}

bool is_name(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 63 && is_alphanumeric(text.front()) &&
           std::ranges::all_of(
               text, [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

std::optional<std::string_view> closest(std::string_view word,
                                        std::span<const std::string_view> candidates) {
    if (word.size() > 64) return std::nullopt;
    std::optional<std::string_view> best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string_view candidate : candidates) {
        if (candidate.size() > 64 || word.size() < 2) continue;
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance && distance < candidate.size()) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
    const std::optional<std::string_view> best = closest(word, candidates);
    return best ? fmt::format(" (did you mean '{}'?)", *best) : std::string();
}

std::optional<std::vector<std::uint8_t>> parse_hex(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::vector<std::uint8_t> bytes(text.size() / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const char* const begin = text.data() + 2 * i;
        const auto [end, error] = std::from_chars(begin, begin + 2, bytes[i], 16);
        if (error != std::errc{} || end != begin + 2) return std::nullopt;
    }
    return bytes;
}

std::string hex_text(std::span<const std::uint8_t> bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes)
        text += fmt::format("{:02x}", byte);
    return text;
}

std::string printable(std::string_view text, std::size_t limit) {
    const bool cut = text.size() > limit;
    if (cut) {
        // Not within a code point: the message would be invalid UTF-8.
        while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80)
            --limit;
        text = text.substr(0, limit);
    }
    std::string result;
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
            result += c;
        }
    }
    return cut ? result + "..." : result;
}

std::string in_quotes(std::string_view text) {
    return '"' + printable(text) + '"';
}

}  // namespace weir
