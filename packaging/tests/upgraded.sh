# From an older version, which is installed and configured: what was edited stays, and what runs is restarted.
. /trial/lib.sh

# Stand-ins for what tells services: they write down what they are told.
for program in invoke-rc.d systemctl deb-systemd-invoke; do
    printf '#!/bin/sh\necho "%s $*" >>/trial/told\n' "$program" >"/usr/local/sbin/$program"
    chmod 755 "/usr/local/sbin/$program"
done
mkdir -p /run/systemd/system
told() {
    grep -qE "$1" /trial/told
}

configure_servers
edit_example
ln -s ../ace.conf /etc/mosquitto/conf.d/ace.conf
grep -q 'an earlier version' /etc/mosquitto/ace.conf || fail "this is not the older version"
# Another broker's file: the package must leave it alone.
echo '# mine' >/etc/mosquitto/conf.d/mine.conf

start_as
start_broker /etc/mosquitto/mosquitto.conf 8883
exchange "before"
: >/trial/told
apt-get install --yes --quiet=2 -o "DPkg::Path=$PATH" -o Dpkg::Options::=--force-confold /trial/new/*.deb >/trial/apt.said 2>&1 ||
    { cat /trial/apt.said >&2; fail "no upgrade"; }
told '^invoke-rc.d .*mosquitto try-restart$' || { cat /trial/told; fail "the broker runs with the old plugin, and was not restarted"; }
told '^deb-systemd-invoke restart ace-as.service$' || fail "ace-as was not restarted"
stop "$broker"
stop "$as"

grep -q '^audience = "mqtt.home.example"' /etc/mosquitto/ace.toml || fail "the edited file was replaced"
grep -q '^listen = ' /etc/ace-as/as.toml || fail "as.toml was replaced"
[ -e /etc/mosquitto/ace.toml.dpkg-dist ] || fail "the new ace.toml is not beside the edited one"
! grep -q 'an earlier version' /etc/mosquitto/ace.conf || fail "the file that was not edited was not replaced"
[ "$(cat /etc/mosquitto/conf.d/mine.conf)" = '# mine' ] || fail "somebody else's file was changed"

start_as
start_broker /etc/mosquitto/mosquitto.conf 8883
exchange "after"
stop "$broker"
stop "$as"

# Again, with no broker that has the plugin: none is started by that.
: >/trial/told
start_broker /trial/plain.conf 1883
dpkg --install /trial/new/mosquitto-ace_*.deb >/trial/apt.said 2>&1 || { cat /trial/apt.said >&2; fail "no second installation"; }
! told 'mosquitto' || fail "a broker without the plugin was restarted"
stop "$broker"
