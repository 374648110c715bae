#!/bin/bash
# udev.sh: the rules give a disk and its partitions their names while it is attached, also while no daemon runs.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
udevd=/lib/systemd/systemd-udevd
[ -x "$udevd" ] || skip 'no systemd-udevd'
lab_begin

manager=''
test_end() { end_process "$manager"; }

mkdir -p /run/udev/rules.d
cp "$repository/udev/59-causeway.rules" /run/udev/rules.d/
"$udevd" --children-max=4 >"$work/udevd.log" 2>&1 &
manager=$!
wait_until 10 'systemd-udevd listens' test -S /run/udev/control

modprobe veth
modprobe nbd max_part=15
links_up
tgt_start 64M
# The rules know the state directory of an installed daemon only.
mkdir -p /run/causeway
daemon_start --state-dir /run/causeway

# points LINK DEVICE
points() { [ "$(readlink -f "/dev/$1")" = "$2" ]; }
absent() { [ ! -e "/dev/$1" ]; }
property() { udevadm info --query=property --property="$1" --value "$device"; }
no_links() { [ -z "$(links)" ]; }
links() { find /dev/causeway /dev/disk -type l -lname '*nbd*' ! -path '*by-diskseq*' 2>/dev/null | sort; }

attach disk1
wait_until 10 '/dev/causeway/disk1' points causeway/disk1 "$device"
udevadm settle
wwid=$(causeway status disk1 --json | jq -r 'first(.. | objects | .wwid? // empty)')
digits=${wwid#naa.}
[ "$digits" != "$wwid" ] || fail "the LUN's name is $wwid, not one of NAA"
points "disk/by-id/wwn-0x$digits" "$device" || fail "no link wwn-0x$digits: $(links)"
points "disk/by-id/scsi-3$digits" "$device" || fail "no link scsi-3$digits: $(links)"
for portal in $portal1 $portal2; do
    points "disk/by-path/ip-$portal-iscsi-$iqn-lun-1" "$device" || fail "no link by-path for $portal: $(links)"
done
[ "$(property ID_SERIAL)" = "3$digits" ] || fail "ID_SERIAL is $(property ID_SERIAL)"
[ "$(property ID_WWN_WITH_EXTENSION)" = "0x$digits" ] || fail "ID_WWN_WITH_EXTENSION: $(property ID_WWN_WITH_EXTENSION)"
[ "$(property ID_VENDOR)" = IET ] || fail "ID_VENDOR is $(property ID_VENDOR)"
[ "$(property ID_MODEL)" = VIRTUAL-DISK ] || fail "ID_MODEL is $(property ID_MODEL)"
[ "$(property SYSTEMD_READY)" != 0 ] || fail 'systemd would not see the disk'

# Partitions, and what blkid finds on them.
printf 'label: gpt\n,16M\n,\n' | sfdisk -q "$device"
wait_until 10 'the first partition has its name' points causeway/disk1-part1 "${device}p1"
mkfs.ext4 -q -L onlan "${device}p2"
udevadm settle
points "disk/by-id/wwn-0x$digits-part2" "${device}p2" || fail "no link for the second partition: $(links)"
points "disk/by-path/ip-$portal1-iscsi-$iqn-lun-1-part2" "${device}p2" || fail "no by-path of a partition: $(links)"
# The device is watched: that it was written is told by its closing, and blkid looks again.
for name in ID_SERIAL ID_WWN ID_VENDOR ID_MODEL; do
    [ "$(udevadm info --query=property --property="$name" --value "${device}p2")" = "$(property "$name")" ] ||
        fail "$name of a partition is not its disk's"
done
wait_until 10 'the label of the file system is known' points disk/by-label/onlan "${device}p2"

# Links by-path follow the paths, those of partitions too.
far ip address add 198.18.1.9/24 dev t1
by_path=disk/by-path/ip-198.18.1.9:3260-iscsi-$iqn-lun-1
causeway path add disk1 --bind p1 --portal 198.18.1.9:3260
wait_until 10 'a new portal has its link' points "$by_path" "$device"
wait_until 10 'and so has a partition' points "$by_path-part2" "${device}p2"
causeway path remove disk1 p1/198.18.1.9:3260
wait_until 10 'a portal that is gone has none' absent "$by_path"
wait_until 10 'nor has a partition' absent "$by_path-part2"
points "disk/by-path/ip-$portal1-iscsi-$iqn-lun-1" "$device" || fail "another link went with it: $(links)"

# At detach every name goes.
causeway detach disk1
wait_until 10 'the names vanish' no_links
[ -z "$(ls /run/causeway/udev)" ] || fail "left behind: $(ls /run/causeway/udev)"

attach disk1
wait_until 10 '/dev/causeway/disk1 again' points causeway/disk1 "$device"
udevadm settle
# Without a daemon the disk keeps its names; an event in that time waits with its first read.
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null || true
daemon=''
udevadm trigger --action=change --name-match="$device"
sleep 2
points causeway/disk1 "$device" || fail 'the name went with the daemon'
points "disk/by-id/wwn-0x$digits" "$device" || fail 'the link by-id went with the daemon'
[ "$(property SYSTEMD_READY)" != 0 ] || fail 'systemd would take the disk for gone while the daemon is away'
