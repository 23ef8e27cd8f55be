/* See device.h. */
#include "device.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <mqtt_protocol.h>

#include "ace.h"

/* Where things are: as `ace-as init trial` has made them, seen from the folder trial. */
#define AUDIENCE "broker.example"
#define CA_FILE "ca-cert.pem"
#define BROKER "localhost"
#define PORT "8883"

#define KEEP_ALIVE 60
/* How long the broker keeps subscriptions and messages while we are away, in seconds. */
#define SESSION_EXPIRY 300

static bool is_connected;
static void (*when_connected)(struct mosquitto *);

static const char *setting(const char *name, const char *usual) {
    const char *value = getenv(name);
    return value == NULL ? usual : value;
}

static void on_connect(struct mosquitto *device, void *data, int reason, int flags, const mosquitto_property *properties) {
    (void)data, (void)flags, (void)properties;
    is_connected = reason == 0;
    printf(is_connected ? "connected\n" : "refused: %s\n", mosquitto_reason_string(reason));
    if (is_connected && when_connected != NULL) when_connected(device);
}

/* One attempt to connect: each takes a password of its own. */
static void open_connection(struct mosquitto *device, const char *name) {
    char file[128];
    struct ace_credentials credentials;
    snprintf(file, sizeof file, "%s.credentials", name);
    const char *wrong = ace_read_credentials(&credentials, file);
    if (wrong != NULL) {
        printf("%s: %s\n", file, wrong);
    } else {
        char *password = ace_password(&credentials, name, AUDIENCE);
        mosquitto_property *properties = NULL;
        mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, SESSION_EXPIRY);
        mosquitto_username_pw_set(device, ACE_USER_NAME, password);
        int result = mosquitto_connect_bind_v5(device, setting("BROKER", BROKER), atoi(setting("PORT", PORT)), KEEP_ALIVE, NULL,
                                               properties);
        if (result != MOSQ_ERR_SUCCESS) printf("not connected: %s\n", mosquitto_strerror(result));
        mosquitto_property_free_all(&properties);
        free(password);
    }
    ace_forget(&credentials);
}

int device_run(struct mosquitto *device, const char *name, void (*connected)(struct mosquitto *),
               void (*work)(struct mosquitto *)) {
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    when_connected = connected;
    mosquitto_connect_v5_callback_set(device, on_connect);
    if (mosquitto_tls_set(device, CA_FILE, NULL, NULL, NULL, NULL) != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "%s: no certificate to trust\n", CA_FILE);
        return EXIT_FAILURE;
    }
    for (;;) {
        open_connection(device, name);
        time_t last = 0;
        while (mosquitto_loop(device, 100, 1) == MOSQ_ERR_SUCCESS) {
            if (is_connected && work != NULL && time(NULL) != last) {
                last = time(NULL);
                work(device);
            }
        }
        is_connected = false;
        sleep(1);
    }
}
