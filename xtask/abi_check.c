/*
 * Holds include/mosquitto_ace_abi.h against the headers of a real Mosquitto. Nothing of it runs: it compiles, or the
 * compiler says what differs. `cargo xtask abi` compiles it once for each fetched version, with
 * BROKER_VERSION = major * 1000000 + minor * 1000 + patch.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <mosquitto.h>
/* From 2.1 on, mosquitto.h includes these itself. */
#if BROKER_VERSION < 2001000
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#endif

#include "mosquitto_ace_abi.h"

#define SIZE(ours, theirs) _Static_assert(sizeof(struct ours) == sizeof(struct theirs), "size of struct " #ours)
#define MEMBER_AS(ours, member, theirs, their_member)                                                                  \
	_Static_assert(offsetof(struct ours, member) == offsetof(struct theirs, their_member), "place of " #ours "." #member); \
	_Static_assert(sizeof(((struct ours *)0)->member) == sizeof(((struct theirs *)0)->their_member), "size of " #ours "." #member)
#define MEMBER(ours, theirs, member) MEMBER_AS(ours, member, theirs, member)
#define CONSTANT(ours, theirs) _Static_assert((long)(ours) == (long)(theirs), "value of " #ours)

CONSTANT(ACE_PLUGIN_VERSION, MOSQ_PLUGIN_VERSION);
CONSTANT(ACE_CLIENT_PROTOCOL_WEBSOCKETS, mp_websockets);

CONSTANT(ACE_ERR_AUTH_CONTINUE, MOSQ_ERR_AUTH_CONTINUE);
CONSTANT(ACE_ERR_SUCCESS, MOSQ_ERR_SUCCESS);
CONSTANT(ACE_ERR_NOMEM, MOSQ_ERR_NOMEM);
CONSTANT(ACE_ERR_INVAL, MOSQ_ERR_INVAL);
CONSTANT(ACE_ERR_NOT_SUPPORTED, MOSQ_ERR_NOT_SUPPORTED);
CONSTANT(ACE_ERR_AUTH, MOSQ_ERR_AUTH);
CONSTANT(ACE_ERR_ACL_DENIED, MOSQ_ERR_ACL_DENIED);
CONSTANT(ACE_ERR_UNKNOWN, MOSQ_ERR_UNKNOWN);
CONSTANT(ACE_ERR_PLUGIN_DEFER, MOSQ_ERR_PLUGIN_DEFER);

CONSTANT(ACE_ACL_READ, MOSQ_ACL_READ);
CONSTANT(ACE_ACL_WRITE, MOSQ_ACL_WRITE);
CONSTANT(ACE_ACL_SUBSCRIBE, MOSQ_ACL_SUBSCRIBE);
CONSTANT(ACE_ACL_UNSUBSCRIBE, MOSQ_ACL_UNSUBSCRIBE);

CONSTANT(ACE_LOG_INFO, MOSQ_LOG_INFO);
CONSTANT(ACE_LOG_NOTICE, MOSQ_LOG_NOTICE);
CONSTANT(ACE_LOG_WARNING, MOSQ_LOG_WARNING);
CONSTANT(ACE_LOG_ERR, MOSQ_LOG_ERR);
CONSTANT(ACE_LOG_DEBUG, MOSQ_LOG_DEBUG);

CONSTANT(ACE_EVT_RELOAD, MOSQ_EVT_RELOAD);
CONSTANT(ACE_EVT_ACL_CHECK, MOSQ_EVT_ACL_CHECK);
CONSTANT(ACE_EVT_BASIC_AUTH, MOSQ_EVT_BASIC_AUTH);
CONSTANT(ACE_EVT_EXT_AUTH_START, MOSQ_EVT_EXT_AUTH_START);
CONSTANT(ACE_EVT_EXT_AUTH_CONTINUE, MOSQ_EVT_EXT_AUTH_CONTINUE);
CONSTANT(ACE_EVT_CONTROL, MOSQ_EVT_CONTROL);
CONSTANT(ACE_EVT_MESSAGE, MOSQ_EVT_MESSAGE);
#if BROKER_VERSION >= 2001000
CONSTANT(ACE_EVT_MESSAGE, MOSQ_EVT_MESSAGE_IN);
#endif
CONSTANT(ACE_EVT_PSK_KEY, MOSQ_EVT_PSK_KEY);
CONSTANT(ACE_EVT_TICK, MOSQ_EVT_TICK);
CONSTANT(ACE_EVT_DISCONNECT, MOSQ_EVT_DISCONNECT);
#if BROKER_VERSION >= 2001000
CONSTANT(ACE_EVT_CLIENT_OFFLINE, MOSQ_EVT_CLIENT_OFFLINE);
CONSTANT(ACE_EVT_PERSIST_WILL_ADD, MOSQ_EVT_PERSIST_WILL_ADD);
#endif

SIZE(ace_opt, mosquitto_opt);
MEMBER(ace_opt, mosquitto_opt, key);
MEMBER(ace_opt, mosquitto_opt, value);

SIZE(ace_evt_reload, mosquitto_evt_reload);
MEMBER(ace_evt_reload, mosquitto_evt_reload, future);
MEMBER(ace_evt_reload, mosquitto_evt_reload, options);
MEMBER(ace_evt_reload, mosquitto_evt_reload, option_count);
MEMBER(ace_evt_reload, mosquitto_evt_reload, future2);

SIZE(ace_evt_acl_check, mosquitto_evt_acl_check);
MEMBER(ace_evt_acl_check, mosquitto_evt_acl_check, future);
MEMBER(ace_evt_acl_check, mosquitto_evt_acl_check, client);
MEMBER(ace_evt_acl_check, mosquitto_evt_acl_check, topic);
MEMBER(ace_evt_acl_check, mosquitto_evt_acl_check, payload);
MEMBER(ace_evt_acl_check, mosquitto_evt_acl_check, properties);
MEMBER(ace_evt_acl_check, mosquitto_evt_acl_check, access);
MEMBER(ace_evt_acl_check, mosquitto_evt_acl_check, payloadlen);
MEMBER(ace_evt_acl_check, mosquitto_evt_acl_check, qos);
MEMBER(ace_evt_acl_check, mosquitto_evt_acl_check, retain);
MEMBER(ace_evt_acl_check, mosquitto_evt_acl_check, future2);

SIZE(ace_evt_basic_auth, mosquitto_evt_basic_auth);
MEMBER(ace_evt_basic_auth, mosquitto_evt_basic_auth, future);
MEMBER(ace_evt_basic_auth, mosquitto_evt_basic_auth, client);
MEMBER(ace_evt_basic_auth, mosquitto_evt_basic_auth, username);
MEMBER(ace_evt_basic_auth, mosquitto_evt_basic_auth, password);
#if BROKER_VERSION >= 2001003
MEMBER(ace_evt_basic_auth, mosquitto_evt_basic_auth, password_len);
MEMBER(ace_evt_basic_auth, mosquitto_evt_basic_auth, future2);
#else
/* Reserved room, which the broker sets to zero. */
_Static_assert(offsetof(struct ace_evt_basic_auth, password_len) == offsetof(struct mosquitto_evt_basic_auth, future2[0]),
	"place of ace_evt_basic_auth.password_len");
_Static_assert(offsetof(struct ace_evt_basic_auth, future2) == offsetof(struct mosquitto_evt_basic_auth, future2[1]),
	"place of ace_evt_basic_auth.future2");
#endif

SIZE(ace_evt_extended_auth, mosquitto_evt_extended_auth);
MEMBER(ace_evt_extended_auth, mosquitto_evt_extended_auth, future);
MEMBER(ace_evt_extended_auth, mosquitto_evt_extended_auth, client);
MEMBER(ace_evt_extended_auth, mosquitto_evt_extended_auth, data_in);
MEMBER(ace_evt_extended_auth, mosquitto_evt_extended_auth, data_out);
MEMBER(ace_evt_extended_auth, mosquitto_evt_extended_auth, data_in_len);
MEMBER(ace_evt_extended_auth, mosquitto_evt_extended_auth, data_out_len);
MEMBER(ace_evt_extended_auth, mosquitto_evt_extended_auth, auth_method);
MEMBER(ace_evt_extended_auth, mosquitto_evt_extended_auth, future2);

SIZE(ace_evt_control, mosquitto_evt_control);
MEMBER(ace_evt_control, mosquitto_evt_control, future);
MEMBER(ace_evt_control, mosquitto_evt_control, client);
MEMBER(ace_evt_control, mosquitto_evt_control, topic);
MEMBER(ace_evt_control, mosquitto_evt_control, payload);
MEMBER(ace_evt_control, mosquitto_evt_control, properties);
MEMBER(ace_evt_control, mosquitto_evt_control, reason_string);
MEMBER(ace_evt_control, mosquitto_evt_control, payloadlen);
MEMBER(ace_evt_control, mosquitto_evt_control, qos);
MEMBER(ace_evt_control, mosquitto_evt_control, reason_code);
MEMBER(ace_evt_control, mosquitto_evt_control, retain);
MEMBER(ace_evt_control, mosquitto_evt_control, future2);

SIZE(ace_evt_message, mosquitto_evt_message);
MEMBER(ace_evt_message, mosquitto_evt_message, future);
MEMBER(ace_evt_message, mosquitto_evt_message, client);
MEMBER(ace_evt_message, mosquitto_evt_message, topic);
MEMBER(ace_evt_message, mosquitto_evt_message, payload);
MEMBER(ace_evt_message, mosquitto_evt_message, properties);
MEMBER(ace_evt_message, mosquitto_evt_message, reason_string);
MEMBER(ace_evt_message, mosquitto_evt_message, payloadlen);
MEMBER(ace_evt_message, mosquitto_evt_message, qos);
MEMBER(ace_evt_message, mosquitto_evt_message, reason_code);
MEMBER(ace_evt_message, mosquitto_evt_message, retain);
MEMBER(ace_evt_message, mosquitto_evt_message, future2);

SIZE(ace_evt_psk_key, mosquitto_evt_psk_key);
MEMBER(ace_evt_psk_key, mosquitto_evt_psk_key, future);
MEMBER(ace_evt_psk_key, mosquitto_evt_psk_key, client);
MEMBER(ace_evt_psk_key, mosquitto_evt_psk_key, hint);
MEMBER(ace_evt_psk_key, mosquitto_evt_psk_key, identity);
MEMBER(ace_evt_psk_key, mosquitto_evt_psk_key, key);
MEMBER(ace_evt_psk_key, mosquitto_evt_psk_key, max_key_len);
MEMBER(ace_evt_psk_key, mosquitto_evt_psk_key, future2);

SIZE(ace_evt_tick, mosquitto_evt_tick);
MEMBER(ace_evt_tick, mosquitto_evt_tick, future);
MEMBER(ace_evt_tick, mosquitto_evt_tick, now_ns);
#if BROKER_VERSION >= 2001000
MEMBER(ace_evt_tick, mosquitto_evt_tick, next_ms);
#else
MEMBER_AS(ace_evt_tick, next_ms, mosquitto_evt_tick, next_ns);
#endif
MEMBER(ace_evt_tick, mosquitto_evt_tick, now_s);
MEMBER(ace_evt_tick, mosquitto_evt_tick, next_s);
MEMBER(ace_evt_tick, mosquitto_evt_tick, future2);

SIZE(ace_evt_disconnect, mosquitto_evt_disconnect);
MEMBER(ace_evt_disconnect, mosquitto_evt_disconnect, future);
MEMBER(ace_evt_disconnect, mosquitto_evt_disconnect, client);
MEMBER(ace_evt_disconnect, mosquitto_evt_disconnect, reason);
MEMBER(ace_evt_disconnect, mosquitto_evt_disconnect, future2);
#if BROKER_VERSION >= 2001000
SIZE(ace_evt_disconnect, mosquitto_evt_client_offline);
MEMBER(ace_evt_disconnect, mosquitto_evt_client_offline, client);
MEMBER(ace_evt_disconnect, mosquitto_evt_client_offline, reason);

SIZE(ace_evt_persist_will_msg, mosquitto_evt_persist_will_msg);
MEMBER(ace_evt_persist_will_msg, mosquitto_evt_persist_will_msg, future);
MEMBER_AS(ace_evt_persist_will_msg, clientid, mosquitto_evt_persist_will_msg, data.clientid);
MEMBER_AS(ace_evt_persist_will_msg, payload, mosquitto_evt_persist_will_msg, data.payload);
MEMBER_AS(ace_evt_persist_will_msg, topic, mosquitto_evt_persist_will_msg, data.topic);
MEMBER_AS(ace_evt_persist_will_msg, properties, mosquitto_evt_persist_will_msg, data.properties);
MEMBER_AS(ace_evt_persist_will_msg, payloadlen, mosquitto_evt_persist_will_msg, data.payloadlen);
MEMBER_AS(ace_evt_persist_will_msg, qos, mosquitto_evt_persist_will_msg, data.qos);
MEMBER_AS(ace_evt_persist_will_msg, retain, mosquitto_evt_persist_will_msg, data.retain);
MEMBER(ace_evt_persist_will_msg, mosquitto_evt_persist_will_msg, future2);
#endif

/*
 * Functions. Each of ours has untyped pointers where Mosquitto's has its own handles, so the types differ; a call with
 * arguments of our types must compile all the same, and with -Wconversion no argument or result may change its width.
 */
static int callback_register(void *plugin, int event, ace_callback callback, const void *event_data, void *userdata)
{
	return mosquitto_callback_register(plugin, event, callback, event_data, userdata);
}

static int callback_unregister(void *plugin, int event, ace_callback callback, const void *event_data)
{
	return mosquitto_callback_unregister(plugin, event, callback, event_data);
}

static int broker_publish(
	const char *client_id, const char *topic, int payloadlen, void *payload, int qos, bool retain, void *properties)
{
	return mosquitto_broker_publish(client_id, topic, payloadlen, payload, qos, retain, properties);
}

static int broker_publish_copy(const char *client_id, const char *topic, int payload_length, const void *payload, int qos, bool retain,
		void *properties)
{
	return mosquitto_broker_publish_copy(client_id, topic, payload_length, payload, qos, retain, properties);
}

const ace_fn_callback_register check_callback_register = callback_register;
const ace_fn_callback_unregister check_callback_unregister = callback_unregister;
const ace_fn_log_printf check_log_printf = mosquitto_log_printf;
const ace_fn_client_text check_client_text[] = {mosquitto_client_id, mosquitto_client_username, mosquitto_client_address};
const ace_fn_client_certificate check_client_certificate = mosquitto_client_certificate;
const ace_fn_client_number check_client_number[] = {mosquitto_client_protocol, mosquitto_client_protocol_version};
const ace_fn_set_username check_set_username = mosquitto_set_username;
const ace_fn_broker_publish_copy check_broker_publish_copy = broker_publish_copy;
const ace_fn_kick_client check_kick_client = mosquitto_kick_client_by_clientid;
const ace_fn_malloc check_malloc = mosquitto_malloc;
const ace_fn_free check_free = mosquitto_free;
const ace_fn_broker_publish check_broker_publish = broker_publish;

#if BROKER_VERSION >= 2001000
static int plugin_set_info(void *plugin, const char *name, const char *version)
{
	return mosquitto_plugin_set_info(plugin, name, version);
}

const ace_fn_plugin_set_info check_plugin_set_info = plugin_set_info;
const ace_fn_client check_client = mosquitto_client;
const ace_fn_complete_basic_auth check_complete_basic_auth = mosquitto_complete_basic_auth;
CONSTANT(ACE_ERR_AUTH_DELAYED, MOSQ_ERR_AUTH_DELAYED);
#endif
