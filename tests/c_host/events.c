/* Raising events and looking at what the plugin has made of them. */
#include "events.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "plugin.h"

int raise_event(struct plugin *plugin, int event, const struct mosquitto *client, void *data)
{
	const struct callback callback = plugin->registration->callbacks[event];
	const int before = event_depth();
	int code;

	REQUIRE(callback.function != NULL, "nobody asks for event %d", event);
	event_begins(client);
	code = callback.function(event, data, callback.userdata);
	event_ends();
	REQUIRE(event_depth() == before, "an event within the event has not ended");
	return code;
}

int acl_check(struct mosquitto *client, int access, const char *topic, uint8_t qos)
{
	struct ace_evt_acl_check event = {0}, before;
	char *copy = copy_text(topic);
	int code;

	event.client = client;
	event.topic = copy;
	event.access = access;
	event.qos = qos;
	memcpy(&before, &event, sizeof(event));
	code = raise_event(client->plugin, ACE_EVT_ACL_CHECK, client, &event);
	REQUIRE(memcmp(&before, &event, sizeof(event)) == 0, "the event was changed");
	REQUIRE(strcmp(copy, topic) == 0, "the topic was changed");
	free(copy);
	REQUIRE(code == ACE_ERR_SUCCESS || code == ACE_ERR_ACL_DENIED || code == ACE_ERR_PLUGIN_DEFER, "code %d", code);
	return code;
}

static int basic_auth_of(struct mosquitto *client, const char *user_name, const void *password, size_t bytes,
                         uint16_t told)
{
	struct ace_evt_basic_auth event = {0}, before;
	char *copy = NULL;
	int code;

	free(client->user_name);
	client->user_name = copy_text(user_name);
	if (password != NULL) {
		copy = take(bytes + 1);
		memcpy(copy, password, bytes);
		copy[bytes] = '\0';
	}
	event.client = client;
	/* The client's own text, which is freed when the plugin sets another one. */
	event.username = client->user_name;
	event.password = copy;
	event.password_len = told;
	memcpy(&before, &event, sizeof(event));
	code = raise_event(client->plugin, ACE_EVT_BASIC_AUTH, client, &event);
	REQUIRE(memcmp(&before, &event, sizeof(event)) == 0, "the event was changed");
	free(copy);
	REQUIRE(code == ACE_ERR_SUCCESS || code == ACE_ERR_AUTH || code == ACE_ERR_PLUGIN_DEFER, "code %d", code);
	return code;
}

int basic_auth(struct mosquitto *client, const char *user_name, const void *password, size_t password_bytes)
{
	return basic_auth_of(client, user_name, password, password_bytes, 0);
}

int basic_auth_with_length(struct mosquitto *client, const char *user_name, const void *password, uint16_t bytes)
{
	return basic_auth_of(client, user_name, password, bytes, bytes);
}

static int extended_auth(struct mosquitto *client, int number, const char *method, const void *data, size_t bytes,
                         struct answer *answer)
{
	struct ace_evt_extended_auth event = {0}, before;
	char *method_copy = copy_text(method);
	void *data_copy = data ? copy_bytes(data, bytes) : NULL;
	struct answer ignored;
	int code;

	if (answer == NULL) {
		answer = &ignored;
	}
	event.client = client;
	event.auth_method = method_copy;
	event.data_in = data_copy;
	event.data_in_len = (uint16_t)bytes;
	memcpy(&before, &event, sizeof(event));
	code = raise_event(client->plugin, number, client, &event);

	answer->bytes = event.data_out_len;
	REQUIRE((event.data_out != NULL) == (event.data_out_len > 0), "%u bytes of answer at %p", event.data_out_len,
	        event.data_out);
	REQUIRE(answer->bytes <= sizeof(answer->data), "an answer of %zu bytes", answer->bytes);
	if (event.data_out != NULL) {
		memcpy(answer->data, event.data_out, answer->bytes);
	}
	/* As the broker does: the block must be malloc's. */
	free(event.data_out);
	event.data_out = NULL;
	event.data_out_len = 0;
	REQUIRE(memcmp(&before, &event, sizeof(event)) == 0, "the event was changed");
	REQUIRE(data == NULL || memcmp(data_copy, data, bytes) == 0, "the data was changed");
	free(data_copy);
	free(method_copy);
	REQUIRE(code == ACE_ERR_SUCCESS || code == ACE_ERR_AUTH || code == ACE_ERR_AUTH_CONTINUE ||
	        code == ACE_ERR_ACL_DENIED || code == ACE_ERR_PLUGIN_DEFER, "code %d", code);
	REQUIRE(code == ACE_ERR_AUTH_CONTINUE || answer->bytes == 0, "code %d with an answer", code);
	return code;
}

int auth_start(struct mosquitto *client, const char *method, const void *data, size_t bytes, struct answer *answer)
{
	return extended_auth(client, ACE_EVT_EXT_AUTH_START, method, data, bytes, answer);
}

int auth_continue(struct mosquitto *client, const void *data, size_t bytes, struct answer *answer)
{
	/* The broker does not tell the method again. */
	return extended_auth(client, ACE_EVT_EXT_AUTH_CONTINUE, NULL, data, bytes, answer);
}

void command(struct mosquitto *client, const void *payload, size_t bytes)
{
	struct ace_evt_control event = {0}, before;
	char *topic = copy_text(CONTROL_TOPIC);
	/* Nothing behind it: Mosquitto has a NUL there, which is not for the plugin. */
	void *copy = bytes > 0 ? copy_bytes(payload, bytes) : NULL;

	event.client = client;
	event.topic = topic;
	event.payload = copy;
	event.payloadlen = (uint32_t)bytes;
	event.qos = 1;
	memcpy(&before, &event, sizeof(event));
	/* At anything else, the broker would disconnect the client. */
	REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(client->plugin, ACE_EVT_CONTROL, client, &event));
	REQUIRE(memcmp(&before, &event, sizeof(event)) == 0, "the event was changed");
	REQUIRE(bytes == 0 || memcmp(copy, payload, bytes) == 0, "the payload was changed");
	free(copy);
	free(topic);
}

void disconnect(struct mosquitto *client, int reason)
{
	struct ace_evt_disconnect *event = take(sizeof(*event));
	const bool offline = broker_is_2_1 && client->persistent;

	if (broker_is_2_1) {
		memset(event, 0, sizeof(*event));
	}
	/* Mosquitto 2.0 leaves the rest of this event as it finds the memory when per_listener_settings is true. */
	event->client = client;
	event->reason = reason;
	REQUIRE_CODE(ACE_ERR_SUCCESS,
	             raise_event(client->plugin, offline ? ACE_EVT_CLIENT_OFFLINE : ACE_EVT_DISCONNECT, client, event));
	REQUIRE(event->client == client && event->reason == reason, "the event was changed");
	free(event);
	client->connected = false;
}

void will_set(struct plugin *plugin, const char *id, const char *topic)
{
	struct ace_evt_persist_will_msg event = {0}, before;
	char *id_copy = copy_text(id), *topic_copy = copy_text(topic), *payload = copy_text("gone");

	event.clientid = id_copy;
	event.topic = topic_copy;
	event.payload = payload;
	event.payloadlen = 4;
	memcpy(&before, &event, sizeof(event));
	/* The broker names the client, and the plugin may ask about the one that has the name. */
	REQUIRE_CODE(ACE_ERR_SUCCESS,
	             raise_event(plugin, ACE_EVT_PERSIST_WILL_ADD, client_or_session_of_id(id), &event));
	REQUIRE(memcmp(&before, &event, sizeof(event)) == 0, "the event was changed");
	REQUIRE(strcmp(id_copy, id) == 0 && strcmp(topic_copy, topic) == 0, "id or topic was changed");
	free(id_copy);
	free(topic_copy);
	free(payload);
}

void tick(struct plugin *plugin)
{
	struct ace_evt_tick event = {0};

	REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_TICK, NULL, &event));
	REQUIRE(event.next_s == 0 && event.next_ms > 0 && event.next_ms <= 1000, "next tick in %ld s %ld ms",
	        (long)event.next_s, event.next_ms);
	REQUIRE(event.now_s == 0 && event.now_ns == 0, "the plugin sets the clock");
}

void reload(struct plugin *plugin, const char *config)
{
	struct ace_evt_reload event = {0};
	struct ace_opt *options = NULL;

	if (config != NULL) {
		char *path = plugin_file(config);

		options = take(sizeof(*options));
		options[0] = option("config_file", path);
		event.option_count = 1;
		free(path);
	}
	event.options = options;
	REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_RELOAD, NULL, &event));
	REQUIRE(event.options == options && event.option_count == (config != NULL), "the event was changed");
	if (options != NULL) {
		options_free(options, 1);
	}
	free(options);
}
