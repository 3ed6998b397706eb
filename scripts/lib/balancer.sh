# SPDX-License-Identifier: BSD-3-Clause
# Weir in the test network: its configuration, its start on the best virtual port that this kernel
# has, its end. Sourced.
# shellcheck shell=bash

# What the file says, unless an option says otherwise. A running balancer's own choices of device
# and memory (start_balancer) are kept in $STATE/choice, so that a later `config` fits a reload.
config_defaults() {
    MODE=direct DEVICE=af_xdp MEMORY=in-memory WEIGHTS=(100 100 100) STATES=(active active active)
    INTERVAL=500ms TIMEOUT=500ms FALL=2 RISE=2
    if [ -f "$STATE/choice" ]; then read -r MODE DEVICE MEMORY <"$STATE/choice"; fi
}

config_usage() {
    cat <<'EOT'
Options of `config` and `balancer start` (start uses them to write its file):
  --mode direct|ring          workers poll the port, or an RX lcore does and hands over on rings
  --device af_xdp|af_packet   start: auto = AF_XDP, and AF_PACKET where that fails
  --memory in-memory|shared|no-huge   start: auto = hugepages where some can be reserved
  --weights A:B:C             of the web4 and web6 backends (100:100:100)
  --drain bN, --disable bN    the backend's state in every service
  --interval, --timeout, --fall, --rise   of the HTTP health check (500ms, 500ms, 2, 2)
Of `balancer start` alone:
  --config FILE               run this file as it is
  --file-prefix NAME          DPDK's (default: the network's prefix without its dash)
EOT
}

# Reads one option into the variables of config_defaults; fails when it is none of them.
config_option() {  # OPTION VALUE
    case $1 in
        --mode) MODE=$2 ;;
        --device) DEVICE=$2 ;;
        --memory) MEMORY=$2 ;;
        --weights) IFS=: read -r -a WEIGHTS <<<"$2" ;;
        --drain) STATES[${2#b} - 1]=drain ;;
        --disable) STATES[${2#b} - 1]=disabled ;;
        --interval) INTERVAL=$2 ;;
        --timeout) TIMEOUT=$2 ;;
        --fall) FALL=$2 ;;
        --rise) RISE=$2 ;;
        *) return 1 ;;
    esac
}

# Two CPUs that this process may use: one for control, one that polls.
pick_cpus() {
    local cpus
    read -r -a cpus < <(/usr/bin/python3 -c 'import os; print(*sorted(os.sched_getaffinity(0))[:2])')
    CONTROL_CPU=${cpus[0]} WORKER_CPU=${cpus[1]:-${cpus[0]}}
}

service_toml() {  # NAME VIP PROTOCOL PORT FORWARD HEALTH ADDRESS_PREFIX [WEIGHT...]
    local i weights=("${@:8}")
    printf '\n[[service]]\nname = "%s"\nvip = "%s"\nprotocol = "%s"\nport = %s\n' "$1" "$2" "$3" "$4"
    printf 'forward = "%s"\nhealth = "%s"\nbackend = [\n' "$5" "$6"
    for i in 0 1 2; do
        printf '  { name = "b%d", address = "%s%d", weight = %d, state = "%s" },\n' \
            $((i + 1)) "$7" $((i + 1)) "${weights[i]:-100}" "${STATES[i]}"
    done
    echo ']'
}

port_toml() {  # INDEX NAME NET4 NET6
    printf '\n[[port]]\nname = "%s"\ndevice = "net_%s%d,iface=%s"\nmtu = %d\n' "$2" "$DEVICE" "$1" "$2" $MTU
    printf 'address = ["%s.5/24", "%s::5/64"]\ngateway = ["%s.1", "%s::1"]\n' "$3" "$4" "$3" "$4"
    printf 'exception_tap = "%sx"\n' "$2"
    printf 'tunnel_source = ["10.64.%d.0/24", "fd00:64:%d::/64"]\n' "$1" "$1"
}

write_config() {
    local cpus_rx=
    pick_cpus
    [ "$MODE" = direct ] || cpus_rx=$WORKER_CPU
    cat <<EOT
# Written by scripts/testbed for the network ${PREFIX}*.
config_version = 1

[system]
name = "${PREFIX}lb"
hash_seed = "0x5765697200000001"
control_lcore = $CONTROL_CPU
rx_lcores = [$cpus_rx]
worker_lcores = [$WORKER_CPU]
memory = { mode = "$MEMORY" }

[conntrack]
entries_per_worker = 262_144
timeout = { tcp_fin = "2s" }

[health.web]
type = "http"
port = 80
path = "/healthz"
expect_status = [204]
interval = "$INTERVAL"
timeout = "$TIMEOUT"
rise = $RISE
fall = $FALL

[health.alive]
type = "tcp"
port = 80
interval = "$INTERVAL"
timeout = "$TIMEOUT"
rise = $RISE
fall = $FALL

[api]
socket = { path = "$STATE/ctl.sock", mode = "0660" }
http = { listen = "127.0.0.1:8404" }
EOT
    if [ "$(cat "$STATE/arms" 2>/dev/null)" = 2 ]; then
        port_toml 0 wan0 10.20.0 fd00:20
        port_toml 1 lan0 10.10.0 fd00:10
    else
        port_toml 0 wan0 10.10.0 fd00:10
    fi
    service_toml web4 $VIP4 tcp 80 dsr-l2 web 10.10.0.1 "${WEIGHTS[@]}"
    service_toml web6 $VIP6 tcp 80 dsr-l2 web fd00:10::1 "${WEIGHTS[@]}"
    service_toml tun44 $VIP_44 tcp 80 ipip alive 10.10.0.1
    service_toml tun46 $VIP_46 tcp 80 ipip alive fd00:10::1
    service_toml tun64 $VIP_64 tcp 80 ipip alive 10.10.0.1
    service_toml tun66 $VIP_66 tcp 80 ipip alive fd00:10::1
    service_toml udp $VIP_UDP udp 53 dsr-l2 alive 10.10.0.1
}

print_config() {
    config_defaults
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help) config_usage; return ;;
        esac
        [ $# -ge 2 ] && config_option "$1" "$2" || die "config does not know '$*'"
        shift 2
    done
    write_config
}

# AF_PACKET leaves the kernel its copy of every frame, and the kernel would answer clients too.
mute_kernel() {  # INTERFACE...
    local interface
    inside lb nft add table netdev weir
    for interface; do
        inside lb nft "add chain netdev weir $interface { type filter hook ingress device $interface priority 0; policy drop; }"
    done
}

unmute_kernel() { inside lb nft delete table netdev weir 2>/dev/null || true; }

interfaces() { if [ "$(cat "$STATE/arms")" = 2 ]; then echo wan0 lan0; else echo wan0; fi; }

# Chooses hugepages when the plan's amount can be had, else ordinary memory. What was reserved for
# this network goes back when it is removed.
choose_memory() {  # CONFIG -> MEMORY, and a sentence when it is not hugepages
    local words before
    before=$(cat /proc/sys/vm/nr_hugepages)
    if words=$(WEIR=$WEIR "$TOP/hugepages/reserve" --config "$1" 2>&1 </dev/null); then
        MEMORY=in-memory
        [ ! -f "$STATE/hugepages" ] || read -r before _ <"$STATE/hugepages"
        echo "$before $(cat /proc/sys/vm/nr_hugepages)" >"$STATE/hugepages"
    else
        MEMORY=no-huge
        echo "memory: ordinary pages, because no hugepages can be had: ${words##*$'\n'}"
    fi
}

return_hugepages() {
    local before after
    [ -f "$STATE/hugepages" ] || return 0
    read -r before after <"$STATE/hugepages"
    if [ "$(cat /proc/sys/vm/nr_hugepages)" = "$after" ]; then
        echo "$before" >/proc/sys/vm/nr_hugepages
    fi
    rm -f "$STATE/hugepages"
}

ready_or_gone() { grep -q '^weir: ready' "$STATE/weir.log" || gone weir; }

# run_balancer FILE [EAL ARGUMENT...]: starts weir and waits for it; 1 when it ended before it was ready.
run_balancer() {
    local file=$1
    shift
    : >"$STATE/weir.log"
    spawn weir lb "$STATE/weir.log" "$WEIR" --config "$file" -- "$@"
    until_true 30 ready_or_gone || die "weir is not ready after 30 s; its log is $STATE/weir.log"
    ! gone weir
}

last_words() { grep -v '^$' "$STATE/weir.log" | tail -n 1; }

start_balancer() {
    local file='' file_prefix=${PREFIX%-} device
    [ -x "$WEIR" ] || die "$WEIR is not built: run scripts/build"
    gone weir || die "weir runs already in ${PREFIX}lb (pid $(pid_of weir))"
    rm -f "$STATE/choice"
    config_defaults
    DEVICE=auto MEMORY=auto
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help) config_usage; return ;;
            --config) file=${2:-} ;;
            --file-prefix) file_prefix=${2:-} ;;
            *) [ $# -ge 2 ] && config_option "$1" "$2" || die "balancer start does not know '$*'" ;;
        esac
        shift 2
    done
    unmute_kernel
    if [ -n "$file" ]; then
        run_balancer "$file" --file-prefix="$file_prefix" || die "weir did not start: $(last_words) ($STATE/weir.log)"
        return
    fi

    file=$STATE/weir.toml
    local wanted=$DEVICE
    [ "$DEVICE" != auto ] || DEVICE=af_xdp
    if [ "$MEMORY" = auto ]; then
        MEMORY=in-memory
        write_config >"$file"
        choose_memory "$file"
    fi
    local candidates=("$DEVICE")
    [ "$wanted" != auto ] || candidates+=(af_packet)
    for device in "${candidates[@]}"; do
        DEVICE=$device
        # shellcheck disable=SC2046  # one word for each interface
        [ "$DEVICE" != af_packet ] || mute_kernel $(interfaces)
        write_config >"$file"
        if run_balancer "$file" --file-prefix="$file_prefix"; then
            echo "$MODE $DEVICE $MEMORY" >"$STATE/choice"
            echo "balancer: ready, $MODE polling, $DEVICE on veth, $MEMORY memory (pid $(pid_of weir))"
            return
        fi
        [ "$DEVICE" != af_xdp ] || [ "$wanted" != auto ] ||
            echo "balancer: AF_XDP did not come up here, AF_PACKET instead: $(last_words)"
    done
    tail -n 20 "$STATE/weir.log" >&2
    die "weir did not start: $(last_words) (all of it: $STATE/weir.log)"
}

stop_balancer() {
    stop_process weir 30
    rm -f "$STATE/choice"
    ! host_exists lb || unmute_kernel
}

kill_balancer() {
    local pid
    pid=$(pid_of weir) || die "weir does not run in ${PREFIX}lb"
    kill -KILL "$pid"
    until_true 5 gone weir
    rm -f "$STATE/weir.pid"
}

balancer() {
    local verb=${1:-}
    shift || true
    case $verb in
        start) start_balancer "$@" ;;
        stop) stop_balancer ;;
        kill) kill_balancer ;;
        pid) pid_of weir || die "weir does not run in ${PREFIX}lb" ;;
        *) config_usage ;;
    esac
}
