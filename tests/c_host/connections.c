/* Clients that come, go, return, and follow one another at the same address. */
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "clock.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

void connections_wills(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");

	/* The broker asks about the Will after it has told of the end. */
	admit(client, tokens.device, keys.device);
	disconnect(client, -1);
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/will", 1));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "other/will", 1));
	disconnect(client, -1);
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/will", 1));
	/* A persistent one, with messages queued meanwhile. */
	client = client_connects(plugin, 1, "persistent");
	client->persistent = true;
	admit(client, tokens.device, keys.device);
	disconnect(client, -1);
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_READ, "dev/a", 1));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_READ, "other", 1));
	/* A Will of somebody who was refused, and of somebody whose challenge was open. */
	client = client_connects(plugin, 2, "refused");
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.forged, NULL, 0, NULL));
	disconnect(client, -1);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/will", 1));
	start_challenge(client, tokens.device);
	disconnect(client, -1);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/will", 1));
	plugin_unload(plugin);
}

void connections_addresses_reused(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "first");

	admit(client, tokens.device, keys.device);
	/* Another id, untold: with no name, with the first one's name, with its own. */
	client = client_connects(plugin, 0, "second");
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	client->user_name = copy_text("device");
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	disconnect(client, 0);
	/* The first id again, but by somebody who is not let in yet. */
	client = client_connects(plugin, 0, "first");
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	/* The same id, with less. */
	admit(client, tokens.device, keys.device);
	client = client_connects(plugin, 0, "first");
	admit(client, tokens.less, keys.device);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "less/a", 1));
	/* The end of one of another id does not end this one. */
	{
		struct mosquitto *same_id = client_connects(plugin, 1, "first");

		admit(same_id, tokens.device, keys.device);
		disconnect(same_id, 0);
		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "less/a", 1));
	}
	/* An expiry does not touch whoever has the address by then, whether the broker has told of the end or not. */
	for (size_t number = 2; number < 5; number++) {
		client = client_connects(plugin, number, "brief");
		admit(client, tokens.brief, keys.device);
		if (number != 3) {
			disconnect(client, 0);
		}
		client = client_connects(plugin, number, number == 4 ? "brief" : "lasting");
		admit(client, tokens.device, keys.device);
	}
	clock_set_ahead(11 * 60);
	tick(plugin);
	for (size_t number = 2; number < 5; number++) {
		client = client_at(number);
		REQUIRE(client->kicks == 0, "client %zu was kicked for somebody else's token", number);
		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	}
	plugin_unload(plugin);
}

void connections_reauthentication(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	struct answer challenge;
	unsigned char proof[MAC_BYTES] = {1};

	admit(client, tokens.brief, keys.device);
	/* With less: at once and whole. */
	admit(client, tokens.less, keys.device);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_READ, "dev/a", 1));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_READ, "less/a", 1));
	/* The new token's end counts. */
	clock_set_ahead(11 * 60);
	tick(plugin);
	REQUIRE(client->kicks == 0, "kicked for the token before");
	clock_set_ahead(0);
	/* What is refused leaves the session as it was. */
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.device, proof, sizeof(proof), NULL));
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.bearer, NULL, 0, NULL));
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.nobody, NULL, 0, NULL));
	challenge = start_challenge(client, tokens.other);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenge, keys.device));
	REQUIRE(log_has("identity-changed"), "the log does not say that the identity has changed");
	challenge = start_challenge(client, tokens.device);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenge, keys.hidden));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_READ, "less/a", 1));

	/* Begun while connected, answered after the end. */
	challenge = start_challenge(client, tokens.device);
	disconnect(client, 0);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenge, keys.device));
	/* Begun after the end, by a client that still has the name from before. */
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.device, NULL, 0, NULL));
	/* Begun while connected; somebody else is at the address when the answer comes, admitted in between. */
	client = client_connects(plugin, 1, "client");
	admit(client, tokens.device, keys.device);
	challenge = start_challenge(client, tokens.less);
	client = client_connects(plugin, 1, "other");
	admit(client, tokens.hidden, keys.hidden);
	REQUIRE_CODE(ACE_ERR_AUTH_CONTINUE, answer_rightly(client, &challenge, keys.device));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_READ, "less/a", 1));
	tick(plugin);
	REQUIRE(client->kicks == 1, "a stray answer is not followed by the end");
	/* A session that is ending cannot be renewed out of it. */
	client = client_connects(plugin, 2, "client");
	admit(client, tokens.device, keys.device);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "elsewhere", 0));
	challenge = start_challenge(client, tokens.less);
	tick(plugin);
	REQUIRE(client->kicks == 1, "kicked %d times", client->kicks);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenge, keys.device));
	plugin_unload(plugin);
}

void connections_user_name_refused(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	struct answer challenge;

	behaviour.refuses_user_names = true;
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.bearer, NULL, 0, NULL));
	challenge = start_challenge(client, tokens.device);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenge, keys.device));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	behaviour.refuses_user_names = false;
	/* Without a subject, the name is the key's or the token's. */
	REQUIRE_CODE(ACE_ERR_SUCCESS, start_with(client, tokens.nobody, NULL, 0, NULL));
	REQUIRE(strncmp(client->user_name, "ace-token-", 10) == 0, "the user name is %s", client->user_name);
	/* Somebody else gives it another name: then it is not the client that we know. */
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	client->user_name[0] = 'X';
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	plugin_unload(plugin);
}

void connections_of_other_kinds(void)
{
	struct plugin *plugin = plugin_load("open.toml");
	struct mosquitto *anonymous = client_connects(plugin, 0, "anonymous");
	struct mosquitto *foreign = client_connects(plugin, 1, "foreign");

	REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(anonymous, NULL, NULL, 0));
	REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, basic_auth(foreign, "alice", "password", 8));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(anonymous, ACE_ACL_READ, "hello/a", 0));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(anonymous, ACE_ACL_READ, "dev/a", 0));
	REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, acl_check(foreign, ACE_ACL_READ, "dev/a", 0));
	/* Neither may become somebody with a token while it is connected. */
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(anonymous, tokens.bearer, NULL, 0, NULL));
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(foreign, tokens.bearer, NULL, 0, NULL));
	/* Asked about again after a reload; then other rules hold, and they do not pass. */
	reload(plugin, "open.toml");
	REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(anonymous, NULL, NULL, 0));
	REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, basic_auth(foreign, "alice", NULL, 0));
	reload(plugin, "ace.toml");
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(anonymous, NULL, NULL, 0));
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(foreign, "alice", NULL, 0));
	disconnect(anonymous, 0);
	disconnect(foreign, 0);
	tick(plugin);
	plugin_unload(plugin);
}

/* What the host knows of a client that comes and goes. */
enum stage { NOBODY, CHALLENGED, LET_IN, GONE };

static uint32_t chance(uint32_t below)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(state >> 33) % below;
}

void connections_coming_and_going(void)
{
	enum { ADDRESSES = 48, STEPS = 3000 };
	struct plugin *plugin = plugin_load("open.toml");
	enum stage stages[ADDRESSES] = {NOBODY};
	struct answer challenges[ADDRESSES];
	char id[32];
	unsigned let_in = 0;

	for (int step = 0; step < STEPS; step++) {
		const uint32_t number = chance(ADDRESSES);
		struct mosquitto *client = client_at(number);

		switch (stages[number]) {
		case NOBODY:
			snprintf(id, sizeof(id), "client-%u", chance(200));
			client = client_connects(plugin, number, id);
			if (chance(2) == 0) {
				challenges[number] = start_challenge(client, chance(2) == 0 ? tokens.device : tokens.less);
				stages[number] = CHALLENGED;
			} else {
				admit_bearer(client);
				stages[number] = LET_IN;
				let_in++;
			}
			break;
		case CHALLENGED:
			switch (chance(4)) {
			case 0:
				/* Leaves, and the broker says nothing. */
				client_vanishes(client);
				stages[number] = NOBODY;
				break;
			case 1:
				REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenges[number], keys.hidden));
				client_vanishes(client);
				stages[number] = NOBODY;
				break;
			default:
				REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(client, &challenges[number], keys.device));
				stages[number] = LET_IN;
				let_in++;
			}
			break;
		case LET_IN: {
			const bool less = acl_check(client, ACE_ACL_WRITE, "less/a", 1) == ACE_ERR_SUCCESS;

			REQUIRE_CODE(less ? ACE_ERR_ACL_DENIED : ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
			REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "hello/a", 1));
			if (chance(3) == 0) {
				disconnect(client, 0);
				stages[number] = GONE;
			}
			break;
		}
		case GONE:
			/* Its Will, perhaps; then its place is free. */
			if (chance(2) == 0) {
				(void)acl_check(client, ACE_ACL_WRITE, "dev/will", 1);
			}
			client_vanishes(client);
			stages[number] = NOBODY;
			break;
		}
		if (chance(16) == 0) {
			tick(plugin);
		}
	}
	REQUIRE(let_in > 300, "only %u clients were let in", let_in);
	for (uint32_t number = 0; number < ADDRESSES; number++) {
		REQUIRE(client_at(number)->kicks == 0, "a client was kicked for nothing");
	}
	plugin_unload(plugin);
}
