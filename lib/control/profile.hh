// SPDX-License-Identifier: BSD-3-Clause
// Profile: what is known of one driver: a TOML file of drivers-config/, read at start and matched
// by driver name (without a trailing digit: "net_af_xdp0" -> net_af_xdp.toml).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/wire/result.hh"

namespace weir {

struct Profile {
    std::string driver;         // "net_af_xdp"
    std::string summary;        // one line for `weirctl port list`
    std::string kind = "vdev";  // vdev | pci
    // Used where [[port]] has no `rings`; at most 1024, what the plan sizes the buffers for.
    std::uint16_t rx_descriptors = 1024, tx_descriptors = 1024;
    std::uint16_t max_queues = 0;                // 0: what the device says
    bool rss = false;                            // program RSS over the RX queues
    bool all_multicast = true;                   // ask for it; a driver that cannot is tolerated
    std::vector<std::string> offloads_wanted;    // "rx_ipv4_cksum", ...: used where present
    std::vector<std::string> offloads_required;  // missing: fatal
    std::string devargs;              // appended to the vdev's arguments unless given there
    std::string binding = "none";     // none | vfio | bifurcated: what --check tells the operator
    bool kernel_sees_frames = false;  // AF_PACKET: needs the ingress drop of design.md
    std::uint16_t max_mtu = 0;        // 0: what the device says
};

// Directory: WEIR_DRIVERS_CONFIG in the environment, else drivers-config/ beside the build or
// source tree of the running program, else /usr/share/weir/drivers-config.
std::string profile_directory();
// Errors begin with "file:line:col: ". Blocking file input, as of all below; before start.
Result<Profile> load_profile(const std::string& path);
// By driver name, e.g. "net_af_xdp", "net_ice" or "mlx5_pci" (net_mlx5.toml); falls back to
// default.toml of the directory.
Result<Profile> find_profile(const std::string& directory, const std::string& driver);
// What `profile` of a [[port]] asks for: find_profile() when `wanted` is "auto", else the file of
// that name, and an error that names the ones there are when it is missing.
Result<Profile> choose_profile(const std::string& directory, const std::string& wanted,
                               const std::string& driver);

}  // namespace weir
