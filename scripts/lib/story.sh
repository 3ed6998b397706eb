# SPDX-License-Identifier: BSD-3-Clause
# What scripts/demo shows and checks. Flow files are the output of tests/system/http_flows. Sourced.
# shellcheck shell=bash disable=SC2154  # work is scripts/demo's

checks=0
heading() { printf '\n== %s\n' "$1"; }

# held CLAIM COMMAND...: the claim is printed; the demo ends here when the command fails.
held() {
    local words
    words=$("${@:2}" 2>&1) || { printf 'DID NOT HOLD: %s\n%s\n' "$1" "$words" >&2; exit 1; }
    checks=$((checks + 1))
    printf '  ✓ %s\n' "$1"
}

show() {  # COMMAND LINE
    printf '\n$ %s\n' "$1"
    bash -c "set -o pipefail; $1" || { echo "DID NOT HOLD: that command failed" >&2; exit 1; }
}

monotonic() { /usr/bin/python3 -c 'import time; print(time.monotonic())'; }
calculate() { awk "BEGIN { print $1 }"; }
less() { [ "$(calculate "$1 < $2")" = 1 ]; }

source_addresses() { if [ "$1" = c4 ]; then echo 198.51.100.{2..17}; else echo 2001:db8:6::{2..5}; fi; }

# flows CLIENT VIP FIRST_PORT COUNT [OPTION...]: each its own address and port; prints every outcome.
flows() {
    local addresses
    addresses=$(source_addresses "$1")
    inside "$1" "$BUILD/tests/system/http_flows" --target "$2" --from "${addresses// /,}" \
        --first-port "$3" --count "$4" "${@:5}"
}

# --- what a flow file says ---

answered() { awk -F'\t' '{ n[$NF ? $NF : "failed"]++ } END { for (i in n) print i, n[i] }' "$1" | sort; }
one_line() { answered "$1" | awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }'; }

spread() {
    answered "$1" | awk -v all="$(wc -l <"$1")" \
        '{ bar = ""; for (i = 0; i < $2 * 40 / all; i++) bar = bar "#"; printf "  %-7s %6d %5.1f %%  %s\n", $1, $2, $2 * 100 / all, bar }'
}

outcomes() {
    awk -F'\t' '{ n[$5]++ } END { for (i in n) printf "  %6d %s\n", n[i], i }' "$1" | sort -rn
}

none_failed() { ! awk -F'\t' '$5 != "ok"' "$1" | grep -m 5 .; }
every_answered() { ! grep -P '\t-$' "$1"; }

# shares FILE A B C: b1, b2 and b3 have A:B:C of the flows, each within 5 % of its share; none failed.
shares() {
    awk -F'\t' -v a="$2" -v b="$3" -v c="$4" '{ n[$6]++ }
        END {
            want["b1"] = a; want["b2"] = b; want["b3"] = c
            for (i in want) {
                share = NR * want[i] / (a + b + c)
                if (n[i] < share * 0.95 || n[i] > share * 1.05) { print i, n[i], "of", share; bad = 1 }
                known += n[i]
            }
            if (known != NR) { print NR - known, "failed"; bad = 1 }
            exit bad
        }' "$1"
}

# only_failed_of BACKEND FIRST FILE KILLED LIMIT: every failed flow of FILE belonged to BACKEND in
# FIRST, and began no later than LIMIT seconds after KILLED.
only_failed_of() {
    awk -F'\t' -v backend="$1" -v until="$(calculate "$4 + $5")" 'NR == FNR { at[$1, $2] = $6; next }
        $5 != "ok" && (at[$1, $2] != backend || $3 > until) { print at[$1, $2] ": " $0; bad = 1 }
        END { exit bad }' "$2" "$3"
}

# same_except BACKEND FIRST FILE: flows that BACKEND did not have in FIRST are answered by the same one.
same_except() {
    awk -F'\t' -v except="$1" 'NR == FNR { at[$1, $2] = $6; next }
        at[$1, $2] != except && at[$1, $2] != $6 { print at[$1, $2] " before, now: " $0; bad = 1 }
        END { exit bad }' "$2" "$3"
}

# --- in the background ---

background=()
in_background() {  # COMMAND...: in a process group of its own, so that it can be ended whole
    set -m
    { trap - ERR; "$@" </dev/null; } &
    set +m
    background+=($!)
}
end_background() {
    local group
    for group in "${background[@]}"; do kill -- "-$group" 2>/dev/null || true; done
    background=()
}

start_load() {  # FIRST_PORT RATE COUNT
    in_background flows c4 "$VIP4" "$1" "$3" --rate "$2" >"$work/load"
    load=${background[-1]}
}
end_load() {  # FILE
    wait "$load"
    mv "$work/load" "$1"
}

# True when no socket of HOST has a source port from FIRST on, COUNT of them: the last ACK of a closed
# connection may be on its way still, and until then its port cannot be bound again.
ports_are_free() {  # HOST FIRST COUNT
    [ -z "$(inside "$1" ss -Htan "( sport >= :$2 and sport < :$(($2 + $3)) )")" ]
}

# start_downloads FIRST_PORT RATE: two downloads of 4 MiB from each backend, RATE bytes a second. 64
# short requests find out which source ports lead where.
start_downloads() {
    local backend address port n
    downloads=()
    rm -f "$work"/download.*
    flows c4 "$VIP4" "$1" 64 >"$work/scouts"
    until_true 10 ports_are_free c4 "$1" 64
    for backend in b1 b2 b3; do
        n=0
        while read -r address port; do
            n=$((n + 1))
            in_background inside c4 curl -sS --stderr "$work/download.$backend.$n.error" --max-time 40 \
                --interface "$address" --local-port "$port" \
                -o "$work/download.$backend.$n" "http://$VIP4/file?rate=$2"
            downloads+=("${background[-1]}")
        done < <(awk -F'\t' -v backend=$backend '$6 == backend { print $1, $2 }' "$work/scouts" | tail -n 2)
    done
}
end_downloads() {
    local pid
    for pid in "${downloads[@]}"; do wait "$pid" || true; done  # those of a killed server fail
}

is_whole() { [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$(cat "$STATE/file.sha256")" ]; }

downloads_whole() {  # BACKEND...
    local backend n
    for backend; do
        for n in 1 2; do
            is_whole "$work/download.$backend.$n" && continue
            echo "download $n from $backend is not whole: $(cat "$work/download.$backend.$n.error")"
            return 1
        done
    done
}

download_whole() {  # CLIENT VIP
    local vip=$2
    [[ $vip != *:* ]] || vip="[$vip]"
    inside "$1" curl -sS --max-time 20 -o "$work/file" "http://$vip/file" && is_whole "$work/file"
}

# --- the balancer ---

metric() { curl -s --max-time 2 --unix-socket "$STATE/ctl.sock" http://weir/metrics | grep -F "$1"; }
backend_up_is() { metric "weir_backend_up{service=\"$1\",backend=\"$2\"}" | grep -q " $3\$"; }

reload() {  # CONFIG OPTION...
    testbed config "$@" >"$STATE/weir.toml"
    printf 'weirctl reload: '
    "$WEIRCTL" -s "$STATE/ctl.sock" reload || { echo "DID NOT HOLD: the reload failed" >&2; exit 1; }
}

no_tap() { ! inside lb ip -o link show type tun | grep .; }

no_checksum_errors() {
    local host
    for host in c4 c6 b1 b2 b3; do
        inside "$host" nstat -asz TcpInCsumErrors UdpInCsumErrors Udp6InCsumErrors |
            awk -v host="$host" '/CsumErrors/ && $2 != 0 { print host, $0; bad = 1 } END { exit bad }' || return 1
    done
}
