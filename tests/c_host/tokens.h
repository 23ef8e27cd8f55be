/* The client's part: tokens and keys that the folder has, and proofs made with them. */
#ifndef TOKENS_H
#define TOKENS_H

#include "events.h"
#include "openssl.h"

/* RFC 9431's method. */
#define METHOD "ace"

enum { NONCE_BYTES = 8, KEY_BYTES = 32, ANSWER_BYTES = NONCE_BYTES + MAC_BYTES };

/* The tokens, all of one authorization server, all for "dev/#" in both directions unless said otherwise. */
extern struct tokens {
	/* Without a key. Subject "bearer". */
	char *bearer;
	/* The same without a subject. */
	char *nobody;
	/* Without a key, for commands and their answers. Subject "operator". */
	char *operator;
	/* Bound to a key that the configuration knows by its name. Subject "device". */
	char *device;
	/* The same with the scope "less/#". */
	char *less;
	/* The same as device, and as bearer, ending ten minutes after the folder was made; all others end after a day. */
	char *brief;
	char *brief_bearer;
	/* Bound to a key that is encrypted for the broker. Subject "hidden". */
	char *hidden;
	/* The key is device's. Subject "other". */
	char *other;
	/* Not good: ended an hour ago; signed by somebody else. */
	char *ended;
	char *forged;
} tokens;

extern struct keys {
	unsigned char device[KEY_BYTES];
	unsigned char hidden[KEY_BYTES];
} keys;

void tokens_read(void);
void tokens_free(void);

/* EXT_AUTH_START with a token and a proof; the proof may be null. */
int start_with(struct mosquitto *client, const char *token, const void *proof, size_t proof_bytes,
               struct answer *answer);
/* EXT_AUTH_START with a token whose key is to be challenged: must lead to a challenge of eight bytes. */
struct answer start_challenge(struct mosquitto *client, const char *token);
/* The right answer to a challenge. */
void answer_to(const struct answer *challenge, const unsigned char key[KEY_BYTES], unsigned char answer[ANSWER_BYTES]);
/* EXT_AUTH_CONTINUE with the right answer. */
int answer_rightly(struct mosquitto *client, const struct answer *challenge, const unsigned char key[KEY_BYTES]);
/* Lets a client in by challenge and answer: must succeed. */
void admit(struct mosquitto *client, const char *token, const unsigned char key[KEY_BYTES]);
/* Lets a client in with the bearer token. */
void admit_bearer(struct mosquitto *client);

#endif
