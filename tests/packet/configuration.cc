// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/configuration.hh"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace weir::test {

std::string packet_configuration(const Fill& fill) {
    std::ifstream file(WEIR_PACKET_TOML);
    if (!file) throw std::runtime_error("cannot read " WEIR_PACKET_TOML);
    std::ostringstream whole;
    whole << file.rdbuf();
    std::string text = whole.str();
    const auto put = [&](const std::string& blank, const std::string& value) {
        for (auto at = text.find(blank); at != std::string::npos;
             at = text.find(blank, at + value.size()))
            text.replace(at, blank.size(), value);
    };
    // The comment at the top of the file names the blanks too; filled in there they do no harm.
    put("@WAN@", fill.devices[0]);
    put("@LAN@", fill.devices[1]);
    put("@TAGGED@", fill.devices[2]);
    put("@RX@", fill.rx_lcores);
    put("@WORKERS@", fill.worker_lcores);
    return text;
}

}  // namespace weir::test
