/* The functions of the broker that every supported version has, as Mosquitto has them. */
#include "broker.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "events.h"
#include "plugin.h"

struct behaviour behaviour;

static struct mosquitto clients[CLIENTS_MAX];

/* The clients of the events that are being handled. */
enum { DEPTH_MAX = 16 };
static const struct mosquitto *handled[DEPTH_MAX];
static int depth;

struct mosquitto *client_at(size_t number)
{
	REQUIRE(number < CLIENTS_MAX, "client %zu", number);
	return &clients[number];
}

void client_vanishes(struct mosquitto *client)
{
	free(client->id);
	free(client->user_name);
	free(client->address);
	memset(client, 0, sizeof(*client));
}

void clients_vanish(void)
{
	for (size_t number = 0; number < CLIENTS_MAX; number++) {
		client_vanishes(&clients[number]);
	}
}

struct mosquitto *client_connects(struct plugin *plugin, size_t number, const char *id)
{
	struct mosquitto *client = client_at(number);

	client_vanishes(client);
	client->plugin = plugin;
	client->id = copy_text(id);
	client->address = copy_text("192.0.2.7");
	client->protocol_version = 5;
	client->protocol = 1;
	client->connected = true;
	client->subscription_verdict = -1;
	client->will_verdict = -1;
	return client;
}

struct mosquitto *client_of_id(const char *id)
{
	for (size_t number = 0; number < CLIENTS_MAX; number++) {
		if (clients[number].connected && clients[number].id != NULL && strcmp(clients[number].id, id) == 0) {
			return &clients[number];
		}
	}
	return NULL;
}

struct mosquitto *client_or_session_of_id(const char *id)
{
	struct mosquitto *client = client_of_id(id);

	for (size_t number = 0; client == NULL && number < CLIENTS_MAX; number++) {
		if (clients[number].persistent && clients[number].id != NULL && strcmp(clients[number].id, id) == 0) {
			client = &clients[number];
		}
	}
	return client;
}

void event_begins(const struct mosquitto *client)
{
	REQUIRE(depth < DEPTH_MAX, "events within events without end");
	handled[depth++] = client;
}

void event_ends(void)
{
	REQUIRE(depth > 0, "no event");
	depth--;
}

int event_depth(void)
{
	return depth;
}

int registration_count(const struct registration *registration)
{
	int count = 0;

	for (int event = 0; event < EVENTS_MAX; event++) {
		count += registration->callbacks[event].function != NULL;
	}
	return count;
}

/* A plugin may ask about the client of the event at hand, while it handles it. */
static void require_at_hand(const struct mosquitto *client, const char *function)
{
	REQUIRE(depth > 0, "%s outside of any event", function);
	REQUIRE(client != NULL && handled[depth - 1] == client, "%s for a client that is not the event's", function);
}

static bool is_event(int event)
{
	switch (event) {
	case ACE_EVT_RELOAD:
	case ACE_EVT_ACL_CHECK:
	case ACE_EVT_BASIC_AUTH:
	case ACE_EVT_EXT_AUTH_START:
	case ACE_EVT_EXT_AUTH_CONTINUE:
	case ACE_EVT_CONTROL:
	case ACE_EVT_MESSAGE:
	case ACE_EVT_PSK_KEY:
	case ACE_EVT_TICK:
	case ACE_EVT_DISCONNECT:
		return event != behaviour.refused_event;
	case ACE_EVT_CLIENT_OFFLINE:
	case ACE_EVT_PERSIST_WILL_ADD:
		return broker_is_2_1 && event != behaviour.refused_event;
	default:
		return false;
	}
}

/* Only events below $CONTROL/ are asked for by more than their number. */
static void require_topic(int event, const char *topic)
{
	if (event != ACE_EVT_CONTROL) {
		REQUIRE(topic == NULL, "no other event of the plugin's has data at registration");
		return;
	}
	REQUIRE(topic != NULL && strcmp(topic, CONTROL_TOPIC) == 0, "commands are asked for at %s", topic);
}

int mosquitto_callback_register(void *plugin, int event, ace_callback function, const void *event_data, void *userdata)
{
	struct registration *registration = plugin;
	struct callback *callback;

	REQUIRE(plugin_is_identifier(plugin), "a callback is registered for a plugin that is not there");
	require_topic(event, event_data);
	if (function == NULL) {
		return ACE_ERR_INVAL;
	}
	if (!is_event(event)) {
		return ACE_ERR_NOT_SUPPORTED;
	}
	callback = &registration->callbacks[event];
	if (callback->function != NULL) {
		return BROKER_ERR_ALREADY_EXISTS;
	}
	*callback = (struct callback){function, userdata};
	return ACE_ERR_SUCCESS;
}

int mosquitto_callback_unregister(void *plugin, int event, ace_callback function, const void *event_data)
{
	struct registration *registration = plugin;

	REQUIRE(plugin_is_identifier(plugin), "a callback is taken back for a plugin that is not there");
	require_topic(event, event_data);
	if (event < 0 || event >= EVENTS_MAX || registration->callbacks[event].function != function) {
		return BROKER_ERR_NOT_FOUND;
	}
	registration->callbacks[event] = (struct callback){NULL, NULL};
	return ACE_ERR_SUCCESS;
}

const char *mosquitto_client_id(const struct mosquitto *client)
{
	require_at_hand(client, __func__);
	return client->id;
}

const char *mosquitto_client_username(const struct mosquitto *client)
{
	require_at_hand(client, __func__);
	return client->user_name;
}

const char *mosquitto_client_address(const struct mosquitto *client)
{
	require_at_hand(client, __func__);
	return client->address;
}

int mosquitto_client_protocol(const struct mosquitto *client)
{
	require_at_hand(client, __func__);
	return client->protocol;
}

int mosquitto_client_protocol_version(const struct mosquitto *client)
{
	require_at_hand(client, __func__);
	return client->protocol_version;
}

int mosquitto_set_username(struct mosquitto *client, const char *user_name)
{
	require_at_hand(client, __func__);
	REQUIRE(user_name != NULL, "a client loses its user name");
	if (behaviour.refuses_user_names) {
		return ACE_ERR_NOMEM;
	}
	/* In this order: the name may not lie in what is freed. */
	free(client->user_name);
	client->user_name = copy_text(user_name);
	return ACE_ERR_SUCCESS;
}

int mosquitto_kick_client_by_clientid(const char *id, bool with_will)
{
	struct mosquitto *client;

	REQUIRE(id != NULL, "all clients are kicked");
	REQUIRE(with_will, "a client is kicked without its Will");
	client = client_of_id(id);
	if (client == NULL || behaviour.finds_nobody) {
		return BROKER_ERR_NOT_FOUND;
	}
	client->kicks++;
	if (client->persistent && client->subscription != NULL) {
		client->subscription_verdict = acl_check(client, ACE_ACL_SUBSCRIBE, client->subscription, 0);
	}
	if (behaviour.during_kick != NULL) {
		behaviour.during_kick(client);
	}
	disconnect(client, -1);
	if (client->will != NULL) {
		client->will_verdict = acl_check(client, ACE_ACL_WRITE, client->will, 0);
	}
	return ACE_ERR_SUCCESS;
}

int mosquitto_broker_publish_copy(const char *id, const char *topic, int length, const void *payload, int qos, bool retain, void *properties)
{
	REQUIRE(id == NULL && properties == NULL, "a message to one client");
	REQUIRE(topic != NULL && topic[0] != 0 && strpbrk(topic, "+#") == NULL, "a message to no topic");
	REQUIRE(length >= 0 && (length == 0) == (payload == NULL), "a message of %d bytes", length);
	REQUIRE(qos == 0 && retain, "a message that is not kept");
	return ACE_ERR_SUCCESS;
}

/* Blocks that are the broker's own, and no other memory, may be handed to it and released by it. */
static size_t blocks;
static const size_t BLOCK_HEAD = 16;
static const unsigned char BLOCK_MARK[16] = "the broker's own";

void *mosquitto_malloc(size_t size)
{
	unsigned char *block = take(BLOCK_HEAD + size);

	memcpy(block, BLOCK_MARK, BLOCK_HEAD);
	blocks++;
	return block + BLOCK_HEAD;
}

void mosquitto_free(void *block)
{
	unsigned char *start = (unsigned char *)block - BLOCK_HEAD;

	REQUIRE(memcmp(start, BLOCK_MARK, BLOCK_HEAD) == 0, "memory that is not the broker's");
	REQUIRE(blocks > 0, "more is released than there is");
	blocks--;
	free(start);
}

size_t blocks_left(void)
{
	return blocks;
}

struct sent sent;

void sent_clear(void)
{
	free(sent.client_id);
	free(sent.payload);
	memset(&sent, 0, sizeof(sent));
}

int mosquitto_broker_publish(
	const char *client_id, const char *topic, int payloadlen, void *payload, int qos, bool retain, void *properties)
{
	REQUIRE(depth > 0, "a message outside of any event");
	REQUIRE(client_id != NULL, "a message for everybody");
	REQUIRE(topic != NULL && strcmp(topic, RESPONSE_TOPIC) == 0, "a message to %s", topic);
	REQUIRE(payloadlen > 0 && payload != NULL && qos == 0 && !retain && properties == NULL, "an odd message");
	if (behaviour.refuses_messages) {
		return ACE_ERR_NOMEM;
	}
	free(sent.client_id);
	free(sent.payload);
	sent.count++;
	sent.client_id = copy_text(client_id);
	sent.payload = take((size_t)payloadlen + 1);
	memcpy(sent.payload, payload, (size_t)payloadlen);
	sent.payload[payloadlen] = '\0';
	mosquitto_free(payload);
	return ACE_ERR_SUCCESS;
}

enum { LINES_MAX = 8192, SECRETS_MAX = 32 };
static char *lines[LINES_MAX];
static int line_count;
static char *secrets[SECRETS_MAX];
static int secret_count;

void mosquitto_log_printf(int level, const char *format, ...)
{
	va_list arguments;
	const char *line;

	REQUIRE(level == ACE_LOG_INFO || level == ACE_LOG_NOTICE || level == ACE_LOG_WARNING || level == ACE_LOG_ERR ||
	        level == ACE_LOG_DEBUG, "level %d", level);
	REQUIRE(format != NULL && strcmp(format, "%s") == 0, "foreign text must not be a format");
	va_start(arguments, format);
	line = va_arg(arguments, const char *);
	va_end(arguments);
	REQUIRE(line != NULL && strchr(line, '\n') == NULL && strchr(line, '\r') == NULL, "a log entry of several lines");
	REQUIRE(line_count < LINES_MAX, "the log is full");
	lines[line_count++] = copy_text(line);
	REQUIRE(strstr(line, "panic") == NULL, "the plugin has panicked");
	for (int number = 0; number < secret_count; number++) {
		REQUIRE(strstr(line, secrets[number]) == NULL, "a secret is in the log");
	}
}

int log_count(const char *text)
{
	int count = 0;

	for (int number = 0; number < line_count; number++) {
		count += strstr(lines[number], text) != NULL;
	}
	return count;
}

bool log_has(const char *text)
{
	return log_count(text) > 0;
}

void log_clear(void)
{
	while (line_count > 0) {
		free(lines[--line_count]);
	}
}

void log_print(FILE *file)
{
	/* The end of it is what tells. */
	for (int number = line_count > 20 ? line_count - 20 : 0; number < line_count; number++) {
		fprintf(file, "  log: %s\n", lines[number]);
	}
}

void log_must_not_have(const char *secret)
{
	REQUIRE(secret_count < SECRETS_MAX, "too many secrets");
	secrets[secret_count++] = copy_text(secret);
}

void log_release(void)
{
	log_clear();
	while (secret_count > 0) {
		free(secrets[--secret_count]);
	}
}
