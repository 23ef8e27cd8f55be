# What the tests of the packages share; read by them with ".". They run in a clean Debian tree that is thrown away, with a network
# and with process ids of their own: whatever they start ends with them.

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    patience=$(($1 * 10)) what=$2
    shift 2
    until "$@"; do
        patience=$((patience - 1))
        [ "$patience" -gt 0 ] || fail "$what: not in time"
        sleep 0.1
    done
}

# listens PORT: whether somebody does, on TCP.
listens() {
    grep -qsE ":$(printf %04X "$1") [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6
}

runs() {
    kill -0 "$1" 2>/dev/null
}

gone() {
    ! runs "$1"
}

# stop PID: waits for its end.
stop() {
    kill "$1"
    wait_for 10 "the end of process $1" gone "$1"
    wait "$1" || true
}

# What Debian's service makes before it starts the broker.
make_broker_folders() {
    mkdir -p /run/mosquitto /var/log/mosquitto /var/lib/mosquitto
    chown mosquitto /run/mosquitto /var/log/mosquitto /var/lib/mosquitto
}

LOG=/var/log/mosquitto/mosquitto.log

# start_broker CONFIGURATION PORT: leaves its process id in $broker, and what it says in /trial/broker.said and $LOG.
start_broker() {
    make_broker_folders
    : >/trial/broker.said
    rm -f "$LOG"
    /usr/sbin/mosquitto -c "$1" >/trial/broker.said 2>&1 &
    broker=$!
    trap show_logs EXIT
    wait_for 20 "the broker on port $2" broker_is_up "$2"
    trap - EXIT
}

broker_is_up() {
    runs "$broker" || fail "the broker ended at once"
    listens "$1"
}

show_logs() {
    cat /trial/broker.said "$LOG" /trial/as.said >&2 2>/dev/null || true
}

# broker_refuses CONFIGURATION WORDS...: it ends by itself, with a failure, and says each of the words.
broker_refuses() {
    configuration=$1
    shift
    make_broker_folders
    rm -f "$LOG"
    status=0
    timeout 20 /usr/sbin/mosquitto -c "$configuration" >/trial/broker.said 2>&1 || status=$?
    [ "$status" -ne 0 ] && [ "$status" -ne 124 ] || { show_logs; fail "the broker started with $configuration"; }
    for word in "$@"; do
        cat /trial/broker.said "$LOG" 2>/dev/null | grep -qF -- "$word" || { show_logs; fail "the broker did not say: $word"; }
    done
}

# start_as: the server as its service would start it, but for the sandbox.
start_as() {
    install -d -o ace-as -g ace-as -m 0700 /var/lib/ace-as
    runuser -u ace-as -- /usr/bin/ace-as serve --config /etc/ace-as/as.toml >/trial/as.said 2>&1 &
    as=$!
    trap show_logs EXIT
    wait_for 20 "the authorization server" listens 8443
    trap - EXIT
}

# token CLIENT OPTIONS...: a fresh token in /trial/CLIENT.credentials.
token() {
    client=$1
    shift
    rm -f "/trial/$client.credentials"
    timeout 20 ace-mqtt token --as https://localhost:8443/token --as-ca /trial/ace/ca-cert.pem --client-id "$client" \
        --client-secret-file "/trial/ace/$client.secret" --audience mqtt.home.example "$@" --out "/trial/$client.credentials" >&2
}

# exchange TEXT: a message from one client to another, by the broker that runs. The broker keeps it for who comes later.
exchange() {
    token sensor --publish 'sensors/#'
    token dashboard --subscribe 'sensors/#'
    timeout 20 ace-mqtt pub -h localhost --cafile /trial/ace/ca-cert.pem -t sensors/1 -m "$1" -q 1 -r --credentials /trial/sensor.credentials
    heard=$(timeout 20 ace-mqtt sub -h localhost --cafile /trial/ace/ca-cert.pem -t 'sensors/#' -C 1 --credentials /trial/dashboard.credentials)
    [ "$heard" = "$1" ] || { show_logs; fail "the dashboard heard '$heard' and not '$1'"; }
}

# Follows docs/install.md: an authorization server, and the files for the broker; the two edits and the link are not made.
configure_servers() {
    umask 077
    ace-as init /trial/ace --audience mqtt.home.example >/dev/null
    (
        cd /trial/ace
        install -m 640 -g ace-as -t /etc/ace-as as.toml as-cert.pem as-key.pem signing-key.jwk \
            broker-shared-key.jwk broker-public-key.jwk ./*.secret
        install -o mosquitto -m 400 broker-cert.pem broker-key.pem -t /etc/mosquitto/certs
        install -o mosquitto -m 400 as-jwks.json -t /etc/mosquitto
    )
    sed -i 's|^state_file = .*|state_file = "/var/lib/ace-as/state.jsonl"|' /etc/ace-as/as.toml
    umask 022
}

# The two edits.
edit_example() {
    sed -i 's|^audience = .*|audience = "mqtt.home.example"|' /etc/mosquitto/ace.toml
    sed -i 's|^issuer = .*|issuer = "https://localhost:8443"|' /etc/mosquitto/ace.toml
}
