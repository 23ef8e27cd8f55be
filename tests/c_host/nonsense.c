/* Events that make no sense, or bring no sense: refused, and nothing else happens. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

void nonsense_null_pointers(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	struct mosquitto *nameless = client_connects(plugin, 1, NULL);
	char topic[] = "hello/a";

	{
		struct ace_evt_acl_check event = {.topic = topic, .access = ACE_ACL_WRITE};

		REQUIRE_CODE(ACE_ERR_ACL_DENIED, raise_event(plugin, ACE_EVT_ACL_CHECK, NULL, &event));
		event.client = client;
		event.topic = NULL;
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, raise_event(plugin, ACE_EVT_ACL_CHECK, client, &event));
		event.client = NULL;
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, raise_event(plugin, ACE_EVT_ACL_CHECK, NULL, &event));
	}
	{
		struct ace_evt_basic_auth event = {.username = topic, .password = NULL};

		REQUIRE_CODE(ACE_ERR_AUTH, raise_event(plugin, ACE_EVT_BASIC_AUTH, NULL, &event));
	}
	{
		static const int numbers[] = {ACE_EVT_EXT_AUTH_START, ACE_EVT_EXT_AUTH_CONTINUE};
		char method[] = METHOD;

		for (int number = 0; number < 2; number++) {
			struct ace_evt_extended_auth event = {.auth_method = method};

			REQUIRE_CODE(ACE_ERR_AUTH, raise_event(plugin, numbers[number], NULL, &event));
			REQUIRE(event.data_out == NULL, "an answer to nobody");
			/* A length without data. */
			event.client = client;
			event.data_in_len = 100;
			REQUIRE_CODE(ACE_ERR_AUTH, raise_event(plugin, numbers[number], client, &event));
			REQUIRE(event.data_out == NULL, "an answer to nothing");
		}
	}
	{
		struct ace_evt_message event = {.client = client};

		REQUIRE_CODE(ACE_ERR_ACL_DENIED, raise_event(plugin, ACE_EVT_MESSAGE, NULL, NULL));
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, raise_event(plugin, ACE_EVT_MESSAGE, client, &event));
	}
	{
		char identity[] = "key-7", *key = take(1);
		struct ace_evt_psk_key event = {.identity = identity, .key = key, .max_key_len = 0};

		*key = '\0';
		REQUIRE_CODE(ACE_ERR_AUTH, raise_event(plugin, ACE_EVT_PSK_KEY, NULL, &event));
		/* A client whose connection is not known. */
		event.client = nameless;
		REQUIRE_CODE(ACE_ERR_AUTH, raise_event(plugin, ACE_EVT_PSK_KEY, nameless, &event));
		event.max_key_len = -1;
		REQUIRE_CODE(ACE_ERR_AUTH, raise_event(plugin, ACE_EVT_PSK_KEY, nameless, &event));
		event.identity = NULL;
		REQUIRE_CODE(ACE_ERR_AUTH, raise_event(plugin, ACE_EVT_PSK_KEY, nameless, &event));
		event.identity = identity;
		event.key = NULL;
		REQUIRE_CODE(ACE_ERR_AUTH, raise_event(plugin, ACE_EVT_PSK_KEY, nameless, &event));
		REQUIRE(*key == '\0', "a key for nobody");
		free(key);
	}
	{
		struct ace_evt_disconnect event = {.reason = -1};

		REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_DISCONNECT, NULL, &event));
		if (broker_is_2_1) {
			REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_CLIENT_OFFLINE, NULL, &event));
		}
	}
	REQUIRE_CODE(ACE_ERR_SUCCESS, raise_event(plugin, ACE_EVT_TICK, NULL, NULL));

	/* User name and password, each missing in its turn. */
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, NULL, NULL, 0));
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, "alice", NULL, 0));
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, NULL, "password", 8));
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, "", "", 0));
	/* A client without an id. */
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(nameless, tokens.bearer, NULL, 0, NULL));
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(nameless, tokens.device, NULL, 0, NULL));
	REQUIRE_CODE(ACE_ERR_AUTH, auth_start(nameless, METHOD, NULL, 0, NULL));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(nameless, ACE_ACL_WRITE, "dev/a", 0));
	disconnect(nameless, -1);
	/* No method, or another one. */
	REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, auth_start(client, NULL, NULL, 0, NULL));
	REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, auth_start(client, "", "x", 1, NULL));
	REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, auth_start(client, "ACE", "x", 1, NULL));
	REQUIRE_CODE(ACE_ERR_PLUGIN_DEFER, auth_start(client, "ace2", "x", 1, NULL));
	plugin_unload(plugin);
}

void nonsense_unknown_clients(void)
{
	static const int accesses[] = {0, 3, 16, -1, 0x7fffffff};
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "never-seen");
	struct mosquitto *other = client_connects(plugin, 1, "also-never-seen");

	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 1));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_READ, "dev/a", 0));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_SUBSCRIBE, "#", 0));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "hello/a", 0));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "", 0));
	disconnect(client, 0);
	disconnect(client, 0);
	disconnect(other, -1);
	tick(plugin);
	/* Accesses that there are not, with and without a session. */
	client = client_connects(plugin, 0, "client");
	for (int round = 0; round < 2; round++) {
		for (size_t number = 0; number < sizeof(accesses) / sizeof(accesses[0]); number++) {
			REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, accesses[number], "hello/a", 0));
		}
		if (round == 0) {
			admit_bearer(client);
		}
	}
	plugin_unload(plugin);
}

void nonsense_credentials(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	char *long_text = take(65536), *user_name;
	static const char *const passwords[] = {
		"{", "{}", "[]", "{\"access_token\":1}", "{\"access_token\":\"a.b.c\",\"mac\":\"!\"}",
		"{\"access_token\":\"a.b.c\",\"mac\":\"AAAA\",\"ts\":-1,\"nonce\":\"AAAA\"}", "\xff\xfe{",
	};

	memset(long_text, 'x', 65535);
	long_text[65535] = '\0';
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, long_text, long_text, 65535));
	memcpy(long_text, "ace", 3);
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, long_text, NULL, 0));
	memset(long_text, '{', 65535);
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, "ace", long_text, 65535));
	for (size_t number = 0; number < sizeof(passwords) / sizeof(passwords[0]); number++) {
		REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, "ace", passwords[number], strlen(passwords[number])));
	}
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, "ace\xff\xfe", "\0\0\0", 3));
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth_with_length(client, "alice", "\0\0\0", 3));
	/* A token in the user name: passwords that end early, or seem to. */
	user_name = long_text;
	strcpy(user_name, "ace");
	strcat(user_name, tokens.device);
	for (size_t bytes = 0; bytes <= 40; bytes++) {
		static const unsigned char zeros[40];

		client = client_connects(plugin, 0, "client");
		REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, user_name, zeros, bytes));
		REQUIRE_CODE(ACE_ERR_AUTH, basic_auth_with_length(client, user_name, zeros, (uint16_t)bytes));
	}
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, user_name, NULL, 0));
	/* A bearer token needs no password, and takes none. */
	strcpy(user_name, "ace");
	strcat(user_name, tokens.bearer);
	client = client_connects(plugin, 0, "client");
	REQUIRE_CODE(ACE_ERR_AUTH, basic_auth(client, user_name, "x", 1));
	REQUIRE_CODE(ACE_ERR_SUCCESS, basic_auth(client, user_name, NULL, 0));
	REQUIRE(strcmp(client->user_name, "bearer") == 0, "the user name is %s", client->user_name);
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 0));
	free(long_text);
	plugin_unload(plugin);
}

void nonsense_data(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = client_connects(plugin, 0, "client");
	static const struct {
		size_t bytes;
		const char *data;
	} starts[] = {
		{1, "\x00"}, {2, "\x00\x00"}, {3, "\x00\x00M"}, {2, "\x00\x01"}, {5, "\xff\xfftok"}, {4, "\x00\x02\xff\xfe"},
		{7, "\x00\x05" "a.b.c"}, {5, "\x00\x03...",},
	};
	static const size_t lengths[] = {1, 7, 8, 9, 39, 41, 72, 73, 65535};
	unsigned char *zeros = take(65535);

	memset(zeros, 0, 65535);
	for (size_t number = 0; number < sizeof(starts) / sizeof(starts[0]); number++) {
		REQUIRE_CODE(ACE_ERR_AUTH, auth_start(client, METHOD, starts[number].data, starts[number].bytes, NULL));
	}
	REQUIRE_CODE(ACE_ERR_AUTH, auth_start(client, METHOD, zeros, 65535, NULL));
	memset(zeros, 0xff, 2);
	REQUIRE_CODE(ACE_ERR_AUTH, auth_start(client, METHOD, zeros, 65535, NULL));
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.ended, NULL, 0, NULL));
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.forged, NULL, 0, NULL));
	/* A proof over the exporter, and no TLS. */
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.device, zeros, MAC_BYTES, NULL));
	REQUIRE_CODE(ACE_ERR_AUTH, start_with(client, tokens.bearer, zeros, MAC_BYTES, NULL));
	/* Answers of every wrong length. */
	REQUIRE_CODE(ACE_ERR_AUTH, (start_challenge(client, tokens.device), auth_continue(client, NULL, 0, NULL)));
	for (size_t number = 0; number < sizeof(lengths) / sizeof(lengths[0]); number++) {
		start_challenge(client, tokens.device);
		REQUIRE_CODE(ACE_ERR_AUTH, auth_continue(client, zeros, lengths[number], NULL));
	}
	free(zeros);
	REQUIRE(client->user_name == NULL, "a refused client was given a user name");
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 0));
	admit(client, tokens.device, keys.device);
	plugin_unload(plugin);
}
