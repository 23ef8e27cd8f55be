/*
 * A broker without network, for one purpose: to load the plugin as a shared object and drive it through every event in
 * orders that a real broker shows seldom or never, under tools that see each misuse of memory.
 *
 *     host PLUGIN FOLDER
 *
 * tests/c_host.rs builds it, makes the folder and runs it. Exit code 0 means that nothing surprised.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "check.h"
#include "clock.h"
#include "openssl.h"
#include "plugin.h"
#include "scenarios.h"
#include "tokens.h"

struct scenario {
	const char *name;
	void (*play)(void);
};

#define SCENARIO(name) {#name, name}

static const struct scenario everywhere[] = {
	SCENARIO(loading_versions),
	SCENARIO(loading_bad_options),
	SCENARIO(loading_refused_events),
	SCENARIO(loading_again_and_again),
	SCENARIO(loading_twice_at_once),
	SCENARIO(nonsense_null_pointers),
	SCENARIO(nonsense_unknown_clients),
	SCENARIO(nonsense_credentials),
	SCENARIO(nonsense_data),
	SCENARIO(authz_info_messages),
	SCENARIO(authz_info_bad_tokens),
	SCENARIO(authz_info_reloads),
	SCENARIO(challenges_answered),
	SCENARIO(challenges_out_of_order),
	SCENARIO(challenges_by_others),
	SCENARIO(challenges_too_late),
	SCENARIO(challenges_across_reloads),
	SCENARIO(connections_wills),
	SCENARIO(connections_addresses_reused),
	SCENARIO(connections_reauthentication),
	SCENARIO(connections_user_name_refused),
	SCENARIO(connections_of_other_kinds),
	SCENARIO(connections_coming_and_going),
	SCENARIO(commands_carried_out),
	SCENARIO(commands_of_others),
	SCENARIO(commands_nonsense),
	SCENARIO(commands_to_an_id_that_is_taken),
	SCENARIO(endings_kick_reenters),
	SCENARIO(endings_kick_finds_nobody),
	SCENARIO(endings_overtaken),
	SCENARIO(endings_many_at_once),
	SCENARIO(operating_reloads),
	SCENARIO(operating_instances),
	SCENARIO(operating_cleanup_in_the_middle),
	SCENARIO(operating_state),
	SCENARIO(operating_state_damaged),
	SCENARIO(wills_told_of),
	SCENARIO(wills_of_other_kinds),
	SCENARIO(crowd_through_reload_and_unload),
};

static const struct scenario with_tls[] = {
	SCENARIO(tls_exporter),
	SCENARIO(tls_wrong_connection),
	SCENARIO(tls_challenges),
	SCENARIO(tls_kicks),
	SCENARIO(tls_without_plugin),
	SCENARIO(tls_coming_and_going),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void play(const struct scenario *scenarios, size_t count)
{
	for (size_t number = 0; number < count; number++) {
		check_scenario = scenarios[number].name;
		scenarios[number].play();
		REQUIRE(event_depth() == 0, "an event has not ended");
		REQUIRE(blocks_left() == 0, "%zu blocks of the broker's have not been released", blocks_left());
		sent_clear();
		clients_vanish();
		log_clear();
		clock_set_ahead(0);
		memset(&behaviour, 0, sizeof(behaviour));
	}
}

int main(int argument_count, char **arguments)
{
	REQUIRE(argument_count == 3, "usage: host PLUGIN FOLDER");
	/* As Mosquitto does. */
	signal(SIGPIPE, SIG_IGN);
	plugin_path = arguments[1];
	plugin_folder = arguments[2];
	openssl_load_hidden();
	tokens_read();
	/* Without OpenSSL as far as the plugin can see, then with it. */
	play(everywhere, COUNT(everywhere));
	openssl_load_for_all();
	play(everywhere, COUNT(everywhere));
	play(with_tls, COUNT(with_tls));
	check_scenario = "end";
	tokens_free();
	log_release();
	openssl_unload();
	printf("broker %s: %zu scenarios without TLS, %zu with it\n", broker_is_2_1 ? "2.1" : "2.0", COUNT(everywhere),
	       COUNT(everywhere) + COUNT(with_tls));
	return 0;
}
