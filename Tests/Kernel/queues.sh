#!/bin/bash
# queues.sh tgt: a disk with two queues under a load that writes and reads back. Its hardware queues, a link that is
# cut, a daemon that is killed and one that is restarted in order, and a request that the kernel sends again while its
# first copy is held inside the target.
#
# User Mode Linux has one processor and so one hardware queue: there the second socket is what the kernel falls back to.
set -eu
target=$1
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

writers=() holder=''
test_end() {
    : >"$work/stop"
    : >"$SLOW_PWRITE.release"
    local writer
    for writer in "${writers[@]}" "$holder"; do end_process "$writer"; done
}

export SLOW_PWRITE=$work/slow
modprobe -a veth nbd
links_up
"${CC:-cc}" -O1 -shared -fPIC -o "$work/slow-pwrite.so" "$(dirname "$0")/slow-pwrite.c" -ldl
TGT_PRELOAD=$work/slow-pwrite.so tgt_start 256M
"${CC:-cc}" -O1 -o "$work/fdstore" "$(dirname "$0")/fdstore.c"
mkdir -p "${configuration%/*}"
printf 'lanes = 2\n' >"$configuration"
# Under User Mode Linux every page of memory takes its time, and each lane has its own.
DAEMON_START_SECONDS=30
daemon_start
# So long the kernel waits after a crash before it sends again what was in flight: 164 s. Short, and yet a write may be
# inside the target for longer than half of it.
attach disk1 --queues 2 --set all-paths-down-timeout=12s --set command-timeout=2m --set recovery-timeout=2s
name=${device#/dev/}
causeway status disk1
sleep 1 # udev and the like have read what they want

processors=$(nproc)
hardware=$(find "/sys/block/$name/mq" -mindepth 1 -maxdepth 1 | wc -l)
say "$hardware hardware queues on $processors processors"
[ "$hardware" = $((processors < 2 ? processors : 2)) ] || fail "/sys/block/$name/mq has $hardware queues"
[ "$(cat "/sys/block/$name/queue/io_timeout")" = 164000 ] || fail "io_timeout is $(cat "/sys/block/$name/queue/io_timeout")"
[ "$("${target}_sessions")" = 4 ] || fail "the target has $("${target}_sessions") sessions"
refused 'waiting for ever' all-paths-down-timeout -- causeway set disk1 all-paths-down-timeout=forever
refused 'reservations' queues -- causeway reserve disk1 register
[ $wrong = 0 ] || fail "$wrong answers were not as they should be"

# One writer for each processor, in a half of the disk each. A job writes 2 MiB and reads them back.
job() { # WRITER NUMBER, then more options
    taskset -c $(($1 % processors)) fio --minimal --name=job --filename="$device" --offset=$(($1 * 96 + $2 % 24 * 2))M \
        --size=2M --rw=randwrite --bsrange=4k-64k --blockalign=4k --verify=crc32c --verify_state_save=0 \
        --randseed=$(($1 * 1000 + $2 + 1)) --direct=1 --ioengine=libaio --iodepth=8 "${@:3}"
}
write_and_verify() {
    local number=0
    while [ ! -e "$work/stop" ]; do
        job "$1" $number >>"$work/fio$1.log" 2>&1 || return
        number=$((number + 1))
        echo $number >"$work/written$1"
    done
}
written() { cat "$work/written$1" 2>/dev/null || echo 0; }
load_start() {
    rm -f "$work/stop" "$work"/written?
    local number
    writers=()
    for number in 0 1; do
        write_and_verify $number &
        writers+=($!)
    done
    wait_until 60 'the load runs' goes_on 0 0
}
goes_on() { # COUNT COUNT: both have done more than that
    local number
    for number in 0 1; do
        kill -0 "${writers[$number]}" 2>/dev/null || fail "fio ended: an error reached it: $(tail -n 3 "$work/fio$number.log")"
    done
    [ "$(written 0)" -gt "$1" ] && [ "$(written 1)" -gt "$2" ]
}
load_goes_on() { # SECONDS WHEN
    wait_until "$1" "$2: the load goes on" goes_on "$(written 0)" "$(written 1)"
}
load_stop() {
    : >"$work/stop"
    local number writer
    for writer in "${writers[@]}"; do wait "$writer" || fail "fio ended with an error: $(tail -n 3 "$work"/fio?.log)"; done
    for number in 0 1; do
        local last
        last=$(written $number)
        for part in $(seq $((last > 24 ? last - 24 : 0)) $((last - 1))); do
            job $number "$part" --verify_only >>"$work/fio$number.log" 2>&1 || fail "part $part of writer $number is not what was written"
        done
    done
    writers=()
}
served() { causeway status disk1 --json | jq -e '.state == "optimal"' >/dev/null; }

load_start
cut 1
wait_until 30 'the path over p1 is given up' path_lost disk1 p1
load_goes_on 60 'link 1 is cut'
heal 1
wait_until 60 'all paths are back in both queues' served
load_goes_on 60 'link 1 is back'
if [ "$hardware" = 2 ]; then
    for queue in 0 1; do
        commands=$(causeway status disk1 --json | jq "[.queues[$queue].paths[].ios] | add")
        say "queue $queue: $commands commands"
        [ "$commands" -gt 200 ] || fail "queue $queue has done $commands commands"
    done
fi

say 'the daemon is killed while a link is cut'
cut 1
wait_until 30 'the path over p1 is given up' path_lost disk1 p1
load_goes_on 60 'link 1 is cut once more'
kill -9 "$daemon"
wait "$daemon" || true
# In the place of systemd, which keeps the sockets over a restart.
DAEMON_UNDER=$work/fdstore
daemon_start
adopted() { grep -q 'adopted as' "$work/causewayd.log"; }
# Both queues over the other link, the sessions over the dead one fenced through it.
wait_until 60 'the disk is served again' adopted
# What was in flight comes again when the kernel's time-out is over.
load_goes_on 220 'the daemon was killed'
say 'the load goes on over link 2'
heal 1
wait_until 60 'all paths are back in both queues' served
[ "$("${target}_sessions")" = 4 ] || fail "after the kill the target has $("${target}_sessions") sessions"

before=$(dmesg | grep -c 'block nbd' || true)
took_over() { grep -q 'took over /dev/nbd' "$work/causewayd.log"; }
kill -HUP "$daemon"
wait_until 30 'the next daemon has taken over' took_over
wait_until 60 'the disk is served again' served
load_goes_on 60 'the daemon was restarted'
[ "$(dmesg | grep -c 'block nbd' || true)" = "$before" ] || fail "the kernel noticed a planned restart: $(dmesg | grep 'block nbd' | tail -n 5)"
load_stop

# ---- sent again by the kernel

# A write is held in the target. Its kernel is made impatient: it gives the socket up and sends the write again on the
# other one, which must not answer it before the first copy has ended: whoever wrote would go on, and the first copy
# would overwrite what is written next. Not so impatient that the daemon could not know: a write is held back on one
# queue for an older one on another from half of the time on that the daemon has given the kernel, for the news of a
# socket that was given up may come later than the second copy.
readonly block=51200 # of 4096 bytes
store() { dd if="$1" of="$device" bs=4096 seek=$block count=1 oflag=direct conv=notrunc status=none; }
medium() { dd if="$backing" bs=4096 skip=$block count=1 status=none; }
printf '%-4096s' 'GHOST WRITE of old data' >"$work/old"
printf '%-4096s' 'new data' >"$work/new"
impatience=90000
echo $impatience >"/sys/block/$name/queue/io_timeout"
: >"$SLOW_PWRITE.armed"
store "$work/old" &
holder=$!
target_holds() { [ -e "$SLOW_PWRITE.held" ]; }
copy_ended() { [ -e "$SLOW_PWRITE.ended" ]; }
holder_ended() { ! kill -0 "$holder" 2>/dev/null; }
connected_again() { grep -q 'the kernel is connected again' "$work/causewayd.log"; }
gave_up() { grep -q 'the kernel closed its connection' "$work/causewayd.log"; }
wait_until 20 'the target holds the write' target_holds
wait_until 120 'the kernel gives up on the socket' gave_up
say 'the kernel has given up on a socket while the target holds its write'
# Less than all-paths-down-timeout: after that it fails instead.
sleep 4
! holder_ended || fail 'the write that the kernel sent again was answered while its first copy was inside the target'
: >"$SLOW_PWRITE.release"
wait_until 20 'the held write ends in the target' copy_ended
wait_until 60 'the write is answered' holder_ended
wait "$holder" || fail 'the write failed'
holder=''
store "$work/new"
cmp "$work/new" <(medium) || fail 'the old write overtook the new one on the medium'
echo 164000 >"/sys/block/$name/queue/io_timeout"
wait_until 30 'both sockets are served again' connected_again

if [ "$hardware" = 2 ]; then
    # What two queues are worth here: both processors are emulated, and the target runs on them as well.
    measure() {
        fio --output-format=json --name=reads --filename="$device" --size=64M --rw=randread --bs=4k --direct=1 \
            --ioengine=libaio --iodepth=32 --numjobs=2 --group_reporting --time_based --runtime=10 |
            jq '.jobs[0].read.iops | round'
    }
    both=$(measure)
fi
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions "$target"
no_records
if [ "$hardware" = 2 ]; then
    attach disk1
    one=$(measure)
    causeway detach disk1
    say '| queues | reads of 4 KiB a second |'
    say '| ---: | ---: |'
    say "| 1 | $one |"
    say "| 2 | $both |"
fi
daemon_stop
