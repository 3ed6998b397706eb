// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
// XDP program of the test backends: takes off the outer headers of tunnels.
//
// Kernels without the ipip, sit, ip6tnl, gre and fou modules cannot terminate such a tunnel. This
// program does, on the backend's interface, for the four combinations of families of IP in IP (RFC
// 2003, RFC 4213, RFC 2473), of GRE (RFC 2784) and of GUE (both variants, as the kernel's fou
// decodes them): Ethernet + outer headers + inner IP becomes Ethernet + inner IP, and the kernel
// goes on as if the inner packet had arrived. All else passes.
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
#include <linux/udp.h>

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

#define FIRST_GUE_PORT 6080
#define LAST_GUE_PORT 6081

// What the outer headers say: the inner EtherType in network byte order (0: not a tunnel of ours)
// and their length.
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

// RFC 2784 without checksum, or with anything but IP inside: not ours.
static __always_inline struct outer read_gre(const void* at, const void* end, __u16 length) {
    const __be16* gre = at;
    const struct outer none = {0, 0};
    if ((const void*)(gre + 2) > end || gre[0] != 0) return none;
    if (gre[1] != bpf_htons(ETH_P_IP) && gre[1] != bpf_htons(ETH_P_IPV6)) return none;
    return (struct outer){gre[1], length + 4};
}

// By the first bits behind UDP: a header of GUE variant 0, or variant 1, an IP packet itself.
static __always_inline struct outer read_gue(const void* at, const void* end, __u16 length) {
    const struct udphdr* udp = at;
    const __u8* gue = (const void*)(udp + 1);
    const struct outer none = {0, 0};
    if ((const void*)(gue + 4) > end) return none;
    const __u16 port = bpf_ntohs(udp->dest);
    if (port < FIRST_GUE_PORT || port > LAST_GUE_PORT) return none;
    if (bpf_ntohs(udp->source) < 49152 || udp->check != 0) return none;
    if (gue[0] >> 4 == 4) return (struct outer){bpf_htons(ETH_P_IP), length + 8};
    if (gue[0] >> 4 == 6) return (struct outer){bpf_htons(ETH_P_IPV6), length + 8};
    if (gue[0] != 0 || gue[2] != 0 || gue[3] != 0) return none;  // control, options or flags
    return (struct outer){inner_ethertype(gue[1]), length + 12};
}

static __always_inline struct outer read_behind(__u8 protocol, const void* at, const void* end,
                                                __u16 length) {
    if (protocol == IPPROTO_GRE) return read_gre(at, end, length);
    if (protocol == IPPROTO_UDP) return read_gue(at, end, length);
    return (struct outer){inner_ethertype(protocol), length};
}

static __always_inline struct outer read_outer(const struct ethhdr* eth, const void* end) {
    const struct outer none = {0, 0};
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        const struct iphdr* ip = (const void*)(eth + 1);
        if ((const void*)(ip + 1) > end || ip->ihl != 5) return none;
        if (ip->frag_off & bpf_htons(0x3fff)) return none;  // more fragments, or an offset
        return read_behind(ip->protocol, ip + 1, end, sizeof(*ip));
    }
    if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        const struct ipv6hdr* ip = (const void*)(eth + 1);
        if ((const void*)(ip + 1) > end) return none;
        return read_behind(ip->nexthdr, ip + 1, end, sizeof(*ip));
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
