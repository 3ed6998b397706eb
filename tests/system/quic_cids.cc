// SPDX-License-Identifier: BSD-3-Clause
// Makes ngtcp2's example server a QUIC-LB server: preloaded into gtlsserver, it turns the random
// bytes that this asks for as a connection ID, and these alone are 18, into an ID that names the
// server (draft-ietf-quic-load-balancers-21). The library and its use of the IDs stay as they are.
//
// Environment: QUIC_LB="ID SERVER_ID NONCE_LENGTH [KEY]", server ID and key in hexadecimal digits.
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include <dlfcn.h>

#include "tests/unit/balance/quic_cid.hh"

namespace {

using namespace weir;

constexpr std::size_t cid_length = 18;  // NGTCP2_SV_SCIDLEN of the example server

using Random = int (*)(int level, void* data, std::size_t length);

void make_server_cid(std::uint8_t* bytes) {
    const char* const words = std::getenv("QUIC_LB");
    if (words == nullptr) return;
    std::istringstream in(words);
    unsigned id = 0, nonce_length = 0;
    std::string server_text, key_text;
    in >> id >> server_text >> nonce_length >> key_text;
    const CidBytes server_id = from_hex(server_text);
    QuicLbConfig config{static_cast<std::uint8_t>(id), static_cast<std::uint8_t>(server_id.size()),
                        static_cast<std::uint8_t>(nonce_length), std::nullopt};
    if (!key_text.empty()) config.key = block_of(from_hex(key_text));
    // What was random is the nonce, and whatever the ID has behind it.
    const CidBytes cid = make_cid(config, server_id, CidBytes(bytes, bytes + nonce_length));
    std::memcpy(bytes, cid.data(), std::min(cid.size(), cid_length));
}

}  // namespace

extern "C" int gnutls_rnd(int level, void* data, std::size_t length) {
    static const auto real = reinterpret_cast<Random>(dlsym(RTLD_NEXT, "gnutls_rnd"));
    const int result = real(level, data, length);
    if (result == 0 && length == cid_length) make_server_cid(static_cast<std::uint8_t*>(data));
    return result;
}
