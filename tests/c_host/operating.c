/* What an operator does: reloads, several listeners, stops, starts again, a state folder. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

#define STATE_FILE "state/publishers.json"

void operating_reloads(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	struct mosquitto *other = client_connects(plugin, 1, "other");

	admit(client, tokens.device, keys.device);
	reload(plugin, "broken.toml");
	REQUIRE(log_has("the old one stays in force"), "the log does not tell of the broken file");
	/* The broker asks about each connected client, by the name that we gave it. */
	REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(client, "device", NULL, 0));
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(other, "device", NULL, 0));
	tick(plugin);
	/* After that turn, it would be somebody who connects. */
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, "device", NULL, 0));
	reload(plugin, "absent.toml");
	/* Without options it is the path from before, which does not exist yet. */
	reload(plugin, NULL);
	plugin_write("absent.toml", "colour = \"red\"\n");
	reload(plugin, NULL);
	REQUIRE(log_has("colour"), "the log does not tell of the unknown key");
	{
		char *path = plugin_file("absent.toml");

		REQUIRE(unlink(path) == 0, "%s stays", path);
		free(path);
	}
	/* An option that there is not. */
	{
		struct ace_opt options[] = {option("colour", "red")};
		struct ace_evt_reload event = {.options = options, .option_count = 1};

		REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_RELOAD, NULL, &event));
		/* A count without options. */
		event.options = NULL;
		event.option_count = 5;
		REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_RELOAD, NULL, &event));
		options_free(options, 1);
	}
	/* Bearer tokens are off in this one; who is in stays in. */
	other = client_connects(plugin, 1, "other");
	admit_bearer(other);
	reload(plugin, "strict.toml");
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(other, ACE_ACL_WRITE, "dev/a", 0));
	other = client_connects(plugin, 2, "third");
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(other, tokens.bearer, NULL, 0, NULL));
	for (int round = 0; round < 20; round++) {
		reload(plugin, round % 2 == 0 ? "ace.toml" : "open.toml");
	}
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client_at(1), ACE_ACL_WRITE, "dev/a", 0));
	plugin_unload(plugin);
}

void operating_instances(void)
{
	/* One plugin for each listener, as with per_listener_settings. */
	struct plugin *first = plugin_load("state.toml"), *second = plugin_load("state.toml"), *third;
	struct mosquitto *one = client_connects(first, 0, "one"), *two = client_connects(second, 1, "two");
	const struct answer challenge = start_challenge(two, tokens.device);

	REQUIRE(first->userdata != second->userdata, "two instances with one state");
	admit(one, tokens.device, keys.device);
	/* A challenge, or a session, of one is nothing to the other. */
	two->plugin = first;
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(two, &challenge, keys.device));
	two->plugin = second;
	one->plugin = second;
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(one, ACE_ACL_WRITE, "dev/a", 0));
	one->plugin = first;
	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(two, &challenge, keys.device));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(two, ACE_ACL_WRITE, "dev/a", 0));
	/* Each ends its own. */
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(one, ACE_ACL_WRITE, "elsewhere", 0));
	tick(second);
	REQUIRE(one->kicks == 0, "kicked by the other instance");
	tick(first);
	REQUIRE(one->kicks == 1 && two->kicks == 0, "kicked %d and %d times", one->kicks, two->kicks);
	/* The one that came first goes first; a third comes; both go on with the folder. */
	plugin_unload(first);
	third = plugin_load("state.toml");
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(two, ACE_ACL_WRITE, "dev/a", 0));
	one = client_connects(third, 2, "three");
	admit(one, tokens.hidden, keys.hidden);
	plugin_unload(second);
	plugin_unload(third);
	{
		char *state = plugin_read(STATE_FILE);

		REQUIRE(strstr(state, "\"one\"") && strstr(state, "\"two\"") && strstr(state, "\"three\""),
		        "somebody is missing: %s", state);
		free(state);
	}
}

void operating_cleanup_in_the_middle(void)
{
	for (int round = 0; round < 2; round++) {
		struct plugin *plugin = plugin_load("state.toml");
		char id[32];

		for (size_t number = 0; number < 300; number++) {
			struct mosquitto *client;

			snprintf(id, sizeof(id), "client-%zu", number);
			client = client_connects(plugin, number, id);
			switch (number % 5) {
			case 0:
				start_challenge(client, tokens.device);
				break;
			case 1:
				admit_bearer(client);
				(void)acl_check(client, ACE_ACL_WRITE, "elsewhere", 0);
				break;
			case 2:
				admit(client, tokens.hidden, keys.hidden);
				start_challenge(client, tokens.hidden);
				break;
			case 3:
				admit_bearer(client);
				disconnect(client, 0);
				break;
			default:
				admit_bearer(client);
			}
		}
		if (round == 1) {
			reload(plugin, "broken.toml");
		}
		/* Sessions, endings and challenges are open, and the writer has not yet written. */
		plugin_unload(plugin);
		/* What was handed to it is written all the same. */
		{
			char *state = plugin_read(STATE_FILE);

			REQUIRE(strstr(state, "\"client-299\"") && strstr(state, "\"client-1\""), "records are missing");
			REQUIRE(strstr(state, "\"client-0\"") == NULL, "a client that was only challenged is remembered");
			free(state);
		}
	}
	/* Never started. */
	plugin_unload(plugin_open());
}

/* The publisher of a retained message, as the broker makes it up to ask about. */
static struct mosquitto *publisher(struct plugin *plugin, size_t number, const char *id, const char *user_name)
{
	struct mosquitto *client = client_connects(plugin, number, id);

	free(client->address);
	client->address = NULL;
	client->user_name = copy_text(user_name);
	return client;
}

void operating_state(void)
{
	struct plugin *plugin = plugin_load("state.toml");
	struct mosquitto *client = client_connects(plugin, 0, "keeper");
	char *path = plugin_file(STATE_FILE);
	struct stat found;

	admit(client, tokens.device, keys.device);
	plugin_unload(plugin);
	REQUIRE(stat(path, &found) == 0 && (found.st_mode & 0777) == 0600, "%s may be read by others", path);
	free(path);

	plugin = plugin_load("state.toml");
	client = publisher(plugin, 1, "keeper", "device");
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "other", 1));
	/* The same client, whose session the broker has from before: it may have messages queued, and no more. */
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_READ, "dev/a", 1));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_READ, "other", 1));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_SUBSCRIBE, "dev/a", 1));
	client = publisher(plugin, 2, "keeper", "somebody");
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	client = publisher(plugin, 3, "keeper", NULL);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	client = publisher(plugin, 4, NULL, "device");
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	/* Somebody who merely has the id and the name, but is there. */
	client = client_connects(plugin, 5, "keeper");
	client->user_name = copy_text("device");
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	plugin_unload(plugin);
}

void operating_state_damaged(void)
{
	static const char *const contents[] = {"", "{", "[]", "\xff\xfe", "{\"version\":99,\"publishers\":[]}",
	                                       "{\"version\":1,\"publishers\":[{}]}"};

	/* None at all, as on the first start. */
	{
		char *path = plugin_file(STATE_FILE);

		REQUIRE(unlink(path) == 0, "%s stays", path);
		free(path);
		plugin_unload(plugin_load("state.toml"));
		REQUIRE(log_has("publishers.json: there is no such file yet"), "the log does not tell that it is missing");
		log_clear();
	}
	for (size_t number = 0; number < sizeof(contents) / sizeof(contents[0]); number++) {
		struct plugin *plugin;

		plugin_write(STATE_FILE, contents[number]);
		plugin = plugin_load("state.toml");
		REQUIRE(log_has("publishers.json"), "the log does not tell of the damage");
		admit_bearer(client_connects(plugin, 0, "client"));
		plugin_unload(plugin);
		log_clear();
	}
	/* Records that are well-formed and wrong. */
	{
		struct plugin *plugin;

		plugin_write(STATE_FILE, "{\"version\":1,\"publishers\":["
		             "{\"client_id\":\"a\",\"user_name\":\"b\\u0000c\",\"expires\":null,\"scope\":[]},"
		             "{\"client_id\":\"a\\u0000\",\"user_name\":\"b\",\"expires\":18446744073709551615,\"scope\":[]},"
		             "{\"client_id\":\"keeper\",\"user_name\":\"device\",\"expires\":null,\"scope\":[[\"a/#/b\",[\"pub\"]]]},"
		             "{\"client_id\":\"keeper\",\"user_name\":\"device\",\"expires\":null,\"scope\":7}]}");
		plugin = plugin_load("state.toml");
		REQUIRE_CODE(ACE_ERR_ACL_DENIED,
		             acl_check(publisher(plugin, 1, "keeper", "device"), ACE_ACL_WRITE, "a/b", 1));
		plugin_unload(plugin);
	}
}
