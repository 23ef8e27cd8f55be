/* The broker of 2.1 tells of a Will when its client has just been let in, and tells of it again when its delay begins. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

/* Lets a client in, has the broker tell of its Will, and lets one turn pass: how often the client was kicked then. */
static int kicks_for(struct plugin *plugin, size_t number, const char *topic)
{
	struct mosquitto *client = client_connects(plugin, number, "client");

	admit(client, tokens.device, keys.device);
	client->will = topic;
	will_set(plugin, "client", topic);
	tick(plugin);
	return client->kicks;
}

static void within_and_outside(struct plugin *plugin)
{
	static const char *const allowed[] = {"dev/will", "dev", "hello/will"};
	char *long_topic = take(65536);
	const char *const denied[] = {"other/will", "", "#", "\xff\xfe", "$SYS/dev", long_topic};

	memset(long_topic, '/', 65535);
	long_topic[65535] = '\0';
	for (size_t number = 0; number < sizeof(allowed) / sizeof(allowed[0]); number++) {
		REQUIRE(kicks_for(plugin, 0, allowed[number]) == 0, "kicked for a Will for %s", allowed[number]);
		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client_at(0), ACE_ACL_WRITE, "dev/a", 1));
		disconnect(client_at(0), -1);
		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client_at(0), ACE_ACL_WRITE, allowed[number], 1));
	}
	REQUIRE(!log_has("set a Will"), "the log complains of Wills that are allowed");
	for (size_t number = 0; number < sizeof(denied) / sizeof(denied[0]); number++) {
		const int before = log_count("set a Will");

		REQUIRE(kicks_for(plugin, 1, denied[number]) == 1, "not kicked for a Will outside the scope, number %zu", number);
		REQUIRE(!client_at(1)->connected, "the client stays");
		REQUIRE(client_at(1)->will_verdict == ACE_ERR_ACL_DENIED, "the Will is sent");
		REQUIRE(log_count("set a Will") == before + 1, "%d lines", log_count("set a Will") - before);
	}
	free(long_topic);
}

static void of_nobody(struct plugin *plugin)
{
	char id[] = "client", topic[] = "other/will";
	struct mosquitto *client = client_connects(plugin, 0, id);
	struct ace_evt_persist_will_msg event = {.topic = topic};

	admit(client, tokens.device, keys.device);
	/* An id that nobody has; none; and a Will without a topic. */
	will_set(plugin, "nobody", topic);
	REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_PERSIST_WILL_ADD, NULL, &event));
	event = (struct ace_evt_persist_will_msg){.clientid = id};
	REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_PERSIST_WILL_ADD, client, &event));
	event = (struct ace_evt_persist_will_msg){0};
	REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_PERSIST_WILL_ADD, NULL, &event));
	/* Somebody whom the broker knows, and the plugin does not; somebody whose challenge is open. */
	(void)client_connects(plugin, 1, "stranger");
	will_set(plugin, "stranger", topic);
	start_challenge(client_connects(plugin, 2, "challenged"), tokens.device);
	will_set(plugin, "challenged", topic);
	tick(plugin);
	for (size_t number = 0; number < 3; number++) {
		REQUIRE(client_at(number)->kicks == 0, "client %zu was kicked", number);
	}
	/* Somebody gives the client another name: then it is not the one that we know. */
	client = client_connects(plugin, 0, id);
	admit(client, tokens.device, keys.device);
	client->user_name[0] = 'X';
	will_set(plugin, id, topic);
	tick(plugin);
	REQUIRE(client->kicks == 0, "kicked under another name");
}

static void too_late(struct plugin *plugin)
{
	struct mosquitto *client;

	/* Gone before the broker tells, with a session that stays and without. */
	for (int persistent = 0; persistent < 2; persistent++) {
		client = client_connects(plugin, 0, "gone");
		client->persistent = persistent == 1;
		admit(client, tokens.device, keys.device);
		disconnect(client, -1);
		will_set(plugin, "gone", "other/will");
		tick(plugin);
		REQUIRE(client->kicks == 0, "kicked after its end");
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "other/will", 1));
		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/will", 1));
	}
	/* Gone after it, and somebody else at its address by the next turn. */
	client = client_connects(plugin, 0, "gone");
	admit(client, tokens.device, keys.device);
	will_set(plugin, "gone", "other/will");
	disconnect(client, -1);
	client = client_connects(plugin, 0, "innocent");
	admit(client, tokens.device, keys.device);
	tick(plugin);
	REQUIRE(client->kicks == 0, "kicked for somebody else's Will");
	/* The id is somebody else's by now. */
	client = client_connects(plugin, 0, "twice");
	admit(client, tokens.less, keys.device);
	client->connected = false;
	client = client_connects(plugin, 1, "twice");
	admit(client, tokens.device, keys.device);
	will_set(plugin, "twice", "dev/will");
	tick(plugin);
	REQUIRE(client->kicks == 0, "kicked by the scope of a client that has gone");
	/* Told in a later turn, it is the Will of one that has been judged; told twice, it is one ending. */
	client = client_connects(plugin, 0, "client");
	admit(client, tokens.device, keys.device);
	tick(plugin);
	will_set(plugin, "client", "other/will");
	tick(plugin);
	REQUIRE(client->kicks == 0, "kicked in a later turn");
	client = client_connects(plugin, 0, "client");
	admit(client, tokens.device, keys.device);
	log_clear();
	will_set(plugin, "client", "other/will");
	will_set(plugin, "client", "other/will");
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	tick(plugin);
	tick(plugin);
	REQUIRE(client->kicks == 1 && log_count("set a Will") == 1, "kicked %d times", client->kicks);
}

void wills_told_of(void)
{
	struct plugin *plugin = plugin_load("ace.toml");

	/* 2.0 tells of none: the plugin asks in vain, and does not mind. */
	REQUIRE((plugin->registration->callbacks[ACE_EVT_PERSIST_WILL_ADD].function != NULL) == broker_is_2_1, "Wills");
	if (broker_is_2_1) {
		within_and_outside(plugin);
		of_nobody(plugin);
		too_late(plugin);
	}
	plugin_unload(plugin);
}

void wills_of_other_kinds(void)
{
	struct plugin *plugin = plugin_load("open.toml");
	struct mosquitto *anonymous = client_connects(plugin, 0, "anonymous");
	struct mosquitto *foreign = client_connects(plugin, 1, "foreign");
	struct mosquitto *greeting = client_connects(plugin, 2, "greeting");

	if (broker_is_2_1) {
		REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(anonymous, NULL, NULL, 0));
		will_set(plugin, "anonymous", "dev/will");
		REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, basic_auth(foreign, "alice", "password", 8));
		will_set(plugin, "foreign", "dev/will");
		REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(greeting, NULL, NULL, 0));
		will_set(plugin, "greeting", "hello/will");
		tick(plugin);
		REQUIRE(anonymous->kicks == 1, "the anonymous may have any Will");
		REQUIRE(foreign->kicks == 0, "kicked for what others judge");
		REQUIRE(greeting->kicks == 0, "kicked for what is open to all");
	}
	plugin_unload(plugin);
}
