# The service: systemd understands it, and finds little to complain of. There is no systemd that runs here.
. /trial/lib.sh

unit=/usr/lib/systemd/system/ace-as.service
said=$(systemd-analyze verify --man=no "$unit" 2>&1) || { echo "$said" >&2; fail "systemd does not take the unit"; }
! echo "$said" | grep -q ace-as || { echo "$said" >&2; fail "systemd has something to say about the unit"; }
systemd-analyze security --offline=true --threshold=15 --no-pager "$unit" >/trial/security.said 2>&1 ||
    { cat /trial/security.said >&2; fail "more exposed than it should be"; }
grep 'Overall exposure' /trial/security.said
