#!/bin/bash
# bursts.sh Yes|No: the data of writes to LIO go immediately (or not), unsolicited, and for several R2Ts at once, also
# while a link is cut.
set -eu
immediate=$1
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/Kernel/files.sh
. "$(dirname "$0")/files.sh"
lab_begin

modprobe -a veth nbd
links_up
lio_start memory 192
# A data segment is less than the first burst, so that immediate data leave something to be sent unsolicited; and
# a write of 128 KiB takes seven R2Ts. (LIO declares MaxXmitDataSegmentLength as what it can receive.)
lio_parameters InitialR2T=No "ImmediateData=$immediate" MaxOutstandingR2T=8 MaxXmitDataSegmentLength=4096 \
    FirstBurstLength=16384 MaxBurstLength=16384
daemon_start
attach disk1

causeway params disk1 --json >"$work/parameters"
# negotiated KEY VALUE: over both paths
negotiated() {
    jq -e --arg key "$1" --arg value "$2" '(.paths | length) == 2 and all(.paths[]; .negotiated[$key] == $value)' \
        "$work/parameters" >/dev/null || fail "$1 is not $2: $(jq -c "[.paths[].negotiated.$1]" "$work/parameters")"
}
negotiated InitialR2T No
negotiated ImmediateData "$immediate"
negotiated MaxOutstandingR2T 7 # the most that the lane takes
negotiated FirstBurstLength 16384
negotiated MaxBurstLength 16384
jq -e 'all(.paths[]; .negotiated.MaxRecvDataSegmentLength | test("target.s 4096"))' "$work/parameters" >/dev/null ||
    fail "the target's segments are not 4096 bytes: $(jq -c . "$work/parameters")"

say '--- every length around a segment, a burst and several bursts, at once and verified'
# From less than a segment to 24 bursts; a seed of its own for each size, so that old data would show.
for bytes in 512 4096 4608 16384 16896 32768 33280 131072 262144; do
    fio --minimal --name=write --filename="$device" --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite \
        --bs="$bytes" --size=8M --io_size=2M --verify=crc32c --verify_state_save=0 --randseed="$bytes" \
        >>"$work/fio.log" 2>&1 || fail "writes of $bytes bytes came back as something else"
done
[ "$(causeway status disk1 --json | jq .counters.resent)" = 0 ] || fail 'a path was lost although no link was cut'

say '--- files, and a link cut meanwhile'
mkfs.ext4 -q "$device"
mount_device
start_writing
cut 1
before=$(written)
wait_until 90 'writes go on while link 1 is cut' more_written_than $((before + 1))
path_active disk1 p1 && fail 'status says that p1 carries I/O while its link is cut'
heal 1
wait_until 60 'the path over p1 is active again' path_active disk1 p1
stop_writing
unmount_device
mount_device
verify_files
unmount_device
causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices
daemon_stop
