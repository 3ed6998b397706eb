// SPDX-License-Identifier: BSD-3-Clause
#include "lib/flow/key.hh"

#include <cerrno>
#include <span>
#include <system_error>

#include <sys/random.h>

namespace weir {

HashSecret random_hash_secret() {
    HashSecret secret;
    // Up to 256 bytes come whole, without interruption (getrandom(2)).
    const auto got = getrandom(secret.words.data(), sizeof secret.words, 0);
    if (got != static_cast<ssize_t>(sizeof secret.words))
        throw std::system_error(errno, std::generic_category(), "getrandom for the hash secret");
    return secret;
}

}  // namespace weir
