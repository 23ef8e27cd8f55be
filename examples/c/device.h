/* A connection of libmosquitto's that shows a token: what sensor.c and dashboard.c have in common. */
#ifndef DEVICE_H
#define DEVICE_H

#include <mosquitto.h>

/*
 * Connects as this client, and comes back for ever when the connection ends, each time with a fresh password for what is in the
 * file NAME.credentials then. Calls `connected` on each connection, and `work` once a second while there is one; either may be NULL.
 */
int device_run(struct mosquitto *device, const char *name, void (*connected)(struct mosquitto *),
               void (*work)(struct mosquitto *));

#endif
