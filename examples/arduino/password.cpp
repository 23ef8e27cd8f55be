// Prints the password that the sketch would make, on a PC: for the tests, and to try it with mosquitto_pub.
//
//   c++ -std=c++11 -o password password.cpp -lcrypto
//   ./password CLIENT_ID AUDIENCE TOKEN KEY        KEY in base64url, as "k" has it
//
// With two arguments more, the time and 16 bytes as 32 hexadecimal digits, it takes these instead of the clock and random ones.

#include <cstdlib>
#include <ctime>
#include <iostream>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "sensor/ace_password.h"

static bool hmac_sha256(const uint8_t *key, size_t key_length, const uint8_t *message, size_t length, uint8_t mac[ace::MAC_BYTES]) {
  return HMAC(EVP_sha256(), key, static_cast<int>(key_length), message, length, mac, nullptr) != nullptr;
}

int main(int count, char **arguments) {
  if (count != 5 && count != 7) {
    std::cerr << "usage: password CLIENT_ID AUDIENCE TOKEN KEY [TIME NONCE]\n";
    return 2;
  }
  uint8_t random[ace::NONCE_BYTES];
  if (RAND_bytes(random, sizeof random) != 1) return 1;
  uint32_t now = static_cast<uint32_t>(std::time(nullptr));
  if (count == 7) {
    now = static_cast<uint32_t>(std::strtoul(arguments[5], nullptr, 10));
    const std::string digits = arguments[6];
    for (size_t i = 0; i < sizeof random; i++) {
      random[i] = static_cast<uint8_t>(std::stoul(digits.substr(2 * i, 2), nullptr, 16));
    }
  }
  ace::Credentials credentials;
  credentials.token = arguments[3];
  credentials.key = ace::from_base64url(arguments[4]);
  const std::string password = ace::password(credentials, arguments[1], arguments[2], now, random, hmac_sha256);
  if (password.empty()) return 1;
  std::cout << password << '\n';
}
