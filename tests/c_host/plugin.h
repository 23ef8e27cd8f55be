/* A loaded plugin: found, started and ended as Mosquitto does it. */
#ifndef PLUGIN_H
#define PLUGIN_H

#include "broker.h"

/* One plugin line of mosquitto.conf. */
struct plugin {
	void *library;
	void *userdata;
	struct registration *registration;
	int (*version)(int count, const int *versions);
	int (*init)(void *identifier, void **userdata, struct ace_opt *options, int count);
	int (*cleanup)(void *userdata, struct ace_opt *options, int count);
};

/* The shared object that is tested, and the folder with configurations and tokens. */
extern const char *plugin_path;
extern const char *plugin_folder;

/* Loads the shared object and finds its functions; does not start it. */
struct plugin *plugin_open(void);
/* Starts it; the options may be freed afterwards. The plugin's return code. */
int plugin_init(struct plugin *plugin, struct ace_opt *options, int count);
/* Opens it and starts it with a configuration file of the folder: must succeed. */
struct plugin *plugin_load(const char *config);
/* Ends it, if it was started, and unloads the shared object. */
void plugin_unload(struct plugin *plugin);

/* Whether this is the identifier of a plugin that is loaded. */
bool plugin_is_identifier(const void *identifier);

/* The path of a file in the folder; to be freed. */
char *plugin_file(const char *name);
/* A file of the folder, with a NUL behind it; to be freed. */
char *plugin_read(const char *name);
/* Writes a file of the folder. */
void plugin_write(const char *name, const char *text);

/* An option as mosquitto.conf would have it: copies, each exactly as long as it must be. */
struct ace_opt option(const char *key, const char *value);
void options_free(struct ace_opt *options, int count);

#endif
