#!/bin/bash
# flap.sh tgt|lio: each link goes on and off ten times, half a second each, one loses its carrier and the other its
# packets, while files are written. Nothing fails, and in the end both paths carry I/O.
set -eu
target=$1
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/Kernel/files.sh
. "$(dirname "$0")/files.sh"
lab_begin

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

link=1
for fault in carrier silence; do
    before=$(written)
    for _ in $(seq 10); do
        cut $link $fault
        sleep 0.5
        heal $link
        sleep 0.5
    done
    kill -0 "$writer" || fail 'an error reached the writer'
    say "link $link flapped ($fault): $(($(written) - before)) files written meanwhile"
    wait_until 60 'writes go on' more_written_than $((before + 1))
    wait_until 60 "the path over p$link is active again" path_active disk1 p$link
    link=2
done
stop_writing
unmount_device
e2fsck -fn "$device" >"$work/fsck.log" 2>&1 || fail 'e2fsck found errors'
mount_device
verify_files
unmount_device
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions "$target"
daemon_stop
