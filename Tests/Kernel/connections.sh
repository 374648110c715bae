#!/bin/bash
# connections.sh tgt|lio: the two paths as connections of one session, under a file system that is written all the
# while: each link cut, with and without a change of carrier, a path disabled and enabled, the daemon killed.
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
    lio)
        lio_start memory 192
        lio_parameters MaxConnections=4
        ;;
    tgt)
        tgt_start
        tgt_admin --op update --mode target --tid 1 -n MaxConnections -v 4
        ;;
esac
daemon_start
attach disk1 --set multipathing=connections
mkfs.ext4 -q "$device"
mount_device
start_writing

two_more_files() { # WHAT
    local before started=$SECONDS
    before=$(written)
    wait_until 90 "writes go on $1" more_written_than $((before + 1))
    say "$1: two more files written after $((SECONDS - started)) s"
}
for fault in carrier silence; do
    for link in 1 2; do
        cut "$link" "$fault"
        two_more_files "while link $link is cut ($fault)"
        wait_until 20 "the path over p$link is given up" path_lost disk1 "p$link"
        heal "$link"
        wait_until 60 "the path over p$link is active again" path_active disk1 "p$link"
        two_more_files "over both links again"
    done
done
for link in 1 2; do
    causeway path disable disk1 "p$link"
    two_more_files "with p$link disabled"
    causeway path enable disk1 "p$link"
    wait_until 20 "the path over p$link is active again" path_active disk1 "p$link"
done
kill -9 "$daemon"
wait "$daemon" || true
daemon_start
for link in 1 2; do wait_until 40 "the path over p$link is active again" path_active disk1 "p$link"; done
two_more_files 'under another daemon'
stop_writing

unmount_device
mount_device
verify_files
unmount_device
e2fsck -fn "$device" >"$work/fsck.log" 2>&1 || fail 'e2fsck found errors'
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions "$target"
no_records
daemon_stop
