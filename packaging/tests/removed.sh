# Removal leaves what is the administrator's, and warns; purge takes it away.
. /trial/lib.sh

remove() {
    apt-get "$@" --yes --quiet=2 mosquitto-ace ace-as ace-mqtt >/trial/apt.said 2>&1 || { cat /trial/apt.said >&2; fail "apt-get $1"; }
}

touch /var/lib/mosquitto/ace/state
install -d -o ace-as /var/lib/ace-as
remove remove
grep -q '/etc/mosquitto/conf.d/ace.conf' /trial/apt.said || { cat /trial/apt.said >&2; fail "no warning about a broker that will not start"; }
for file in /etc/mosquitto/ace.toml /etc/mosquitto/ace.conf /etc/ace-as/as.toml /var/lib/mosquitto/ace/state /var/lib/ace-as; do
    [ -e "$file" ] || fail "$file was removed"
done
for file in /usr/lib/mosquitto/libmosquitto_ace.so /usr/bin/ace-as /usr/bin/ace-mqtt; do
    [ ! -e "$file" ] || fail "$file was not removed"
done

# Closed, not open: while the configuration names the plugin the broker does not start.
broker_refuses /etc/mosquitto/mosquitto.conf libmosquitto_ace.so
rm /etc/mosquitto/conf.d/ace.conf
start_broker /etc/mosquitto/mosquitto.conf 1883
stop "$broker"

# The link is removed with what it leads to: without that the broker would not start.
ln -s ../ace.conf /etc/mosquitto/conf.d/ace.conf
remove purge
for file in /etc/mosquitto/ace.toml /etc/mosquitto/ace.conf /etc/mosquitto/conf.d/ace.conf /etc/ace-as /var/lib/mosquitto/ace /var/lib/ace-as; do
    [ ! -e "$file" ] && [ ! -L "$file" ] || fail "$file was not purged"
done
[ -d /var/lib/mosquitto ] || fail "the broker's own state was purged"
start_broker /etc/mosquitto/mosquitto.conf 1883
stop "$broker"
