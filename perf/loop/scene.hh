// SPDX-License-Identifier: BSD-3-Clause
// Scene: the configuration that is measured, as text through the real parser and compiler, and what
// the checker may expect of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/balance/tables.hh"
#include "lib/control/compile.hh"
#include "lib/control/registry.hh"
#include "lib/flow/key.hh"
#include "lib/wire/result.hh"
#include "perf/gen/check.hh"

namespace weir::loop {

struct SceneOptions {
    std::string forward = "dsr-l2";  // or ipip
    unsigned backends = 16;          // 1..200
    MacAddress mac;                  // of the port
};

class Scene {
public:
    static Result<Scene> make(const SceneOptions& options);

    // Fresh tables of the same content, for one more engine.
    [[nodiscard]] std::unique_ptr<const Tables> tables() const {
        return compile(nullptr, world_, registry_);
    }
    [[nodiscard]] const gen::Expectation& expectation() const noexcept { return expectation_; }
    [[nodiscard]] const IpAddress& vip() const noexcept { return vip_; }
    // Digits of e. (Those of pi would not do: the hash takes them as its own and becomes 0.)
    [[nodiscard]] static constexpr HashSecret secret() noexcept {
        return {{0xb7e151628aed2a6a, 0xbf7158809cf4f3c7, 0x62e7160f38b4da56, 0xa784d9045190cfef}};
    }

private:
    Scene() = default;
    World world_;
    Registry registry_;
    gen::Expectation expectation_;
    IpAddress vip_;
};

// The worker that owns each of the flows 0 .. flows-1 when there are `workers`, by steer().
[[nodiscard]] std::vector<std::uint8_t> owners_of(const gen::Frames& frames, std::uint32_t flows,
                                                  unsigned workers);

}  // namespace weir::loop
