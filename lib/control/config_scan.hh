// SPDX-License-Identifier: BSD-3-Clause
// What must be refused before the TOML parser sees it. One pass, no allocation.
//
// Texts whose shape costs the parser its stack or time out of proportion: dotted keys of great
// depth or number, great numbers of tables and values. And what toml++ 3.3 meets with undefined
// behaviour instead of an error: non-ASCII characters where it looks for blanks (outside quotes,
// where TOML 1.0 has none, and in multi-line strings, which no key needs).
#pragma once

#include <optional>
#include <string_view>

#include "lib/control/config_document.hh"

namespace weir {

inline constexpr unsigned max_key_parts = 64, max_dotted_keys = 65'536;

[[nodiscard]] std::optional<SyntaxError> scan_toml(std::string_view text);

}  // namespace weir
