/* Loading: the interface's version, options, events that are not offered, once more and twice at once. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

void loading_versions(void)
{
	static const struct {
		int count;
		int versions[6];
		int expected;
	} lists[] = {
		{1, {5}, 5},
		{4, {5, 4, 3, 2}, 5},
		{6, {2, 3, 4, 5, 6, 7}, 5},
		{3, {5, 5, 5}, 5},
		{3, {2, 3, 4}, -1},
		{2, {6, 7}, -1},
		{2, {-5, 0}, -1},
		{0, {5}, -1},
		{-1, {5}, -1},
	};
	struct plugin *plugin = plugin_open();

	for (size_t number = 0; number < sizeof(lists) / sizeof(lists[0]); number++) {
		const size_t count = lists[number].count > 0 ? (size_t)lists[number].count : 0;
		int *versions = copy_bytes(lists[number].versions, count * sizeof(int));
		const int version = plugin->version(lists[number].count, versions);

		REQUIRE(version == lists[number].expected, "list %zu gives %d", number, version);
		free(versions);
	}
	REQUIRE_CODE(-1, plugin->version(0, NULL));
	REQUIRE_CODE(-1, plugin->version(5, NULL));
	plugin_unload(plugin);
}

/* Starting must fail, and the log say why. */
static void require_refused(struct ace_opt *options, int count, const char *reason)
{
	struct plugin *plugin = plugin_open();

	log_clear();
	REQUIRE_CODE(ACE_ERR_INVAL, plugin_init(plugin, options, count));
	REQUIRE(log_has(reason), "the log does not say: %s", reason);
	plugin_unload(plugin);
}

void loading_bad_options(void)
{
	char *good = plugin_file("ace.toml"), *broken = plugin_file("broken.toml"), *absent = plugin_file("absent.toml");
	struct plugin *plugin;
	const char *reason = "plugin_opt_config_file";

	require_refused(NULL, 0, reason);
	require_refused(NULL, 3, reason);
	{
		struct ace_opt options[] = {option("config_file", good)};

		require_refused(options, 0, reason);
		require_refused(options, -1, reason);
		options_free(options, 1);
	}
	{
		const char *const values[][2] = {
			{"", reason},
			{broken, "broken.toml"},
			{absent, "absent.toml"},
			{plugin_folder, plugin_folder},
		};

		for (size_t number = 0; number < sizeof(values) / sizeof(values[0]); number++) {
			struct ace_opt options[] = {option("config_file", values[number][0])};

			require_refused(options, 1, values[number][1]);
			options_free(options, 1);
		}
	}
	{
		struct ace_opt options[] = {option("config_file", good), option("colour", "red")};

		require_refused(options, 2, "plugin_opt_colour is unknown");
		options_free(options, 2);
	}
	{
		struct ace_opt options[] = {option("config_file", NULL), option(NULL, good), option(NULL, NULL)};

		require_refused(options, 3, reason);
		options_free(options, 3);
	}
	{
		struct ace_opt options[] = {option("\xff\xfe", "\xff")};

		require_refused(options, 1, "is unknown");
		options_free(options, 1);
	}
	{
		/* Given twice, the first counts; what has no value does not. */
		struct ace_opt options[] = {option("config_file", NULL), option("config_file", good),
		                            option("config_file", broken)};

		plugin = plugin_open();
		REQUIRE_CODE(ACE_ERR_SUCCESS, plugin_init(plugin, options, 3));
		options_free(options, 3);
		tick(plugin);
		plugin_unload(plugin);
	}
	/* Nowhere to put the state. */
	plugin = plugin_open();
	REQUIRE_CODE(ACE_ERR_INVAL, plugin->init(plugin->registration, NULL, NULL, 0));
	plugin_unload(plugin);
	free(good);
	free(broken);
	free(absent);
}

void loading_refused_events(void)
{
	static const int required[] = {ACE_EVT_RELOAD, ACE_EVT_ACL_CHECK, ACE_EVT_BASIC_AUTH, ACE_EVT_EXT_AUTH_START,
	                               ACE_EVT_EXT_AUTH_CONTINUE, ACE_EVT_MESSAGE, ACE_EVT_TICK, ACE_EVT_DISCONNECT};
	char *path = plugin_file("ace.toml");
	struct ace_opt options[] = {option("config_file", path)};

	for (size_t number = 0; number < sizeof(required) / sizeof(required[0]); number++) {
		struct plugin *plugin = plugin_open();

		behaviour.refused_event = required[number];
		REQUIRE_CODE(ACE_ERR_NOT_SUPPORTED, plugin_init(plugin, options, 1));
		REQUIRE(log_has("does not offer event"), "the log does not say which event");
		/* The same one, asked again by a broker that has thought better of it. */
		behaviour.refused_event = 0;
		REQUIRE_CODE(ACE_ERR_SUCCESS, plugin_init(plugin, options, 1));
		plugin_unload(plugin);
	}
	/* The plugin can do without these; that there are no Wills, as with a broker that has persistence, it says. */
	for (int optional = ACE_EVT_CLIENT_OFFLINE; optional <= ACE_EVT_PERSIST_WILL_ADD; optional++) {
		struct plugin *plugin = plugin_open();
		const bool told = broker_is_2_1 && optional == ACE_EVT_PERSIST_WILL_ADD;

		log_clear();
		behaviour.refused_event = optional;
		REQUIRE_CODE(ACE_ERR_SUCCESS, plugin_init(plugin, options, 1));
		REQUIRE(log_has("does not tell of Wills") == told, "event %d", optional);
		plugin_unload(plugin);
		behaviour.refused_event = 0;
	}
	/* Nor does it need commands: another of its kind may have taken the topic. */
	{
		struct plugin *plugin = plugin_open();

		behaviour.refused_event = ACE_EVT_CONTROL;
		REQUIRE_CODE(ACE_ERR_SUCCESS, plugin_init(plugin, options, 1));
		REQUIRE(log_has("another plugin has taken the topic for commands"), "the log does not tell");
		behaviour.refused_event = 0;
		plugin_unload(plugin);
	}
	options_free(options, 1);
	free(path);
}

void loading_again_and_again(void)
{
	for (int round = 0; round < 3; round++) {
		struct plugin *plugin = plugin_load("ace.toml");
		struct mosquitto *client = client_connects(plugin, 0, "client");

		/* Nothing is left of the round before, although the client is at the same address. */
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
		admit(client, tokens.device, keys.device);
		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
		tick(plugin);
		plugin_unload(plugin);
	}
}

void loading_twice_at_once(void)
{
	/* Opened twice, it is the same object in memory; ended once, it must go on for the other. */
	struct plugin *first = plugin_open(), *second = plugin_load("ace.toml");
	struct mosquitto *client;

	REQUIRE(first->init == second->init, "two copies of one object");
	plugin_unload(first);
	client = client_connects(second, 0, "client");
	admit_bearer(client);
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_READ, "dev/a", 0));
	plugin_unload(second);
}
