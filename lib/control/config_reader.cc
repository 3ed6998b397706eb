// SPDX-License-Identifier: BSD-3-Clause
#include "lib/control/config_reader.hh"

#include <algorithm>

#include <fmt/format.h>

#include "lib/control/config_text.hh"

namespace weir {

std::vector<Problems::Problem> Problems::sorted() const {
    std::vector<Problem> result = list_;
    std::ranges::stable_sort(result, {}, &Problem::place);
    return result;
}

TableReader::TableReader(Node node, std::string where, Problems& problems)
    : node_(node), where_(std::move(where)), problems_(&problems) {}

bool TableReader::has(std::string_view key) const noexcept {
    return node_.find(key).has_value();
}

Place TableReader::place(std::string_view key) const noexcept {
    const std::optional<Node> value = node_.find(key);
    return value ? value->place() : node_.place();
}

std::optional<Node> TableReader::ask(std::string_view key) {
    if (std::ranges::find(asked_, key) == asked_.end()) asked_.push_back(key);
    return node_.find(key);
}

std::optional<Node> TableReader::ask(std::string_view key, Node::Type type,
                                     std::string_view wanted) {
    std::optional<Node> value = ask(key);
    if (value && value->type() != type) {
        wrong(key, fmt::format("'{}' must be {}, not {}", key, wanted, name_of(value->type())));
        return std::nullopt;
    }
    return value;
}

bool TableReader::require(std::string_view key) {
    if (ask(key)) return true;
    problems_->add(node_.place(), fmt::format("missing key '{}' in {}", key, where_));
    return false;
}

std::optional<std::int64_t> TableReader::checked_integer(std::string_view key, std::int64_t min,
                                                         std::int64_t max) {
    const std::optional<Node> value =
        ask(key, Node::Type::integer, fmt::format("an integer from {} to {}", min, max));
    if (!value) return std::nullopt;
    return element_integer(*value, key, min, max, *problems_);
}

bool TableReader::boolean(std::string_view key, bool fallback) {
    const std::optional<Node> value = ask(key, Node::Type::boolean, "true or false");
    return value ? value->boolean() : fallback;
}

std::optional<std::string> TableReader::text(std::string_view key) {
    const std::optional<Node> value = ask(key, Node::Type::text, "a string");
    if (!value) return std::nullopt;
    return std::string(value->text());
}

std::optional<std::string> TableReader::name(std::string_view key) {
    std::optional<std::string> value = text(key);
    if (value && !is_name(*value)) {
        wrong(key, fmt::format("'{}' must be a name of 1 to 63 letters, digits, '.', '_' and '-' "
                               "that begins with a letter or digit, not {}",
                               key, in_quotes(*value)));
        return std::nullopt;
    }
    return value;
}

std::uint32_t TableReader::duration(std::string_view key, std::uint32_t min, std::uint32_t max,
                                    std::uint32_t fallback) {
    const std::optional<Node> node = ask(key, Node::Type::text, "a duration like \"2s\"");
    if (!node) return fallback;
    const std::optional<std::uint64_t> value = parse_duration(node->text());
    if (!value) {
        wrong(key, fmt::format("'{}' must be a duration like \"500ms\", \"2s\", \"15m\" or \"1h\", "
                               "not {}",
                               key, in_quotes(node->text())));
        return fallback;
    }
    if (*value < min || *value > max) {
        wrong(key, fmt::format("'{}' must be from \"{}\" to \"{}\", not {}", key,
                               duration_text(min), duration_text(max), in_quotes(node->text())));
        return fallback;
    }
    return static_cast<std::uint32_t>(*value);
}

std::uint64_t TableReader::size(std::string_view key, std::uint64_t min, std::uint64_t max,
                                std::uint64_t fallback) {
    const std::optional<Node> node = ask(key, Node::Type::text, "a size like \"4GiB\"");
    if (!node) return fallback;
    const std::optional<std::uint64_t> value = parse_size(node->text());
    if (!value) {
        wrong(key, fmt::format("'{}' must be a size like \"512MiB\" or \"4GiB\", not {}", key,
                               in_quotes(node->text())));
        return fallback;
    }
    if (*value < min || *value > max) {
        wrong(key, fmt::format("'{}' must be from \"{}\" to \"{}\", not {}", key, size_text(min),
                               size_text(max), in_quotes(node->text())));
        return fallback;
    }
    return *value;
}

std::optional<IpAddress> TableReader::address(std::string_view key) {
    const std::optional<Node> value = ask(key);
    return value ? element_address(*value, key, *problems_) : std::nullopt;
}

void TableReader::wrong_word(std::string_view key, std::string_view given,
                             std::span<const std::string_view> built, bool later) {
    std::string all;
    for (std::size_t i = 0; i < built.size(); ++i) {
        const char* joint = i == 0 ? "" : i + 1 < built.size() ? ", " : later ? " and " : " or ";
        all +=
            later ? fmt::format("{}{}", joint, built[i]) : fmt::format("{}\"{}\"", joint, built[i]);
    }
    if (later) {
        wrong(key, fmt::format("{} = {} is not built yet; this version has {}", key,
                               in_quotes(given), all));
        return;
    }
    const std::optional<std::string_view> guess = closest(given, built);
    wrong(key, fmt::format("'{}' must be {}, not {}{}", key, all, in_quotes(given),
                           guess ? fmt::format(" (did you mean \"{}\"?)", *guess) : ""));
}

std::vector<Node> TableReader::list(std::string_view key) {
    return elements(key, "an array");
}

std::vector<Node> TableReader::elements(std::string_view key, std::string_view wanted) {
    std::vector<Node> result;
    const std::optional<Node> array = ask(key, Node::Type::array, wanted);
    if (!array) return result;
    result.reserve(array->size());
    for (std::size_t i = 0; i < array->size(); ++i)
        result.push_back(array->at(i));
    return result;
}

std::vector<Node> TableReader::tables(std::string_view key) {
    std::vector<Node> result = elements(key, "an array of tables");
    std::erase_if(result, [&](const Node& element) {
        if (element.type() == Node::Type::table) return false;
        problems_->add(element.place(),
                       fmt::format("'{}' must hold tables, not {}", key, name_of(element.type())));
        return true;
    });
    return result;
}

std::optional<Node> TableReader::table(std::string_view key) {
    return ask(key, Node::Type::table, "a table");
}

bool TableReader::not_built(std::string_view key, std::string_view instead) {
    if (!ask(key)) return false;
    wrong(key, fmt::format("'{}' in {} is not built yet; {}", key, where_, instead));
    return true;
}

void TableReader::wrong(std::string_view key, std::string message) {
    problems_->add(place(key), std::move(message));
}

void TableReader::finish() {
    std::vector<std::string_view> free;
    for (const std::string_view known : asked_) {
        if (!has(known)) free.push_back(known);
    }
    node_.each_key([&](std::string_view key, Place place) {
        if (std::ranges::find(asked_, key) != asked_.end()) return;
        problems_->add(place, fmt::format("unknown key '{}' in {}{}", printable(key), where_,
                                          did_you_mean(key, free)));
    });
}

std::optional<std::int64_t> element_integer(Node element, std::string_view key, std::int64_t min,
                                            std::int64_t max, Problems& problems) {
    if (element.type() != Node::Type::integer) {
        problems.add(element.place(), fmt::format("'{}' must hold integers from {} to {}, not {}",
                                                  key, min, max, name_of(element.type())));
        return std::nullopt;
    }
    if (element.integer() < min || element.integer() > max) {
        problems.add(element.place(), fmt::format("'{}' must be from {} to {}, not {}", key, min,
                                                  max, element.integer()));
        return std::nullopt;
    }
    return element.integer();
}

std::optional<IpAddress> element_address(Node element, std::string_view key, Problems& problems) {
    if (element.type() == Node::Type::text) {
        if (const std::optional<IpAddress> value = parse_ip(element.text())) return value;
        problems.add(element.place(), fmt::format("'{}' must be an IPv4 or IPv6 address, not {}",
                                                  key, in_quotes(element.text())));
        return std::nullopt;
    }
    problems.add(element.place(), fmt::format("'{}' must be an address in quotes, not {}", key,
                                              name_of(element.type())));
    return std::nullopt;
}

std::optional<IpPrefix> element_prefix(Node element, std::string_view key, Problems& problems) {
    if (element.type() == Node::Type::text) {
        if (const std::optional<IpPrefix> value = parse_prefix(element.text())) return value;
        problems.add(element.place(),
                     fmt::format("'{}' must be an address with a prefix length like "
                                 "\"10.0.0.5/24\", not {}",
                                 key, in_quotes(element.text())));
        return std::nullopt;
    }
    problems.add(element.place(), fmt::format("'{}' must be an address in quotes, not {}", key,
                                              name_of(element.type())));
    return std::nullopt;
}

}  // namespace weir
