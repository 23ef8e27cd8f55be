/* A sensor: publishes a temperature once a second. Run it in the folder trial: sensor [TOPIC] */
#include <stdio.h>
#include <stdlib.h>

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include "device.h"

static const char *topic = "sensors/1";

static void publish(struct mosquitto *sensor) {
    char temperature[16];
    int length = snprintf(temperature, sizeof temperature, "%.1f", 20.5 + rand() % 10 / 10.0);
    mosquitto_publish_v5(sensor, NULL, topic, length, temperature, 1, false, NULL);
}

/* With QoS 1 the broker says whether the token allows the topic. */
static void acknowledged(struct mosquitto *sensor, void *data, int id, int reason, const mosquitto_property *properties) {
    (void)sensor, (void)data, (void)id, (void)properties;
    if (reason >= MQTT_RC_UNSPECIFIED) {
        printf("refused: %s: %s\n", topic, mosquitto_reason_string(reason));
    } else {
        printf("published to %s\n", topic);
    }
}

int main(int count, char **arguments) {
    if (count > 1) topic = arguments[1];
    mosquitto_lib_init();
    struct mosquitto *sensor = mosquitto_new("sensor", false, NULL);
    if (sensor == NULL) return EXIT_FAILURE;
    mosquitto_int_option(sensor, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_publish_v5_callback_set(sensor, acknowledged);
    return device_run(sensor, "sensor", NULL, publish);
}
