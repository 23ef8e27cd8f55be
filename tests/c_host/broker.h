/*
 * The broker's side of the plugin interface: clients, the functions that a plugin may call, its log. It keeps to what
 * Mosquitto does and adds what Mosquitto does not: it fails when the plugin uses anything after its time.
 */
#ifndef BROKER_H
#define BROKER_H

#include <stdbool.h>
#include <stdio.h>

#include "mosquitto_ace_abi.h"

/* Of Mosquitto's return codes, two that only a broker gives. */
enum { BROKER_ERR_NOT_FOUND = 14, BROKER_ERR_ALREADY_EXISTS = 21 };

struct plugin;

/* A client, at an address that is used again for others: see client_at. */
struct mosquitto {
	struct plugin *plugin;
	char *id;
	char *user_name;
	char *address;
	int protocol;
	int protocol_version;
	/* Whether the broker would find it by its id. */
	bool connected;
	/* Whether its session outlives the connection. */
	bool persistent;
	/* The topic filter that it has subscribed to and the topic of its Will; null for none. */
	const char *subscription;
	const char *will;
	/* What the plugin said to these when the client was kicked; -1 if it was not asked. */
	int subscription_verdict;
	int will_verdict;
	/* How often it was kicked. */
	int kicks;
};

enum { CLIENTS_MAX = 1024 };

/* The client with this number. The address stays the same over the process. */
struct mosquitto *client_at(size_t number);
/* Makes it a client that has just connected by MQTT 5 and said who it is; whoever was there before is gone, untold. */
struct mosquitto *client_connects(struct plugin *plugin, size_t number, const char *id);
/* Frees what it has; nobody is there any more. */
void client_vanishes(struct mosquitto *client);
void clients_vanish(void);

/* How the broker behaves. */
struct behaviour {
	/* This event is refused to callbacks; 0 for none. */
	int refused_event;
	/* mosquitto_set_username fails. */
	bool refuses_user_names;
	/* mosquitto_kick_client_by_clientid finds nobody. */
	bool finds_nobody;
	/* mosquitto_broker_publish takes nothing. */
	bool refuses_messages;
	/* Called from within the kick, after the client's subscriptions have been asked about; may be null. */
	void (*during_kick)(struct mosquitto *client);
};
extern struct behaviour behaviour;

/* The flavour that this program was linked with: broker_2_0.c or broker_2_1.c. */
extern const bool broker_is_2_1;
/* The flags that this broker calls dlopen with. */
extern const int broker_dlopen_flags;
/* What the plugin called itself; 2.1 only. */
extern char broker_plugin_name[64];

/* A callback of a plugin. */
struct callback {
	ace_callback function;
	void *userdata;
};

enum { EVENTS_MAX = 64 };

/* What the broker keeps for a loaded plugin; its address is the plugin's identifier. */
struct registration {
	struct callback callbacks[EVENTS_MAX];
};

/* How many callbacks are registered. */
int registration_count(const struct registration *registration);

/* Between these two, the broker's functions may be called for this client, and for no other; null for none at all. */
void event_begins(const struct mosquitto *client);
void event_ends(void);
/* How many events are being handled, one within the other. */
int event_depth(void);

/* Finds a connected client; null if there is none. */
struct mosquitto *client_of_id(const char *id);
/* The same, or one whose session has outlived its connection. */
struct mosquitto *client_or_session_of_id(const char *id);

/* Where commands are taken, and answered. */
#define CONTROL_TOPIC "$CONTROL/ace/v1"
#define RESPONSE_TOPIC "$CONTROL/ace/v1/response"

/* What the plugin has sent since sent_clear: how many messages, and the last of them, with a NUL behind it. */
extern struct sent {
	int count;
	char *client_id;
	char *payload;
} sent;
void sent_clear(void);
/* How many blocks of mosquitto_malloc's have not been released. */
size_t blocks_left(void);

/* The log since log_clear. */
bool log_has(const char *text);
int log_count(const char *text);
void log_clear(void);
void log_print(FILE *file);
/* From now on, no line may have this in it. */
void log_must_not_have(const char *secret);
void log_release(void);

#endif
