/* Tokens, challenges, answers. */
#include "tokens.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "plugin.h"

struct tokens tokens;
struct keys keys;

/* A token, of which the log may show nothing that could be used. */
static char *token(const char *name)
{
	char *text = plugin_read(name);
	const char *signature = strrchr(text, '.');

	REQUIRE(signature != NULL && strlen(signature) > 20, "%s is no token", name);
	log_must_not_have(signature);
	return text;
}

static void key(const char *name, unsigned char bytes[KEY_BYTES])
{
	char *content = plugin_read(name);

	memcpy(bytes, content, KEY_BYTES);
	free(content);
}

void tokens_read(void)
{
	tokens.bearer = token("bearer.jwt");
	tokens.nobody = token("nobody.jwt");
	tokens.operator = token("operator.jwt");
	tokens.device = token("device.jwt");
	tokens.less = token("less.jwt");
	tokens.brief = token("brief.jwt");
	tokens.brief_bearer = token("brief-bearer.jwt");
	tokens.hidden = token("hidden.jwt");
	tokens.other = token("other.jwt");
	tokens.ended = token("ended.jwt");
	tokens.forged = token("forged.jwt");
	key("device.key", keys.device);
	key("hidden.key", keys.hidden);
}

void tokens_free(void)
{
	char *all[] = {tokens.bearer, tokens.nobody, tokens.operator, tokens.device, tokens.less, tokens.brief, tokens.brief_bearer,
	               tokens.hidden, tokens.other, tokens.ended, tokens.forged};

	for (size_t number = 0; number < sizeof(all) / sizeof(all[0]); number++) {
		free(all[number]);
	}
}

int start_with(struct mosquitto *client, const char *text, const void *proof, size_t proof_bytes,
               struct answer *answer)
{
	const size_t token_bytes = strlen(text);
	unsigned char *data = take(2 + token_bytes + proof_bytes);
	int code;

	data[0] = (unsigned char)(token_bytes >> 8);
	data[1] = (unsigned char)token_bytes;
	memcpy(data + 2, text, token_bytes);
	if (proof_bytes > 0) {
		memcpy(data + 2 + token_bytes, proof, proof_bytes);
	}
	code = auth_start(client, METHOD, data, 2 + token_bytes + proof_bytes, answer);
	free(data);
	return code;
}

struct answer start_challenge(struct mosquitto *client, const char *text)
{
	struct answer challenge;

	REQUIRE_CODE(ACE_ERR_AUTH_CONTINUE, start_with(client, text, NULL, 0, &challenge));
	REQUIRE(challenge.bytes == NONCE_BYTES, "a challenge of %zu bytes", challenge.bytes);
	return challenge;
}

void answer_to(const struct answer *challenge, const unsigned char key[KEY_BYTES], unsigned char answer[ANSWER_BYTES])
{
	static unsigned char used;
	unsigned char nonces[2 * NONCE_BYTES];

	memcpy(nonces, challenge->data, NONCE_BYTES);
	memset(nonces + NONCE_BYTES, ++used, NONCE_BYTES);
	memcpy(answer, nonces + NONCE_BYTES, NONCE_BYTES);
	hmac_sha256(key, KEY_BYTES, nonces, sizeof(nonces), answer + NONCE_BYTES);
}

int answer_rightly(struct mosquitto *client, const struct answer *challenge, const unsigned char key[KEY_BYTES])
{
	unsigned char answer[ANSWER_BYTES];

	answer_to(challenge, key, answer);
	return auth_continue(client, answer, sizeof(answer), NULL);
}

void admit(struct mosquitto *client, const char *text, const unsigned char key[KEY_BYTES])
{
	const struct answer challenge = start_challenge(client, text);

	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(client, &challenge, key));
	REQUIRE(client->user_name != NULL, "the client has no user name");
}

void admit_bearer(struct mosquitto *client)
{
	REQUIRE_CODE(ACE_ERR_SUCCESS, start_with(client, tokens.bearer, NULL, 0, NULL));
	REQUIRE(strcmp(client->user_name, "bearer") == 0, "the user name is %s", client->user_name);
}
