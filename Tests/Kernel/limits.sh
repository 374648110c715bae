#!/bin/bash
# limits.sh: what the block layer shows of a disk, beside what its LUN says to another initiator (libiscsi's iscsi-inq);
# requests of the largest sizes.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin
command -v iscsi-inq >/dev/null || skip 'there is no iscsi-inq; type: apt-get install libiscsi-bin'

# What the kernel lets a server say: from 6.11 on whether it rotates, and that it makes zeros.
IFS=. read -r major minor _ <<<"$(uname -r)"
says_more=''
[ $((major * 100 + minor)) -lt 611 ] || says_more=yes

# shows FILE VALUE: of /sys/block/nbdX
shows() {
    local is
    is=$(cat "/sys/block/${device##*/}/$1")
    [ "$is" = "$2" ] || fail "$1 is \"$is\", not \"$2\""
}
at_least() {
    local is
    is=$(cat "/sys/block/${device##*/}/$1")
    [ "$is" -ge "$2" ] || fail "$1 is $is, less than $2"
}
gone() {
    causeway detach disk1
    wait_until 10 'detach leaves no device' no_nbd_devices
}
counter() { causeway status disk1 --json | jq ".counters.$1"; }
unit() { tgt_admin --op "$1" --mode logicalunit --tid 1 --lun 1 "${@:2}"; }
# another_unit SIZE [OPTION…]
another_unit() {
    unit delete
    truncate -s 0 "$backing"
    truncate -s "$1" "$backing"
    unit new --backing-store "$backing" "${@:2}"
    unit update --params thin_provisioning=1
}

# page NUMBER TITLE: a number on the LUN's page.
page() {
    iscsi-inq -i "$initiator-2" -e 1 -c $(($1)) "iscsi://$portal1/$iqn/1" 2>>"$work/inq.log" |
        sed -n "s/^$2: *\([0-9]*\).*/\1/p"
}
capacity() {
    iscsi-readcapacity16 -i "$initiator-2" "iscsi://$portal1/$iqn/1" | sed -n "s/.*\<$1: *\([0-9]*\).*/\1/p"
}
# as_the_unit_says: the device says of itself what the LUN does, as far as NBD has words for it.
as_the_unit_says() {
    local block last transfer rate bytes answer
    block=$(capacity 'LOGICAL BLOCK LENGTH IN BYTES')
    last=$(capacity 'RETURNED LOGICAL BLOCK ADDRESS')
    transfer=$(page 0xb0 'maximum transfer length')
    rate=$(page 0xb1 'Medium Rotation Rate')
    for answer in "$block" "$last" "$transfer" "$rate"; do
        [ -n "$answer" ] || fail 'the LUN does not show its pages'
    done
    say "the LUN: $((last + 1)) blocks of $block, at most $transfer in a transfer, rotation rate $rate"
    shows size $(((last + 1) * (block / 512)))
    shows queue/logical_block_size "$block"
    shows queue/physical_block_size "$block"
    shows queue/minimum_io_size "$block"
    shows queue/discard_granularity "$block"
    # One command's worth, of 256 KiB at most; zero is no limit.
    bytes=$((transfer * block))
    if [ "$bytes" = 0 ] || [ "$bytes" -gt 262144 ]; then bytes=262144; fi
    shows queue/max_sectors_kb $((bytes / 1024))
    # 0 says nothing, 1 says that it does not; from 401h on it is turns a minute.
    shows queue/rotational $((rate > 1))
    # Both are done here where the LUN has no such command.
    shows queue/write_cache 'write back'
    shows queue/fua 1
    shows queue/io_timeout 5000
    if [ -n "$says_more" ]; then
        at_least queue/discard_max_bytes 4294963200
        at_least queue/write_zeroes_max_bytes 4294963200
    else
        shows queue/discard_max_bytes 2199023255040
        shows queue/write_zeroes_max_bytes 0
    fi
}
# has_zeros OFFSET: nothing else is in those 4 KiB
has_zeros() {
    [ "$(dd if="$device" bs=4096 skip="$1" count=1 iflag=direct status=none | tr -d '\0' | wc -c)" = 0 ]
}
mark() { printf 'data' | dd of="$device" bs=4096 seek="$1" conv=sync oflag=direct status=none; }

# large_requests BLOCK-SIZE: on a disk of 6 GiB
large_requests() {
    # The most that the kernel sends in one: 2^32 bytes less a block, and with 4096-byte blocks less one of these.
    local most=$(((4 << 30) - $1)) before requests writes reads
    say "--- TRIM of nearly 4 GiB in one request, in blocks of $1"
    mark 0
    mark $(((4 << 18) - 2))
    mark $((4 << 18))
    before=$(counter trims)
    blkdiscard --offset 0 --length $most "$device"
    requests=$(($(counter trims) - before))
    [ $requests = 1 ] || fail "it took $requests requests"
    if ! has_zeros 0 || ! has_zeros $(((4 << 18) - 2)); then fail 'the data are still there'; fi
    ! has_zeros $((4 << 18)) || fail 'what lies behind them is gone, too'

    say "--- zeros in one request"
    mark 0
    mark $(((4 << 18) - 2))
    before=$(counter writeZeroes)
    if [ -n "$says_more" ]; then
        # Those that may be a hole: others would take as much of this machine's memory.
        fallocate --punch-hole --offset 0 --length $most "$device"
        requests=$(($(counter writeZeroes) - before))
        [ $requests = 1 ] || fail "it took $requests requests"
        has_zeros $(((4 << 18) - 2)) || fail 'the data are still there'
    else
        # Writes of zeros: this kernel has no other way.
        blkdiscard --zeroout --offset 0 --length 4194304 "$device"
        requests=$(($(counter writeZeroes) - before))
        [ $requests = 0 ] || fail 'this kernel makes zeros after all'
    fi
    has_zeros 0 || fail 'the data are still there'
    ! has_zeros $((4 << 18)) || fail 'what lies behind them is gone, too'

    say '--- reads and writes of 32 MiB'
    echo 32768 >"/sys/block/${device##*/}/queue/max_sectors_kb"
    before=$(counter writes)
    dd if="$work/large" of="$device" bs=32M count=1 oflag=direct status=none
    writes=$(($(counter writes) - before))
    before=$(counter reads)
    dd if="$device" bs=32M count=1 iflag=direct status=none | cmp - "$work/large"
    reads=$(($(counter reads) - before))
    say "32 MiB in $writes writes and $reads reads"
    [ $((writes + reads)) -le 80 ] || fail 'the kernel has cut them to pieces'
}

modprobe -a veth nbd
head -c 32M /dev/urandom >"$work/large"
links_up
tgt_start 6G
daemon_start

say '--- a thin LUN of 512-byte blocks'
attach disk1
shows ro 0
as_the_unit_says
large_requests 512
gone

say '--- one that rotates'
unit update --params rotation_rate=7200
attach disk1
[ "$(page 0xb1 'Medium Rotation Rate')" = 7200 ] || fail 'the target does not say so'
as_the_unit_says
gone
unit update --params rotation_rate=0

say '--- another device: nothing of before is left'
attach disk1
as_the_unit_says
gone

say '--- 4096-byte blocks'
another_unit 6G --blocksize 4096
attach disk1
as_the_unit_says
if dd if=/dev/zero of="$device" bs=512 count=1 oflag=direct status=none 2>/dev/null; then
    fail 'half a block was written'
fi
large_requests 4096
gone

say '--- read-only, asked for'
attach disk1 --read-only
shows ro 1
as_the_unit_says
if dd if=/dev/zero of="$device" bs=4096 count=1 oflag=direct status=none 2>/dev/null; then
    fail 'a read-only disk was written to'
fi
causeway status disk1 --json | jq -e .readOnly >/dev/null || fail 'status does not say so'
gone
attach disk1
shows ro 0
gone

say '--- a write-protected LUN'
unit update --params readonly=1
attach disk1
shows ro 1
as_the_unit_says
if dd if=/dev/zero of="$device" bs=4096 count=1 oflag=direct status=none 2>/dev/null; then
    fail 'a write-protected LUN was written to'
fi
gone
unit update --params readonly=0

say '--- LIO with a file'
tgt_stop
lio_start file 64
attach disk1
as_the_unit_says
gone

say '--- LIO has no GET LBA STATUS: base:allocation is not offered'
causeway attach disk1 --target "$iqn" --portal "$portal1" --bind p1 --lun 1 --socket "$work/disk1.sock"
nbdinfo --json "nbd+unix:///?socket=$work/disk1.sock" >"$work/info.json"
jq -e '.exports[0] | ."export-size" > 0 and ((.contexts // []) == [])' "$work/info.json" >/dev/null ||
    fail "a context is offered: $(cat "$work/info.json")"
causeway detach disk1

say '--- LIO with a device that takes less than 256 KiB in one command'
lio_stop
modprobe brd rd_nr=1 rd_size=65536
echo 96 >/sys/block/ram0/queue/max_sectors_kb
lio_start block:/dev/ram0
attach disk1
as_the_unit_says
gone
daemon_stop
lio_stop
