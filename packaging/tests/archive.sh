# The archive, in a system without the packages.
. /trial/lib.sh

# What an administrator had made before is not of the packages, and has outlived them.
rm -f /etc/mosquitto/as-jwks.json /etc/mosquitto/certs/broker-*.pem
cd /trial
tar -xf /trial/mosquitto-ace-*-linux-gnu.tar.gz
cd mosquitto-ace-*-linux-gnu
sha256sum --check --quiet SHA256SUMS
[ "$(find . -type f | wc -l)" -eq $(($(wc -l <SHA256SUMS) + 1)) ] || fail "SHA256SUMS does not have all files"
install -D -m 644 libmosquitto_ace.so /usr/lib/mosquitto/libmosquitto_ace.so
install -m 755 ace-as ace-mqtt /usr/local/bin/
install -m 644 examples/ace.toml /etc/mosquitto/ace.toml
ace-as init /trial/archive --audience mqtt.home.example >/dev/null
ace-as check --config /trial/archive/as.toml >/dev/null
ace-mqtt --version >/dev/null
install -o mosquitto -m 400 /trial/archive/broker-cert.pem /trial/archive/broker-key.pem -t /etc/mosquitto/certs
broker_refuses "$PWD/examples/mosquitto.conf" /etc/mosquitto/ace.toml as-jwks.json
install -o mosquitto -m 400 /trial/archive/as-jwks.json -t /etc/mosquitto
start_broker "$PWD/examples/mosquitto.conf" 8883
stop "$broker"
