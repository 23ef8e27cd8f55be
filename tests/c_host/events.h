/*
 * The broker's events. Texts and data are copied into blocks of exactly their length and freed when the event has been
 * handled: what the plugin reads past their end or after their time is seen.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdint.h>

#include "broker.h"

/* The Authentication Data that the plugin sends: no challenge is longer. */
struct answer {
	unsigned char data[64];
	size_t bytes;
};

/* Has the plugin handle an event; the client is the one that it may ask about. */
int raise_event(struct plugin *plugin, int event, const struct mosquitto *client, void *data);

int acl_check(struct mosquitto *client, int access, const char *topic, uint8_t qos);
/* A CONNECT without Authentication Method: the user name becomes the client's. */
int basic_auth(struct mosquitto *client, const char *user_name, const void *password, size_t password_bytes);
/* The same by a broker that tells the password's length (2.1.3). */
int basic_auth_with_length(struct mosquitto *client, const char *user_name, const void *password, uint16_t bytes);
/* The answer is empty unless the code is ACE_ERR_AUTH_CONTINUE or the plugin has something to say along; may be null. */
int auth_start(struct mosquitto *client, const char *method, const void *data, size_t bytes, struct answer *answer);
int auth_continue(struct mosquitto *client, const void *data, size_t bytes, struct answer *answer);
/* The client has published this to the topic for commands. */
void command(struct mosquitto *client, const void *payload, size_t bytes);
/* The connection has ended; the client keeps its texts, as Mosquitto's do until they are freed. */
void disconnect(struct mosquitto *client, int reason);
/* The client of this id, if there is one, has a Will for this topic; 2.1 only. */
void will_set(struct plugin *plugin, const char *id, const char *topic);
void tick(struct plugin *plugin);
/* With this configuration file of the folder; null for no options at all. */
void reload(struct plugin *plugin, const char *config);

#endif
