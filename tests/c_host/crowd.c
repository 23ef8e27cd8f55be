/* A thousand clients: let in, asked about after a reload in the middle, and there when the plugin is ended and loaded again. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "clock.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

enum { CROWD = 1000, WAYS = 4 };

/* The last of the ways is with a token that ends in ten minutes. */
static bool is_brief(size_t number)
{
	return number % WAYS == WAYS - 1;
}

static void enter(struct plugin *plugin, size_t number)
{
	struct mosquitto *client;
	char id[32];

	snprintf(id, sizeof(id), "member-%zu", number);
	client = client_connects(plugin, number, id);
	client->persistent = number % 3 == 0;
	client->subscription = "dev/#";
	client->will = number % 5 == 0 ? "dev/will" : NULL;
	if (is_brief(number)) {
		REQUIRE_CODE(ACE_ERR_SUCCESS, start_with(client, tokens.brief_bearer, NULL, 0, NULL));
	} else if (number % WAYS == 0) {
		admit(client, tokens.device, keys.device);
	} else if (number % WAYS == 1) {
		admit(client, tokens.hidden, keys.hidden);
	} else {
		admit_bearer(client);
	}
	if (broker_is_2_1 && client->will != NULL) {
		will_set(plugin, id, client->will);
	}
}

/* Each may do what its token says, and no more. */
static void require_served(size_t from, size_t to)
{
	for (size_t number = from; number < to; number++) {
		struct mosquitto *client = client_at(number);

		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_READ, "dev/a", 0));
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "elsewhere", 1));
		REQUIRE(client->kicks == 0, "client %zu was kicked", number);
	}
}

/* A plugin that has just been loaded knows nobody, whoever is connected. */
static void require_unknown(struct plugin *plugin)
{
	for (size_t number = 0; number < CROWD; number++) {
		client_at(number)->plugin = plugin;
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client_at(number), ACE_ACL_WRITE, "dev/a", 1));
	}
}

/* As Mosquitto does: new options, then each connected client, by the name that it has. */
static void reload_and_ask(struct plugin *plugin, const char *config, size_t to)
{
	reload(plugin, config);
	for (size_t number = 0; number < to; number++) {
		char *user_name = copy_text(client_at(number)->user_name);

		REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(client_at(number), user_name, NULL, 0));
		free(user_name);
	}
	tick(plugin);
}

void crowd_through_reload_and_unload(void)
{
	struct plugin *plugin = plugin_load("state.toml");

	for (size_t number = 0; number < CROWD / 2; number++) {
		enter(plugin, number);
	}
	/* Some in the middle of a challenge. */
	start_challenge(client_connects(plugin, CROWD, "challenged"), tokens.device);
	reload_and_ask(plugin, "state.toml", CROWD / 2);
	reload_and_ask(plugin, "broken.toml", CROWD / 2);
	for (size_t number = CROWD / 2; number < CROWD; number++) {
		enter(plugin, number);
	}
	require_served(0, CROWD);
	tick(plugin);
	/* With all of them connected. */
	plugin_unload(plugin);

	/* The addresses, ids and names are all there still, and mean nothing. */
	log_clear();
	plugin = plugin_load("state.toml");
	require_unknown(plugin);
	tick(plugin);
	for (size_t number = 0; number < CROWD; number++) {
		enter(plugin, number);
	}
	require_served(0, CROWD);
	/* Some leave, some expire all at once, the others stay to the end. */
	for (size_t number = 0; number < CROWD; number += 10) {
		disconnect(client_at(number), 0);
	}
	clock_set_ahead(11 * 60);
	tick(plugin);
	for (size_t number = 0; number < CROWD; number++) {
		const bool expired = is_brief(number) && number % 10 != 0;

		REQUIRE(client_at(number)->kicks == (expired ? 1 : 0), "client %zu was kicked %d times", number,
		        client_at(number)->kicks);
	}
	reload(plugin, "state.toml");
	plugin_unload(plugin);

	plugin = plugin_load("state.toml");
	require_unknown(plugin);
	plugin_unload(plugin);
}
