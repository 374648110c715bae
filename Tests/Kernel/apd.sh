#!/bin/bash
# apd.sh tgt|lio: all paths down under a mounted file system, first with the carrier, then in silence: nothing is
# lost, nothing fails. Then a forced detach while all paths are down, which ends although no target answers.
set -eu
target=$1
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/Kernel/files.sh
. "$(dirname "$0")/files.sh"
lab_begin

held() { causeway status disk1 --json | jq -e 'any(.. | objects | .state?; . == "all-paths-down")' >/dev/null; }
inflight() { awk '{ print $1 + $2 }' "/sys/block/${device#/dev/}/inflight"; }
something_waits() { [ "$(inflight)" -gt 0 ]; }

modprobe -a veth sch_netem nbd
links_up
case $target in
    tgt) tgt_start ;;
    lio) lio_start memory 192 ;;
esac
daemon_start
attach disk1
mkfs.ext4 -q "$device"
mount_device
start_writing

for fault in carrier silence; do
    for link in 1 2; do cut $link $fault; done
    case $fault in
        carrier) wait_until 20 'status says that all paths are down' held ;;
        silence) ;; # the last path is waited for
    esac
    sleep 5
    something_waits || fail "I/O goes on while both links are cut ($fault)"
    kill -0 "$writer" || fail 'an error reached the writer'
    before=$(written)
    for link in 1 2; do heal $link; done
    started=$SECONDS
    wait_until 60 "writes go on after $fault has ended" more_written_than $((before + 1))
    say "$fault: two more files written $((SECONDS - started)) s after the links are back"
    for link in 1 2; do
        wait_until 60 "the path over p$link is active again" path_active disk1 p$link
    done
done
stop_writing
unmount_device
e2fsck -fn "$device" >"$work/fsck.log" 2>&1 || fail 'e2fsck found errors'
mount_device
verify_files
unmount_device

for link in 1 2; do cut $link; done
wait_until 20 'status says that all paths are down' held
dd if=/dev/zero of="$device" bs=4096 count=64 oflag=direct conv=notrunc >"$work/dd.log" 2>&1 &
writer=$!
wait_until 10 'a write waits' something_waits
began=$EPOCHREALTIME
causeway detach disk1 --force || fail 'a forced detach failed while all paths were down'
ended=$EPOCHREALTIME
took=$(((${ended/./} - ${began/./}) / 1000))
say "detached by force after $took ms"
[ $took -lt 5000 ] || fail 'a forced detach took longer than 5 s while all paths were down'
wait "$writer" && fail 'a write that nobody carried out succeeded'
writer=''
wait_until 10 'detach leaves no device' no_nbd_devices
daemon_stop
