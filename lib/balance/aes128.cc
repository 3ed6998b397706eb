// SPDX-License-Identifier: BSD-3-Clause
#include "lib/balance/aes128.hh"

namespace weir {

Aes128::Aes128(const Key& key) noexcept {
    aes128_set_encrypt_key(&encrypting_, key.data());
    aes128_invert_key(&decrypting_, &encrypting_);
}

Aes128::Block Aes128::encrypt(const Block& plain) const noexcept {
    Block cipher;
    aes128_encrypt(&encrypting_, cipher.size(), cipher.data(), plain.data());
    return cipher;
}

Aes128::Block Aes128::decrypt(const Block& cipher) const noexcept {
    Block plain;
    aes128_decrypt(&decrypting_, plain.size(), plain.data(), cipher.data());
    return plain;
}

}  // namespace weir
