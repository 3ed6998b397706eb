// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/config_document.hh"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

// Without exceptions, and without toml++'s assertions: some of 3.3 stand before the code that
// reports the same condition as an error ("[=]", "1980-05-27T["), and with NDEBUG they would even
// become promises to the optimiser.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ASSERT(expression) static_cast<void>(0)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include "lib/control/config_scan.hh"
#include "lib/control/config_text.hh"

namespace weir {

namespace {

const toml::node& as_node(const void* node) noexcept {
    return *static_cast<const toml::node*>(node);
}

Place to_place(const toml::source_region& region) noexcept {
    // Tables that only exist because a dotted key or header passed through them have no position
    // of their own in some cases; the file's start is the honest fallback.
    if (region.begin.line == 0) return {};
    return {region.begin.line, region.begin.column};
}

}  // namespace

Node::Type Node::type() const noexcept {
    switch (as_node(node_).type()) {
        case toml::node_type::table:
            return Type::table;
        case toml::node_type::array:
            return Type::array;
        case toml::node_type::string:
            return Type::text;
        case toml::node_type::integer:
            return Type::integer;
        case toml::node_type::floating_point:
            return Type::real;
        case toml::node_type::boolean:
            return Type::boolean;
        default:
            return Type::date;
    }
}

Place Node::place() const noexcept {
    return to_place(as_node(node_).source());
}

std::string_view Node::text() const noexcept {
    return as_node(node_).as_string()->get();
}

std::int64_t Node::integer() const noexcept {
    return as_node(node_).as_integer()->get();
}

bool Node::boolean() const noexcept {
    return as_node(node_).as_boolean()->get();
}

std::size_t Node::size() const noexcept {
    const toml::node& node = as_node(node_);
    if (const toml::array* array = node.as_array()) return array->size();
    return node.as_table()->size();
}

Node Node::at(std::size_t i) const noexcept {
    return Node(static_cast<const toml::node*>(as_node(node_).as_array()->get(i)));
}

std::optional<Node> Node::find(std::string_view key) const noexcept {
    const toml::node* found = as_node(node_).as_table()->get(key);
    if (found == nullptr) return std::nullopt;
    return Node(found);
}

void Node::each_key(const std::function<void(std::string_view, Place)>& visit) const {
    for (const auto& [key, value] : *as_node(node_).as_table()) {
        static_cast<void>(value);
        visit(key.str(), to_place(key.source()));
    }
}

std::string_view name_of(Node::Type type) noexcept {
    switch (type) {
        case Node::Type::table:
            return "a table";
        case Node::Type::array:
            return "an array";
        case Node::Type::text:
            return "a string";
        case Node::Type::integer:
            return "an integer";
        case Node::Type::real:
            return "a floating-point number";
        case Node::Type::boolean:
            return "true or false";
        case Node::Type::date:
            return "a date or time";
    }
    return "a value";
}

struct Document::Tree {
    toml::table root;
};

Document::Document(std::unique_ptr<Tree> tree) noexcept : tree_(std::move(tree)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

Node Document::root() const noexcept {
    return Node(static_cast<const toml::node*>(&tree_->root));
}

std::variant<Document, SyntaxError> Document::parse(std::string_view text) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
    if (std::optional<SyntaxError> refused = scan_toml(text)) return *std::move(refused);
    toml::parse_result result = toml::parse(text);
    if (!result) {
        const toml::parse_error& error = result.error();
        return SyntaxError{to_place(error.source()), printable(error.description(), 300)};
    }
    return Document(std::make_unique<Tree>(Tree{std::move(result).table()}));
}

Result<std::string> read_whole_file(const std::string& path, std::size_t limit) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return Error{fmt::format("cannot open: {}", std::strerror(errno))};
    const auto close_with = [fd](Result<std::string> result) {
        close(fd);
        return result;
    };
    struct stat status {};
    if (fstat(fd, &status) != 0) {
        return close_with(Error{fmt::format("cannot read: {}", std::strerror(errno))});
    }
    if (S_ISDIR(status.st_mode)) return close_with(Error{"is a directory; name the file in it"});
    if (!S_ISREG(status.st_mode)) return close_with(Error{"is not a regular file"});

    const Error too_large{
        fmt::format("is larger than {}, the most that is read", human_size(limit))};
    if (static_cast<std::size_t>(status.st_size) > limit) return close_with(too_large);

    std::string text;
    text.reserve(static_cast<std::size_t>(status.st_size) + 1);
    char buffer[1 << 16];
    while (true) {
        const ssize_t got = read(fd, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return close_with(Error{fmt::format("cannot read: {}", std::strerror(errno))});
        if (got == 0) return close_with(std::move(text));
        if (text.size() + static_cast<std::size_t>(got) > limit) {
            return close_with(too_large);
        }
        text.append(buffer, static_cast<std::size_t>(got));
    }
}

}  // namespace weir
