// The password for an MQTT broker that asks for ACE access tokens: JSON with the token, the time, a nonce and a proof that the
// device holds the token's key. It goes with the user name "ace", into any MQTT library.
//
// Plain C++11, without any library: the caller brings HMAC-SHA-256 and random bytes, which every microcontroller's TLS has.
// This is the file to copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace ace {

constexpr const char *USER_NAME = "ace";
constexpr size_t NONCE_BYTES = 16;
constexpr size_t MAC_BYTES = 32;

/// Computes HMAC-SHA-256; false if that fails.
using HmacSha256 = bool (*)(const uint8_t *key, size_t key_length, const uint8_t *message, size_t length, uint8_t mac[MAC_BYTES]);

/// What an authorization server has given: a token, and the symmetric key that it is bound to.
struct Credentials {
  std::string token;
  std::string key;  // its bytes
};

/// Base64url without padding, which is what the profile uses everywhere.
inline std::string base64url(const uint8_t *data, size_t length) {
  static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i < length; i++) {
    bits = bits << 8 | data[i];
    for (count += 8; count >= 6; count -= 6) text += ALPHABET[bits >> (count - 6) & 63];
  }
  if (count > 0) text += ALPHABET[bits << (6 - count) & 63];
  return text;
}

/// The other way round, for the "k" of a key. Empty if it is no base64url.
inline std::string from_base64url(const std::string &text) {
  std::string data;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    uint32_t value = c >= 'A' && c <= 'Z'   ? c - 'A'
                     : c >= 'a' && c <= 'z' ? c - 'a' + 26
                     : c >= '0' && c <= '9' ? c - '0' + 52
                     : c == '-'             ? 62
                     : c == '_'             ? 63
                                            : 64;
    if (value == 64) return std::string();
    bits = bits << 6 | value;
    if ((count += 6) >= 8) data += static_cast<char>(bits >> (count -= 8) & 255);
  }
  return data;
}

/// The password for one connection under this client id. `now` is the time in seconds since 1970, which must be within a minute of
/// the broker's; `random` are fresh random bytes; `audience` is the broker's name, as it stands in the token.
/// Empty if there is nothing to prove with, or if HMAC fails.
inline std::string password(const Credentials &credentials, const std::string &client_id, const std::string &audience, uint32_t now,
                            const uint8_t random[NONCE_BYTES], HmacSha256 hmac) {
  if (credentials.key.empty() || client_id.empty()) return std::string();
  char ts[11];
  snprintf(ts, sizeof ts, "%lu", static_cast<unsigned long>(now));
  const std::string nonce = base64url(random, NONCE_BYTES);
  // What is signed: five lines, without a line feed behind the last.
  const std::string text = "ace-mqtt-v0\n" + client_id + "\n" + audience + "\n" + ts + "\n" + nonce;
  uint8_t mac[MAC_BYTES];
  if (!hmac(reinterpret_cast<const uint8_t *>(credentials.key.data()), credentials.key.size(),
            reinterpret_cast<const uint8_t *>(text.data()), text.size(), mac)) {
    return std::string();
  }
  return "{\"access_token\":\"" + credentials.token + "\",\"mac\":\"" + base64url(mac, MAC_BYTES) + "\",\"ts\":" + ts +
         ",\"nonce\":\"" + nonce + "\"}";
}

}  // namespace ace
