# SPDX-License-Identifier: BSD-3-Clause
# Processes of a test network: started in the background, remembered with their start time in
# $STATE/NAME.pid (a process id alone may belong to somebody else by now), ended by name. Sourced.
# shellcheck shell=bash

process_fields() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f"$2"; }  # PID FIELDS
started_at() { process_fields "$1" 20; }

# spawn NAME HOST LOG COMMAND...: starts it on a host, in a session of its own, so that a Ctrl-C or a
# closed terminal does not reach it.
spawn() {
    setsid ip netns exec "$PREFIX$2" "${@:4}" </dev/null >>"$3" 2>&1 &
    printf '%s %s\n' $! "$(started_at $!)" >"$STATE/$1.pid"
}

# Prints the pid when the remembered process still lives. Its state, a letter, and its start are read
# at once: it may end between two looks at it.
pid_of() {  # NAME
    local pid start letter now
    [ -f "$STATE/$1.pid" ] || return 1
    read -r pid start <"$STATE/$1.pid" || return 1
    read -r letter now < <(process_fields "$pid" 1,20) || return 1
    [ -n "$start" ] && [ "$now" = "$start" ] && [ "$letter" != Z ] || return 1
    echo "$pid"
}

# until_true SECONDS COMMAND...: repeats a command every 20 ms until it succeeds or time is up.
until_true() {
    local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/./}" -lt "$deadline" ] || return 1
        sleep 0.02
    done
}

gone() { ! pid_of "$1" >/dev/null; }

# stop_process NAME [SECONDS]: SIGTERM, and SIGKILL (with a word) when that is ignored too long.
stop_process() {
    local pid
    if pid=$(pid_of "$1"); then
        kill -TERM "$pid"
        if ! until_true "${2:-10}" gone "$1"; then
            warn "$1 (pid $pid) did not end within ${2:-10} s of SIGTERM: killed"
            kill -KILL "$pid"
            until_true 5 gone "$1"
        fi
    fi
    rm -f "$STATE/$1.pid"
}
