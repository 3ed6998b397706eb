// SPDX-License-Identifier: BSD-3-Clause
// `quic` of [[service]] and the server IDs of its backends: what
// draft-ietf-quic-load-balancers-21 asks of them. A key is a secret: no message quotes one.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "lib/control/config_sections.hh"
#include "lib/control/config_text.hh"

namespace weir {

namespace {

std::optional<Aes128::Key> read_key(TableReader& reader) {
    const std::optional<std::string> text = reader.text("key");
    if (!text) return std::nullopt;
    Aes128::Key key;
    const auto bytes = parse_hex(*text);
    if (!bytes || bytes->size() != key.size()) {
        reader.wrong("key", fmt::format("'key' must be 32 hexadecimal digits, the 16 bytes of an "
                                        "AES-128 key; what stands here has {} characters",
                                        text->size()));
        return std::nullopt;
    }
    std::ranges::copy(*bytes, key.begin());
    return key;
}

QuicLbConfig read_config(TableReader& reader) {
    QuicLbConfig config;
    for (const char* key : {"id", "server_id_length", "nonce_length"})
        reader.require(key);
    config.id = reader.integer<std::uint8_t>("id", 0, quic_config_ids - 1, 0);
    config.server_id_length =
        reader.integer<std::uint8_t>("server_id_length", 1, quic_longest_server_id, 0);
    config.nonce_length =
        reader.integer<std::uint8_t>("nonce_length", quic_shortest_nonce, quic_longest_nonce, 0);
    const unsigned both = config.server_id_length + 0u + config.nonce_length;
    if (both > quic_longest_both) {
        reader.wrong("nonce_length",
                     fmt::format("server_id_length and nonce_length are {} together, but a "
                                 "connection ID has room for {}: make one of them shorter",
                                 both, quic_longest_both));
    }
    config.key = read_key(reader);
    reader.finish();
    return config;
}

// What may not differ or meet between the configurations of one service.
void compare_to_first(const QuicLbConfig& config, TableReader& reader, const QuicLbConfig& first,
                      Place first_place) {
    if (config.server_id_length != 0 && first.server_id_length != 0 &&
        config.server_id_length != first.server_id_length) {
        reader.wrong("server_id_length",
                     fmt::format("'server_id_length' must be the same in all configs of a service, "
                                 "and is {} on line {}: a backend has one quic_server_id",
                                 first.server_id_length, first_place.line));
    }
}

void read_configs(TableReader& reader, ServiceConfig& service) {
    std::map<std::uint8_t, Place> ids;
    Place first_place;
    for (const Node& node : reader.tables("configs")) {
        TableReader one(node, "an element of 'configs'", reader.problems());
        const std::size_t before = reader.problems().size();
        const QuicLbConfig config = read_config(one);
        if (service.quic.empty())
            first_place = one.place();
        else
            compare_to_first(config, one, service.quic.front(), first_place);
        if (one.has("id") && reader.problems().size() == before) {
            const auto [other, added] = ids.try_emplace(config.id, one.place("id"));
            if (!added) {
                one.wrong("id", fmt::format("duplicate id {} in configs, already on line {}",
                                            config.id, other->second.line));
            }
        }
        service.quic.push_back(config);
    }
}

void check_server_id(const ServiceConfig& service, const BackendConfig& backend, Place place,
                     Problems& problems) {
    if (service.quic.empty()) {
        problems.add(place,
                     fmt::format("backend '{}' has a quic_server_id, but service '{}' has no "
                                 "quic: add quic = {{ configs = [ ... ] }} to it, or leave "
                                 "the ID out",
                                 backend.name, service.name));
        return;
    }
    const std::size_t wanted = service.quic.front().server_id_length;
    if (backend.quic_server_id.size() == wanted) return;
    problems.add(place,
                 fmt::format("'quic_server_id' of backend '{}' has {} bytes, but "
                             "server_id_length is {}: write {} hexadecimal digits",
                             backend.name, backend.quic_server_id.size(), wanted, 2 * wanted));
}

void check_server_ids(const ServiceConfig& service, const ServicePlaces& places,
                      Problems& problems) {
    std::map<std::vector<std::uint8_t>, std::size_t> first;  // -> backend
    for (std::size_t i = 0; i < service.backends.size(); ++i) {
        const BackendConfig& backend = service.backends[i];
        const Place place = places.backends[i].quic_server_id;
        if (backend.quic_server_id.empty()) continue;
        check_server_id(service, backend, place, problems);
        const auto [other, added] = first.try_emplace(backend.quic_server_id, i);
        if (added) continue;
        problems.add(place, fmt::format("backend '{}' has the quic_server_id of backend '{}' on "
                                        "line {}: a connection ID could mean either",
                                        backend.name, service.backends[other->second].name,
                                        places.backends[other->second].quic_server_id.line));
    }
    if (service.quic.empty() || service.backends.empty() || !first.empty() ||
        !std::ranges::all_of(places.backends, &BackendPlaces::quic_ok))
        return;
    problems.add(places.quic, fmt::format("no backend of service '{}' has a quic_server_id, so no "
                                          "connection ID could name one: give each its own",
                                          service.name));
}

}  // namespace

void read_quic(TableReader& parent, ServiceConfig& service, ServicePlaces& places) {
    places.quic = parent.place("quic");
    const std::size_t before = parent.problems().size();
    const std::optional<Node> table = parent.table("quic");
    if (table) {
        if (places.key_ok && service.key.protocol != ServiceProtocol::udp)
            parent.wrong("quic",
                         "'quic' needs protocol = \"udp\": leave it out, or change protocol");
        TableReader reader(*table, "'quic' of [[service]]", parent.problems());
        reader.require("configs");
        read_configs(reader, service);
        if (service.quic.empty() && parent.problems().size() == before)
            reader.wrong("configs", "'configs' is empty: it needs one configuration at least");
        reader.finish();
    }
    places.quic_ok = parent.problems().size() == before;
}

void read_quic_server_id(TableReader& reader, BackendConfig& backend, BackendPlaces& places) {
    places.quic_server_id = reader.place("quic_server_id");
    const std::size_t before = reader.problems().size();
    if (const std::optional<std::string> text = reader.text("quic_server_id")) {
        const auto bytes = parse_hex(*text);
        const bool good = bytes && !bytes->empty() && bytes->size() <= quic_longest_server_id;
        if (good)
            backend.quic_server_id = *bytes;
        else
            reader.wrong("quic_server_id",
                         fmt::format("'quic_server_id' must be 1 to {} bytes in hexadecimal "
                                     "digits, like \"0a0b0c0d\", not \"{}\"",
                                     quic_longest_server_id, printable(*text)));
    }
    places.quic_ok = reader.problems().size() == before;
}

void check_quic(Draft& draft) {
    for (std::size_t i = 0; i < draft.services.size(); ++i) {
        if (draft.services[i].quic_ok)
            check_server_ids(draft.config.services[i], draft.services[i], draft.problems);
    }
}

}  // namespace weir
