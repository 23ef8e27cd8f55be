/* With OpenSSL in the process: which connection is whose, what is exported from it, what is written to it, and what is left
 * of it all when the plugin has gone. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

static const unsigned char connack_not_authorized[] = {0x20, 0x03, 0x00, 0x87, 0x00};
static const unsigned char disconnect_not_authorized[] = {0xe0, 0x02, 0x87, 0x00};

static void require_reads(struct connection *connection, const unsigned char *packet, size_t bytes)
{
	unsigned char data[64];

	REQUIRE(connection_read(connection, data, sizeof(data)) == (int)bytes, "the client does not read %zu bytes", bytes);
	REQUIRE(memcmp(data, packet, bytes) == 0, "the client reads another packet");
}

/* The proof over the exporter's value, by the client's end of the connection. */
static int start_with_export(struct mosquitto *client, struct connection *connection, const char *token,
                             const unsigned char key[KEY_BYTES])
{
	unsigned char value[MAC_BYTES], proof[MAC_BYTES];

	connection_export(connection, value);
	hmac_sha256(key, KEY_BYTES, value, sizeof(value), proof);
	return start_with(client, token, proof, sizeof(proof), NULL);
}

void tls_exporter(void)
{
	for (int round = 0; round < 2; round++) {
		struct plugin *plugin = plugin_load("ace.toml");
		struct mosquitto *client = client_connects(plugin, 0, "client");
		struct connection *connection;

		contexts_make(round == 1);
		connection = connection_make(client);
		connection_packet(connection);
		REQUIRE_CODE(ACE_ERR_SUCCESS, start_with_export(client, connection, tokens.device, keys.device));
		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 0));
		/* Not a second time: as re-authentication, as a new client on the same connection. */
		connection_packet(connection);
		REQUIRE(start_with_export(client, connection, tokens.device, keys.device) != ACE_ERR_SUCCESS, "twice");
		require_reads(connection, disconnect_not_authorized, sizeof(disconnect_not_authorized));
		disconnect(client, 0);
		client = client_connects(plugin, 0, "client");
		connection_packet(connection);
		REQUIRE_CODE(ACE_ERR_AUTH, start_with_export(client, connection, tokens.device, keys.device));
		REQUIRE(log_has("exporter-used"), "the log does not say that the value was used");
		connection_free(connection);

		/* A wrong proof uses it up. */
		client = client_connects(plugin, 1, "client");
		connection = connection_make(client);
		connection_packet(connection);
		REQUIRE_CODE(ACE_ERR_AUTH, start_with_export(client, connection, tokens.device, keys.hidden));
		REQUIRE_CODE(ACE_ERR_AUTH, start_with_export(client, connection, tokens.device, keys.device));
		connection_free(connection);

		/* In the user name and password: binary, and of unknown length. */
		{
			unsigned char value[MAC_BYTES], proof[MAC_BYTES];
			char *user_name = take(strlen(tokens.device) + 4);

			client = client_connects(plugin, 2, "client");
			client->protocol_version = 4;
			connection = connection_make(client);
			connection_packet(connection);
			connection_export(connection, value);
			hmac_sha256(keys.device, KEY_BYTES, value, sizeof(value), proof);
			strcpy(user_name, "ace");
			strcat(user_name, tokens.device);
			REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(client, user_name, proof, sizeof(proof)));
			REQUIRE(strcmp(client->user_name, "device") == 0, "the user name is %s", client->user_name);
			connection_free(connection);
			free(user_name);
		}
		contexts_free();
		plugin_unload(plugin);
	}
}

void tls_wrong_connection(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *one = client_connects(plugin, 0, "one"), *two = client_connects(plugin, 1, "two");
	struct connection *first, *second;

	contexts_make(false);
	first = connection_make(one);
	second = connection_make(two);
	connection_packet(first);
	REQUIRE_CODE(ACE_ERR_SUCCESS, start_with_export(one, first, tokens.device, keys.device));
	/* The last record was the first one's: it does not serve another client, though that one has the proof. */
	connection_packet(first);
	REQUIRE_CODE(ACE_ERR_AUTH, start_with_export(two, second, tokens.hidden, keys.hidden));
	REQUIRE_CODE(ACE_ERR_AUTH, start_with_export(two, first, tokens.hidden, keys.hidden));
	connection_packet(second);
	REQUIRE_CODE(ACE_ERR_SUCCESS, start_with_export(two, second, tokens.hidden, keys.hidden));
	/* Freed by the broker before it tells. */
	connection_free(first);
	connection_free(second);
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(one, ACE_ACL_WRITE, "dev/a", 0));
	disconnect(one, 0);
	/* Nothing was read since: there is no connection that could be meant. */
	one = client_connects(plugin, 2, "one");
	{
		unsigned char proof[MAC_BYTES] = {0};

		REQUIRE_CODE(ACE_ERR_AUTH, start_with(one, tokens.device, proof, sizeof(proof), NULL));
		REQUIRE(log_has("exporter-without-tls"), "the log does not say that there is no TLS");
	}
	contexts_free();
	plugin_unload(plugin);
}

void tls_challenges(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	struct connection *connection;
	struct answer challenge;

	contexts_make(false);
	connection = connection_make(client);
	connection_packet(connection);
	challenge = start_challenge(client, tokens.device);
	connection_packet(connection);
	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(client, &challenge, keys.device));
	/* Renewed on the same connection. */
	connection_packet(connection);
	challenge = start_challenge(client, tokens.less);
	connection_packet(connection);
	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(client, &challenge, keys.device));
	connection_free(connection);
	disconnect(client, 0);

	/* A wrong answer: the client is told by the plugin, and the broker keeps silent. */
	client = client_connects(plugin, 0, "client");
	connection = connection_make(client);
	connection_packet(connection);
	challenge = start_challenge(client, tokens.device);
	connection_packet(connection);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, answer_rightly(client, &challenge, keys.hidden));
	require_reads(connection, connack_not_authorized, sizeof(connack_not_authorized));
	connection_free(connection);

	/* The right answer, by the same id at the same address, over another connection. */
	client = client_connects(plugin, 0, "client");
	connection = connection_make(client);
	connection_packet(connection);
	challenge = start_challenge(client, tokens.device);
	connection_free(connection);
	client = client_connects(plugin, 0, "client");
	connection = connection_make(client);
	connection_packet(connection);
	REQUIRE(answer_rightly(client, &challenge, keys.device) != ACE_ERR_SUCCESS, "another connection will do");
	REQUIRE(log_has("challenge-other-connection"), "the log does not say that it was another connection");
	require_reads(connection, connack_not_authorized, sizeof(connack_not_authorized));
	connection_free(connection);
	/* And over none. */
	client = client_connects(plugin, 1, "client");
	connection = connection_make(client);
	connection_packet(connection);
	challenge = start_challenge(client, tokens.device);
	connection_free(connection);
	REQUIRE_CODE(ACE_ERR_AUTH, answer_rightly(client, &challenge, keys.device));
	contexts_free();
	plugin_unload(plugin);
}

/* A client of the plugin's that is connected by TLS and to be kicked at the next turn. */
static struct connection *offender(struct plugin *plugin, size_t number, const char *id)
{
	struct mosquitto *client = client_connects(plugin, number, id);
	struct connection *connection = connection_make(client);

	connection_packet(connection);
	REQUIRE_CODE(ACE_ERR_SUCCESS, start_with_export(client, connection, tokens.device, keys.device));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "elsewhere", 0));
	return connection;
}

void tls_kicks(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct connection *connection;
	unsigned char data[64];

	contexts_make(false);
	connection = offender(plugin, 0, "kicked");
	tick(plugin);
	REQUIRE(client_at(0)->kicks == 1, "kicked %d times", client_at(0)->kicks);
	require_reads(connection, disconnect_not_authorized, sizeof(disconnect_not_authorized));
	connection_free(connection);

	/* The broker cannot find it: the connection is cut, and until its end nothing is allowed. */
	connection = offender(plugin, 1, "lost");
	behaviour.finds_nobody = true;
	tick(plugin);
	require_reads(connection, disconnect_not_authorized, sizeof(disconnect_not_authorized));
	REQUIRE(connection_read(connection, data, sizeof(data)) == 0, "the connection is not cut");
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client_at(1), ACE_ACL_WRITE, "dev/a", 0));
	tick(plugin);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client_at(1), ACE_ACL_READ, "dev/a", 0));
	behaviour.finds_nobody = false;
	connection_free(connection);
	disconnect(client_at(1), -1);
	tick(plugin);

	/* Its connection has gone before the turn, and another may have its place in memory. */
	connection = offender(plugin, 2, "gone");
	connection_free(connection);
	connection = connection_make(client_at(3));
	tick(plugin);
	REQUIRE(connection_read(connection, data, sizeof(data)) == -1, "somebody else is told");
	connection_free(connection);
	contexts_free();
	plugin_unload(plugin);
}

static void *elsewhere(void *unused)
{
	(void)unused;
	contexts_make(false);
	for (int round = 0; round < 2; round++) {
		struct connection *connection = connection_make(NULL);

		connection_packet(connection);
		connection_free(connection);
	}
	contexts_free();
	return NULL;
}

void tls_without_plugin(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	struct connection *old, *made_between;
	pthread_t thread;

	/* Another thread of the broker's has TLS of its own. */
	REQUIRE(pthread_create(&thread, NULL, elsewhere, NULL) == 0 && pthread_join(thread, NULL) == 0, "no thread");
	contexts_make(false);
	old = connection_make(client);
	connection_packet(old);
	REQUIRE_CODE(ACE_ERR_SUCCESS, start_with_export(client, old, tokens.device, keys.device));
	plugin_unload(plugin);

	/* Its callbacks are still in OpenSSL, and are called. */
	connection_packet(old);
	made_between = connection_make(client);
	connection_packet(made_between);

	/* Once more: connections from before are not known to it, new ones are. */
	plugin = plugin_load("ace.toml");
	client = client_connects(plugin, 0, "client");
	connection_packet(old);
	REQUIRE_CODE(ACE_ERR_AUTH, start_with_export(client, old, tokens.device, keys.device));
	connection_packet(made_between);
	REQUIRE_CODE(ACE_ERR_AUTH, start_with_export(client, made_between, tokens.device, keys.device));
	connection_free(old);
	connection_free(made_between);
	contexts_free();
	contexts_make(false);
	old = connection_make(client);
	connection_packet(old);
	REQUIRE_CODE(ACE_ERR_SUCCESS, start_with_export(client, old, tokens.device, keys.device));
	plugin_unload(plugin);
	connection_free(old);
	contexts_free();
}

void tls_coming_and_going(void)
{
	struct plugin *first = plugin_load("ace.toml"), *second = plugin_load("ace.toml");
	enum { AT_ONCE = 5, ROUNDS = 4 };
	struct connection *connections[AT_ONCE];

	contexts_make(false);
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t number = 0; number < AT_ONCE; number++) {
			struct mosquitto *client = client_connects(number % 2 ? first : second, number, "client");

			connections[number] = connection_make(client);
			connection_packet(connections[number]);
			REQUIRE_CODE(ACE_ERR_SUCCESS, start_with_export(client, connections[number], tokens.device, keys.device));
		}
		for (size_t number = 0; number < AT_ONCE; number++) {
			if (round % 2 == 0) {
				disconnect(client_at(number), 0);
			}
			connection_free(connections[number]);
		}
		tick(first);
		tick(second);
	}
	plugin_unload(first);
	plugin_unload(second);
	contexts_free();
}
