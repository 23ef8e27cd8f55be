/* See ace.h. */
#include "ace.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define NONCE_BYTES 16
#define PROOF_BYTES 32
#define FILE_BYTES 65536

/* The characters of so many bytes in base64, with room for the padding and the zero byte behind. */
#define BASE64_SIZE(bytes) (((bytes) + 2) / 3 * 4 + 1)

/* Base64url without padding, which is what the profile uses everywhere. */
static void to_base64url(char *text, const unsigned char *data, size_t length) {
    EVP_EncodeBlock((unsigned char *)text, data, (int)length);
    for (char *at = text; *at != '\0'; at++) {
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at == '=' ? '\0' : *at;
    }
}

/* The other way round. Gives how many bytes there are; 0 if there is no room for them, or if it is no base64url. */
static size_t from_base64url(unsigned char *data, size_t room, const char *text) {
    unsigned char padded[BASE64_SIZE(64)], decoded[BASE64_SIZE(64)];
    size_t length = strlen(text), characters = (length + 3) / 4 * 4;
    if (characters >= sizeof padded) return 0;
    for (size_t i = 0; i < characters; i++) {
        char c = i < length ? text[i] : '=';
        padded[i] = (unsigned char)(c == '-' ? '+' : c == '_' ? '/' : c);
    }
    int decoded_length = EVP_DecodeBlock(decoded, padded, (int)characters);
    size_t bytes = decoded_length < 0 ? 0 : (size_t)decoded_length - (characters - length);
    if (bytes > room) bytes = 0;
    memcpy(data, decoded, bytes);
    OPENSSL_cleanse(padded, sizeof padded);
    OPENSSL_cleanse(decoded, sizeof decoded);
    return bytes;
}

const char *ace_read_credentials(struct ace_credentials *credentials, const char *file) {
    static char text[FILE_BYTES];
    FILE *stream = fopen(file, "r");
    if (stream == NULL) return "it cannot be opened";
    text[fread(text, 1, sizeof text - 1, stream)] = '\0';
    fclose(stream);

    cJSON *json = cJSON_Parse(text);
    const char *token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "access_token"));
    const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "key"), "k"));
    const char *wrong = NULL;
    memset(credentials, 0, sizeof *credentials);
    if (token == NULL || strpbrk(token, "\"\\") != NULL) {
        wrong = "it holds no token";
    } else if (key == NULL || (credentials->key_length = from_base64url(credentials->key, sizeof credentials->key, key)) == 0) {
        wrong = "it holds no symmetric key";
    } else if ((credentials->token = strdup(token)) == NULL) {
        wrong = "there is no memory for it";
    }
    cJSON_Delete(json);
    OPENSSL_cleanse(text, sizeof text);
    return wrong;
}

char *ace_password(const struct ace_credentials *credentials, const char *client_id, const char *audience) {
    unsigned char random[NONCE_BYTES], proof[PROOF_BYTES];
    char nonce[BASE64_SIZE(NONCE_BYTES)], mac[BASE64_SIZE(PROOF_BYTES)], now[24];
    if (RAND_bytes(random, sizeof random) != 1) return NULL;
    to_base64url(nonce, random, sizeof random);
    snprintf(now, sizeof now, "%lld", (long long)time(NULL));

    /* What is signed: five lines, without a line feed behind the last. */
    char *text = NULL, *password = NULL;
    size_t text_size = strlen(client_id) + strlen(audience) + sizeof nonce + sizeof now + 16;
    size_t password_size = strlen(credentials->token) + sizeof nonce + sizeof mac + sizeof now + 64;
    if ((text = malloc(text_size)) != NULL && (password = malloc(password_size)) != NULL) {
        int length = snprintf(text, text_size, "ace-mqtt-v0\n%s\n%s\n%s\n%s", client_id, audience, now, nonce);
        if (HMAC(EVP_sha256(), credentials->key, (int)credentials->key_length, (unsigned char *)text, (size_t)length, proof, NULL)) {
            to_base64url(mac, proof, sizeof proof);
            snprintf(password, password_size, "{\"access_token\":\"%s\",\"mac\":\"%s\",\"ts\":%s,\"nonce\":\"%s\"}",
                     credentials->token, mac, now, nonce);
        } else {
            free(password);
            password = NULL;
        }
    }
    free(text);
    return password;
}

void ace_forget(struct ace_credentials *credentials) {
    free(credentials->token);
    OPENSSL_cleanse(credentials, sizeof *credentials);
}
