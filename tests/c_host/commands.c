/* Commands, and who may not give any. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

#define ONE(command) "{\"commands\":[{" command "}]}"
#define LIST ONE("\"command\":\"listSessions\"")
#define END(id) ONE("\"command\":\"endSession\",\"clientid\":\"" id "\"")

static void say(struct mosquitto *client, const char *request)
{
	command(client, request, strlen(request));
}

/* Somebody who may command. */
static struct mosquitto *operator_connects(struct plugin *plugin, size_t number, const char *id)
{
	struct mosquitto *client = client_connects(plugin, number, id);

	REQUIRE_CODE(ACE_ERR_SUCCESS, start_with(client, tokens.operator, NULL, 0, NULL));
	return client;
}

void commands_carried_out(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *operator = operator_connects(plugin, 0, "operator"), *client = client_connects(plugin, 1, "client");

	admit(client, tokens.device, keys.device);
	say(operator, LIST);
	REQUIRE(sent.count == 1 && strcmp(sent.client_id, "operator") == 0, "%d answers, to %s", sent.count, sent.client_id);
	REQUIRE(strstr(sent.payload, "\"clientid\":\"client\"") && strstr(sent.payload, "\"clientid\":\"operator\""),
	        "somebody is missing: %s", sent.payload);
	say(operator, END("client"));
	REQUIRE(strstr(sent.payload, "\"ended\":1"), "the answer is %s", sent.payload);
	/* Nothing is allowed to it any more, and it is kicked once the answer must have been sent. */
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	tick(plugin);
	REQUIRE(client->kicks == 0, "kicked before the answer is sent");
	tick(plugin);
	REQUIRE(client->kicks == 1, "kicked %d times", client->kicks);
	say(operator, END("client"));
	REQUIRE(strstr(sent.payload, "session-missing"), "the answer is %s", sent.payload);
	/* Itself, twice in one request, between a reload and a flush. */
	say(operator, "{\"commands\":[{\"command\":\"reloadKeys\"},{\"command\":\"endSubject\",\"subject\":\"operator\","
	              "\"forgetTokens\":true},{\"command\":\"endSession\",\"clientid\":\"operator\"},{\"command\":\"flushCaches\"}]}");
	REQUIRE(strstr(sent.payload, "\"ended\":1") && strstr(sent.payload, "session-missing"), "the answer is %s", sent.payload);
	sent_clear();
	say(operator, LIST);
	REQUIRE(sent.count == 0, "whose session is ending is answered");
	REQUIRE(log_has("session-ending"), "the log does not say why");
	tick(plugin);
	tick(plugin);
	REQUIRE(operator->kicks == 1, "kicked %d times", operator->kicks);
	plugin_unload(plugin);

	/* A broker without memory for an answer. Those who are to be ended are. */
	plugin = plugin_load("ace.toml");
	operator = operator_connects(plugin, 0, "operator");
	behaviour.refuses_messages = true;
	say(operator, END("operator"));
	REQUIRE(log_has("no memory for the answer"), "the log does not tell of the missing answer");
	behaviour.refuses_messages = false;
	/* And it ends before they are. */
	plugin_unload(plugin);
}

void commands_of_others(void)
{
	struct plugin *plugin = plugin_load("open.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");

	/* Somebody whom the plugin has never heard of, such as a bridge. */
	say(client, LIST);
	REQUIRE(log_count("control-without-token") == 1, "the log does not say why");
	/* The anonymous, and those that are left to other plugins. */
	REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(client, NULL, NULL, 0));
	say(client, LIST);
	say(client, LIST);
	REQUIRE(log_count("control-without-token") == 2, "%d lines", log_count("control-without-token"));
	client = client_connects(plugin, 1, "other");
	REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, basic_auth(client, "somebody", "password", 8));
	REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, acl_check(client, ACE_ACL_WRITE, "anything", 1));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, CONTROL_TOPIC, 1));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_SUBSCRIBE, "$share/a/" RESPONSE_TOPIC, 0));
	REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, acl_check(client, ACE_ACL_WRITE, "$CONTROL/dynamic-security/v1", 1));
	say(client, LIST);
	/* With a token, but not for this. */
	client = client_connects(plugin, 2, "device");
	admit(client, tokens.device, keys.device);
	say(client, LIST);
	REQUIRE(log_has("control-outside-scope"), "the log does not say why");
	/* Who has gone, and who has its place. */
	client = operator_connects(plugin, 3, "operator");
	disconnect(client, 0);
	say(client, LIST);
	client = client_connects(plugin, 3, "operator");
	say(client, LIST);
	REQUIRE(sent.count == 0, "%d answers", sent.count);
	plugin_unload(plugin);
}

void commands_nonsense(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *operator = operator_connects(plugin, 0, "operator");
	static const char request[] = ONE("\"command\":\"endSession\",\"clientid\":\"operator\"");
	int answers = 0;

	/* Cut after each byte; and each byte another one. */
	for (size_t length = 0; length < sizeof(request) - 1; length++) {
		char changed[sizeof(request)];

		command(operator, request, length);
		answers++;
		for (int byte = 0; byte < 250; byte += 83) {
			memcpy(changed, request, sizeof(request));
			changed[length] = (char)(request[length] + 1 + byte);
			command(operator, changed, sizeof(request) - 1);
			/* It may have become another client's id, which there is not. */
			REQUIRE(strstr(sent.payload, "\"ended\"") == NULL, "%s: %s", changed, sent.payload);
			answers++;
		}
	}
	{
		const size_t large = 1 << 20;
		char *blanks = take(large);

		memset(blanks, ' ', large);
		command(operator, blanks, large);
		REQUIRE(strstr(sent.payload, "request-too-large"), "the answer is %s", sent.payload);
		memset(blanks, '[', large);
		command(operator, blanks, 60000);
		REQUIRE(strstr(sent.payload, "request-malformed"), "the answer is %s", sent.payload);
		answers += 2;
		free(blanks);
	}
	REQUIRE(sent.count == answers, "%d answers to %d requests", sent.count, answers);
	REQUIRE(!log_has("ace: command of"), "something has been done");
	/* No event at all. */
	{
		struct ace_evt_control event = {0};

		REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_CONTROL, NULL, &event));
		REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_CONTROL, NULL, NULL));
	}
	plugin_unload(plugin);
}

void commands_to_an_id_that_is_taken(void)
{
	struct plugin *plugin = plugin_load("open.toml");
	struct mosquitto *operator = operator_connects(plugin, 0, "shared"), *other = client_connects(plugin, 1, "shared");

	say(operator, LIST);
	/* The broker would give the answer to whoever has the id. */
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(other, tokens.bearer, NULL, 0, NULL));
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(other, NULL, NULL, 0));
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(other, "somebody", "password", 8));
	REQUIRE(log_count("client-id-busy") == 3, "the log does not say why");
	/* Who might have asked itself may have it; and another id is not concerned. */
	operator_connects(plugin, 1, "shared");
	admit_bearer(client_connects(plugin, 2, "another"));
	tick(plugin);
	admit_bearer(client_connects(plugin, 3, "shared"));
	plugin_unload(plugin);
}
