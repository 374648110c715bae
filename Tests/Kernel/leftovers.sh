#!/bin/bash
# leftovers.sh: what a daemon that died half-way left behind, disks that cannot be served any more, and detach in
# every state of a disk.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

holder='' reader='' attacher=''
test_end() {
    end_process "$holder"
    end_process "$reader"
    end_process "$attacher"
}
die() { # the daemon, at once
    kill -9 "$daemon"
    wait "$daemon" || true
}
attached() { causeway list --json | jq -e '.. | objects | select(.name? == "disk1")' >/dev/null; }
not_attached() { ! attached; }
state() { causeway status disk1 --json | jq -r '.state'; }
state_is() { [ "$(state)" = "$1" ]; }
complained() { grep -q "$1" "$work/causewayd.log"; }
in_use() { ! causeway detach disk1 2>/dev/null; }
record=$work/state/disks/disk1.json
take() { dd if="$device" of=/dev/null bs=4096 count=1 iflag=direct status=none; }

modprobe -a veth sch_netem nbd
links_up
tgt_start 64M
daemon_start

say '--- a target that never answers does not hold up detach --force'
attach disk1
cut 1 silence
cut 2 silence
dd if="$device" of=/dev/null bs=4096 count=1 skip=99 iflag=direct status=none 2>/dev/null &
reader=$!
sleep 1
started=$SECONDS
causeway detach disk1 --force
[ $((SECONDS - started)) -le 5 ] || fail "detach --force took $((SECONDS - started)) s"
if wait "$reader"; then fail 'the request that waited was not answered with an error'; fi
reader=''
wait_until 10 'no device is left' no_nbd_devices
say "the target has $(tgt_sessions) sessions"
heal 1
heal 2
wait_until 30 'once it is reached again, the target has no session left' no_sessions tgt

say '--- an attach under way is given up by detach'
# Connections are made and logins never answered. (Where packets are lost, an attach may end by itself: no neighbour.)
kill -STOP "$tgtd"
causeway attach disk1 --target "$iqn" --portal "$portal1" --bind p1 --lun 1 >"$work/attach.out" 2>&1 &
attacher=$!
wait_until 10 'the attach has begun' attached
causeway detach disk1
if wait "$attacher"; then fail 'the attach succeeded although the disk was detached'; fi
attacher=''
not_attached || fail 'the disk is still there'
kill -CONT "$tgtd"
wait_until 10 'tgtd answers' tgt_answers

say '--- detach twice at once'
attach disk1
# Either may be the first; the other succeeds as well, or finds no such disk.
causeway detach disk1 2>"$work/first" &
attacher=$!
second=0
causeway detach disk1 2>"$work/second" || second=$?
first=0
wait "$attacher" || first=$?
attacher=''
[ "$first" = 0 ] || [ "$second" = 0 ] || fail "both failed: $(cat "$work/first" "$work/second")"
[ "$first" = 0 ] || grep -q 'no disk' "$work/first" || fail "$(cat "$work/first")"
[ "$second" = 0 ] || grep -q 'no disk' "$work/second" || fail "$(cat "$work/second")"
wait_until 10 'no device is left' no_nbd_devices

say '--- detach --force without a daemon'
attach disk1
die
if causeway detach disk1 2>/dev/null; then fail 'a plain detach needs the daemon'; fi
started=$SECONDS
causeway detach disk1 --force
[ $((SECONDS - started)) -le 5 ] || fail "detach --force took $((SECONDS - started)) s"
wait_until 5 'no device is left' no_nbd_devices
daemon_start
wait_until 10 'a record without a device is removed' not_attached
[ ! -e "$record" ] || fail "left: $record"

say '--- the daemon died before it could say that the disk is attached'
attach disk1
die
jq '.isAttached = false' "$record" >"$work/edited" && cp "$work/edited" "$record"
daemon_start
wait_until 20 'what is half attached is gone' no_nbd_devices
wait_until 5 'and nobody knows of it' not_attached

say '--- a device without a record'
attach disk1
tail -f /dev/null 3<"$device" &
holder=$!
wait_until 5 'somebody has it open' in_use
die
rm "$record"
daemon_start
wait_until 20 'a device in use is left alone, loudly' complained 'without a record here, and in use'
[ -n "$(nbd_devices)" ] || fail 'a device in use is gone'
end_process "$holder"
holder=''
die
daemon_start
wait_until 20 'one that nobody uses is gone' no_nbd_devices

say '--- the LUN is gone: the device is left alone until it is back'
attach disk1
die
tgt_admin --op delete --mode logicalunit --tid 1 --lun 1
daemon_start
wait_until 60 'it is said loudly' complained 'the LUN that it was is not there'
state_is all-paths-down || fail "its state is $(state)"
[ -n "$(nbd_devices)" ] || fail 'the device is gone'
tgt_admin --op new --mode logicalunit --tid 1 --lun 1 --backing-store "$backing"
wait_until 60 'it is served again' state_is optimal
take

say '--- another LUN is there: the device is left alone'
die
: >"$work/causewayd.log"
tgt_admin --op update --mode logicalunit --tid 1 --lun 1 --params scsi_id=other,scsi_sn=other
daemon_start
wait_until 60 'it is said loudly' complained 'the LUN that it was is not there'
[ -n "$(nbd_devices)" ] || fail 'the device is gone'
causeway detach disk1
wait_until 10 'no device is left' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions tgt

say '--- the next disk, and its end'
attach disk1
take
causeway detach disk1
wait_until 10 'no device is left' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions tgt
no_records
daemon_stop
