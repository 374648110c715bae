#!/bin/bash
# mount.sh tgt|lio ext4|xfs: a file system over two paths, each link cut once under load.
set -eu
target=$1 filesystem=$2
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

writer='' mounted=''
test_end() {
    : >"$work/stop"
    end_process "$writer"
    [ -z "$mounted" ] || umount -l "$work/mnt"
}

modprobe -a veth sch_netem nbd
links_up
case $target-$filesystem in
    lio-ext4) lio_start memory 192 ;; # xfs wants 300 MiB at least
    *) "${target}_start" ;;
esac
daemon_start
attach disk1
[ -b "$device" ] || fail "attach printed no block device: $(cat "$work/attach.json")"
say "attached $device"

case $filesystem in
    ext4) mkfs.ext4 -q "$device" ;;
    # With reflink, User Mode Linux's kernel reads wrong data from any device, a RAM disk included.
    xfs) mkfs.xfs -q -m reflink=0 "$device" ;;
esac
mkdir "$work/mnt"
mount "$device" "$work/mnt"
mounted=1

# One file after the other, until told to stop: direct with several in flight, and buffered with fsync.
job() { # FILE-NUMBER, then more options
    local engine=(--direct=1 --ioengine=libaio --iodepth=8)
    [ $(($1 % 2)) = 0 ] || engine=(--direct=0 --ioengine=psync --fsync=64)
    fio --minimal --name=file --filename="$work/mnt/file$1" --size=4M --rw=randwrite --bsrange=4k-64k \
        --blockalign=4k --verify=crc32c --verify_state_save=0 --randseed="$1" "${engine[@]}" "${@:2}"
}
write_files() {
    local number=0
    while [ ! -e "$work/stop" ] && [ "$number" -lt 32 ]; do
        job "$number" --do_verify=0 >>"$work/fio.log" 2>&1 || return
        number=$((number + 1))
        echo "$number" >"$work/written"
        sleep 0.2
    done
}
written() { cat "$work/written" 2>/dev/null || echo 0; }
more_written_than() {
    kill -0 "$writer" 2>/dev/null || fail 'the writer ended: an error reached it'
    [ "$(written)" -gt "$1" ]
}
write_files &
writer=$!
wait_until 30 'the first file is written' more_written_than 0

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
: >"$work/stop"
wait "$writer" || fail 'the writer ended with an error'
writer=''
cp "$work/mnt/file0" "$work/mnt/copy" # buffered, not yet on the disk when it is unmounted

umount "$work/mnt"
mount "$device" "$work/mnt"
files=$(written)
for number in $(seq 0 $((files - 1))); do
    job "$number" --verify_only >>"$work/fio.log" 2>&1 || fail "file $number does not hold what was written"
done
cmp "$work/mnt/file0" "$work/mnt/copy"
say "$files files verified"
umount "$work/mnt"
mounted=''

case $filesystem in
    ext4) e2fsck -fn "$device" >"$work/fsck.log" 2>&1 || fail 'e2fsck found errors' ;;
    xfs) xfs_repair -n "$device" >"$work/fsck.log" 2>&1 || fail 'xfs_repair found errors' ;;
esac
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions "$target"
daemon_stop
