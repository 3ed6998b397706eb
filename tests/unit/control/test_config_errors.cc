// SPDX-License-Identifier: BSD-3-Clause
// Every mistake gets one error, at its place, in one sentence.
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/control/config_fixture.hh"

namespace weir {

namespace {

struct Mistake {
    std::string_view from, to;  // one replacement in valid_config
    std::string error;          // the one that must follow
};

void check(const std::vector<Mistake>& mistakes) {
    for (const Mistake& mistake : mistakes) {
        INFO(mistake.from << " -> " << mistake.to);
        CHECK(errors_of(with(valid_config, mistake.from, mistake.to)) ==
              std::vector<std::string>{mistake.error});
    }
}

}  // namespace

TEST_CASE("config: wrong words, types and ranges of [system]", "[config]") {
    check({
        {"config_version = 1\n", "\n",
         "1:1: missing key 'config_version': the file must say config_version = 1"},
        {"config_version = 1", "config_version = 2",
         "1:18: config_version = 2 is not known; this version reads config_version = 1"},
        {"name = \"lb1\"", "nmae = \"lb1\"",
         "3:1: unknown key 'nmae' in [system] (did you mean 'name'?)"},
        {"name = \"lb1\"", "name = \"-lb1\"",
         "3:8: 'name' must be a name of 1 to 63 letters, digits, '.', '_' and '-' that begins with "
         "a letter or digit, not \"-lb1\""},
        {"0x5765697200000001", "0x57656972000000011",
         "4:13: 'hash_seed' must be up to 16 hexadecimal digits like \"0x5765697200000001\", not "
         "\"0x57656972000000011\""},
        {"\"0x5765697200000001\"", "7", "4:13: 'hash_seed' must be a string, not an integer"},
        {"control_lcore = 0", "control_lcore = 1024",
         "5:17: 'control_lcore' must be from 0 to 1023, not 1024"},
        {"control_lcore = 0", "control_lcore = \"0\"",
         "5:17: 'control_lcore' must be an integer from 0 to 1023, not a string"},
        {"worker_lcores = [1, 2]\n", "\n", "2:1: missing key 'worker_lcores' in [system]"},
        {"worker_lcores = [1, 2]", "worker_lcores = []",
         "6:17: 'worker_lcores' must name at least one CPU"},
        {"worker_lcores = [1, 2]", "worker_lcores = [1, 2, 1]",
         "6:24: CPU 1 stands twice in 'worker_lcores'"},
        {"worker_lcores = [1, 2]", "worker_lcores = [1, true]",
         "6:21: 'worker_lcores' must hold integers from 0 to 1023, not true or false"},
        {"1GiB", "1GB",
         "7:24: 'hugepages' must be a size like \"512MiB\" or \"4GiB\", not \"1GB\""},
        {"1GiB", "1MiB", "7:24: 'hugepages' must be from \"64MiB\" to \"4TiB\", not \"1MiB\""},
        {"in-memory", "inmemory",
         "7:39: 'mode' must be \"in-memory\", \"shared\" or \"no-huge\", not \"inmemory\" (did you "
         "mean \"in-memory\"?)"},
        {"mode = \"in-memory\"", "mbufs = 10",
         "7:40: 'mbufs' must be from 4096 to 67108864, not 10"},
        {"control_lcore = 0", "idle = \"doze\"",
         "5:8: 'idle' must be \"busy\" or \"pause\", not \"doze\""},
        {"control_lcore = 0", "log = { level = \"loud\" }",
         "5:17: 'level' must be \"error\", \"warning\", \"info\" or \"debug\", not \"loud\""},
        {"[api]", "[apy]", "45:2: unknown key 'apy' in the file (did you mean 'api'?)"},
    });
}

TEST_CASE("config: wrong values of [[port]]", "[config]") {
    check({
        {"name = \"wan0\"\n", "\n", "8:1: missing key 'name' in [[port]]"},
        {"name = \"lan0\"", "name = \"wan0\"",
         "15:8: duplicate port name 'wan0', already on line 9"},
        {"net_af_xdp0,iface=veth0", "eth0",
         "10:10: 'device' must be a PCI address like \"0000:8a:00.0\" or a vdev like "
         "\"net_af_xdp0,iface=veth0\", not \"eth0\""},
        {"0000:8a:00.1", "net_af_xdp0,iface=veth1",
         "16:10: duplicate device 'net_af_xdp0', already on line 10"},
        {"mtu = 1560", "mtu = 575", "17:7: 'mtu' must be from 576 to 9600, not 575"},
        {"mtu = 1560", "mtu = 1500.5",
         "17:7: 'mtu' must be an integer from 576 to 9600, not a floating-point number"},
        {"mtu = 1560", "vlan = 4095", "17:8: 'vlan' must be from 0 to 4094, not 4095"},
        {"mtu = 1560", "queues = 0", "17:10: 'queues' must be \"auto\" or an integer from 1 to 64"},
        {"mtu = 1560", "rings = { rx = 16 }", "17:16: 'rx' must be from 32 to 32768, not 16"},
        {"mtu = 1560", "rings = 2048", "17:9: 'rings' must be a table, not an integer"},
        {"mtu = 1560", "profile = \"../x\"",
         "17:11: 'profile' must be a name of 1 to 63 letters, digits, '.', '_' and '-' that begins "
         "with a letter or digit, not \"../x\""},
        {"exception_tap = \"wan0x\"", "exception_tap = \"wan0x-exception0\"",
         "13:17: 'exception_tap' must be an interface name of at most 15 letters, digits, '.', '_' "
         "and '-', not \"wan0x-exception0\""},
        {"mtu = 1560", "exception_tap = \"wan0x\"",
         "17:17: duplicate exception_tap 'wan0x', already on line 13"},
        {"mtu = 1560", "exception_tap_persist = true",
         "17:25: 'exception_tap_persist' needs 'exception_tap', the name of the TAP to keep"},
        {"[\"10.0.0.5/16\"]", "\"10.0.0.5/16\"", "18:11: 'address' must be an array, not a string"},
        {"10.0.0.5/16", "10.0.0.5",
         "18:12: 'address' needs the prefix length of the network, like \"10.0.0.5/24\""},
        {"10.0.0.5/16", "10.0.0.5/33",
         "18:12: 'address' must be an address with a prefix length like \"10.0.0.5/24\", not "
         "\"10.0.0.5/33\""},
        {"10.0.0.5/16", "10.0.0.0/16",
         "18:12: 10.0.0.0/16 names the whole network; give the port's own address in it"},
        {"10.0.0.5/16", "198.51.100.5/24",
         "18:12: address 198.51.100.5 stands on port 'wan0' already"},
        {"10.0.0.5/16", "127.0.0.1/8", "18:12: address 127.0.0.1 is a loopback address"},
        {"\"198.51.100.1\", ", "\"198.51.101.1\", ",
         "12:12: gateway 198.51.101.1 lies outside every address prefix of port 'wan0'"},
        {"\"198.51.100.1\", ", "\"198.51.100.5\", ",
         "12:12: gateway 198.51.100.5 is the port's own address"},
        {"\"2001:db8:1::1\"]", "\"198.51.100.2\"]",
         "12:28: a second IPv4 gateway; a port has at most one of each family"},
        {"\"198.18.64.0/24\"", "\"198.18.64.0/24\", \"198.18.65.0/24\"",
         "19:36: a second IPv4 tunnel_source; a port has at most one of each family"},
        {"198.18.64.0/24", "224.0.0.0/24", "19:18: tunnel_source 224.0.0.0 is a multicast address"},
        {"mac = \"02:00:00:00:00:11\"", "mac = \"03:00:00:00:00:11\"",
         "20:44: 'mac' must be the MAC address of one station like \"02:00:00:00:00:01\", not "
         "\"03:00:00:00:00:11\""},
        {"neighbor = [{ address = \"10.0.1.11\"",
         "neighbor = [{ address = \"10.1.1.1\", mac = \"02:00:00:00:00:12\" }, { address = "
         "\"10.0.1.11\"",
         "20:25: neighbor 10.1.1.1 lies outside every address prefix of port 'lan0'"},
        {"neighbor = [", "neighbor = [7, ", "20:13: 'neighbor' must hold tables, not an integer"},
    });
}

TEST_CASE("config: small MTUs and IPv6 do not go together", "[config]") {
    CHECK(errors_of(with(valid_config, "exception_tap = \"wan0x\"",
                         "exception_tap = \"wan0x\"\nmtu = 1279")) ==
          std::vector<std::string>{
              "14:7: 'mtu' must be at least 1280 on a port with an IPv6 address"});
}

TEST_CASE("config: wrong values of [conntrack], [health] and [api]", "[config]") {
    check({
        {"[api]", "[conntrack]\nentries_per_worker = 100\n[api]",
         "46:22: 'entries_per_worker' must be from 1024 to 268435456, not 100"},
        {"[api]", "[conntrack]\nwhen_full = \"drop\"\n[api]",
         "46:13: 'when_full' must be \"stateless\" or \"drop-new\", not \"drop\""},
        {"[api]", "[conntrack]\ntimeout = { tcp_sin = \"30s\" }\n[api]",
         "46:13: unknown key 'tcp_sin' in 'timeout' of [conntrack] (did you mean 'tcp_syn'?)"},
        {"[api]", "[conntrack]\ntimeout = { udp = \"25d\" }\n[api]",
         "46:19: 'udp' must be a duration like \"500ms\", \"2s\", \"15m\" or \"1h\", not \"25d\""},
        {"[api]", "[conntrack]\ntimeout = { udp = \"600h\" }\n[api]",
         "46:19: 'udp' must be from \"1ms\" to \"36h\", not \"600h\""},
        {"[api]", "[icmp]\nerrors_per_second = -1\n[api]",
         "46:21: 'errors_per_second' must be from 0 to 1000000, not -1"},
        {"[api]", "[icmp]\nerrors_per_secnd = 5\n[api]",
         "46:1: unknown key 'errors_per_secnd' in [icmp] (did you mean 'errors_per_second'?)"},
        {"type = \"http\"", "type = \"https\"",
         "22:8: type = \"https\" is not built yet; this version has tcp and http"},
        {"type = \"http\"", "type = \"tcp\"",
         "23:8: 'path' has a meaning for type = \"http\" only"},
        {"type = \"http\"\n", "\n", "21:1: missing key 'type' in [health.web]"},
        {"/healthz", "healthz",
         "23:8: 'path' must begin with '/' and hold no blanks, not \"healthz\""},
        {"timeout = \"1s\"", "timeout = \"3s\"",
         "25:11: 'timeout' must not be longer than 'interval', which is \"2s\""},
        {"timeout = \"1s\"", "rise = 0", "25:8: 'rise' must be from 1 to 100, not 0"},
        {"timeout = \"1s\"", "expect_status = [99]",
         "25:18: 'expect_status' must be from 100 to 599, not 99"},
        {"timeout = \"1s\"", "expect_status = []",
         "25:17: 'expect_status' must name at least one status"},
        {"timeout = \"1s\"", "host = \"a\\r\\nb\"",
         "25:8: 'host' must be a host name or address, not \"a\\x0d\\x0ab\""},
        {"timeout = \"1s\"", "via = \"service\"",
         "25:7: via = \"service\" is not built yet; this version has direct"},
        {"/run/weir/ctl.sock", "ctl.sock",
         "46:19: 'path' must be an absolute path of at most 107 bytes, not \"ctl.sock\""},
        {"0660", "0680", "46:48: 'mode' must be octal like \"0660\", not \"0680\""},
        {"127.0.0.1:8404", "0.0.0.0:8404",
         "47:19: 'listen' must be a loopback address, 127.0.0.0/8 or ::1, not 0.0.0.0: the HTTP "
         "interface has no access control"},
        {"127.0.0.1:8404", "::1:8404",
         "47:19: 'listen' must be an address and a port like \"127.0.0.1:8404\" or \"[::1]:8404\", "
         "not \"::1:8404\""},
    });
}

TEST_CASE("config: wrong values of [[service]] and its backends", "[config]") {
    check({
        {"vip = \"203.0.113.10\"", "vipp = \"203.0.113.10\"\nvip = \"203.0.113.10\"",
         "28:1: unknown key 'vipp' in [[service]]"},
        {"vip = \"203.0.113.10\"\n", "\n", "26:1: missing key 'vip' in [[service]]"},
        {"203.0.113.10", "www.example.net",
         "28:7: 'vip' must be an IPv4 or IPv6 address, not \"www.example.net\""},
        {"203.0.113.10", "198.51.100.5",
         "28:7: vip 198.51.100.5 is the own address of port 'wan0'"},
        {"203.0.113.10", "0.0.0.0", "28:7: vip 0.0.0.0 is the unspecified address"},
        {"\"tcp\"", "\"tpc\"",
         "29:12: 'protocol' must be \"tcp\", \"udp\", \"sctp\", \"icmp\" or \"any\", not \"tpc\" "
         "(did you "
         "mean "
         "\"tcp\"?)"},
        {"port = 443", "port = 0",
         "30:8: 'port' must be an integer from 1 to 65535, a range like \"8000-8099\" or \"any\""},
        {"8000-8099", "8099-8000",
         "42:8: 'port' must be an integer from 1 to 65535, a range like \"8000-8099\" or \"any\""},
        {"forward = \"dsr-l2\"", "forward = \"dsr-l2\"\nmss_clamp = 100",
         "32:13: 'mss_clamp' must be from 536 to 65495, not 100"},
        {"forward = \"ipip\"", "forward = \"ipip\"\nmss_clamp = 1400",
         "44:13: 'mss_clamp' has a meaning for TCP only: leave it out"},
        {"forward = \"ipip\"", "forward = \"ip-ip\"",
         "43:11: 'forward' must be \"dsr-l2\", \"ipip\", \"gre\", \"gue\", \"l3dsr\", \"nat\" or "
         "\"full-nat\", not \"ip-ip\" "
         "(did you mean \"ipip\"?)"},
        {"table_size = 251", "table_size = 65536",
         "32:46: 'table_size' must be a prime, and 65536 is none; the next prime is 65537"},
        {"\"maglev\"", "\"source-hash\"",
         "32:23: method = \"source-hash\" is not built yet; this version has maglev"},
        {"health = \"web\"", "health = \"wep\"",
         "33:10: there is no [health.wep] in the file (did you mean 'web'?)"},
        {"name = \"tunnel\"", "name = \"web\"",
         "39:8: duplicate service name 'web', already on line 27"},
        {"\"web-2\"", "\"web-1\"", "36:12: duplicate backend name 'web-1', already on line 35"},
        {"weight = 50", "weight = 65536", "35:57: 'weight' must be from 0 to 65535, not 65536"},
        {"weight = 50", "wieght = 50",
         "35:48: unknown key 'wieght' in a backend (did you mean 'weight'?)"},
        {"\"drain\"", "\"down\"",
         "36:56: 'state' must be \"active\", \"drain\" or \"disabled\", not \"down\""},
        {"weight = 50", "port = 8080",
         "35:55: backend 'web-1' has a port, but only forward = \"nat\" and \"full-nat\" change "
         "the client's destination port: leave it out"},
        {"backend = [{ name = \"t-1\", address = \"10.0.1.11\" }]\n", "\n",
         "38:1: missing key 'backend' in [[service]]"},
        {"backend = [{ name = \"t-1\", address = \"10.0.1.11\" }]", "backends_from = \"x.toml\"",
         "44:17: 'backends_from' in [[service]] is not built yet; write the backends into the "
         "service"},
    });
}

}  // namespace weir
