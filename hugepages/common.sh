# SPDX-License-Identifier: BSD-3-Clause
# What hugepages/reserve and hugepages/check share: the kernel's counters of 2 MiB pages, per node.
# shellcheck shell=bash

# shellcheck disable=SC2034
page_bytes=$((2 * 1024 * 1024))
# WEIR_SYSFS: another root, for tests.
sysfs=${WEIR_SYSFS:-}/sys

die() { echo "${0##*/}: $*" >&2; exit 1; }

# NUMA nodes with memory, in order; "all" where the kernel tells none.
nodes() {
    local directory found=()
    for directory in "$sysfs"/devices/system/node/node[0-9]*; do
        [ ! -d "$directory/hugepages/hugepages-2048kB" ] || found+=("${directory##*/node}")
    done
    [ ${#found[@]} -gt 0 ] || found=(all)
    printf '%s\n' "${found[@]}" | sort -n
}

counters() {  # NODE: the directory of its counters
    if [ "$1" = all ]; then
        echo "$sysfs/kernel/mm/hugepages/hugepages-2048kB"
    else
        echo "$sysfs/devices/system/node/node$1/hugepages/hugepages-2048kB"
    fi
}

counter() { cat "$(counters "$1")/$2" 2>/dev/null || echo 0; }  # NODE nr_hugepages|free_hugepages

node_of_cpu() {  # CPU
    local link
    for link in "$sysfs/devices/system/cpu/cpu$1"/node[0-9]*; do
        [ ! -e "$link" ] || { echo "${link##*/node}"; return; }
    done
    nodes | head -n 1
}

mebibytes() { echo "$(($1 / 1048576)) MiB"; }  # BYTES

# Where 2 MiB pages are mounted, or nothing.
mount_point() {
    awk '$3 == "hugetlbfs" && $4 !~ /pagesize=1024M/ { print $2; exit }' /proc/mounts
}
