// SPDX-License-Identifier: BSD-3-Clause
// Document: a TOML file as nodes with positions. Internal to the loaders of lib/control; the TOML
// library itself is seen by config_document.cc alone.
//
// Lines and columns count from 1; a column is a code point. Control thread or before start.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "lib/wire/result.hh"

namespace weir {

struct Place {
    unsigned line = 1, column = 1;
    auto operator<=>(const Place&) const = default;
};

// A view of one value; valid while its Document lives. Cheap to copy.
class Node {
public:
    enum class Type : std::uint8_t { table, array, text, integer, real, boolean, date };

    explicit Node(const void* node) noexcept : node_(node) {}

    [[nodiscard]] Type type() const noexcept;
    [[nodiscard]] Place place() const noexcept;
    // Precondition of each: the type fits.
    [[nodiscard]] std::string_view text() const noexcept;
    [[nodiscard]] std::int64_t integer() const noexcept;
    [[nodiscard]] bool boolean() const noexcept;
    [[nodiscard]] std::size_t size() const noexcept;      // array: elements, table: keys
    [[nodiscard]] Node at(std::size_t i) const noexcept;  // array
    [[nodiscard]] std::optional<Node> find(std::string_view key) const noexcept;  // table
    // table: every key with its own place, sorted by name.
    void each_key(const std::function<void(std::string_view key, Place place)>& visit) const;

private:
    const void* node_;
};

// "a string", "an integer", ...
[[nodiscard]] std::string_view name_of(Node::Type type) noexcept;

struct SyntaxError {
    Place place;
    std::string message;
};

class Document {
public:
    // Refuses NUL bytes, keys of absurd depth and absurd numbers of tables before the parser sees
    // them; takes a BOM and CRLF. The text is not needed afterwards.
    static std::variant<Document, SyntaxError> parse(std::string_view text);

    Document(Document&&) noexcept;
    Document& operator=(Document&&) noexcept;
    ~Document();

    [[nodiscard]] Node root() const noexcept;

private:
    struct Tree;
    explicit Document(std::unique_ptr<Tree> tree) noexcept;
    std::unique_ptr<Tree> tree_;
};

// The whole file, read once. Fails for directories and other things that are not files, and for
// more than `limit` bytes.
Result<std::string> read_whole_file(const std::string& path, std::size_t limit);

}  // namespace weir
