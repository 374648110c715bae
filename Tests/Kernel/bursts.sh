#!/bin/bash
# bursts.sh Yes|No: the data of writes to LIO go immediately (or not), unsolicited, and for several R2Ts at once, also
# while a link is cut.
# bursts.sh wire: one write each way, PDU by PDU as LIO tells it. Needs a kernel with dynamic debug: not User Mode Linux.
set -eu
way=$1
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/Kernel/files.sh
. "$(dirname "$0")/files.sh"
lab_begin

# A data segment is less than the first burst, so that immediate data leave something to be sent unsolicited; and
# a write of 128 KiB takes seven R2Ts.
segment=4096 burst=16384 length=131072
# negotiated KEY VALUE: over both paths
negotiated() {
    jq -e --arg key "$1" --arg value "$2" '(.paths | length) == 2 and all(.paths[]; .negotiated[$key] == $value)' \
        "$work/parameters" >/dev/null || fail "$1 is not $2: $(jq -c "[.paths[].negotiated.$1]" "$work/parameters")"
}
attach_with() { # ImmediateData
    # (LIO declares MaxXmitDataSegmentLength as what it can receive.)
    lio_parameters InitialR2T=No "ImmediateData=$1" MaxOutstandingR2T=8 "MaxXmitDataSegmentLength=$segment" \
        "FirstBurstLength=$burst" "MaxBurstLength=$burst"
    attach disk1
    causeway params disk1 --json >"$work/parameters"
    negotiated InitialR2T No
    negotiated ImmediateData "$1"
    negotiated MaxOutstandingR2T 7 # the most that the lane takes
    negotiated FirstBurstLength $burst
    negotiated MaxBurstLength $burst
    jq -e --arg words "target's $segment" 'all(.paths[]; .negotiated.MaxRecvDataSegmentLength | endswith($words))' \
        "$work/parameters" >/dev/null || fail "the target takes other segments: $(jq -c .paths "$work/parameters")"
}
gone() {
    causeway detach disk1
    wait_until 10 'detach leaves no device' no_nbd_devices
}

# wire IMMEDIATE-BYTES: a write of $length bytes, as LIO has seen it.
wire() {
    local tag unsolicited solicited before
    dmesg --clear
    dd if=/dev/urandom of="$device" bs=$length count=1 oflag=direct status=none
    dmesg | grep -E 'Got SCSI Command|Got DataOut|Built R2T' >"$work/pdus.log"
    tag=$(sed -n "s/.*Got SCSI Command, ITT: \(0x[0-9a-f]*\), .* ExpXferLen: $length, Length: $1, .*/\1/p" "$work/pdus.log")
    [[ $tag =~ ^0x[0-9a-f]+$ ]] || fail "there is not one command with $1 bytes of immediate data"
    unsolicited=$(grep -c "Got DataOut ITT: $tag, TTT: 0xffffffff, .* Length: $segment," "$work/pdus.log")
    solicited=$(grep "Got DataOut ITT: $tag, .* Length: $segment," "$work/pdus.log" | grep -vc 'TTT: 0xffffffff')
    [ $(($1 + unsolicited * segment)) = $burst ] || fail "$1 bytes immediate and $unsolicited segments unsolicited"
    [ $((solicited * segment)) = $((length - burst)) ] || fail "$solicited segments solicited"
    [ "$(grep -c "Built R2T, ITT: $tag" "$work/pdus.log")" = $((length / burst - 1)) ] || fail 'R2Ts are missing'
    before=$(awk '/Built R2T/ { n++ } /Got DataOut/ && !/TTT: 0xffffffff/ { exit } END { print n }' "$work/pdus.log")
    [ "$before" -ge 2 ] || fail 'no two R2Ts were outstanding'
    say "$1 bytes immediate, $unsolicited segments unsolicited, $solicited solicited; $before R2Ts outstanding at once"
}

modprobe -a veth nbd
links_up
lio_start memory 192
daemon_start
if [ "$way" = wire ]; then
    mkdir -p /sys/kernel/debug
    mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
    echo 'file iscsi_target.c +p' >/sys/kernel/debug/dynamic_debug/control
    attach_with Yes
    wire $segment
    gone
    attach_with No
    wire 0
    gone
    daemon_stop
    exit
fi
attach_with "$way"

say '--- every length around a segment, a burst and several bursts, at once and verified'
# From less than a segment to sixteen bursts; a seed of its own for each size, so that old data would show.
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
gone
daemon_stop
