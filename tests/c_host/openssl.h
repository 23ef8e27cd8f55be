/*
 * OpenSSL, loaded while the program runs. First only for the host's own use, so that the plugin finds none in the
 * process; later for everybody, as in a broker with TLS.
 */
#ifndef OPENSSL_H
#define OPENSSL_H

#include <stdbool.h>
#include <stddef.h>

/* Opaque to us. */
struct ssl;

/* Loads libcrypto, unseen by the plugin. */
void openssl_load_hidden(void);
/* Loads libssl for everybody. */
void openssl_load_for_all(void);
/* Unloads what can be unloaded. */
void openssl_unload(void);

enum { MAC_BYTES = 32 };
/* HMAC-SHA-256. */
void hmac_sha256(const void *key, size_t key_bytes, const void *message, size_t message_bytes,
                 unsigned char mac[MAC_BYTES]);

/* A TLS connection within the process, over a socket pair, the handshake done. */
struct connection {
	struct ssl *server;
	struct ssl *client;
	int sockets[2];
};

/* What the connections are made from: with the folder's certificate. TLS 1.2 only, if that is asked for. */
void contexts_make(bool tls_1_2);
void contexts_free(void);

/* The owner is the broker's client, which Mosquitto 2.1 notes with the connection. */
struct connection *connection_make(void *owner);
/* Frees the server's end first, as a broker does. */
void connection_free(struct connection *connection);
/* The client sends a byte and the server reads it: as the packet that leads to the event that follows. */
void connection_packet(struct connection *connection);
/* What the client reads: the count of bytes, 0 at the end of the stream, -1 if there is nothing. */
int connection_read(struct connection *connection, unsigned char *data, size_t most);
/* The client's end of the exporter, with the folder's label. */
void connection_export(struct connection *connection, unsigned char value[MAC_BYTES]);

#endif
