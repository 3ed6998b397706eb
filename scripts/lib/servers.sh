# SPDX-License-Identifier: BSD-3-Clause
# The real servers of the test network: one nginx on each backend. Sourced.
#
#   TCP 80   /          the backend's name, keep-alive
#            /healthz   204
#            /upload    204 after a body of up to 64 MiB
#            /file?rate=N  4 MiB that are the same everywhere, N bytes a second (0: no limit)
#   UDP 53   the backend's name, answered from the address that was asked
# Every HTTP answer has X-Backend: NAME.
# shellcheck shell=bash

# Whom the workers of nginx run as: nobody, unless a folder on the way to the files is closed to it.
worker_user() {
    if setpriv --reuid nobody --regid nogroup --clear-groups test -r "$STATE/www/file" 2>/dev/null; then
        echo nobody nogroup
    else
        echo root
    fi
}

write_nginx_conf() {  # NAME
    local room=$STATE/$1 kind temporary=
    mkdir -p "$room"
    for kind in client_body proxy fastcgi uwsgi scgi; do
        temporary+="    ${kind}_temp_path $room/$kind;"$'\n'
    done
    cat >"$room/nginx.conf" <<EOT
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
user $(worker_user);
pid $room/nginx.pid;
error_log $room/error.log warn;
worker_processes 1;
worker_rlimit_nofile 65536;
events { worker_connections 16384; }
http {
$temporary
    access_log off;
    keepalive_requests 1000000;
    server {
        listen 80 backlog=16384;
        listen [::]:80 backlog=16384;
        add_header X-Backend $1 always;
        default_type text/plain;
        client_max_body_size 64m;
        location = / { return 200 "$1\n"; }
        location = /healthz { return 204; }
        location = /upload { proxy_pass http://127.0.0.1/healthz; }
        location = /file { limit_rate \$arg_rate; root $STATE/www; }
    }
}
stream {
    server { listen 53 udp; listen [::]:53 udp; return $1; }
}
EOT
}

make_web_root() {
    mkdir -p "$STATE/www"
    chmod 755 /run/weir-testbed "$STATE" "$STATE/www"
    head -c 4194304 /dev/urandom >"$STATE/www/file"
    sha256sum <"$STATE/www/file" | cut -d' ' -f1 >"$STATE/file.sha256"
}

answers() {  # NAME: does its nginx answer on the loopback address?
    [ "$(inside "$1" curl -s -o /dev/null -w '%{http_code}' --max-time 1 http://127.0.0.1/healthz)" = 204 ]
}

start_backend() {  # NAME
    pid_of "$1" >/dev/null && die "the nginx of $PREFIX$1 runs already"
    rm -f "$STATE/$1/nginx.pid"
    write_nginx_conf "$1"
    spawn "$1" "$1" "$STATE/$1/error.log" \
        nginx -e "$STATE/$1/error.log" -c "$STATE/$1/nginx.conf" -g 'daemon off;'
    until_true 5 answers "$1" ||
        die "the nginx of $PREFIX$1 does not answer; its log is $STATE/$1/error.log"
}

stop_backend() { stop_process "$1"; }

# Dies as in an accident: no connection is closed in good order by nginx itself.
kill_backend() {  # NAME
    local master
    master=$(pid_of "$1") || die "the nginx of $PREFIX$1 does not run"
    # shellcheck disable=SC2046  # one word for each worker
    kill -KILL "$master" $(cat "/proc/$master/task/$master/children")
    rm -f "$STATE/$1.pid"
}

# Workers whose master was killed alone would keep the namespace alive; no other nginx is there.
end_stray_servers() {
    local host pid
    for host in "${BACKENDS[@]}"; do
        host_exists "$host" || continue
        for pid in $(ip netns pids "$PREFIX$host"); do
            if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = nginx ]; then
                kill -KILL "$pid" 2>/dev/null || true
            fi
        done
    done
}

servers_up() {
    local host
    make_web_root
    for host in "${BACKENDS[@]}"; do start_backend "$host"; done
}

servers_down() {
    local host
    for host in "${BACKENDS[@]}"; do stop_backend "$host"; done
    end_stray_servers
}
