# SPDX-License-Identifier: BSD-3-Clause
# The test network: network namespaces that stand for hosts, joined by veth pairs. Sourced.
#
#   c4 198.51.100.2..17 ─┐                       ┌─ lb  wan0 10.10.0.5  fd00:10::5  (Weir)
#                        ├─ router ─ rl ─[ br0 ]─┼─ b1  10.10.0.11     fd00:10::11 (nginx)
#   c6 2001:db8:6::2..5 ─┘    10.10.0.1          ├─ b2  10.10.0.12     fd00:10::12
#                             fd00:10::1         └─ b3  10.10.0.13     fd00:10::13
#
# Two-armed: wan0 moves to a bridge of its own (br1, 10.20.0.5, fd00:20::5, router at .1) and lb gets
# lan0 on br0. In both, the router sends the VIPs to wan0 and the backends answer clients directly
# through the router (direct server return).
# shellcheck shell=bash

HOSTS=(c4 c6 router bridge lb b1 b2 b3)
BACKENDS=(b1 b2 b3)
C4_ADDRESSES=16 C6_ADDRESSES=4
VIP4=192.0.2.10 VIP6=2001:db8:10::10            # dsr-l2, TCP 80
VIP_44=192.0.2.20 VIP_46=192.0.2.21             # ipip: client family, then backend family
VIP_64=2001:db8:10::20 VIP_66=2001:db8:10::21
VIP_UDP=192.0.2.53                              # dsr-l2, UDP 53
VIPS=("$VIP4" "$VIP6" "$VIP_44" "$VIP_46" "$VIP_64" "$VIP_66" "$VIP_UDP")
MTU=1560                                        # a 1500-byte packet in an IPv6 tunnel, and some room

# All functions act on the network named by PREFIX, and keep their files in STATE.
PREFIX=${WEIR_TESTBED_PREFIX:-weir-}
select_network() {
    PREFIX=$1
    [[ $PREFIX =~ ^[a-z][a-z0-9]{0,15}-$ ]] ||
        die "the prefix '$PREFIX' must be lower-case letters and digits with a dash at the end"
    STATE=/run/weir-testbed/${PREFIX%-}
}
select_network "$PREFIX"

# inside HOST COMMAND...: runs a command on a host of the network.
inside() {
    local host=$1
    shift
    ip netns exec "$PREFIX$host" "$@"
}

host_exists() { [ -e "/run/netns/$PREFIX$1" ]; }

set_sysctl() {  # HOST KEY=VALUE...
    local host=$1
    shift
    inside "$host" sysctl -qw "$@"
}

# Checksums and segments are made in software where a frame is born: the balancer's virtual port
# carries frames as they are, and a checksum left to "the hardware" would arrive unfinished.
without_offloads() {  # HOST INTERFACE
    inside "$1" ethtool -K "$2" tx off gso off tso off gro off >/dev/null 2>&1 ||
        die "ethtool -K $2 tx off failed on $PREFIX$1"
}

# cable HOST INTERFACE PEER PEER_INTERFACE MAC: a veth pair between two hosts, both ends up.
cable() {
    ip -n "$PREFIX$1" link add "$2" address "$5" mtu "$MTU" numrxqueues 1 numtxqueues 1 \
        type veth peer name "$4" mtu "$MTU" numrxqueues 1 numtxqueues 1 netns "$PREFIX$3"
    ip -n "$PREFIX$1" link set "$2" up
    ip -n "$PREFIX$3" link set "$4" up
    without_offloads "$1" "$2"
    without_offloads "$3" "$4"
}

# plug HOST INTERFACE BRIDGE MAC: a veth pair from a host into one of the bridges.
plug() {
    cable "$1" "$2" bridge "$1-$2" "$4"
    ip -n "${PREFIX}bridge" link set "$1-$2" master "$3"
}

add_addresses() {  # HOST INTERFACE ADDRESS...
    local host=$1 interface=$2 address
    shift 2
    for address in "$@"; do
        if [[ $address == *:* ]]; then
            ip -n "$PREFIX$host" -6 addr add "$address" dev "$interface" nodad
        else
            ip -n "$PREFIX$host" addr add "$address" dev "$interface"
        fi
    done
}

make_hosts() {
    local host
    for host in "${HOSTS[@]}"; do
        ! host_exists "$host" ||
            die "namespace $PREFIX$host is there already: remove it with scripts/testbed -p $PREFIX down"
    done
    mkdir -p "$STATE"
    for host in "${HOSTS[@]}"; do
        ip netns add "$PREFIX$host"
        set_sysctl "$host" net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
            net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0
        ip -n "$PREFIX$host" link set lo up
    done
    set_sysctl bridge net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
}

make_bridge() {  # NAME
    ip -n "${PREFIX}bridge" link add "$1" mtu "$MTU" type bridge mcast_snooping 0 forward_delay 0
    ip -n "${PREFIX}bridge" link set "$1" up
}

make_clients() {
    local i addresses=()
    # Ports from 20000 on are for flows that choose theirs.
    set_sysctl c4 net.ipv4.ip_local_port_range="10000 19999"
    set_sysctl c6 net.ipv4.ip_local_port_range="10000 19999"
    cable c4 eth0 router rc4 02:00:c6:33:64:02
    ip -n "${PREFIX}c4" link set eth0 mtu 1500
    for ((i = 2; i < 2 + C4_ADDRESSES; i++)); do addresses+=("198.51.100.$i/24"); done
    add_addresses c4 eth0 "${addresses[@]}"
    add_addresses router rc4 198.51.100.1/24
    ip -n "${PREFIX}c4" route add default via 198.51.100.1

    cable c6 eth0 router rc6 02:00:20:01:06:02
    ip -n "${PREFIX}c6" link set eth0 mtu 1500
    addresses=()
    for ((i = 2; i < 2 + C6_ADDRESSES; i++)); do addresses+=("2001:db8:6::$i/64"); done
    add_addresses c6 eth0 "${addresses[@]}"
    add_addresses router rc6 2001:db8:6::1/64
    ip -n "${PREFIX}c6" -6 route add default via 2001:db8:6::1
}

make_router() {  # ARMS
    local via4=10.10.0.5 via6=fd00:10::5
    set_sysctl router net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
        net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
    plug router rl br0 02:00:0a:0a:00:01
    add_addresses router rl 10.10.0.1/24 fd00:10::1/64
    if [ "$1" = 2 ]; then
        plug router rw br1 02:00:0a:14:00:01
        add_addresses router rw 10.20.0.1/24 fd00:20::1/64
        via4=10.20.0.5 via6=fd00:20::5
    fi
    ip -n "${PREFIX}router" route add 192.0.2.0/24 via $via4
    ip -n "${PREFIX}router" -6 route add 2001:db8:10::/64 via $via6
}

# The balancer's ports carry no address: its TAPs do.
make_balancer_host() {  # ARMS
    set_sysctl lb net.ipv6.conf.default.disable_ipv6=1
    if [ "$1" = 2 ]; then
        plug lb wan0 br1 02:00:0a:14:00:05
        plug lb lan0 br0 02:00:0a:0a:00:05
    else
        plug lb wan0 br0 02:00:0a:0a:00:05
    fi
    set_sysctl lb net.ipv6.conf.default.disable_ipv6=0
}

# A backend owns the VIPs on its loopback and never answers ARP for them; IPv6 addresses on lo are
# not announced on eth0 in the first place.
make_backend() {  # NAME NUMBER
    local vip addresses=()
    plug "$1" eth0 br0 "02:00:0a:0a:00:1$2"
    add_addresses "$1" eth0 "10.10.0.1$2/24" "fd00:10::1$2/64"
    set_sysctl "$1" net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 \
        net.ipv4.tcp_max_syn_backlog=16384 net.core.somaxconn=16384
    for vip in "${VIPS[@]}"; do
        if [[ $vip == *:* ]]; then addresses+=("$vip/128"); else addresses+=("$vip/32"); fi
    done
    add_addresses "$1" lo "${addresses[@]}"
    ip -n "$PREFIX$1" route add default via 10.10.0.1
    ip -n "$PREFIX$1" -6 route add default via fd00:10::1
}

# The backends take off the tunnel header with our XDP program; its counter tells how many packets
# arrived in a tunnel (decapsulated HOST).
attach_decapsulation() {
    local object=$BUILD/tests/system/decap.bpf.o host
    [ -f "$object" ] || die "$object is not built: run scripts/build"
    mkdir -p "$STATE/bpffs"
    mount -t bpf bpf "$STATE/bpffs"
    for host in "${BACKENDS[@]}"; do
        bpftool prog load "$object" "$STATE/bpffs/$host" type xdp
        inside "$host" bpftool net attach xdpdrv pinned "$STATE/bpffs/$host" dev eth0
    done
    umount "$STATE/bpffs"  # the interfaces hold the programs now
    rmdir "$STATE/bpffs"
}

decapsulated() {  # HOST -> packets that came out of a tunnel
    local program map
    program=$(ip -n "$PREFIX$1" -j link show dev eth0 | json '[0]["xdp"]["prog"]["id"]')
    map=$(bpftool -j prog show id "$program" | json '["map_ids"][0]')
    bpftool -j map dump id "$map" | json '[0]["formatted"]["value"]'
}

# json INDEX...: one value of the JSON on standard input, by Python's indexing.
json() {
    /usr/bin/python3 -c 'import json, sys; print(eval("value" + sys.argv[1], {"value": json.load(sys.stdin)}))' "$1"
}

network_up() {  # ARMS
    local i
    make_hosts
    echo "$1" >"$STATE/arms"
    make_bridge br0
    [ "$1" = 1 ] || make_bridge br1
    make_clients
    make_router "$1"
    make_balancer_host "$1"
    for i in 1 2 3; do make_backend "b$i" $i; done
    attach_decapsulation
}

network_down() {
    local host
    ! mountpoint -q "$STATE/bpffs" || umount "$STATE/bpffs"
    for host in "${HOSTS[@]}"; do
        ! host_exists "$host" || ip netns del "$PREFIX$host"
    done
}
