/* The plugin ends sessions: the kick leads to further events before it returns, or leads to nothing. */
#include <string.h>

#include "check.h"
#include "clock.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

/* A connected client that is to be kicked at the next turn: it has published where it may not. */
static struct mosquitto *offender(struct plugin *plugin, size_t number, const char *id)
{
	struct mosquitto *client = client_connects(plugin, number, id);

	client->persistent = true;
	client->subscription = "dev/#";
	client->will = "dev/will";
	admit(client, tokens.device, keys.device);
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "elsewhere", 0));
	/* Until then, it may do nothing. */
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 0));
	return client;
}

/* Others, who are about while somebody is kicked. */
static struct mosquitto *bystander, *newcomer;
static struct answer bystanders_challenge;

static void meanwhile(struct mosquitto *client)
{
	REQUIRE(event_depth() == 1, "the kick comes from within %d events", event_depth());
	/* The one who is being kicked, and everything around it, is asked about. */
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_UNSUBSCRIBE, "dev/#", 0));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_READ, "dev/a", 0));
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_SUBSCRIBE, "other/#", 0));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(bystander, ACE_ACL_READ, "dev/a", 0));
	REQUIRE_CODE(ACE_ERR_SUCCESS, answer_rightly(bystander, &bystanders_challenge, keys.hidden));
	/* A broker that lets somebody in from within would be odd; the plugin takes it. */
	newcomer = client_connects(client->plugin, 7, "newcomer");
	admit_bearer(newcomer);
	reload(client->plugin, "ace.toml");
	tick(client->plugin);
}

void endings_kick_reenters(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = offender(plugin, 0, "offender");

	bystander = client_connects(plugin, 1, "bystander");
	admit(bystander, tokens.hidden, keys.hidden);
	bystanders_challenge = start_challenge(bystander, tokens.hidden);
	behaviour.during_kick = meanwhile;
	tick(plugin);
	REQUIRE(client->kicks == 1 && !client->connected, "kicked %d times", client->kicks);
	/* The session of a client that may return stays whole, and its Will is sent. */
	REQUIRE(client->subscription_verdict == ACE_ERR_SUCCESS, "the subscription is lost");
	REQUIRE(client->will_verdict == ACE_ERR_SUCCESS, "the Will is lost");
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(newcomer, ACE_ACL_WRITE, "dev/a", 0));
	behaviour.during_kick = NULL;
	tick(plugin);
	REQUIRE(client->kicks == 1 && newcomer->kicks == 0 && bystander->kicks == 0, "kicked without need");
	/* It returns at the same address. */
	client = client_connects(plugin, 0, "offender");
	admit(client, tokens.device, keys.device);
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 0));
	plugin_unload(plugin);
}

void endings_kick_finds_nobody(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = offender(plugin, 0, "offender"), *successor;

	behaviour.finds_nobody = true;
	tick(plugin);
	tick(plugin);
	REQUIRE(client->kicks == 0, "kicked although nobody was found");
	if (!broker_is_2_1) {
		/* 2.0.11 can lose track of a client that is still there: nothing may be allowed to it. */
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "dev/a", 0));
		REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_READ, "dev/a", 0));
	}
	/* The connection ends after all. */
	behaviour.finds_nobody = false;
	disconnect(client, -1);
	tick(plugin);

	/* Somebody of the same id has taken the session over: the broker would find that one. */
	client = offender(plugin, 1, "twice");
	client->connected = false;
	successor = client_connects(plugin, 2, "twice");
	admit(successor, tokens.device, keys.device);
	if (broker_is_2_1) {
		tick(plugin);
		REQUIRE(successor->kicks == 0, "the wrong client was kicked");
		REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(successor, ACE_ACL_WRITE, "dev/a", 0));
	}
	disconnect(client, 0);
	tick(plugin);
	REQUIRE(successor->kicks == 0, "the wrong client was kicked");
	plugin_unload(plugin);
}

void endings_overtaken(void)
{
	struct plugin *plugin = plugin_load("ace.toml");
	struct mosquitto *client = offender(plugin, 0, "offender");

	/* Gone by itself before the turn. */
	disconnect(client, 0);
	tick(plugin);
	REQUIRE(client->kicks == 0, "kicked after its end");
	/* Gone untold, and somebody else at the address: of another id, and of the same. */
	(void)offender(plugin, 1, "offender");
	client = client_connects(plugin, 1, "innocent");
	admit(client, tokens.device, keys.device);
	tick(plugin);
	REQUIRE(client->kicks == 0, "kicked for what another has done");
	(void)offender(plugin, 2, "offender");
	client = client_connects(plugin, 2, "offender");
	admit(client, tokens.device, keys.device);
	tick(plugin);
	REQUIRE(client->kicks == 0, "kicked for what it has done in another life");
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client, ACE_ACL_WRITE, "dev/a", 0));
	/* A second offence before the turn is one ending, and so is an expiry on top. */
	client = offender(plugin, 3, "often");
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client, ACE_ACL_WRITE, "elsewhere", 0));
	(void)auth_continue(client, "x", 1, NULL);
	clock_set_ahead(2 * 86400);
	tick(plugin);
	tick(plugin);
	REQUIRE(client->kicks == 1, "kicked %d times", client->kicks);
	plugin_unload(plugin);
}

void endings_many_at_once(void)
{
	enum { MANY = 400 };
	struct plugin *plugin = plugin_load("ace.toml");
	char id[32];

	for (size_t number = 0; number < MANY; number++) {
		struct mosquitto *client;

		snprintf(id, sizeof(id), "client-%zu", number);
		client = client_connects(plugin, number, id);
		client->persistent = number % 2 == 0;
		client->subscription = "dev/#";
		client->will = number % 3 == 0 ? "dev/will" : NULL;
		if (number % 10 == 0) {
			admit(client, tokens.device, keys.device);
		} else {
			REQUIRE_CODE(ACE_ERR_SUCCESS, start_with(client, tokens.brief_bearer, NULL, 0, NULL));
		}
	}
	tick(plugin);
	clock_set_ahead(11 * 60);
	/* From this moment on, told or not. */
	REQUIRE_CODE(ACE_ERR_ACL_DENIED, acl_check(client_at(1), ACE_ACL_READ, "dev/a", 0));
	REQUIRE_CODE(ACE_ERR_SUCCESS, acl_check(client_at(10), ACE_ACL_READ, "dev/a", 0));
	tick(plugin);
	for (size_t number = 0; number < MANY; number++) {
		const struct mosquitto *client = client_at(number);
		const int expected = number % 10 == 0 ? 0 : 1;

		REQUIRE(client->kicks == expected, "client %zu was kicked %d times", number, client->kicks);
		REQUIRE(client->connected == (expected == 0), "client %zu", number);
		if (expected > 0 && client->persistent) {
			REQUIRE(client->subscription_verdict == ACE_ERR_SUCCESS, "client %zu loses its session", number);
		}
		if (expected > 0 && client->will != NULL) {
			REQUIRE(client->will_verdict == ACE_ERR_SUCCESS, "client %zu loses its Will", number);
		}
	}
	plugin_unload(plugin);
}
