/* What is particular to Mosquitto 2.1: two more functions, and a plugin's symbols stay its own. */
#include <dlfcn.h>
#include <stdio.h>

#include "broker.h"
#include "check.h"
#include "plugin.h"

const bool broker_is_2_1 = true;
const int broker_dlopen_flags = RTLD_NOW | RTLD_LOCAL;
char broker_plugin_name[64];

struct mosquitto *mosquitto_client(const char *id)
{
	REQUIRE(event_depth() > 0, "%s outside of any event", __func__);
	REQUIRE(id != NULL, "a client without an id is looked for");
	return client_or_session_of_id(id);
}

int mosquitto_plugin_set_info(void *plugin, const char *name, const char *version)
{
	REQUIRE(plugin_is_identifier(plugin), "a plugin introduces itself as one that is not there");
	REQUIRE(name != NULL && version != NULL && version[0] != '\0', "a plugin without name or version");
	snprintf(broker_plugin_name, sizeof(broker_plugin_name), "%s", name);
	return ACE_ERR_SUCCESS;
}
