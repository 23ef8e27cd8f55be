/* A dashboard: prints what the sensors publish. Run it in the folder trial: dashboard [FILTER] */
#include <stdio.h>
#include <stdlib.h>

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include "device.h"

static const char *filter = "sensors/#";

static void subscribe(struct mosquitto *dashboard) {
    mosquitto_subscribe_v5(dashboard, NULL, filter, 1, 0, NULL);
}

static void subscribed(struct mosquitto *dashboard, void *data, int id, int count, const int *granted,
                       const mosquitto_property *properties) {
    (void)dashboard, (void)data, (void)id, (void)properties;
    if (count != 1 || granted[0] >= MQTT_RC_UNSPECIFIED) {
        printf("refused: %s: %s\n", filter, mosquitto_reason_string(granted[0]));
    } else {
        printf("subscribed to %s\n", filter);
    }
}

static void received(struct mosquitto *dashboard, void *data, const struct mosquitto_message *message,
                     const mosquitto_property *properties) {
    (void)dashboard, (void)data, (void)properties;
    printf("%s %.*s\n", message->topic, message->payloadlen, (const char *)message->payload);
}

int main(int count, char **arguments) {
    if (count > 1) filter = arguments[1];
    mosquitto_lib_init();
    struct mosquitto *dashboard = mosquitto_new("dashboard", false, NULL);
    if (dashboard == NULL) return EXIT_FAILURE;
    mosquitto_int_option(dashboard, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_subscribe_v5_callback_set(dashboard, subscribed);
    mosquitto_message_v5_callback_set(dashboard, received);
    return device_run(dashboard, "dashboard", subscribe, NULL);
}
