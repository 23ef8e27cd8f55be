/* The topic that takes tokens: payloads are read within their bounds, and messages emptied without losing memory. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

#define TOPIC "authz-info"

/* A PUBLISH as the broker handles it: asks whether it may be, and if so, hands the message over. Gives the first answer, and
 * whether the message was emptied. The topic's and the payload's memory end with their last byte. */
static int publish(struct mosquitto *client, const char *topic, const void *payload, size_t bytes, uint8_t qos,
                   bool *emptied)
{
	char *name = copy_text(topic);
	void *content = bytes > 0 ? copy_bytes(payload, bytes) : NULL;
	struct ace_evt_acl_check check = {.client = client, .topic = name, .payload = content,
	                                  .payloadlen = (uint32_t)bytes, .access = ACE_ACL_WRITE, .qos = qos,
	                                  .retain = true};
	struct ace_evt_message message = {.client = client, .topic = name, .payload = content,
	                                  .payloadlen = (uint32_t)bytes, .qos = qos, .retain = true};
	const int code = raise_event(client->plugin, ACE_EVT_ACL_CHECK, client, &check);

	*emptied = false;
	REQUIRE(strcmp(name, topic) == 0, "the check changed the topic");
	if (code == ACE_ERR_SUCCESS) {
		REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(client->plugin, ACE_EVT_MESSAGE, client, &message));
		REQUIRE(message.topic == name, "the topic is elsewhere, and 2.0.11 would not free the old one");
		REQUIRE(strlen(name) == strlen(topic), "another length");
		if (message.payload != content || strcmp(name, topic) != 0) {
			REQUIRE(message.payload == NULL && message.payloadlen == 0 && !message.retain, "half emptied");
			REQUIRE(name[0] == '$' && strcmp(name, topic) != 0, "\"%s\"", name);
			*emptied = true;
		} else {
			REQUIRE(message.payloadlen == bytes && message.retain, "changed without need");
		}
		REQUIRE(message.qos == qos && message.properties == NULL && message.reason_string == NULL, "changed more");
	}
	free(content);
	free(name);
	return code;
}

void authz_info_messages(void)
{
	struct plugin *plugin = plugin_load("tokens.toml");
	struct mosquitto *anonymous = client_connects(plugin, 0, "anonymous");
	struct mosquitto *stranger = client_connects(plugin, 1, "stranger");
	struct mosquitto *device = client_connects(plugin, 2, "device");
	const size_t bytes = strlen(tokens.device);
	bool emptied;

	/* Nothing but this topic, not even what is public. */
	REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(anonymous, NULL, NULL, 0));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(anonymous, "hello/a", "x", 1, 1, &emptied));
	admit(device, tokens.device, keys.device);
	for (uint8_t qos = 0; qos <= 2; qos++) {
		REQUIRE_CODE(ACE_ERR_SUCCESS, publish(anonymous, TOPIC, tokens.device, bytes, qos, &emptied));
		REQUIRE(emptied, "a token goes on");
		REQUIRE_CODE(ACE_ERR_SUCCESS, publish(stranger, TOPIC, tokens.less, strlen(tokens.less), qos, &emptied));
		REQUIRE(emptied, "a token goes on");
		REQUIRE_CODE(ACE_ERR_SUCCESS, publish(device, TOPIC, tokens.hidden, strlen(tokens.hidden), qos, &emptied));
		REQUIRE(emptied, "a token goes on");
	}
	/* Of the same length, and others: left alone. */
	REQUIRE_CODE(ACE_ERR_SUCCESS, publish(device, "dev/abcdef", "payload", 7, 1, &emptied));
	REQUIRE(!emptied, "another topic was emptied");
	REQUIRE_CODE(ACE_ERR_SUCCESS, publish(device, "dev/a", NULL, 0, 1, &emptied));
	REQUIRE(!emptied, "another topic was emptied");
	/* Cut anywhere, a token is none. */
	for (size_t length = 0; length < bytes; length += 7) {
		tick(plugin);
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(device, TOPIC, tokens.device, length, 1, &emptied));
	}
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(device, TOPIC, "\0\xff{}", 4, 2, &emptied));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(device, ACE_ACL_READ, TOPIC, 0));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(device, ACE_ACL_SUBSCRIBE, TOPIC, 0));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(device, ACE_ACL_SUBSCRIBE, "$share/group/" TOPIC, 0));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(stranger, ACE_ACL_UNSUBSCRIBE, TOPIC, 0));
	/* A payload that is not there, though its length is. */
	{
		char topic[] = TOPIC;
		struct ace_evt_acl_check event = {.client = device, .topic = topic, .payloadlen = 100,
		                                  .access = ACE_ACL_WRITE, .qos = 1};

		REQUIRE_CODE(ACE_ERR_ACL_DENIED, raise_event(plugin, ACE_EVT_ACL_CHECK, device, &event));
	}
	/* Wills, and what a stranger who has gone leaves behind. */
	disconnect(stranger, -1);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(stranger, TOPIC, tokens.device, bytes, 1, &emptied));
	disconnect(device, -1);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(device, TOPIC, tokens.device, bytes, 1, &emptied));
	plugin_unload(plugin);
}

void authz_info_bad_tokens(void)
{
	struct plugin *plugin = plugin_load("tokens.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	struct mosquitto *stranger = client_connects(plugin, 1, "stranger");
	bool emptied;

	/* At QoS 1 they stay; at QoS 0 they go, and until then publish nothing more there. */
	REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(client, NULL, NULL, 0));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(client, TOPIC, tokens.forged, strlen(tokens.forged), 1, &emptied));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(client, TOPIC, tokens.bearer, strlen(tokens.bearer), 1, &emptied));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(stranger, TOPIC, tokens.ended, strlen(tokens.ended), 2, &emptied));
	tick(plugin);
	REQUIRE(client->kicks == 0 && stranger->kicks == 0, "kicked though told");
	for (int round = 0; round < 3; round++) {
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(client, TOPIC, "no token", 8, 0, &emptied));
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(stranger, TOPIC, "no token", 8, 0, &emptied));
	}
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(stranger, TOPIC, tokens.device, strlen(tokens.device), 0, &emptied));
	tick(plugin);
	REQUIRE(client->kicks == 1 && stranger->kicks == 1, "kicked %d and %d times", client->kicks, stranger->kicks);
	plugin_unload(plugin);
}

void authz_info_reloads(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	struct mosquitto *device = client_connects(plugin, 1, "device");
	bool emptied;

	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, NULL, NULL, 0));
	admit(device, tokens.device, keys.device);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(device, TOPIC, tokens.device, strlen(tokens.device), 1, &emptied));
	for (int round = 0; round < 3; round++) {
		reload(plugin, "tokens.toml");
		REQUIRE_CODE(ACE_ERR_SUCCESS, publish(device, TOPIC, tokens.device, strlen(tokens.device), 1, &emptied));
		REQUIRE(emptied, "a token goes on");
		REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(client, NULL, NULL, 0));
		reload(plugin, "open.toml");
		/* Asked again, it may do what the anonymous may now. */
		REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(client, NULL, NULL, 0));
		REQUIRE_CODE(ACE_ERR_SUCCESS, publish(client, "hello/a", "x", 1, 1, &emptied));
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(device, TOPIC, tokens.device, strlen(tokens.device), 1, &emptied));
		reload(plugin, "tokens.toml");
		REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(client, NULL, NULL, 0));
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, publish(client, "hello/a", "x", 1, 1, &emptied));
		reload(plugin, "ace.toml");
		REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, NULL, NULL, 0));
		tick(plugin);
	}
	plugin_unload(plugin);
}
