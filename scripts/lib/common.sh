# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the scripts of this folder: messages, and where the repository is.
# shellcheck shell=bash

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${WEIR_BUILD:-$TOP/build}
# shellcheck disable=SC2034  # used by the scripts that source this file
WEIR=$BUILD/app/weir WEIRCTL=$BUILD/app/weirctl
SELF=$(basename "$0")

die() {
    printf '%s: %s\n' "$SELF" "$*" >&2
    exit 1
}

warn() { printf '%s: %s\n' "$SELF" "$*" >&2; }

need_root() {
    [ "$(id -u)" = 0 ] || die "must run as root (it $1): try sudo scripts/$SELF"
}

# Names the line that failed instead of ending without a word.
report_errors() {
    trap 'warn "line $LINENO failed: $BASH_COMMAND"' ERR
    set -E
}

# The usage text of a script: its leading comment, without the licence line.
print_usage() {
    sed -n '2,/^[^#]/{/^# SPDX/d;/^#/!d;s/^# \{0,1\}//p}' "$0"
}
