// SPDX-License-Identifier: BSD-3-Clause
// `quic` and `quic_server_id`: what they become, and one sentence for each mistake, which quotes no
// key.
#include <catch2/catch.hpp>

#include "tests/unit/control/config_fixture.hh"

using namespace weir;

namespace {

const std::string key_text = "8F95f09245765f80256934e50c66207f";

// The service `tunnel` of valid_config with these lines behind its `forward`, and this backend.
std::string quic_config(const std::string& lines, const std::string& backend) {
    return with(with(valid_config, "forward = \"ipip\"", "forward = \"ipip\"\n" + lines),
                "backend = [{ name = \"t-1\", address = \"10.0.1.11\" }]",
                "backend = [" + backend + "]");
}
const std::string first =
    "{ name = \"t-1\", address = \"10.0.1.11\", quic_server_id = \"0a0B0c\" }";
const std::string second =
    "{ name = \"t-2\", address = \"10.0.1.11\", quic_server_id = \"0a0b0c\" }";

// The errors of a service with one configuration.
std::vector<std::string> config_errors(const std::string& config) {
    return errors_of(quic_config("quic = { configs = [" + config + "] }", first));
}
std::vector<std::string> backend_errors(const std::string& backends) {
    return errors_of(quic_config(
        "quic = { configs = [{ id = 0, server_id_length = 3, nonce_length = 4 }] }", backends));
}
using Errors = std::vector<std::string>;

}  // namespace

TEST_CASE("config: quic says how connection IDs are read", "[control][quic]") {
    const std::string text = quic_config(
        "quic = { configs = [\n{ id = 6, server_id_length = 3, nonce_length = 16 },\n{ id = 0, "
        "server_id_length = 3, nonce_length = 4, key = \"" +
            key_text + "\" },\n] }",
        first + ", { name = \"t-2\", address = \"10.0.1.11\" }");
    const ConfigResult result = parse_config(text, "weir.toml");
    INFO((result.errors.empty() ? "" : to_string(result.errors[0])));
    REQUIRE(result.config);
    const ServiceConfig& service = result.config->services[1];
    REQUIRE(service.quic.size() == 2);
    CHECK(service.quic[0] == QuicLbConfig{6, 3, 16, std::nullopt});
    CHECK(service.quic[1].id == 0);
    REQUIRE(service.quic[1].key);
    CHECK(service.quic[1].key->front() == 0x8f);
    CHECK(service.quic[1].key->back() == 0x7f);
    CHECK(service.backends[0].quic_server_id == std::vector<std::uint8_t>{0x0a, 0x0b, 0x0c});
    CHECK(service.backends[1].quic_server_id.empty());
    CHECK(result.config->services[0].quic.empty());
}

TEST_CASE("config: mistakes in a configuration of quic", "[control][quic]") {
    CHECK(config_errors("{ id = 7, server_id_length = 3, nonce_length = 4 }") ==
          Errors{"44:28: 'id' must be from 0 to 6, not 7"});
    CHECK(config_errors("{ id = 0, server_id_length = 16, nonce_length = 4 }") ==
          Errors{"44:50: 'server_id_length' must be from 1 to 15, not 16"});
    CHECK(config_errors("{ id = 0, server_id_length = 3, nonce_length = 3 }") ==
          Errors{"44:68: 'nonce_length' must be from 4 to 18, not 3"});
    CHECK(
        config_errors("{ id = 0, server_id_length = 3, nonce_length = 17 }") ==
        Errors{"44:68: server_id_length and nonce_length are 20 together, but a connection ID has "
               "room for 19: make one of them shorter"});
    CHECK(config_errors("{ server_id_length = 3, nonce_length = 4 }") ==
          Errors{"44:21: missing key 'id' in an element of 'configs'"});
    CHECK(config_errors("{ id = 0, server_id_length = 3, nonce_length = 4 }, { id = 0, "
                        "server_id_length = 3, nonce_length = 8 }") ==
          Errors{"44:80: duplicate id 0 in configs, already on line 44"});
    CHECK(
        config_errors("{ id = 0, server_id_length = 3, nonce_length = 4 }, { id = 1, "
                      "server_id_length = 4, nonce_length = 8 }") ==
        Errors{"44:102: 'server_id_length' must be the same in all configs of a service, and is 3 "
               "on line 44: a backend has one quic_server_id"});
    CHECK(config_errors("") == Errors{"44:20: 'configs' is empty: it needs one configuration at "
                                      "least"});
    CHECK(errors_of(quic_config("quic = {}", first)) ==
          Errors{"44:8: missing key 'configs' in 'quic' of [[service]]"});
}

TEST_CASE("config: a key is 16 bytes, and no message quotes it", "[control][quic]") {
    for (const std::string& key :
         {key_text.substr(2), key_text + "00", "zz" + key_text.substr(2), key_text.substr(1)}) {
        const Errors errors = config_errors(
            "{ id = 0, server_id_length = 3, nonce_length = 4, key = \"" + key + "\" }");
        REQUIRE(errors.size() == 1);
        CHECK(errors[0] ==
              "44:77: 'key' must be 32 hexadecimal digits, the 16 bytes of an AES-128 "
              "key; what stands here has " +
                  std::to_string(key.size()) + " characters");
    }
}

TEST_CASE("config: mistakes in server IDs", "[control][quic]") {
    const auto with_id = [](const std::string& id) {
        return "{ name = \"t-1\", address = \"10.0.1.11\", quic_server_id = \"" + id + "\" }";
    };
    for (const char* id :
         {"", "0", "0a0b0", "0x0a0b", "0a 0b0", "000102030405060708090a0b0c0d0e0f"})
        CHECK(backend_errors(with_id(id)) ==
              Errors{"45:68: 'quic_server_id' must be 1 to 15 bytes in hexadecimal digits, like "
                     "\"0a0b0c0d\", not \"" +
                     std::string(id) + "\""});
    CHECK(backend_errors(with_id("0a0b")) ==
          Errors{"45:68: 'quic_server_id' of backend 't-1' has 2 bytes, but server_id_length is 3: "
                 "write 6 hexadecimal digits"});
    CHECK(backend_errors(first + ",\n" + second) ==
          Errors{"46:57: backend 't-2' has the quic_server_id of backend 't-1' on line 45: a "
                 "connection ID could mean either"});
    CHECK(backend_errors("{ name = \"t-1\", address = \"10.0.1.11\" }") ==
          Errors{"44:8: no backend of service 'tunnel' has a quic_server_id, so no connection ID "
                 "could name one: give each its own"});
    CHECK(errors_of(quic_config("", first)) ==
          Errors{"45:68: backend 't-1' has a quic_server_id, but service 'tunnel' has no quic: add "
                 "quic = { configs = [ ... ] } to it, or leave the ID out"});
}

TEST_CASE("config: quic is for UDP", "[control][quic]") {
    const std::string text = quic_config(
        "quic = { configs = [{ id = 0, server_id_length = 3, nonce_length = 4 }] }", first);
    for (const char* protocol : {"tcp", "any"}) {
        CHECK(errors_of(with(text, "\"udp\"", "\"" + std::string(protocol) + "\"")) ==
              Errors{"44:8: 'quic' needs protocol = \"udp\": leave it out, or change protocol"});
    }
}
