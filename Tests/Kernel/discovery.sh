#!/bin/bash
# discovery.sh: a disk whose portals are found at a discovery address: kept over a boot while that address is down, and
# refreshed.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

leads_to() { # PORTAL
    causeway status disk1 --json | jq -e --slurp --arg address "$1" \
        'any(.[].paths[]; .portal | tostring | contains($address))' >/dev/null
}
paths() { causeway status disk1 --json | jq '.paths | length'; }
# Reads what was written.
verified() {
    head -c 1048576 /dev/urandom >"$work/source"
    dd if="$work/source" of="$device" bs=64k oflag=direct status=none
    dd if="$device" of="$work/back" bs=64k count=16 iflag=direct status=none
    cmp "$work/source" "$work/back"
}

modprobe -a veth nbd
links_up
lio_start memory 64
mkdir -p "$work/etc/disks"
printf '[discovery."198.18.1.1".disk]\ndiscovery-interval = "10s"\n' >"$configuration"
printf 'target = "%s"\ndiscovery = "198.18.1.1"\nbind = ["p1", "p2"]\nlun = 1\n' "$iqn" >"$work/etc/disks/disk1.toml"
causeway config check --config "$configuration"
daemon_start
wait_until 20 'the disk has a path over p1' path_active disk1 p1
wait_until 20 'the disk has a path over p2' path_active disk1 p2
jq -e --arg iqn "$iqn" '.addresses[0] | .address == "198.18.1.1:3260" and
    ([.targets[] | select(.name == $iqn).portals[].address] | unique == ["198.18.1.1", "198.18.2.1"])' \
    "$work/data/targets.json" || fail "what was found is not kept: $(cat "$work/data/targets.json")"
[ "$(stat -c %a "$work/data/targets.json")" = 600 ] || fail 'others may read what was found'
causeway detach disk1

say '--- the machine starts again, and the discovery address is down'
daemon_stop
rm -rf "$work/state"
cut 1
: >"$work/causewayd.log"
daemon_start
wait_until 30 'the disk has a path over p2' path_active disk1 p2
device=$(causeway status disk1 --json | jq -r .device)
grep -q 'the portals of .* are used: .*198\.18\.2\.1:3260' "$work/causewayd.log" || fail 'the log does not say so'
verified
wait_until 40 'the log tells of the address' grep -q 'discovery address 198.18.1.1:3260: .* asked again' \
    "$work/causewayd.log"
heal 1
wait_until 30 'p1 joins' path_active disk1 p1
wait_until 40 'the log tells that it answers' grep -q 'discovery address .* answers again' "$work/causewayd.log"

say '--- the target gets another portal, and it stays over a reload'
far ip address add 198.18.2.9/24 dev t2
nsenter --net="/run/netns/$FAR" mkdir "$lio_config/iscsi/$iqn/tpgt_1/np/198.18.2.9:3260"
wait_until 40 'a path leads to the new portal' leads_to 198.18.2.9
wait_until 15 'the new portal is kept' grep -q 198.18.2.9 "$work/data/targets.json"
causeway reload
[ "$(paths)" = 3 ] || fail 'reload has taken a path away that discovery had found'
verified
# One that is removed by hand stays away.
causeway path remove disk1 p2/198.18.2.1
sleep 12
[ "$(paths)" = 2 ] || fail 'a path that was removed has come back'
leads_to 198.18.2.9 || fail 'another path is gone'
causeway detach disk1
daemon_stop
