/* What is particular to Mosquitto 2.0: it shares a plugin's symbols with everybody. */
#include <dlfcn.h>

#include "broker.h"

const bool broker_is_2_1 = false;
const int broker_dlopen_flags = RTLD_NOW | RTLD_GLOBAL;
char broker_plugin_name[64];
