#!/bin/bash
# limits.sh: what the block layer shows of a disk, beside what its LUN says; requests of the largest sizes.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

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

modprobe -a veth nbd
links_up
tgt_start 6G
daemon_start

say '--- a thin LUN of 512-byte blocks'
attach disk1
shows size $((6 << 21))
shows ro 0
shows queue/logical_block_size 512
shows queue/write_cache 'write back'
shows queue/fua 1
shows queue/io_timeout 5000
shows queue/max_sectors_kb 256
at_least queue/discard_max_bytes 4294966784

say '--- TRIM of nearly 4 GiB in one request'
printf 'data at the end' | dd of="$device" bs=512 seek=$(((4 << 21) - 8)) conv=sync oflag=direct status=none
before=$(counter trims)
blkdiscard --offset 0 --length 4294966784 "$device"
[ $(($(counter trims) - before)) = 1 ] || fail "it took $(($(counter trims) - before)) requests"
[ "$(dd if="$device" bs=512 skip=$(((4 << 21) - 8)) count=1 iflag=direct status=none | tr -d '\0' | wc -c)" = 0 ] ||
    fail 'the data are still there'

say '--- reads and writes of 32 MiB'
echo 32768 >"/sys/block/${device##*/}/queue/max_sectors_kb"
head -c 32M /dev/urandom >"$work/large"
before=$(counter writes)
dd if="$work/large" of="$device" bs=32M count=1 oflag=direct status=none
writes=$(($(counter writes) - before))
before=$(counter reads)
dd if="$device" bs=32M count=1 iflag=direct status=none | cmp - "$work/large"
reads=$(($(counter reads) - before))
say "32 MiB in $writes writes and $reads reads"
[ $((writes + reads)) -le 80 ] || fail 'the kernel has cut them to pieces'
gone

say '--- another device: nothing of before is left'
attach disk1
shows queue/max_sectors_kb 256
shows queue/io_timeout 5000
gone

say '--- 4096-byte blocks'
another_unit 64M --blocksize 4096
attach disk1
shows size $((64 << 11))
shows queue/logical_block_size 4096
shows queue/discard_granularity 4096
if dd if=/dev/zero of="$device" bs=512 count=1 oflag=direct status=none 2>/dev/null; then
    fail 'half a block was written'
fi
dd if="$work/large" of="$device" bs=4096 count=16 oflag=direct status=none
cmp -n 65536 "$work/large" <(dd if="$device" bs=4096 count=16 iflag=direct status=none)
gone

say '--- read-only, asked for'
attach disk1 --read-only
shows ro 1
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
gone
unit update --params readonly=0

say '--- LIO: what it does not say is not rotating'
tgt_stop
lio_start file 64
attach disk1
shows queue/rotational 0
shows queue/discard_granularity 512
at_least queue/discard_max_bytes 1
gone

say '--- LIO has no GET LBA STATUS: base:allocation is not offered'
causeway attach disk1 --target "$iqn" --portal "$portal1" --bind p1 --lun 1 --socket "$work/disk1.sock"
nbdinfo --json "nbd+unix:///?socket=$work/disk1.sock" >"$work/info.json"
jq -e '.exports[0] | ."export-size" > 0 and ((.contexts // []) == [])' "$work/info.json" >/dev/null ||
    fail "a context is offered: $(cat "$work/info.json")"
causeway detach disk1
daemon_stop
