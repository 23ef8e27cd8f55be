/* What is played, one function for each; each begins and ends without any plugin. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

/* loading.c */
void loading_versions(void);
void loading_bad_options(void);
void loading_refused_events(void);
void loading_again_and_again(void);
void loading_twice_at_once(void);

/* nonsense.c */
void nonsense_null_pointers(void);
void nonsense_unknown_clients(void);
void nonsense_credentials(void);
void nonsense_data(void);

/* challenges.c */
void challenges_answered(void);
void challenges_out_of_order(void);
void challenges_by_others(void);
void challenges_too_late(void);
void challenges_across_reloads(void);

/* connections.c */
void connections_wills(void);
void connections_addresses_reused(void);
void connections_reauthentication(void);
void connections_user_name_refused(void);
void connections_of_other_kinds(void);
void connections_coming_and_going(void);

/* authz_info.c */
void authz_info_messages(void);
void authz_info_bad_tokens(void);
void authz_info_reloads(void);

/* commands.c */
void commands_carried_out(void);
void commands_of_others(void);
void commands_nonsense(void);
void commands_to_an_id_that_is_taken(void);

/* endings.c */
void endings_kick_reenters(void);
void endings_kick_finds_nobody(void);
void endings_overtaken(void);
void endings_many_at_once(void);

/* wills.c */
void wills_told_of(void);
void wills_of_other_kinds(void);

/* crowd.c */
void crowd_through_reload_and_unload(void);

/* operating.c */
void operating_reloads(void);
void operating_instances(void);
void operating_cleanup_in_the_middle(void);
void operating_state(void);
void operating_state_damaged(void);

/* tls.c: with OpenSSL in the process */
void tls_exporter(void);
void tls_wrong_connection(void);
void tls_challenges(void);
void tls_kicks(void);
void tls_without_plugin(void);
void tls_coming_and_going(void);

#endif
