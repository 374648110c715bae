#!/bin/bash
# upgrade.sh: the package is upgraded with a mounted disk in use, and no I/O fails, not even with a mistake in
# causeway.toml; it is not removed while a disk is in use; removed and purged, nothing of it is left.
set -eu
# shellcheck source=Tests/Boot/machine.sh
. "$(dirname "$0")/machine.sh"
lab_begin
boot_with data
load_start /srv/data
sleep 3
daemon() { guest 'systemctl show -P MainPID causewayd'; }
first=$(daemon)
version() { guest "dpkg-query -W -f '\${Version}' causeway"; }
old=$(version)
# The old daemon never saw it.
check 'a mistake' 'echo "[disk" >/etc/causeway/causeway.toml'
check 'the upgrade' 'dpkg -i /opt/causeway-next.deb' 120
new=$(version)
[ "$new" != "$old" ] || fail 'not upgraded'
[ "$(daemon)" != "$first" ] || fail 'the daemon is the old one'
wait_until 10 'the new program runs' logged "causewayd $new serves"
[ "$(guest 'causeway --version')" = "causeway $new" ] || fail "not the new program: $(guest 'causeway --version')"
logged 'data: took over /dev/nbd' || fail 'the kernel noticed the upgrade'
logged 'causeway.toml:1: ' || fail 'the mistake is not told'
wait_until 60 'its status' guest 'systemctl show -P StatusText causewayd | grep -q "^1 disk: data 2/2 paths"'
sleep 5
check 'mended' 'rm /etc/causeway/causeway.toml && systemctl reload causewayd &&
    ! systemctl show -P StatusText causewayd | grep -q causeway.toml'
# shellcheck disable=SC2016  # expanded in the machine
check 'a package in use stays' '! dpkg -r causeway && dpkg-query -W -f "\${Status}" causeway | grep -q " installed" &&
    systemctl is-active --quiet causewayd' 90
load_end /srv/data
no_io_error

check 'removal' 'umount /srv/data && dpkg -r causeway && ! test -e /usr/sbin/causewayd && ! systemctl is-active --quiet causewayd' 120
wait_until 10 'it has logged out' has_sessions 0
check 'the configuration stays' 'test -e /etc/causeway/disks/data.toml'
check 'purge' 'dpkg -P causeway && ! test -e /etc/causeway && ! test -e /run/causeway && ! ls /etc/systemd/system/*/cause* &&
    ! systemctl list-units --no-legend --plain "causeway*" | grep .'
check 'no links are left' '! ls /dev/causeway'
# shellcheck disable=SC2016  # expanded in the machine
check 'a fresh installation serves' 'dpkg -i /opt/causeway.deb && systemctl is-active --quiet causewayd causeway.target &&
    [ "$(stat -c %G /run/causeway/io.causeway)" = causeway ] && causeway list' 120
power_off
