// SPDX-License-Identifier: BSD-3-Clause
// OutputCapture: what DPDK, its drivers and their libraries print while it lives, instead of on the
// user's terminal. They write to stdout and stderr directly (EAL's usage, libxdp, libbpf) as well
// as to DPDK's log, so the two descriptors themselves are turned to memory. Only around bring-up of
// EAL and ports, where no other thread of Weir prints.
#pragma once

#include <string>
#include <string_view>

namespace weir {

class OutputCapture {
public:
    OutputCapture();
    ~OutputCapture();  // stop()
    OutputCapture(const OutputCapture&) = delete;
    OutputCapture& operator=(const OutputCapture&) = delete;

    // Ends it and answers all that was printed. Later calls answer the same.
    const std::string& stop();

    [[nodiscard]] static bool active() noexcept;

private:
    int memory_ = -1, stdout_ = -1, stderr_ = -1;
    std::string text_;
};

// The first line of `output` that tells of an error, which is nearest to the cause, without DPDK's
// prefix; empty when there is none.
[[nodiscard]] std::string first_complaint(std::string_view output);

}  // namespace weir
