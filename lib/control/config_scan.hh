// SPDX-License-Identifier: BSD-3-Clause
// What must be refused before the TOML parser sees it: NUL bytes, and texts whose shape costs the
// parser its stack or time out of proportion (dotted keys of great depth or number, great numbers
// of [[tables]]). One pass, no allocation.
#pragma once

#include <optional>
#include <string_view>

#include "lib/control/config_document.hh"

namespace weir {

inline constexpr unsigned max_key_parts = 64, max_dotted_keys = 65'536;

[[nodiscard]] std::optional<SyntaxError> scan_toml(std::string_view text);

}  // namespace weir
