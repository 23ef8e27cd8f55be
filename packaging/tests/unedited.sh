# The example as it comes: the broker does not start, and says what is missing.
. /trial/lib.sh

# The plugin is asked first, and names the file, the line and the key.
broker_refuses /etc/mosquitto/ace.conf 'ace: /etc/mosquitto/ace.toml:' as-jwks.json
configure_servers
mv /etc/mosquitto/certs/broker-cert.pem /trial/
broker_refuses /etc/mosquitto/ace.conf /etc/mosquitto/certs/broker-cert.pem
mv /trial/broker-cert.pem /etc/mosquitto/certs/

# With all files, but with the example's names: it starts, and takes nobody's token.
start_as
start_broker /etc/mosquitto/ace.conf 8883
token sensor --publish 'sensors/#'
status=0
timeout 20 ace-mqtt pub -h localhost --cafile /trial/ace/ca-cert.pem -t sensors/1 -m x -q 1 --credentials /trial/sensor.credentials \
    2>/trial/client.said || status=$?
[ "$status" -eq 5 ] || { show_logs; cat /trial/client.said >&2; fail "the client ended with $status, not 5"; }
wait_for 10 "the refusal in the log" grep -qE 'ace: refused client .*issuer' /trial/broker.said
stop "$broker"
