// SPDX-License-Identifier: BSD-3-Clause
#include "lib/dpdk/af_packet_guard.hh"

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <nftables/libnftables.h>

namespace weir {

namespace {

// The words of a line, without quotes, braces, commas and semicolons.
std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    constexpr std::string_view between = " \t\",;{}=";
    while (true) {
        const auto start = line.find_first_not_of(between);
        if (start == std::string_view::npos) return words;
        line.remove_prefix(start);
        const auto end = line.find_first_of(between);
        words.push_back(line.substr(0, end));
        line.remove_prefix(end == std::string_view::npos ? line.size() : end);
    }
}

using Words = std::span<const std::string_view>;

bool pair_in(Words words, std::string_view first, std::string_view second) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
        if (words[i] == first && words[i + 1] == second) return true;
    return false;
}

// "type filter hook ingress device "x" priority filter; policy drop;", or "devices = { "x", "y" }".
bool hooks_ingress_of(Words words, std::string_view interface) {
    if (!pair_in(words, "hook", "ingress")) return false;
    const auto names = std::ranges::find_if(
        words, [](std::string_view word) { return word == "device" || word == "devices"; });
    const auto end = std::ranges::find(names, words.end(), "priority");
    return std::find(names, end, interface) != end;
}

// A rule that drops everything: "drop" alone, or behind its own counter ("counter packets 1 bytes
// 2").
bool drops_all(Words words) {
    if (!words.empty() && words.front() == "counter")
        words = words.subspan(words.size() >= 5 && words[1] == "packets" ? 5 : 1);
    return !words.empty() && words.front() == "drop" &&
           (words.size() == 1 || words[1] == "comment");
}

}  // namespace

bool drops_ingress(std::string_view ruleset, std::string_view interface) {
    bool netdev = false, hooked = false;
    while (!ruleset.empty()) {
        const auto end = ruleset.find('\n');
        const auto words = words_of(ruleset.substr(0, end));
        ruleset.remove_prefix(end == std::string_view::npos ? ruleset.size() : end + 1);
        if (words.empty()) continue;
        if (words[0] == "table") netdev = words.size() > 1 && words[1] == "netdev";
        if (words[0] == "table" || words[0] == "chain") hooked = false;
        if (words[0] == "type") {
            hooked = netdev && hooks_ingress_of(words, interface);
            if (hooked && pair_in(words, "policy", "drop")) return true;
        } else if (hooked && drops_all(words)) {
            return true;
        }
    }
    return false;
}

Result<void> check_ingress_dropped(const std::string& interface) {
    const std::unique_ptr<nft_ctx, decltype(&nft_ctx_free)> context(nft_ctx_new(NFT_CTX_DEFAULT),
                                                                    &nft_ctx_free);
    if (!context) return Error{"libnftables does not start: out of memory"};
    nft_ctx_buffer_output(context.get());
    nft_ctx_buffer_error(context.get());
    if (nft_run_cmd_from_buffer(context.get(), "list ruleset netdev") != 0)
        return Error{
            fmt::format("the nftables rules that must drop the kernel's copy of '{}' cannot be "
                        "read ({}); start "
                        "as root or with CAP_NET_ADMIN",
                        interface, nft_ctx_get_error_buffer(context.get()))};
    if (drops_ingress(nft_ctx_get_output_buffer(context.get()), interface)) return {};
    return Error{fmt::format(
        "with AF_PACKET the kernel sees every frame of '{0}' too and would answer clients itself; "
        "drop its copy first: `nft add table netdev weir` and `nft add chain netdev weir {0} "
        "'{{ type filter hook ingress device {0} priority 0; policy drop; }}'`",
        interface)};
}

}  // namespace weir
