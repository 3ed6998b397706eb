// SPDX-License-Identifier: BSD-3-Clause
// TableReader: reads the keys of one TOML table with type, range and default, and collects located
// errors. Internal to the loaders of lib/control.
//
// A key that is absent gives the fallback; a key that is wrong gives it too, and one error at the
// value. Every key asked for counts as known; finish() reports the others. Control thread or before
// start.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/control/config_document.hh"
#include "lib/control/config_text.hh"
#include "lib/wire/address.hh"

namespace weir {

// Located errors of one file, in the order found.
class Problems {
public:
    struct Problem {
        Place place;
        std::string message;
    };
    void add(Place place, std::string message) { list_.push_back({place, std::move(message)}); }
    [[nodiscard]] std::size_t size() const noexcept { return list_.size(); }
    [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
    // Sorted by place; equal places keep their order.
    [[nodiscard]] std::vector<Problem> sorted() const;

private:
    std::vector<Problem> list_;
};

// A word of a closed list. Without a value: known, but this version has not built it.
template <typename T>
struct Word {
    std::string_view name;
    std::optional<T> value;
};

class TableReader {
public:
    // `where` names the table in messages: "[system]", "[[port]]", "a backend". `node` must be a
    // table and outlive the reader.
    TableReader(Node node, std::string where, Problems& problems);

    [[nodiscard]] bool has(std::string_view key) const noexcept;
    // Of the value when present, else of the table.
    [[nodiscard]] Place place(std::string_view key) const noexcept;
    [[nodiscard]] Place place() const noexcept { return node_.place(); }
    [[nodiscard]] Problems& problems() const noexcept { return *problems_; }
    [[nodiscard]] const std::string& where() const noexcept { return where_; }

    // An error at the table when the key is absent. Answers has(key).
    bool require(std::string_view key);

    template <std::integral T>
    T integer(std::string_view key, T min, T max, T fallback) {
        const std::optional<std::int64_t> value =
            checked_integer(key, static_cast<std::int64_t>(min), static_cast<std::int64_t>(max));
        return value ? static_cast<T>(*value) : fallback;
    }
    bool boolean(std::string_view key, bool fallback);
    std::optional<std::string> text(std::string_view key);
    // A name as is_name() has it.
    std::optional<std::string> name(std::string_view key);
    // Milliseconds, bytes.
    std::uint32_t duration(std::string_view key, std::uint32_t min, std::uint32_t max,
                           std::uint32_t fallback);
    std::uint64_t size(std::string_view key, std::uint64_t min, std::uint64_t max,
                       std::uint64_t fallback);
    std::optional<IpAddress> address(std::string_view key);

    template <typename T, std::size_t N>
    std::optional<T> word(std::string_view key, const Word<T> (&words)[N]) {
        const std::optional<std::string> given = text(key);
        if (!given) return std::nullopt;
        std::vector<std::string_view> built;
        bool later = false;
        for (const Word<T>& known : words) {
            if (known.name == *given && known.value) return known.value;
            if (known.name == *given) later = true;
            if (known.value) built.push_back(known.name);
        }
        wrong_word(key, *given, built, later);
        return std::nullopt;
    }

    // The elements of an array, or of nothing.
    std::vector<Node> list(std::string_view key);
    // The elements that are tables; an error for each that is not.
    std::vector<Node> tables(std::string_view key);
    // The value, whatever its type.
    std::optional<Node> any(std::string_view key) { return ask(key); }
    // The table under the key.
    std::optional<Node> table(std::string_view key);

    // "'key' is not built yet; <instead>" when the key is present. Answers whether it is.
    bool not_built(std::string_view key, std::string_view instead);
    // Any sentence, at the key's value.
    void wrong(std::string_view key, std::string message);

    // Reports every key that was never asked for. Call once, at the end.
    void finish();

private:
    std::optional<Node> ask(std::string_view key);
    // The node when it is of the type; `wanted` names it in the error.
    std::optional<Node> ask(std::string_view key, Node::Type type, std::string_view wanted);
    std::vector<Node> elements(std::string_view key, std::string_view wanted);
    std::optional<std::int64_t> checked_integer(std::string_view key, std::int64_t min,
                                                std::int64_t max);
    void wrong_word(std::string_view key, std::string_view given,
                    std::span<const std::string_view> built, bool later);

    Node node_;
    std::string where_;
    Problems* problems_;
    std::vector<std::string_view> asked_;
};

// The address in an element of an array under `key`; an error when it is none.
std::optional<IpAddress> element_address(Node element, std::string_view key, Problems& problems);
std::optional<IpPrefix> element_prefix(Node element, std::string_view key, Problems& problems);
std::optional<std::int64_t> element_integer(Node element, std::string_view key, std::int64_t min,
                                            std::int64_t max, Problems& problems);

}  // namespace weir
