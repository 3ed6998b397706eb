// SPDX-License-Identifier: BSD-3-Clause
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch.hpp>

#include "lib/control/plan.hh"
#include "lib/control/profile.hh"

namespace weir {

namespace {

namespace fs = std::filesystem;

const std::string shipped = std::string(WEIR_SOURCE_ROOT) + "/drivers-config";

// A directory of its own with one file in it.
class OneFile {
public:
    explicit OneFile(const std::string& text) {
        char name[] = "/tmp/weir-profile-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        directory_ = name;
        std::ofstream(path()) << text;
    }
    ~OneFile() { fs::remove_all(directory_); }
    [[nodiscard]] std::string path() const { return directory_ + "/x.toml"; }
    [[nodiscard]] const std::string& directory() const { return directory_; }

private:
    std::string directory_;
};

}  // namespace

TEST_CASE("profile: every shipped file loads and names its driver", "[profile]") {
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator(shipped)) {
        if (entry.path().extension() != ".toml") continue;
        const Result<Profile> profile = load_profile(entry.path());
        INFO((profile ? std::string() : profile.error().message));
        REQUIRE(profile.ok());
        const std::string stem = entry.path().stem();
        CHECK(profile.value().driver == (stem == "net_mlx5" ? "mlx5_pci" : stem));
        CHECK_FALSE(profile.value().summary.empty());
        CHECK((profile.value().kind == "pci") == (profile.value().binding != "none"));
        CHECK(profile.value().rx_descriptors <= default_rx_descriptors);
        ++files;
    }
    CHECK(files >= 19);
}

TEST_CASE("profile: found by the driver's name, else the common one", "[profile]") {
    CHECK(find_profile(shipped, "net_af_xdp").value().devargs == "busy_budget=0");
    CHECK(find_profile(shipped, "net_af_xdp").value().max_mtu == 3314);
    CHECK(find_profile(shipped, "net_af_packet").value().kernel_sees_frames);
    CHECK(find_profile(shipped, "net_af_packet").value().devargs == "qdisc_bypass=1");
    CHECK(find_profile(shipped, "mlx5_pci").value().binding == "bifurcated");
    CHECK(find_profile(shipped, "net_ice").value().rss);
    CHECK(find_profile(shipped, "net_unheard_of").value().driver == "default");
    CHECK(find_profile(shipped, "../../etc/passwd").value().driver == "default");
    CHECK(find_profile("/nonexistent", "net_ice").error().message ==
          "there is no default.toml in /nonexistent; set WEIR_DRIVERS_CONFIG to the directory of "
          "the driver profiles");
}

TEST_CASE("profile: one that is asked for by name must be there", "[profile]") {
    CHECK(choose_profile(shipped, "auto", "net_ring").value().driver == "net_ring");
    CHECK(choose_profile(shipped, "net_null", "net_ring").value().driver == "net_null");
    const std::string error = choose_profile(shipped, "net_icee", "net_ice").error().message;
    CHECK(error.starts_with("there is no profile 'net_icee' in " + shipped +
                            " (did you mean 'net_ice'?); there are default, net_af_packet, "));
}

TEST_CASE("profile: mistakes are located", "[profile]") {
    const auto error_of = [](const std::string& text) {
        const OneFile file(text);
        const Result<Profile> profile = load_profile(file.path());
        REQUIRE_FALSE(profile.ok());
        REQUIRE(profile.error().message.starts_with(file.path()));
        return profile.error().message.substr(file.path().size());
    };
    CHECK(error_of("driver = \"net_x\"\nrrs = true\n") ==
          ":2:1: unknown key 'rrs' in a profile (did you mean 'rss'?)");
    CHECK(error_of("rss = true\n") == ":1:1: missing key 'driver' in a profile");
    CHECK(error_of("driver = \"net_x\"\nrx_descriptors = 2048\n") ==
          ":2:18: 'rx_descriptors' must be from 32 to 1024, not 2048");
    CHECK(error_of("driver = \"net_x\"\nbinding = \"uio\"\n") ==
          ":2:11: 'binding' must be one of none, vfio, bifurcated, not \"uio\"");
    CHECK(error_of("driver = \"net_x\"\noffloads_wanted = [1]\n") ==
          ":2:20: 'offloads_wanted' must hold names like \"rx_ipv4_cksum\"");
    CHECK(error_of("driver = \n").starts_with(":1:"));
}

TEST_CASE("profile: the directory comes from the environment, else lies beside the tree",
          "[profile]") {
    unsetenv("WEIR_DRIVERS_CONFIG");
    CHECK(fs::exists(fs::path(profile_directory()) / "default.toml"));
    setenv("WEIR_DRIVERS_CONFIG", "/somewhere", 1);
    CHECK(profile_directory() == "/somewhere");
    unsetenv("WEIR_DRIVERS_CONFIG");
}

}  // namespace weir
