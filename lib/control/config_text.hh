// SPDX-License-Identifier: BSD-3-Clause
// Small grammars of configuration values: durations, sizes, names, and the guess at what a wrong
// word was meant to be. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

// "500ms", "2s", "15m", "1h": a whole number and one unit. Milliseconds; nullopt for anything else
// and for more than 2^63-1.
[[nodiscard]] std::optional<std::uint64_t> parse_duration(std::string_view text) noexcept;
// "4096B", "64KiB", "512MiB", "4GiB", "1TiB". Bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;

// The shortest exact form: 1500 -> "1500ms", 60000 -> "1m"; 1073741824 -> "1GiB".
[[nodiscard]] std::string duration_text(std::uint64_t milliseconds);
[[nodiscard]] std::string size_text(std::uint64_t bytes);
// For people: "1.5 GiB", "812 KiB".
[[nodiscard]] std::string human_size(std::uint64_t bytes);

// "0a0B": two hexadecimal digits a byte, nothing between; nullopt for anything else.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> parse_hex(std::string_view text);
// The same in small letters.
[[nodiscard]] std::string hex_text(std::span<const std::uint8_t> bytes);

// [A-Za-z0-9][A-Za-z0-9._-]{0,62}
[[nodiscard]] bool is_name(std::string_view text) noexcept;

// The candidate nearest to `word` (insertions, deletions, replacements, swaps of neighbours), when
// near enough to be meant: at most one edit in three letters. nullopt otherwise.
[[nodiscard]] std::optional<std::string_view> closest(std::string_view word,
                                                      std::span<const std::string_view> candidates);
// " (did you mean 'vip'?)" or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string_view> candidates);

// Text for messages: control characters escaped, cut at `limit` bytes; and the same in quotes.
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 60);
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace weir
