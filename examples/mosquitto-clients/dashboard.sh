#!/bin/sh
# A dashboard: prints what the sensors publish, with mosquitto_sub. Run it in the folder trial: sh dashboard.sh [FILTER]
set -eu
. "$(dirname "$0")/settings.sh"
filter=${1:-sensors/#}

# mosquitto_sub ends with this when the time is over that it was given.
time_is_over=27

while :; do
    get_token dashboard
    write_options dashboard mosquitto_sub
    # It leaves before the token ends, and comes back to the same session with a fresh one: the broker keeps the messages meanwhile.
    result=0
    mosquitto_sub -t "$filter" -q 1 -v -c -x 300 -W "$((ends - $(date +%s) - 5))" || result=$?
    [ "$result" -eq "$time_is_over" ] || exit 1
done
