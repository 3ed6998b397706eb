// SPDX-License-Identifier: BSD-3-Clause
// Answers as text for people: aligned columns, or "key  value" lines.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace weir::ctl {

// A column: its title, and where its value lies in a row ("/traffic/packets").
struct Column {
    const char* title;
    const char* pointer;
};

// One line a row; numbers to the right. Nothing at all gives the `empty` sentence.
std::string table(const nlohmann::json& rows, const std::vector<Column>& columns,
                  const std::string& empty);

// One line a column title with its value, of a single object.
std::string sheet(const nlohmann::json& object, const std::vector<Column>& columns);

// A value as people read it: yes and no, numbers plain, seconds with three digits, lists by comma.
std::string text_of(const nlohmann::json& value);

}  // namespace weir::ctl
