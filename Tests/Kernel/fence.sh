#!/bin/bash
# fence.sh tgt|lio [unsafe]: the ghost write.
#
# A write is held inside the target, its path is lost, the write is sent again over the other path, and the
# block is then overwritten. When the held write ends at last, the new data must still be there: nothing may be
# sent again before the target has finished the first copy. With `unsafe` the daemon is told to leave out the
# barrier, and the test passes only if the new data are lost: the proof that this test can tell.
set -eu
target=$1 variant=${2:-}
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

writer='' mapped=''
test_end() {
    release
    end_process "$writer"
}

readonly block=1024 # of 4096 bytes
printf '%-4096s' 'GHOST WRITE of old data' >"$work/old"
printf '%-4096s' 'new data' >"$work/new"

# ---- how a target's medium holds one write back: arm, held, release, ended, medium

case $target in
    tgt)
        export SLOW_PWRITE=$work/slow
        prepare() {
            "${CC:-cc}" -O1 -shared -fPIC -o "$work/slow-pwrite.so" "$(dirname "$0")/slow-pwrite.c" -ldl
            TGT_PRELOAD=$work/slow-pwrite.so tgt_start 64M
        }
        arm() { : >"$SLOW_PWRITE.armed"; }
        held() { [ -e "$SLOW_PWRITE.held" ]; }
        release() { : >"$SLOW_PWRITE.release"; }
        ended() { [ -e "$SLOW_PWRITE.ended" ]; }
        medium() { dd if="$backing" bs=4096 skip=$block count=1 status=none; }
        ;;
    lio)
        # A switch in front of a RAM disk sends each 4 KiB region either straight to it or through a delay of
        # its writes. Only while armed does the block go through the delay. Suspending the delay ends it.
        export DM_DISABLE_UDEV=1
        prepare() {
            local sectors
            modprobe -a dm-delay dm-switch
            modprobe brd rd_nr=1 rd_size=65536
            sectors=$(blockdev --getsz /dev/ram0)
            mapped=1
            dmsetup create slow --table "0 $sectors delay /dev/ram0 0 0 /dev/ram0 0 600000"
            dmsetup create medium --table "0 $sectors switch 2 8 0 /dev/ram0 0 /dev/mapper/slow 0"
            lio_start block:/dev/mapper/medium
        }
        through() { dmsetup message medium 0 set_region_mappings "$(printf '%x:%x' $block "$1")"; }
        writes_in_flight() {
            local number # of the switch: the delay counts a write only when it lets it go
            number=$(dmsetup info -c --noheadings -o major,minor --separator : medium)
            awk '{ print $2 }' "/sys/dev/block/$number/inflight"
        }
        arm() { through 1; }
        held() { [ "$(writes_in_flight)" -gt 0 ] && through 0; }
        release() {
            [ -n "$mapped" ] || return 0
            dmsetup suspend slow && dmsetup resume slow
        }
        ended() { [ "$(writes_in_flight)" = 0 ]; }
        medium() { dd if=/dev/ram0 bs=4096 skip=$block count=1 iflag=direct status=none; }
        ;;
esac

store() { dd if="$1" of="$device" bs=4096 seek=$block count=1 oflag=direct conv=notrunc status=none; }
sent() { cat "/sys/class/net/p$1/statistics/tx_bytes"; }
writer_ended() { ! kill -0 "$writer" 2>/dev/null; }

modprobe -a veth nbd
links_up
prepare
case $variant in
    unsafe) daemon_start --unsafe-skip-barrier ;;
    *) daemon_start ;;
esac
attach disk1
sleep 1 # udev and the like have read what they want

sent1=$(sent 1) sent2=$(sent 2)
arm
store "$work/old" &
writer=$!
wait_until 10 'the target holds the write' held
if [ $(($(sent 1) - sent1)) -gt $(($(sent 2) - sent2)) ]; then lost=1 other=2; else lost=2 other=1; fi
before=$(connections $other)
cut $lost
say "the write went over p$lost, whose link is cut now"
wait_until 90 "the lost session is logged in again over p$other" more_connections_than $other "$before"

if [ "$variant" = unsafe ]; then
    wait_until 60 'the write is sent again without a barrier' writer_ended
    ended && fail 'the held write ended before its time'
else
    sleep 5
    writer_ended && fail 'the write was answered while its first copy was still inside the target'
    say 'the write waits behind the fence'
    release
    wait_until 10 'the held write ends in the target' ended
    wait_until 60 'the write is sent again behind the fence' writer_ended
fi
wait "$writer" || fail 'the write failed'
writer=''

store "$work/new"
if [ "$variant" = unsafe ]; then
    cmp -s "$work/new" <(medium) || fail 'the new data did not reach the medium'
    release
    wait_until 10 'the held write ends in the target' ended
    cmp -s "$work/old" <(medium) ||
        fail 'the ghost write did no harm without the barrier: this test could not find what it looks for'
    say 'without the barrier the ghost write destroyed the new data, as it must here'
    exit 0
fi

cmp "$work/new" <(medium) || fail 'the old write overtook the new one on the medium'
heal $lost
wait_until 60 "the path over p$lost is active again" path_active disk1 p$lost
causeway detach disk1
attach disk1
cmp "$work/new" <(dd if="$device" bs=4096 skip=$block count=1 iflag=direct status=none) ||
    fail 'a fresh attach does not read the new data'
causeway detach disk1
say 'the new data are there'
