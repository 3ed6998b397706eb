// SPDX-License-Identifier: BSD-3-Clause
// The steps from a document to a Config, and what they share: each read_*() takes one section,
// fills its part of the draft and notes where the values stand; the check_*() then look across
// sections. Internal to the configuration loader.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/control/config.hh"
#include "lib/control/config_reader.hh"

namespace weir {

// Parallel to Config::ports. A part that is false had errors: checks that build on it are skipped,
// so that one mistake gives one error.
struct PortPlaces {
    Place table, name, device, mtu, exception_tap;
    std::vector<Place> addresses, gateways, tunnel_sources, neighbors;  // parallel to the values
    bool addressing_ok = true;  // address, gateway, neighbor, exception_tap, tunnel_source
};

struct BackendPlaces {
    Place name, address, port, quic_server_id;
    bool name_ok = true, address_ok = true, quic_ok = true;
};

struct ServicePlaces {
    Place table, name, vip, port, forward, pool, health, table_size, dscp, quic;
    bool name_ok = true, vip_ok = true, key_ok = true, forward_ok = true, pool_ok = true,
         health_ok = true, quic_ok = true;
    std::vector<BackendPlaces> backends;  // parallel to ServiceConfig::backends
};

struct Draft {
    Config config;
    Problems problems;
    Place hugepages;
    bool plan_ok = true;  // [system], [[port]] and [conntrack] had no errors
    std::vector<PortPlaces> ports;
    std::vector<ServicePlaces> services;
};

void read_system(TableReader& root, Draft& draft);
void read_ports(TableReader& root, Draft& draft);
void read_conntrack(TableReader& root, Draft& draft);
void read_icmp(TableReader& root, Draft& draft);
void read_health(TableReader& root, Draft& draft);
void read_services(TableReader& root, Draft& draft);
void read_api(TableReader& root, Draft& draft);

// Across sections: names, addresses and keys that may not meet.
void check_names(Draft& draft);
void check_addresses(Draft& draft);
void check_service_keys(Draft& draft);
void check_health_references(Draft& draft);
// Every backend has a way out that can work.
void check_egress(Draft& draft);
// A DSCP tells each backend of l3dsr one VIP.
void check_l3dsr(Draft& draft);
// `nat` of [[service]].
void read_nat(TableReader& reader, ServiceConfig& service, ServicePlaces& places);
// `quic` of [[service]], and `quic_server_id` of its backends.
void read_quic(TableReader& reader, ServiceConfig& service, ServicePlaces& places);
void read_quic_server_id(TableReader& reader, BackendConfig& backend, BackendPlaces& places);
// A server ID is as long as its service's configurations say, and one backend's.
void check_quic(Draft& draft);
// What translation of addresses asks of services, backends and ports.
void check_nat(Draft& draft);
// The memory that the file grants holds what the plan needs.
void check_memory(Draft& draft);

}  // namespace weir
