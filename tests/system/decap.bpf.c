// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
// XDP program of the test backends: takes off the outer header of IP-in-IP tunnels.
//
// Kernels without the ipip, sit and ip6tnl modules cannot terminate such a tunnel. This program
// does, on the backend's interface, for the four combinations of RFC 2003 (IPv4 in IPv4), RFC 4213
// (IPv6 in IPv4) and RFC 2473 (IPv4 and IPv6 in IPv6): Ethernet + outer IP + inner IP becomes
// Ethernet + inner IP, and the kernel goes on as if the inner packet had arrived. All else passes.
//
// For tests and the demo only: it takes a tunnel from anyone, and outer fragments and outer headers
// with options or extension headers are left alone.
// libbpf's headers want the kernel's types before them.
// clang-format off
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

// Packets decapsulated since the program was loaded: `scripts/testbed decapsulated` reads it.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} decapsulated SEC(".maps");

// What the outer header says: the inner EtherType in network byte order (0: not a tunnel of ours)
// and the outer header's length.
struct outer {
    __u16 inner_type;
    __u16 length;
};

static __always_inline __u16 inner_ethertype(__u8 protocol) {
    switch (protocol) {
        case IPPROTO_IPIP:
            return bpf_htons(ETH_P_IP);
        case IPPROTO_IPV6:
            return bpf_htons(ETH_P_IPV6);
        default:
            return 0;
    }
}

static __always_inline struct outer read_outer(const struct ethhdr* eth, const void* end) {
    const struct outer none = {0, 0};
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        const struct iphdr* ip = (const void*)(eth + 1);
        if ((const void*)(ip + 1) > end || ip->ihl != 5) return none;
        if (ip->frag_off & bpf_htons(0x3fff)) return none;  // more fragments, or an offset
        return (struct outer){inner_ethertype(ip->protocol), sizeof(*ip)};
    }
    if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        const struct ipv6hdr* ip = (const void*)(eth + 1);
        if ((const void*)(ip + 1) > end) return none;
        return (struct outer){inner_ethertype(ip->nexthdr), sizeof(*ip)};
    }
    return none;
}

SEC("xdp")
int decap(struct xdp_md* context) {
    const void* end = (void*)(long)context->data_end;
    struct ethhdr* eth = (void*)(long)context->data;
    if ((const void*)(eth + 1) > end) return XDP_PASS;
    const struct outer outer = read_outer(eth, end);
    if (outer.inner_type == 0) return XDP_PASS;

    struct ethhdr saved = *eth;
    saved.h_proto = outer.inner_type;
    if (bpf_xdp_adjust_head(context, outer.length) != 0) return XDP_DROP;
    end = (void*)(long)context->data_end;  // the verifier wants both read again
    eth = (void*)(long)context->data;
    if ((const void*)(eth + 1) > end) return XDP_DROP;
    *eth = saved;

    const __u32 key = 0;
    __u64* count = bpf_map_lookup_elem(&decapsulated, &key);
    if (count != 0) __sync_fetch_and_add(count, 1);
    return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
