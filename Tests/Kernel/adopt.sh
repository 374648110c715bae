#!/bin/bash
# adopt.sh tgt|lio kill|restart TIMES: a file system whose daemon is killed, or restarted in order, again and again
# under load. Applications see pauses and no error; at the end everything is compared.
set -eu
target=$1 way=$2 times=$3
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

writer='' files='' mounted=''
test_end() {
    : >"$work/stop"
    end_process "$writer"
    end_process "$files"
    [ -z "$mounted" ] || umount -l "$work/mnt"
}

modprobe -a veth nbd
links_up
case $target in
    lio) lio_start memory 192 ;;
    *) tgt_start 256M ;;
esac
if [ "$way" = restart ]; then
    # In the place of systemd, which keeps the sockets over a restart.
    "${CC:-cc}" -O1 -o "$work/fdstore" "$(dirname "$0")/fdstore.c"
    DAEMON_UNDER=$work/fdstore
fi
daemon_start
attach disk1
sleep 1 # udev and the like have read what they want
mkfs.ext4 -q "$device"
mkdir "$work/mnt"
mount -o errors=remount-ro "$device" "$work/mnt"
mounted=1

# fio: each file written with checksums and read back.
job() { # FILE-NUMBER, then more options
    local engine=(--direct=1 --ioengine=libaio --iodepth=8)
    [ $(($1 % 2)) = 0 ] || engine=(--direct=0 --ioengine=psync --fsync=32)
    fio --minimal --name=file --filename="$work/mnt/file$1" --size=2M --rw=randwrite --bsrange=4k-64k \
        --blockalign=4k --verify=crc32c --verify_state_save=0 --randseed="$1" "${engine[@]}" "${@:2}"
}
write_files() {
    local number=0
    while [ ! -e "$work/stop" ]; do
        job $((number % 24)) >>"$work/fio.log" 2>&1 || return
        number=$((number + 1))
        echo "$number" >"$work/written"
    done
}
# A file system at work: small files made, synchronised, renamed, removed. What must be there is noted beside it.
busy_files() {
    local number=0 folder=$work/mnt/tree
    mkdir "$folder"
    while [ ! -e "$work/stop" ]; do
        number=$((number + 1))
        printf 'file %d, generation %d\n%s\n' $((number % 50)) "$number" "$(seq "$number" $((number + 300)))" \
            >"$folder/new" || return
        sync "$folder/new" || return
        mv "$folder/new" "$folder/f$((number % 50))" || return
        if [ $((number % 7)) = 0 ]; then rm "$folder/f$((number % 50))" || return; fi
        echo "$number" >"$work/moved"
    done
}
count_of() { cat "$work/$1" 2>/dev/null || echo 0; }
more_than() { # FILE COUNT
    kill -0 "$writer" 2>/dev/null || fail "fio ended: an error reached it: $(tail -n 3 "$work/fio.log")"
    kill -0 "$files" 2>/dev/null || fail 'the file-system workload ended: an error reached it'
    [ "$(count_of "$1")" -gt "$2" ]
}
write_files &
writer=$!
busy_files 2>"$work/files.log" &
files=$!
wait_until 60 'the load runs' more_than written 0

quiet_log() { dmesg | grep -c 'block nbd' || true; }
more_takeovers_than() { [ "$(grep -c 'took over /dev/nbd' "$work/causewayd.log")" -gt "$1" ]; }
served() { causeway status disk1 --json | jq -e '.state == "optimal" or .state == "degraded"' >/dev/null; }
before=$(quiet_log)
longest=0
for turn in $(seq "$times"); do
    sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"
    written=$(count_of written) moved=$(count_of moved)
    started=$(date +%s%N)
    case $way in
        kill)
            kill -9 "$daemon"
            wait "$daemon" || true
            daemon_start
            ;;
        restart)
            kill -HUP "$daemon"
            wait_until 30 "restart $turn: the next daemon has taken over" more_takeovers_than $((turn - 1))
            ;;
    esac
    wait_until 60 "turn $turn: the disk is served again" served
    wait_until 90 "turn $turn: fio goes on" more_than written "$written"
    wait_until 90 "turn $turn: the file-system workload goes on" more_than moved "$moved"
    took=$((($(date +%s%N) - started) / 1000000))
    [ $took -le $longest ] || longest=$took
done
say "$times turns; the longest until both loads went on: $longest ms"
: >"$work/stop"
wait "$writer" || fail "fio ended with an error: $(tail -n 3 "$work/fio.log")"
writer=''
wait "$files" || fail "the file-system workload ended with an error: $(cat "$work/files.log")"
files=''
if [ "$way" = restart ]; then
    [ "$(quiet_log)" = "$before" ] || fail "the kernel noticed a planned restart: $(dmesg | grep 'block nbd' | tail -n 5)"
fi

umount "$work/mnt"
mount "$device" "$work/mnt"
last=$(count_of written)
for number in $(seq $((last > 24 ? last - 24 : 0)) $((last - 1))); do
    job $((number % 24)) --verify_only >>"$work/fio.log" 2>&1 || fail "file $number does not hold what was written"
done
moved=$(count_of moved)
for slot in $(seq 0 49); do
    # The newest generation of this slot.
    number=$((moved - (moved - slot + 50) % 50))
    [ "$number" -gt 0 ] || continue
    if [ $((number % 7)) = 0 ]; then
        [ ! -e "$work/mnt/tree/f$slot" ] || fail "f$slot is there, though it was removed"
    else
        printf 'file %d, generation %d\n%s\n' "$slot" "$number" "$(seq "$number" $((number + 300)))" |
            cmp - "$work/mnt/tree/f$slot" || fail "f$slot does not hold generation $number"
    fi
done
say "$last files of fio, $moved of the file-system workload"
umount "$work/mnt"
mounted=''
e2fsck -fn "$device" >"$work/fsck.log" 2>&1 || fail "e2fsck found errors: $(cat "$work/fsck.log")"
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions "$target"
no_records
daemon_stop
