#!/bin/bash
# errors.sh: what people get wrong is answered at once, with a message that says what and where.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

opener='' mounted=''
test_end() {
    end_process "$opener"
    [ -z "$mounted" ] || umount -l "$work/mnt"
}

both=(--bind p1 --bind p2)
portals=(--portal "$portal1" --portal "$portal2")
lun=(--target "$iqn" --lun 1)
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

refused 'daemon not running' causewayd -- causeway list
chmod 711 "$work" # it is the daemon, not this folder, that keeps others out
install -d -o 65534 "$work/nobody"
refused 'daemon not root' root -- \
    as_nobody timeout 10 "$binaries/causewayd" --control "$work/nobody/socket" --state-dir "$work/nobody"

modprobe -a veth
links_up
ip link add bare type veth peer name far-bare
ip link set bare up
tgt_start 64M
daemon_start

# A kernel without the module: the daemon would load it if it were there.
mkdir "$work/no-modules"
mount --bind "$work/no-modules" /lib/modules
refused 'nbd module absent' 'nbd not found' 'install the modules.*linux-image-' -- \
    causeway attach disk1 "${lun[@]}" "${portals[@]}" "${both[@]}"
! grep -q 'modprobe nbd' "$work/said" || fail 'loading a module that is not there is advised'
# As in the sandbox of the unit.
chmod 000 "$work/no-modules"
refused 'nbd module hidden' 'hidden' 'modprobe nbd; if that finds none, install' -- \
    causeway attach disk1 "${lun[@]}" "${portals[@]}" "${both[@]}"
umount /lib/modules
modprobe nbd

refused 'no such interface' nosuch0 -- \
    causeway attach disk1 "${lun[@]}" "${portals[@]}" --bind p1 --bind nosuch0
refused 'interface without address' bare address -- \
    causeway attach disk1 "${lun[@]}" "${portals[@]}" --bind bare
refused 'portal refuses' '198\.18\.1\.1:3999' 'refused' -- \
    causeway attach disk1 "${lun[@]}" --portal 198.18.1.1:3999 --bind p1
refused 'portal unreachable' '198\.18\.1\.77' 'unreachable|no route|timed? ?out|no answer' -- \
    causeway attach disk1 "${lun[@]}" --portal 198.18.1.77:3260 --bind p1
refused 'target name wrong' iqn.2026-01.example.lab:nosuch 'has no target' -- \
    causeway attach disk1 --target iqn.2026-01.example.lab:nosuch --lun 1 "${portals[@]}" "${both[@]}"
refused 'LUN absent' 'LUN 7|LUN.*absent' -- \
    causeway attach disk1 --target "$iqn" --lun 7 "${portals[@]}" "${both[@]}"
refused 'name not allowed' 'name' -- \
    causeway attach 'Bad Name' "${lun[@]}" "${portals[@]}" "${both[@]}"
refused 'discover, portal refuses' '198\.18\.1\.1:3999' 'refused' -- causeway discover 198.18.1.1:3999 --bind p1
refused 'detach of a name not attached' nosuch -- causeway detach nosuch
refused 'status of a name not attached' nosuch -- causeway status nosuch
refused 'caller not root' 'root|permission' -- \
    as_nobody timeout 10 "$binaries/causeway" list

tgt_admin --op new --mode account --user someone --password 'twelve bytes at least'
tgt_admin --op bind --mode account --tid 1 --user someone
refused 'login refused' 'wants CHAP' 'login status 0201' 'chap-user' -- causeway attach disk1 "${lun[@]}" "${portals[@]}" "${both[@]}"
[ "$(grep -o '0201' "$work/said" | wc -l)" = 1 ] || fail "the status is told more than once: $(cat "$work/said")"
tgt_admin --op unbind --mode account --tid 1 --user someone

[ -z "$(nbd_devices)" ] || fail "a refused attach left a device: $(nbd_devices)"
wait_until 10 'refused attaches leave no session' no_sessions tgt

attach disk1
refused 'name already attached' disk1 'already' -- \
    causeway attach disk1 "${lun[@]}" "${portals[@]}" "${both[@]}"
refused 'LUN already attached' disk1 'corrupts' -- \
    causeway attach disk2 "${lun[@]}" "${portals[@]}" "${both[@]}"
mkfs.ext4 -q "$device"
mkdir "$work/mnt"
mount "$device" "$work/mnt"
mounted=1
refused 'detach while mounted' "$work/mnt" -- causeway detach disk1
umount "$work/mnt"
mounted=''
sleep 60 9<"$device" &
opener=$!
refused 'detach while open' "sleep|$opener" -- causeway detach disk1
end_process "$opener"
opener=''
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices

# What was written is not on the medium yet, and no path is left: the device stays.
attach disk1
dd if=/dev/urandom of="$device" bs=64k count=16 oflag=direct status=none
cut 1
cut 2
wait_until 30 'the paths are down' path_lost disk1 p1
wait_until 30 'the paths are down' path_lost disk1 p2
refused 'detach without a path' 'flush' 'stays attached' -- causeway detach disk1
[ "/dev/$(nbd_devices)" = "$device" ] || fail 'the refused detach took the device away'
heal 1
heal 2
wait_until 30 'a path is back' path_active disk1 p1
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices

attach disk1
sleep 60 9<"$device" &
opener=$!
CAUSEWAY_PATIENCE=20 causeway detach disk1 --force || fail 'detach --force did not succeed'
end_process "$opener"
opener=''
wait_until 10 'detach --force leaves no session' no_sessions tgt
wait_until 10 'detach --force leaves no device' no_nbd_devices

# A device outlives its daemon.
attach disk1
sleep 60 9<"$device" &
opener=$!
wait_until 5 'the device is open' test -e "/proc/$opener/fd/9"
status=0
kill -TERM "$daemon"
wait "$daemon" || status=$?
daemon=''
[ $status = 0 ] || fail "causewayd ended with status $status on SIGTERM"
[ "/dev/$(nbd_devices)" = "$device" ] || fail "the end of causewayd took the device in use away: $(nbd_devices)"
grep -q "disk1: $device stays" "$work/causewayd.log" || fail 'the log does not say what becomes of it'
[ $wrong = 0 ] || fail "$wrong answers were not as they should be"
