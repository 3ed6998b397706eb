// SPDX-License-Identifier: BSD-3-Clause
#include "app/weirctl_print.hh"

#include <algorithm>

#include <fmt/format.h>

namespace weir::ctl {
namespace {

const nlohmann::json& at(const nlohmann::json& row, const Column& column) {
    static const nlohmann::json nothing;
    const nlohmann::json::json_pointer pointer(column.pointer);
    return row.contains(pointer) ? row.at(pointer) : nothing;
}

bool is_number(const nlohmann::json& rows, const Column& column) {
    return std::all_of(rows.begin(), rows.end(),
                       [&](const nlohmann::json& row) { return at(row, column).is_number(); });
}

}  // namespace

std::string text_of(const nlohmann::json& value) {
    if (value.is_null()) return "-";
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_number_float()) return fmt::format("{:.3f}", value.get<double>());
    if (value.is_string()) return value.get<std::string>().empty() ? "-" : value.get<std::string>();
    if (value.is_array()) {
        std::string text;
        for (const auto& one : value)
            text += (text.empty() ? "" : ", ") + text_of(one);
        return text.empty() ? "-" : text;
    }
    return value.dump();
}

std::string table(const nlohmann::json& rows, const std::vector<Column>& columns,
                  const std::string& empty) {
    if (rows.empty()) return empty + "\n";
    std::vector<std::size_t> widths;
    std::vector<bool> right;
    for (const Column& column : columns) {
        std::size_t width = std::string_view(column.title).size();
        for (const auto& row : rows)
            width = std::max(width, text_of(at(row, column)).size());
        widths.push_back(width);
        right.push_back(is_number(rows, column));
    }
    std::string text;
    const auto line = [&](const auto& cell) {
        std::string one;
        for (std::size_t i = 0; i < columns.size(); ++i) {
            if (i > 0) one += "  ";
            one += right[i] ? fmt::format("{:>{}}", cell(i), widths[i])
                            : fmt::format("{:<{}}", cell(i), widths[i]);
        }
        one.erase(one.find_last_not_of(' ') + 1);
        text += one + "\n";
    };
    line([&](std::size_t i) { return std::string(columns[i].title); });
    for (const auto& row : rows)
        line([&](std::size_t i) { return text_of(at(row, columns[i])); });
    return text;
}

std::string sheet(const nlohmann::json& object, const std::vector<Column>& columns) {
    std::size_t width = 0;
    for (const Column& column : columns)
        width = std::max(width, std::string_view(column.title).size());
    std::string text;
    for (const Column& column : columns)
        text += fmt::format("{:<{}}  {}\n", column.title, width, text_of(at(object, column)));
    return text;
}

}  // namespace weir::ctl
