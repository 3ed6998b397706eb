// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/device.hh"

#include <algorithm>

namespace weir {

namespace {

bool is_hex(std::string_view text) {
    return !text.empty() &&
           text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

// Cuts `text` up to the next `mark` off its front and answers it.
std::string_view cut(std::string_view& text, char mark) {
    const auto end = text.find(mark);
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return part;
}

}  // namespace

bool is_pci_device(std::string_view device) {
    std::string_view rest = cut(device, ',');
    if (std::ranges::count(rest, ':') == 2) {
        const std::string_view domain = cut(rest, ':');
        if (!is_hex(domain) || domain.size() > 8) return false;
    }
    const std::string_view bus = cut(rest, ':');
    const std::string_view slot = cut(rest, '.');
    return is_hex(bus) && bus.size() <= 2 && is_hex(slot) && slot.size() <= 2 && rest.size() == 1 &&
           rest[0] >= '0' && rest[0] <= '7';
}

std::string device_name(std::string_view device) {
    std::string_view rest = device;
    const std::string_view name = cut(rest, ',');
    if (is_pci_device(device) && std::ranges::count(name, ':') == 1)
        return "0000:" + std::string(name);
    return std::string(name);
}

std::string vdev_driver(std::string_view device) {
    if (is_pci_device(device)) return {};
    std::string name = device_name(device);
    const auto last = name.find_last_not_of("0123456789");
    name.resize(last == std::string::npos ? 0 : last + 1);
    return name;
}

std::string device_argument(std::string_view device, std::string_view key,
                            std::string_view otherwise) {
    cut(device, ',');
    while (!device.empty()) {
        std::string_view value = cut(device, ',');
        if (cut(value, '=') == key) return std::string(value);
    }
    return std::string(otherwise);
}

std::string with_default_arguments(std::string_view device, std::string_view defaults) {
    std::string all(device);
    const std::string_view absent("\0", 1);  // no argument's value
    while (!defaults.empty()) {
        const std::string_view argument = cut(defaults, ',');
        const std::string_view key = argument.substr(0, argument.find('='));
        if (!key.empty() && device_argument(device, key, absent) == absent)
            all.append(",").append(argument);
    }
    return all;
}

}  // namespace weir
