#!/bin/bash
# resize.sh: a LUN grows under a mounted file system; one that shrinks is not followed unless asked for.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

writer='' mounted=''
test_end() {
    : >"$work/stop"
    end_process "$writer"
    [ -z "$mounted" ] || umount -l "$work/mnt"
}
export DM_DISABLE_UDEV=1
mib() { echo $((($(blockdev --getsize64 "$device") + 1048575) >> 20)); }
has_mib() { [ "$(mib)" = "$1" ]; }
disk_has_mib() { causeway status disk1 --json | jq -e --argjson size $(($1 << 20)) '.sizeBytes == $size' >/dev/null; }
medium_has() { # MiB
    dmsetup suspend medium
    dmsetup load medium --table "0 $(($1 << 11)) linear /dev/ram0 0"
    dmsetup resume medium
}

modprobe -a veth nbd dm-mod
modprobe brd rd_nr=1 rd_size=131072
links_up
dmsetup create medium --table "0 $((32 << 11)) linear /dev/ram0 0"
lio_start block:/dev/mapper/medium
daemon_start
attach disk1
has_mib 32 || fail "the disk has $(mib) MiB"
mkfs.ext4 -q "$device"
mkdir "$work/mnt"
mount "$device" "$work/mnt"
mounted=1
write() {
    while [ ! -e "$work/stop" ]; do
        head -c 1048576 /dev/urandom >"$work/mnt/data" && sync "$work/mnt/data" || return
        cksum <"$work/mnt/data" >"$work/sum"
    done
}
write &
writer=$!

say '--- it grows under load'
medium_has 64
causeway rescan disk1 >"$work/rescan.out"
wait_until 20 'the disk has grown' has_mib 64
resize2fs "$device" >"$work/resize2fs.log" 2>&1 || fail "resize2fs: $(cat "$work/resize2fs.log")"
[ "$(df --output=size -m "$work/mnt" | tail -n 1)" -gt 45 ] || fail "the file system has not grown: $(df -m "$work/mnt")"

say '--- not while a path is being recovered, and the path that comes back knows it'
cut 1
wait_until 20 'the path over p1 is lost' path_lost disk1 p1
medium_has 96
causeway rescan disk1 >"$work/rescan.out"
wait_until 30 'the disk has grown' has_mib 96
heal 1
wait_until 30 'the path over p1 is active again' path_active disk1 p1

say '--- the daemon dies and the LUN grows meanwhile'
kill -9 "$daemon"
wait "$daemon" || true
medium_has 112
daemon_start
wait_until 60 'the disk is served again and has grown' has_mib 112

kill -0 "$writer" 2>/dev/null || fail 'the writer ended: an error reached it'
: >"$work/stop"
wait "$writer" || fail 'the writer ended with an error'
writer=''
umount "$work/mnt"
mounted=''
e2fsck -fn "$device" >"$work/fsck.log" 2>&1 || fail "e2fsck found errors: $(cat "$work/fsck.log")"

say '--- it shrinks: refused with a warning, done when asked for'
medium_has 100
causeway rescan disk1 >"$work/rescan.out"
wait_until 20 'a warning says so' grep -q 'the LUN has shrunk' "$work/causewayd.log"
has_mib 112 || fail "the disk has shrunk to $(mib) MiB unasked"
path_active disk1 p1 || fail 'a path was given up because the LUN shrank'
causeway rescan disk1 --allow-shrink >"$work/rescan.out"
wait_until 20 'the disk has shrunk' has_mib 100
disk_has_mib 100 || fail 'status says something else'

mount "$device" "$work/mnt"
mounted=1
[ "$(cksum <"$work/mnt/data")" = "$(cat "$work/sum")" ] || say 'the last file was being written'
umount "$work/mnt"
mounted=''
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions lio
no_records
daemon_stop
lio_stop
dmsetup remove medium
