# After two edits: the broker serves. Once with the example alone, and once as the system's service would start it.
. /trial/lib.sh

cp /etc/mosquitto/ace.toml /trial/before
edit_example
changed=$(diff /trial/before /etc/mosquitto/ace.toml | grep -c '^>' || true)
[ "$changed" -eq 2 ] || fail "$changed lines of ace.toml were changed, and not two"

start_as
start_broker /etc/mosquitto/ace.conf 8883
exchange "with the example"
stop "$broker"

ln -s ../ace.conf /etc/mosquitto/conf.d/ace.conf
start_broker /etc/mosquitto/mosquitto.conf 8883
exchange "with the system's configuration"

# Who is allowed one topic is not allowed another.
status=0
timeout 20 ace-mqtt pub -h localhost --cafile /trial/ace/ca-cert.pem -t doors/1 -m open -q 1 --credentials /trial/sensor.credentials \
    2>/trial/client.said || status=$?
[ "$status" -eq 12 ] || { show_logs; cat /trial/client.said >&2; fail "the client ended with $status, not 12"; }
grep -q 'ace:' "$LOG" || fail "nothing in the log"
stop "$broker"
stop "$as"
