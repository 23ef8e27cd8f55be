/*
 * The part of Mosquitto's plugin interface (version 5) that mosquitto-ace uses, in our own declarations.
 *
 * src/broker/abi.rs is generated from this file (`cargo xtask bindings`), so that building the plugin needs neither
 * Mosquitto's headers nor libclang. `cargo xtask abi` holds each size, offset and constant against the headers of
 * the supported Mosquitto versions. Every name has the prefix "ace_", so that both can be included side by side.
 */
#ifndef MOSQUITTO_ACE_ABI_H
#define MOSQUITTO_ACE_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* A connected client. Only pointers to it are ever seen. */
struct mosquitto;

enum ace_constants {
	ACE_PLUGIN_VERSION = 5,
	ACE_CLIENT_PROTOCOL_WEBSOCKETS = 2,
};

/* Return codes. */
enum ace_err {
	/* Since 2.1. */
	ACE_ERR_AUTH_DELAYED = -5,
	ACE_ERR_AUTH_CONTINUE = -4,
	ACE_ERR_SUCCESS = 0,
	ACE_ERR_NOMEM = 1,
	ACE_ERR_INVAL = 3,
	ACE_ERR_NOT_SUPPORTED = 10,
	ACE_ERR_AUTH = 11,
	ACE_ERR_ACL_DENIED = 12,
	ACE_ERR_UNKNOWN = 13,
	ACE_ERR_PLUGIN_DEFER = 17,
};

/* What a client wants to do with a topic. */
enum ace_acl {
	ACE_ACL_READ = 0x01,
	ACE_ACL_WRITE = 0x02,
	ACE_ACL_SUBSCRIBE = 0x04,
	ACE_ACL_UNSUBSCRIBE = 0x08,
};

enum ace_log {
	ACE_LOG_INFO = 0x01,
	ACE_LOG_NOTICE = 0x02,
	ACE_LOG_WARNING = 0x04,
	ACE_LOG_ERR = 0x08,
	ACE_LOG_DEBUG = 0x10,
};

enum ace_event {
	ACE_EVT_RELOAD = 1,
	ACE_EVT_ACL_CHECK = 2,
	ACE_EVT_BASIC_AUTH = 3,
	ACE_EVT_EXT_AUTH_START = 4,
	ACE_EVT_EXT_AUTH_CONTINUE = 5,
	ACE_EVT_CONTROL = 6,
	/* Called MESSAGE_IN since 2.1. */
	ACE_EVT_MESSAGE = 7,
	ACE_EVT_PSK_KEY = 8,
	ACE_EVT_TICK = 9,
	ACE_EVT_DISCONNECT = 10,
	/* Since 2.1. */
	ACE_EVT_CLIENT_OFFLINE = 28,
	ACE_EVT_PERSIST_WILL_ADD = 29,
};

/* One plugin_opt_ line of the configuration, without the prefix. */
struct ace_opt {
	char *key;
	char *value;
};

struct ace_evt_reload {
	void *future;
	struct ace_opt *options;
	int option_count;
	void *future2[4];
};

struct ace_evt_acl_check {
	void *future;
	struct mosquitto *client;
	const char *topic;
	const void *payload;
	void *properties;
	int access;
	uint32_t payloadlen;
	uint8_t qos;
	bool retain;
	void *future2[4];
};

struct ace_evt_basic_auth {
	void *future;
	struct mosquitto *client;
	char *username;
	char *password;
	/* Since 2.1.3, in room that earlier versions set to zero: zero means that the length is unknown. */
	uint16_t password_len;
	void *future2[3];
};

struct ace_evt_extended_auth {
	void *future;
	struct mosquitto *client;
	const void *data_in;
	/* The broker releases it with libc's free. */
	void *data_out;
	uint16_t data_in_len;
	uint16_t data_out_len;
	const char *auth_method;
	void *future2[3];
};

/* A client has published to the topic below $CONTROL/ that the callback was registered for, and ACL_CHECK let it. The message goes
 * nowhere else. Whatever the answer, the broker acknowledges it with success; after any other answer it disconnects the client. */
struct ace_evt_control {
	void *future;
	struct mosquitto *client;
	const char *topic;
	const void *payload;
	const void *properties;
	char *reason_string;
	uint32_t payloadlen;
	uint8_t qos;
	uint8_t reason_code;
	bool retain;
	void *future2[4];
};

/* What a client has published and may publish. The broker releases what stood there before it was replaced, except for the
 * topic in 2.0.11, which it forgets. */
struct ace_evt_message {
	void *future;
	struct mosquitto *client;
	char *topic;
	void *payload;
	void *properties;
	char *reason_string;
	uint32_t payloadlen;
	uint8_t qos;
	uint8_t reason_code;
	bool retain;
	void *future2[4];
};

/* A client names a key in its TLS handshake. The answer goes into key, in hexadecimal digits with a zero behind them; the
 * broker has made room for max_key_len digits and that zero, and has set it to zero. */
struct ace_evt_psk_key {
	void *future;
	struct mosquitto *client;
	const char *hint;
	const char *identity;
	char *key;
	int max_key_len;
	void *future2[4];
};

struct ace_evt_tick {
	void *future;
	long now_ns;
	/* In milliseconds since 2.1; before that it is not read. */
	long next_ms;
	time_t now_s;
	time_t next_s;
	void *future2[4];
};

/* Also that of ACE_EVT_CLIENT_OFFLINE. */
struct ace_evt_disconnect {
	void *future;
	struct mosquitto *client;
	int reason;
	void *future2[4];
};

/* Since 2.1, which keeps what lies between the two futures in a struct of its own and may change it in a minor version. */
struct ace_evt_persist_will_msg {
	void *future;
	const char *clientid;
	void *payload;
	char *topic;
	void *properties;
	uint32_t payloadlen;
	uint8_t qos;
	bool retain;
	void *future2[8];
};

typedef int (*ace_callback)(int event, void *event_data, void *userdata);

/* Functions of the broker, looked up when the plugin is loaded. For ACE_EVT_CONTROL, event_data is the topic; otherwise null. */
typedef int (*ace_fn_callback_register)(void *plugin, int event, ace_callback callback, const void *event_data, void *userdata);
typedef int (*ace_fn_callback_unregister)(void *plugin, int event, ace_callback callback, const void *event_data);
typedef void (*ace_fn_log_printf)(int level, const char *format, ...);
typedef const char *(*ace_fn_client_text)(const struct mosquitto *client);
/* An X509 of OpenSSL's, to be freed by the caller, or null. */
typedef void *(*ace_fn_client_certificate)(const struct mosquitto *client);
typedef int (*ace_fn_client_number)(const struct mosquitto *client);
typedef int (*ace_fn_set_username)(struct mosquitto *client, const char *username);
typedef int (*ace_fn_kick_client)(const char *client_id, bool with_will);
/* Memory that the broker counts as its own. */
typedef void *(*ace_fn_malloc)(size_t size);
typedef void (*ace_fn_free)(void *block);
/* To the client that has this id when the broker's loop begins its next turn, and to no other, whether it has subscribed or not, and
 * without asking ACL_CHECK. After success the broker releases the payload, which has to be the broker's memory. */
typedef int (*ace_fn_broker_publish)(
	const char *client_id, const char *topic, int payloadlen, void *payload, int qos, bool retain, void *properties);
/* Without a client id, to all who subscribe. Payload and properties are copied. */
typedef int (*ace_fn_broker_publish_copy)(const char *client_id, const char *topic, int payload_length, const void *payload, int qos,
		bool retain, void *properties);
/* Since 2.1. */
typedef struct mosquitto *(*ace_fn_client)(const char *client_id);
typedef void (*ace_fn_complete_basic_auth)(const char *client_id, int result);
typedef int (*ace_fn_plugin_set_info)(void *plugin, const char *name, const char *version);

#endif
