#!/bin/bash
# resize-kill.sh: the daemon is killed around the very call by which a device gets its new size. The next one takes the
# device over, and it grows; the file system on it has lost nothing and grows, too.
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
mib() { echo $((($(cat "/sys/block/${device##*/}/size") + 2047) >> 11)); }
has_mib() { [ "$(mib)" = "$1" ]; }
medium_has() { # MiB
    dmsetup suspend medium
    dmsetup load medium --table "0 $(($1 << 11)) linear /dev/ram0 0"
    dmsetup resume medium
}
daemon_is_dead() { ! kill -0 "$daemon" 2>/dev/null; }
served() { causeway status disk1 --json | jq -e '.state == "optimal" or .state == "degraded"' >/dev/null; }

modprobe -a veth nbd dm-mod
modprobe brd rd_nr=1 rd_size=196608
"${CC:-cc}" -O1 -shared -fPIC -o "$work/kill-in-call.so" "$(dirname "$0")/kill-in-call.c" -ldl
export KILL_IN_CALL=$work/kill
start() { LD_PRELOAD=$work/kill-in-call.so daemon_start; }
links_up
dmsetup create medium --table "0 $((32 << 11)) linear /dev/ram0 0"
lio_start block:/dev/mapper/medium
start
attach disk1
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$device"
mkdir "$work/mnt"
mount -o errors=remount-ro "$device" "$work/mnt"
mounted=1

# Files with their sums. While $work/pause is there nothing is written.
write() {
    local number=0
    while [ ! -e "$work/stop" ]; do
        if [ -e "$work/pause" ]; then
            : >"$work/paused"
            sleep 0.1
            continue
        fi
        rm -f "$work/paused"
        number=$((number + 1))
        head -c 1048576 /dev/urandom >"$work/mnt/data$((number % 4))" && sync "$work/mnt/data$((number % 4))" || return
        cksum <"$work/mnt/data$((number % 4))" >"$work/sum$((number % 4))"
        echo "$number" >"$work/written"
    done
}
written() { cat "$work/written" 2>/dev/null || echo 0; }
more_than() {
    kill -0 "$writer" 2>/dev/null || fail 'the writer ended: an error reached it'
    [ "$(written)" -gt "$1" ]
}
write &
writer=$!
wait_until 30 'the load runs' more_than 0

IFS=. read -r major minor _ <<<"$(uname -r)"
freezes=''
[ $((major * 100 + minor)) -lt 611 ] || freezes=yes
size=32 when=''
# turn busy|idle ORDERS
turn() {
    local before
    size=$((size + 8))
    say "--- to $size MiB, $1: $2"
    if [ "$1" = idle ]; then
        : >"$work/pause"
        wait_until 60 'the load pauses' [ -e "$work/paused" ]
        sync -f "$work/mnt"
    fi
    medium_has $size
    rm -f "$KILL_IN_CALL.done"
    echo "$2" >"$KILL_IN_CALL.orders"
    mv "$KILL_IN_CALL.orders" "$KILL_IN_CALL"
    causeway rescan disk1 >"$work/rescan.out" 2>&1 || true
    wait_until 30 'the daemon was killed' daemon_is_dead
    wait "$daemon" || true
    wait_until 30 'the call has ended' [ -e "$KILL_IN_CALL.done" ]
    when=$(cat "$KILL_IN_CALL.done")
    say "killed: $when; the device has $(mib) MiB"
    rm -f "$work/pause"
    before=$(written)
    start
    wait_until 60 'the disk is served again' served
    wait_until 60 "it has $size MiB" has_mib $size
    wait_until 60 'the load goes on' more_than "$before"
    resize2fs "$device" >"$work/resize2fs.log" 2>&1 || fail "resize2fs: $(cat "$work/resize2fs.log")"
    [ "$(df --output=size -m "$work/mnt" | tail -n 1)" -gt $((size * 3 / 4)) ] ||
        fail "the file system has not grown: $(df -m "$work/mnt")"
}

turn busy early
turn busy after
if [ -z "$freezes" ]; then turn busy before; else turn idle before; fi
# One processor does nothing else while it is in the call.
within=0
if [ "$(nproc)" -gt 1 ]; then
    # From Linux 6.11 on the call waits for what is in flight, and who is killed then answers nothing (README): the load
    # pauses, and the call is so short that it is not always met.
    turns=0 least=4
    [ -z "$freezes" ] || least=1
    for delay in 0 0 20000 100000 0 0 0 0; do
        if [ -z "$freezes" ]; then turn busy "within $delay"; else turn idle 'within 0'; fi
        turns=$((turns + 1))
        [ "$when" != within ] || within=$((within + 1))
        if [ $within -gt 0 ] && [ $turns -ge $least ]; then break; fi
    done
    say "$within of $turns times within the call"
    [ $within -gt 0 ] || fail 'the daemon was never killed within the call'
fi

: >"$work/stop"
wait "$writer" || fail 'the writer ended with an error'
writer=''
umount "$work/mnt"
mount "$device" "$work/mnt"
for number in 0 1 2 3; do
    [ "$(cksum <"$work/mnt/data$number")" = "$(cat "$work/sum$number")" ] || fail "data$number is not what was written"
done
umount "$work/mnt"
mounted=''
e2fsck -fn "$device" >"$work/fsck.log" 2>&1 || fail "e2fsck found errors: $(cat "$work/fsck.log")"
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions lio
no_records
daemon_stop
lio_stop
dmsetup remove medium
