#!/bin/bash
# The demonstration in containers: a client of the broker and of ace-as over the compose network. Whatever is said has
# happened and has been checked; where something does not happen, it stops and fails.
set -euo pipefail
clients=${CLIENTS:-/trial/clients}
log=${LOG:-/var/log/mosquitto/mosquitto.log}
as=${AS:-https://ace-as:8443}
broker=${BROKER:-broker}
cd "$(mktemp -d)"

scene() { printf '\n== %s\n' "$1"; }
fail() {
    printf 'FAILED: %s\n' "$1" >&2
    exit 1
}
# Shows a command and runs it, for 20 seconds at most; the exit code must be the one that is expected.
expect() {
    local wanted=$1 code=0
    shift
    printf '   $ %s\n' "$*"
    timeout 20 "$@" > said 2>&1 || code=$?
    sed 's/^/     /' said
    [ "$code" -eq "$wanted" ] || fail "exit code $code instead of $wanted"
}
# Waits for a new line of the broker's log with these words, and shows it.
broker_says() {
    local end=$((SECONDS + 15)) line
    while [ "$SECONDS" -lt "$end" ]; do
        if line=$(grep -m 1 -- "$1" < <(tail -n +"$((seen + 1))" "$log")); then
            printf '   broker: %s\n' "${line#*: }"
            return
        fi
        sleep 0.1
    done
    fail "the broker's log has no line with \"$1\""
}
mark() { seen=$(wc -l < "$log"); }
token() {
    local who=$1
    shift
    expect 0 ace-mqtt token --as "$as/token" --as-ca "$clients/ca-cert.pem" --audience broker.example \
        --client-id "$who" --client-secret-file "$clients/$who.secret" "$@" --out "$who.credentials"
}
at=(-h "$broker" --cafile "$clients/ca-cert.pem")
# Waits until a client in the background has subscribed.
subscribed() {
    local end=$((SECONDS + 15))
    until grep -q 'subscribed to' "$1"; do
        [ "$SECONDS" -lt "$end" ] || fail "no subscription: $(cat "$1")"
        sleep 0.1
    done
}

scene 'A stock Mosquitto with the plugin'
seen=0 broker_says 'mosquitto version .* running'

scene 'Two clients get tokens from ace-as over HTTPS, each bound to a key of its own'
token sensor --publish home/temperature --subscribe home/setpoint
token dashboard --publish home/setpoint --subscribe home/temperature

scene 'They connect over TLS, prove that they hold their keys, and exchange a message'
mark
timeout 30 ace-mqtt sub "${at[@]}" --id dashboard --credentials dashboard.credentials -t home/temperature -v -C 1 -d \
    > received 2> listening &
listener=$!
subscribed listening
expect 0 ace-mqtt pub "${at[@]}" --id sensor --credentials sensor.credentials -t home/temperature -m 21.5 -q 1
wait "$listener" || fail "the dashboard: $(cat listening)"
[ "$(cat received)" = 'home/temperature 21.5' ] || fail "received: $(cat received)"
printf '   dashboard received: %s\n' "$(cat received)"
broker_says 'ace: admitted client "sensor"'

scene 'Topics that their tokens do not name are closed to them'
mark
expect 12 ace-mqtt pub "${at[@]}" --id sensor --credentials sensor.credentials -t home/door/unlock -m now -q 1
broker_says 'ace: denied client "sensor".*home/door/unlock.*outside-scope'
expect 12 ace-mqtt sub "${at[@]}" --id sensor --credentials sensor.credentials -t 'home/#' -C 1 -W 5
broker_says 'ace: denied client "sensor".*to subscribe to "home/#".*outside-scope'

scene 'A client without a token is refused'
mark
expect 5 ace-mqtt pub "${at[@]}" --id nobody --auth none -t home/temperature -m 99 -q 1
broker_says 'ace: refused client "nobody"'

scene 'A stolen token without its key opens nothing'
mark
expect 0 ace-mqtt keygen --out thief.key
sed -n 's/.*"access_token" *: *"\([^"]*\)".*/\1/p' dashboard.credentials > stolen.token
[ -s stolen.token ] || fail 'there is no token to steal'
printf '   stolen.token: the token of dashboard.credentials, without the key\n'
expect 5 ace-mqtt pub "${at[@]}" --id thief --token-file stolen.token --key thief.key -t home/temperature -m 99 -q 1
broker_says 'ace: refused client "thief".*proof-wrong'

scene 'A session ends with its token'
mark
token visitor --subscribe home/temperature
expect 7 ace-mqtt sub "${at[@]}" --id visitor --credentials visitor.credentials -t home/temperature
broker_says 'the session of client "visitor" ends: token-expired'

printf '\nEverything has happened as it should.\n'
