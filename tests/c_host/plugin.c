/* Loading and unloading. */
#include "plugin.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

const char *plugin_path;
const char *plugin_folder;

enum { PLUGINS_MAX = 8 };
static struct plugin *plugins[PLUGINS_MAX];

bool plugin_is_identifier(const void *identifier)
{
	for (int number = 0; number < PLUGINS_MAX; number++) {
		if (plugins[number] != NULL && plugins[number]->registration == identifier) {
			return true;
		}
	}
	return false;
}

static void *symbol(void *library, const char *name)
{
	void *found = dlsym(library, name);

	REQUIRE(found != NULL, "%s", dlerror());
	return found;
}

struct plugin *plugin_open(void)
{
	struct plugin *plugin = take(sizeof(*plugin));
	int number = 0;

	memset(plugin, 0, sizeof(*plugin));
	plugin->library = dlopen(plugin_path, broker_dlopen_flags);
	REQUIRE(plugin->library != NULL, "%s", dlerror());
	*(void **)&plugin->version = symbol(plugin->library, "mosquitto_plugin_version");
	*(void **)&plugin->init = symbol(plugin->library, "mosquitto_plugin_init");
	*(void **)&plugin->cleanup = symbol(plugin->library, "mosquitto_plugin_cleanup");
	plugin->registration = take(sizeof(*plugin->registration));
	memset(plugin->registration, 0, sizeof(*plugin->registration));
	while (number < PLUGINS_MAX && plugins[number] != NULL) {
		number++;
	}
	REQUIRE(number < PLUGINS_MAX, "too many plugins");
	plugins[number] = plugin;
	return plugin;
}

int plugin_init(struct plugin *plugin, struct ace_opt *options, int count)
{
	const int code = plugin->init(plugin->registration, &plugin->userdata, options, count);

	/* Of the twelve events that it asks for, it can do without commands, and without the two that 2.0 does not have. */
	const int offered = broker_is_2_1 ? 12 : 10;
	const bool lacks_one = behaviour.refused_event == ACE_EVT_CONTROL || (broker_is_2_1 && behaviour.refused_event != 0);
	const int expected = lacks_one ? offered - 1 : offered;

	if (code == ACE_ERR_SUCCESS) {
		REQUIRE(plugin->userdata != NULL, "a started plugin has no state");
		REQUIRE(registration_count(plugin->registration) == expected, "%d callbacks",
		        registration_count(plugin->registration));
	} else {
		REQUIRE(plugin->userdata == NULL, "a plugin that did not start has state");
		REQUIRE(registration_count(plugin->registration) == 0, "a plugin that did not start has callbacks");
	}
	return code;
}

struct plugin *plugin_load(const char *config)
{
	struct plugin *plugin = plugin_open();
	const int versions[] = {5, 4, 3, 2};
	char *path = plugin_file(config);
	struct ace_opt options[] = {option("config_file", path)};

	REQUIRE_CODE(ACE_PLUGIN_VERSION, plugin->version(4, versions));
	REQUIRE_CODE(ACE_ERR_SUCCESS, plugin_init(plugin, options, 1));
	REQUIRE(!broker_is_2_1 || strcmp(broker_plugin_name, "mosquitto-ace") == 0, "%s", broker_plugin_name);
	options_free(options, 1);
	free(path);
	return plugin;
}

void plugin_unload(struct plugin *plugin)
{
	REQUIRE_CODE(ACE_ERR_SUCCESS, plugin->cleanup(plugin->userdata, NULL, 0));
	REQUIRE(registration_count(plugin->registration) == 0, "an ended plugin has %d callbacks",
	        registration_count(plugin->registration));
	REQUIRE(dlclose(plugin->library) == 0, "%s", dlerror());
	for (int number = 0; number < PLUGINS_MAX; number++) {
		if (plugins[number] == plugin) {
			plugins[number] = NULL;
		}
	}
	free(plugin->registration);
	free(plugin);
}

char *plugin_file(const char *name)
{
	const size_t bytes = strlen(plugin_folder) + strlen(name) + 2;
	char *path = take(bytes);

	snprintf(path, bytes, "%s/%s", plugin_folder, name);
	return path;
}

char *plugin_read(const char *name)
{
	char *path = plugin_file(name);
	FILE *file = fopen(path, "rb");
	char *text;
	size_t bytes;

	REQUIRE(file != NULL, "%s cannot be read", path);
	REQUIRE(fseek(file, 0, SEEK_END) == 0, "%s has no end", path);
	bytes = (size_t)ftell(file);
	rewind(file);
	text = take(bytes + 1);
	REQUIRE(fread(text, 1, bytes, file) == bytes, "%s cannot be read", path);
	text[bytes] = '\0';
	fclose(file);
	free(path);
	return text;
}

void plugin_write(const char *name, const char *text)
{
	char *path = plugin_file(name);
	FILE *file = fopen(path, "wb");

	REQUIRE(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, "%s cannot be written", path);
	free(path);
}

struct ace_opt option(const char *key, const char *value)
{
	return (struct ace_opt){copy_text(key), copy_text(value)};
}

void options_free(struct ace_opt *options, int count)
{
	for (int number = 0; number < count; number++) {
		free(options[number].key);
		free(options[number].value);
	}
}
