/* OpenSSL's functions by name, with our own declarations after its manual. */
#include "openssl.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "check.h"
#include "plugin.h"

struct ssl_ctx;

/* TLS1_2_VERSION, SSL_CTRL_SET_MAX_PROTO_VERSION, SSL_FILETYPE_PEM, CRYPTO_EX_INDEX_SSL, SSL_ERROR_... */
enum { TLS_1_2 = 0x0303, CTRL_MAX_VERSION = 124, FILETYPE_PEM = 1, INDEX_SSL = 0, WANT_READ = 2, WANT_WRITE = 3,
       ZERO_RETURN = 6 };

static void *libcrypto, *libssl;
static unsigned char *(*hmac)(const void *, const void *, int, const unsigned char *, size_t, unsigned char *,
                              unsigned *);
static const void *(*evp_sha256)(void);

static struct {
	const void *(*tls_method)(void);
	struct ssl_ctx *(*ctx_new)(const void *);
	void (*ctx_free)(struct ssl_ctx *);
	long (*ctx_ctrl)(struct ssl_ctx *, int, long, void *);
	int (*ctx_use_certificate_file)(struct ssl_ctx *, const char *, int);
	int (*ctx_use_private_key_file)(struct ssl_ctx *, const char *, int);
	struct ssl *(*new)(struct ssl_ctx *);
	void (*free)(struct ssl *);
	int (*set_fd)(struct ssl *, int);
	void (*set_accept_state)(struct ssl *);
	void (*set_connect_state)(struct ssl *);
	int (*do_handshake)(struct ssl *);
	int (*read)(struct ssl *, void *, int);
	int (*write)(struct ssl *, const void *, int);
	int (*get_error)(const struct ssl *, int);
	int (*set_ex_data)(struct ssl *, int, void *);
	int (*export_keying_material)(struct ssl *, unsigned char *, size_t, const char *, size_t, const unsigned char *,
	                              size_t, int);
	int (*get_ex_new_index)(int, long, void *, void *, void *, void *);
} ssl;

static struct ssl_ctx *server_context, *client_context;
static int owner_index = -1;
static char *exporter_label;

static void *function(void *library, const char *name)
{
	void *found = dlsym(library, name);

	REQUIRE(found != NULL, "OpenSSL has no %s", name);
	return found;
}

void openssl_load_hidden(void)
{
	libcrypto = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
	REQUIRE(libcrypto != NULL, "libcrypto.so.3 is needed for the proofs (`cargo xtask setup` installs it): %s",
	        dlerror());
	*(void **)&hmac = function(libcrypto, "HMAC");
	*(void **)&evp_sha256 = function(libcrypto, "EVP_sha256");
	REQUIRE(dlsym(RTLD_DEFAULT, "CRYPTO_get_ex_new_index") == NULL, "OpenSSL is not hidden");
}

void openssl_load_for_all(void)
{
	libssl = dlopen("libssl.so.3", RTLD_NOW | RTLD_GLOBAL);
	REQUIRE(libssl != NULL, "libssl.so.3 is needed for TLS (`cargo xtask setup` installs it): %s", dlerror());
	*(void **)&ssl.tls_method = function(libssl, "TLS_method");
	*(void **)&ssl.ctx_new = function(libssl, "SSL_CTX_new");
	*(void **)&ssl.ctx_free = function(libssl, "SSL_CTX_free");
	*(void **)&ssl.ctx_ctrl = function(libssl, "SSL_CTX_ctrl");
	*(void **)&ssl.ctx_use_certificate_file = function(libssl, "SSL_CTX_use_certificate_file");
	*(void **)&ssl.ctx_use_private_key_file = function(libssl, "SSL_CTX_use_PrivateKey_file");
	*(void **)&ssl.new = function(libssl, "SSL_new");
	*(void **)&ssl.free = function(libssl, "SSL_free");
	*(void **)&ssl.set_fd = function(libssl, "SSL_set_fd");
	*(void **)&ssl.set_accept_state = function(libssl, "SSL_set_accept_state");
	*(void **)&ssl.set_connect_state = function(libssl, "SSL_set_connect_state");
	*(void **)&ssl.do_handshake = function(libssl, "SSL_do_handshake");
	*(void **)&ssl.read = function(libssl, "SSL_read");
	*(void **)&ssl.write = function(libssl, "SSL_write");
	*(void **)&ssl.get_error = function(libssl, "SSL_get_error");
	*(void **)&ssl.set_ex_data = function(libssl, "SSL_set_ex_data");
	*(void **)&ssl.export_keying_material = function(libssl, "SSL_export_keying_material");
	*(void **)&ssl.get_ex_new_index = function(libcrypto, "CRYPTO_get_ex_new_index");
	owner_index = ssl.get_ex_new_index(INDEX_SSL, 0, NULL, NULL, NULL, NULL);
	REQUIRE(owner_index >= 0, "no index for extra data");
	exporter_label = plugin_read("exporter-label");
}

void openssl_unload(void)
{
	free(exporter_label);
	exporter_label = NULL;
	dlclose(libssl);
	dlclose(libcrypto);
}

void hmac_sha256(const void *key, size_t key_bytes, const void *message, size_t message_bytes,
                 unsigned char mac[MAC_BYTES])
{
	unsigned bytes = 0;

	REQUIRE(hmac(evp_sha256(), key, (int)key_bytes, message, message_bytes, mac, &bytes) != NULL, "HMAC fails");
	REQUIRE(bytes == MAC_BYTES, "a MAC of %u bytes", bytes);
}

void contexts_make(bool tls_1_2)
{
	char *certificate = plugin_file("server.pem"), *key = plugin_file("server.key");

	server_context = ssl.ctx_new(ssl.tls_method());
	client_context = ssl.ctx_new(ssl.tls_method());
	REQUIRE(server_context != NULL && client_context != NULL, "no context");
	REQUIRE(ssl.ctx_use_certificate_file(server_context, certificate, FILETYPE_PEM) == 1, "%s", certificate);
	REQUIRE(ssl.ctx_use_private_key_file(server_context, key, FILETYPE_PEM) == 1, "%s", key);
	if (tls_1_2) {
		REQUIRE(ssl.ctx_ctrl(client_context, CTRL_MAX_VERSION, TLS_1_2, NULL) == 1, "no TLS 1.2");
	}
	free(certificate);
	free(key);
}

void contexts_free(void)
{
	ssl.ctx_free(server_context);
	ssl.ctx_free(client_context);
	server_context = client_context = NULL;
}

static struct ssl *end_of(struct ssl_ctx *context, int socket)
{
	struct ssl *end = ssl.new(context);

	REQUIRE(end != NULL, "no SSL");
	REQUIRE(fcntl(socket, F_SETFL, O_NONBLOCK) == 0, "the socket stays blocking");
	REQUIRE(ssl.set_fd(end, socket) == 1, "no socket for the SSL");
	return end;
}

struct connection *connection_make(void *owner)
{
	struct connection *connection = take(sizeof(*connection));
	int server_done = 0, client_done = 0;
	unsigned char nothing;

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, connection->sockets) == 0, "no sockets");
	connection->server = end_of(server_context, connection->sockets[0]);
	connection->client = end_of(client_context, connection->sockets[1]);
	/* Only 2.1 lets it be found. */
	if (broker_is_2_1) {
		REQUIRE(ssl.set_ex_data(connection->server, owner_index, owner) == 1, "no extra data");
	}
	ssl.set_accept_state(connection->server);
	ssl.set_connect_state(connection->client);
	for (int turn = 0; turn < 20 && !(server_done && client_done); turn++) {
		client_done = ssl.do_handshake(connection->client) == 1;
		server_done = ssl.do_handshake(connection->server) == 1;
	}
	REQUIRE(server_done && client_done, "the handshake does not end");
	/* Takes what the server sends after it: session tickets. */
	REQUIRE(connection_read(connection, &nothing, 1) == -1, "something is there before anything was sent");
	return connection;
}

void connection_free(struct connection *connection)
{
	ssl.free(connection->server);
	ssl.free(connection->client);
	close(connection->sockets[0]);
	close(connection->sockets[1]);
	free(connection);
}

void connection_packet(struct connection *connection)
{
	unsigned char byte = 0x10;

	REQUIRE(ssl.write(connection->client, &byte, 1) == 1, "the client cannot send");
	REQUIRE(ssl.read(connection->server, &byte, 1) == 1, "the server cannot read");
}

int connection_read(struct connection *connection, unsigned char *data, size_t most)
{
	const int bytes = ssl.read(connection->client, data, (int)most);

	if (bytes > 0) {
		return bytes;
	}
	switch (ssl.get_error(connection->client, bytes)) {
	case WANT_READ:
	case WANT_WRITE:
		return -1;
	default:
		return 0;
	}
}

void connection_export(struct connection *connection, unsigned char value[MAC_BYTES])
{
	REQUIRE(ssl.export_keying_material(connection->client, value, MAC_BYTES, exporter_label, strlen(exporter_label),
	                                   (const unsigned char *)"", 0, 1) == 1, "the client cannot export");
}
