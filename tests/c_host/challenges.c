/* Challenge and answer in every order but the right one, which comes first. */
#include <string.h>

#include "check.h"
#include "clock.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

void challenges_answered(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *device = client_connects(plugin, 0, "device");
	struct mosquitto *hidden = client_connects(plugin, 1, "hidden");
	struct answer challenge;
	unsigned char answer[ANSWER_BYTES];

	admit(device, tokens.device, keys.device);
	admit(hidden, tokens.hidden, keys.hidden);
	REQUIRE(strcmp(device->user_name, "device") == 0, "the user name is %s", device->user_name);
	REQUIRE(strcmp(hidden->user_name, "hidden") == 0, "the user name is %s", hidden->user_name);
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(device, ACE_ACL_WRITE, "dev/a", 1));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(hidden, ACE_ACL_SUBSCRIBE, "dev/+/b", 1));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(device, ACE_ACL_SUBSCRIBE, "#", 1));

	/* The token that the broker holds, by the client id alone. */
	device = client_connects(plugin, 2, "device");
	REQUIRE_CODE(ACE_ERR_AUTH_CONTINUE, auth_start(device, METHOD, NULL, 0, &challenge));
	REQUIRE(challenge.bytes == NONCE_BYTES, "a challenge of %zu bytes", challenge.bytes);
	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(device, &challenge, keys.device));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(device, ACE_ACL_WRITE, "dev/a", 1));

	/* Each bit counts, and each nonce serves once. */
	for (size_t byte = 0; byte < ANSWER_BYTES; byte++) {
		device = client_connects(plugin, 3, "device");
		challenge = start_challenge(device, tokens.device);
		answer_to(&challenge, keys.device, answer);
		answer[byte] ^= (unsigned char)(1U << (byte % 8));
		REQUIRE_CODE(ACE_ERR_AUTH, auth_continue(device, answer, sizeof(answer), NULL));
		REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(device, &challenge, keys.device));
	}
	/* Another client's key. */
	challenge = start_challenge(device, tokens.device);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(device, &challenge, keys.hidden));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(device, ACE_ACL_WRITE, "dev/a", 1));
	plugin_unload(plugin);
}

void challenges_out_of_order(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	struct answer first, second;
	unsigned char answer[ANSWER_BYTES];

	/* An answer to nothing. */
	memset(answer, 7, sizeof(answer));
	REQUIRE_CODE(ACE_ERR_AUTH, auth_continue(client, answer, sizeof(answer), NULL));
	REQUIRE_CODE(ACE_ERR_AUTH, auth_continue(client, NULL, 0, NULL));

	/* Two challenges in a row: the first is void, and whoever answers it has no second chance. */
	first = start_challenge(client, tokens.device);
	second = start_challenge(client, tokens.device);
	REQUIRE(memcmp(first.data, second.data, NONCE_BYTES) != 0, "the same nonce twice");
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &first, keys.device));
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &second, keys.device));
	first = start_challenge(client, tokens.hidden);
	second = start_challenge(client, tokens.device);
	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(client, &second, keys.device));
	REQUIRE(strcmp(client->user_name, "device") == 0, "the user name is %s", client->user_name);

	/* A start that is refused leaves the challenge before it alone: it was for the same client. */
	client = client_connects(plugin, 1, "another");
	first = start_challenge(client, tokens.device);
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.forged, NULL, 0, NULL));
	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(client, &first, keys.device));

	/* An answer after the end of the connection. */
	client = client_connects(plugin, 2, "third");
	first = start_challenge(client, tokens.device);
	disconnect(client, 0);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &first, keys.device));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 0));

	/* By somebody who is in already, unasked: told to go on, and disconnected with the next turn. */
	client = client_connects(plugin, 3, "fourth");
	admit(client, tokens.device, keys.device);
	REQUIRE_CODE(ACE_ERR_AUTH_CONTINUE, auth_continue(client, answer, sizeof(answer), NULL));
	REQUIRE_CODE(ACE_ERR_AUTH_CONTINUE, auth_continue(client, NULL, 0, NULL));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 0));
	tick(plugin);
	REQUIRE(client->kicks == 1 && !client->connected, "kicked %d times", client->kicks);
	tick(plugin);
	REQUIRE(client->kicks == 1, "kicked %d times", client->kicks);
	plugin_unload(plugin);
}

void challenges_by_others(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "victim"), *other;
	struct answer challenge = start_challenge(client, tokens.device);

	/* Another client at the same address; the broker has not told of the first one's end. */
	client = client_connects(plugin, 0, "thief");
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenge, keys.device));
	/* And the challenge is gone with the first. */
	client = client_connects(plugin, 0, "victim");
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenge, keys.device));

	/* Another client of the same id at another address. */
	challenge = start_challenge(client, tokens.device);
	other = client_connects(plugin, 1, "victim");
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(other, &challenge, keys.device));
	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(client, &challenge, keys.device));

	/* Two at a time, answers crossed. */
	client = client_connects(plugin, 2, "one");
	other = client_connects(plugin, 3, "two");
	challenge = start_challenge(client, tokens.device);
	start_challenge(other, tokens.device);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(other, &challenge, keys.device));
	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(client, &challenge, keys.device));
	plugin_unload(plugin);
}

void challenges_too_late(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	struct answer challenge = start_challenge(client, tokens.device);

	tick(plugin);
	clock_set_ahead(61);
	tick(plugin);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenge, keys.device));
	/* The token ends while the client thinks. */
	clock_set_ahead(0);
	challenge = start_challenge(client, tokens.brief);
	clock_set_ahead(11 * 60);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenge, keys.device));
	REQUIRE(log_has("token-expired"), "the log does not say that the token has ended");
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.brief, NULL, 0, NULL));
	/* The clock is set back. */
	challenge = start_challenge(client, tokens.device);
	clock_set_ahead(-30);
	tick(plugin);
	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(client, &challenge, keys.device));
	plugin_unload(plugin);
}

void challenges_across_reloads(void)
{
	static const char *const configs[] = {"ace.toml", "broken.toml", "absent.toml", NULL, "open.toml"};
	struct plugin *plugin = plugin_load("ace.toml");

	for (size_t number = 0; number < sizeof(configs) / sizeof(configs[0]); number++) {
		struct mosquitto *client = client_connects(plugin, number, "client");
		const struct answer challenge = start_challenge(client, tokens.device);

		reload(plugin, configs[number]);
		REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(client, &challenge, keys.device));
		tick(plugin);
		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 0));
		disconnect(client, 0);
	}
	plugin_unload(plugin);
}
