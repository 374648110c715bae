#!/bin/bash
# mount.sh tgt|lio ext4|xfs [OPTION…]: a file system over two paths, each link cut once under load. The options are
# for attach.
set -eu
target=$1 filesystem=$2
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/Kernel/files.sh
. "$(dirname "$0")/files.sh"
lab_begin

modprobe -a veth sch_netem nbd
links_up
case $target-$filesystem in
    lio-ext4) lio_start memory 192 ;; # xfs wants 300 MiB at least
    *) "${target}_start" ;;
esac
daemon_start
attach disk1 "${@:3}"
[ -b "$device" ] || fail "attach printed no block device: $(cat "$work/attach.json")"
say "attached $device"

case $filesystem in
    ext4) mkfs.ext4 -q "$device" ;;
    # With reflink, User Mode Linux's kernel reads wrong data from any device, a RAM disk included.
    xfs) mkfs.xfs -q -m reflink=0 "$device" ;;
esac
mount_device
start_writing

for link in 1 2; do
    cut "$link"
    before=$(written)
    started=$SECONDS
    # The file in progress may have been finished before the cut was felt; the one after it was not.
    wait_until 90 "writes go on while link $link is cut" more_written_than $((before + 1))
    say "link $link cut: two more files written after $((SECONDS - started)) s"
    path_active disk1 "p$link" && fail "status says that p$link carries I/O while its link is cut"
    heal "$link"
    wait_until 60 "the path over p$link is active again" path_active disk1 "p$link"
done
stop_writing
cp "$work/mnt/file0" "$work/mnt/copy" # buffered, not yet on the disk when it is unmounted

unmount_device
mount_device
verify_files
cmp "$work/mnt/file0" "$work/mnt/copy"
unmount_device

case $filesystem in
    ext4) e2fsck -fn "$device" >"$work/fsck.log" 2>&1 || fail 'e2fsck found errors' ;;
    xfs) xfs_repair -n "$device" >"$work/fsck.log" 2>&1 || fail 'xfs_repair found errors' ;;
esac
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions "$target"
daemon_stop
