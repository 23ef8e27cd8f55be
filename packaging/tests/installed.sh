# After a first installation: the files are there, and the broker is what it was.
. /trial/lib.sh

for package in mosquitto-ace ace-as ace-mqtt; do
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package")" = "ii " ] || fail "$package is not installed"
    for name in copyright changelog.gz changelog.Debian.gz THIRD-PARTY-LICENSES.gz; do
        # Trees may leave documentation out, but for these.
        dpkg -L "$package" | grep -qx "/usr/share/doc/$package/$name" || fail "$package has no $name"
    done
    unlike=$(dpkg --verify "$package" | grep -v ' /usr/share/\(doc\|man\)/' || true)
    [ -z "$unlike" ] || fail "not as it was packaged: $unlike"
done

multiarch=$(dpkg-query -L mosquitto-ace | sed -n 's|^/usr/lib/\(.*\)/mosquitto/libmosquitto_ace.so$|\1|p')
[ "$(readlink -f /usr/lib/mosquitto/libmosquitto_ace.so)" = "/usr/lib/$multiarch/mosquitto/libmosquitto_ace.so" ] || fail "no plugin"
# The folder in which Debian's own plugin is, or its parent before Mosquitto 2.1.
dpkg -L mosquitto | grep -qE "^/usr/lib/$multiarch/(mosquitto/)?mosquitto_dynamic_security.so$" || fail "Debian has moved its plugins"
for page in mosquitto-ace.7 ace.toml.5 as.toml.5 ace-as.1 ace-as-serve.1 ace-as.service.8 ace-mqtt.1 ace-mqtt-pub.1; do
    dpkg -L mosquitto-ace ace-as ace-mqtt | grep -q "/man/man[1-8]/$page.gz$" || fail "no manual page $page"
done
for program in ace-as ace-mqtt; do
    "$program" --version >/dev/null
    bash -n "/usr/share/bash-completion/completions/$program"
done

[ "$(stat -c '%U:%G %a' /etc/ace-as)" = "root:ace-as 750" ] || fail "/etc/ace-as is open"
[ "$(stat -c '%U %a' /var/lib/mosquitto/ace)" = "mosquitto 700" ] || fail "no folder for state_dir"
for file in /etc/mosquitto/ace.conf /etc/mosquitto/ace.toml; do
    dpkg-query -W -f '${Conffiles}\n' mosquitto-ace | grep -q "^ $file " || fail "$file is not the administrator's"
done

start_broker /etc/mosquitto/mosquitto.conf 1883
! grep -q 'ace:' "$LOG" /trial/broker.said || fail "the plugin is in use, and nobody has switched it on"
stop "$broker"
