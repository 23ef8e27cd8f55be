#!/bin/sh
# Makes what a trial needs, once: a CA, certificates, keys, secrets and configurations. Each party gets a folder of its
# own with what is its own: as/, broker/ and clients/ below TRIAL. With --stay it then waits to be stopped, so that
# others can wait for it to be healthy.
set -eu
trial=${TRIAL:-/trial}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
issuer=${ISSUER:-https://ace-as:8443}
umask 077

make() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # The demonstration: a sensor, a dashboard that steers it, and a visitor who may look for five seconds.
    # The tests: one that may do much, and one whose tokens live for three seconds.
    ace-as init "$work" --issuer "$issuer" --listen "${LISTEN:-0.0.0.0:8443}" --host ace-as --host broker \
        --client 'sensor:home/temperature:home/setpoint' \
        --client 'dashboard:home/setpoint:home/temperature' \
        --client 'visitor::home/temperature' \
        --client 'tester:test/#:test/#,$SYS/broker/version' \
        --client 'brief:test/brief/#:test/brief/#' >/dev/null
    lives visitor 5s
    lives brief 3s
    change 's|^state_file = .*|state_file = "'"${STATE:-/var/lib/ace-as}"'/as-state.jsonl"|'

    mkdir -p "$trial/as" "$trial/broker" "$trial/clients"
    cd "$work"
    cp ca-cert.pem as-cert.pem as-key.pem as.toml signing-key.jwk broker-public-key.jwk broker-shared-key.jwk ./*.secret \
        "$trial/as"
    cp ca-cert.pem broker-cert.pem broker-key.pem as-jwks.json broker.secret "$here/ace.toml" "$here/mosquitto.conf" \
        "$trial/broker"
    cp ca-cert.pem administrator.secret sensor.secret dashboard.secret visitor.secret tester.secret brief.secret \
        "$trial/clients"
    cd /
    rm -rf "$work"
    trap - EXIT
    cp "$here/setup.sh" "$trial/as/made-by"
}

# Changes as.toml; that nothing changes is an error.
change() {
    before=$(cat "$work/as.toml")
    sed -i "$1" "$work/as.toml"
    if [ "$before" = "$(cat "$work/as.toml")" ]; then
        echo "setup: as.toml is not as it was expected: $1 changes nothing" >&2
        exit 1
    fi
}

# Tokens of this client live so long.
lives() {
    change 's/^id = "'"$1"'"$/&\ntoken_lifetime = "'"$2"'"/'
}

# Written last: what has been made, and by which version of this.
if cmp -s "$here/setup.sh" "$trial/as/made-by"; then
    echo "setup: everything is there already"
else
    make
    echo "setup: made keys, certificates, secrets and configurations"
fi
if [ "${1:-}" = --stay ]; then
    touch "${READY:-/tmp/ready}"
    trap 'exit 0' TERM INT
    while :; do sleep 3600 & wait $!; done
fi
