/*
 * Passwords for an MQTT broker that asks for ACE access tokens: JSON with the token, the time, a nonce and a proof that the
 * client holds the token's key. They go with the user name "ace", into any MQTT library.
 *
 * ace.h and ace.c are the files to copy. They need OpenSSL and cJSON.
 */
#ifndef ACE_H
#define ACE_H

#include <stddef.h>

#define ACE_USER_NAME "ace"

/* A token, and the symmetric key that it is bound to. */
struct ace_credentials {
    char *token;
    unsigned char key[64];
    size_t key_length;
};

/*
 * Reads token and key from a file that `ace-mqtt token --symmetric --out FILE` has written.
 * Gives NULL, or else what is wrong with the file.
 */
const char *ace_read_credentials(struct ace_credentials *credentials, const char *file);

/*
 * Makes the password for one connection under this client id, within a minute from now; it takes a clock that is right.
 * The audience is the broker's name, as it stands in the token. To be freed by the caller; NULL if memory or OpenSSL fail.
 */
char *ace_password(const struct ace_credentials *credentials, const char *client_id, const char *audience);

/* Wipes and frees what has been read. */
void ace_forget(struct ace_credentials *credentials);

#endif
