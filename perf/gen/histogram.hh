// SPDX-License-Identifier: BSD-3-Clause
// Histogram: counts of durations in classes of about 1.6 % width, in constant memory and time.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace weir::gen {

class Histogram {
public:
    void add(std::uint64_t value) noexcept {
        ++counts_[std::min(class_of(value), counts_.size() - 1)];
        ++count_;
        most_ = std::max(most_, value);
    }
    void add(const Histogram& other) noexcept {
        for (std::size_t i = 0; i < counts_.size(); ++i)
            counts_[i] += other.counts_[i];
        count_ += other.count_;
        most_ = std::max(most_, other.most_);
    }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint64_t most() const noexcept { return most_; }
    // The value below which `share` (0..1) of all lie, off by half a class; 0 when there is none.
    [[nodiscard]] double quantile(double share) const noexcept {
        const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(count_));
        std::uint64_t passed = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            passed += counts_[i];
            if (passed > rank || (passed == count_ && count_ != 0)) return middle(i);
        }
        return 0;
    }

private:
    // Values below 64 are exact; from there 64 classes for each doubling.
    static constexpr unsigned bits = 6, classes = 1u << bits, doublings = 42;

    static constexpr std::size_t class_of(std::uint64_t value) noexcept {
        if (value < classes) return value;
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - bits - 1;
        return (shift + 1) * std::size_t{classes} + ((value >> shift) - classes);
    }
    static constexpr double middle(std::size_t i) noexcept {
        if (i < classes) return static_cast<double>(i);
        const auto shift = static_cast<unsigned>(i / classes - 1);
        const std::uint64_t first = (i % classes + classes) << shift;
        return static_cast<double>(first) +
               static_cast<double>((std::uint64_t{1} << shift) - 1) / 2;
    }

    std::array<std::uint64_t, classes*(doublings + 1)> counts_{};
    std::uint64_t count_ = 0, most_ = 0;
};

}  // namespace weir::gen
