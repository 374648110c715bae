#!/bin/bash
# portals.sh: portals that the target lists and that were not given: they are told of, or paths are made to them.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

paths() { causeway status disk1 --json | jq '.paths | length'; }
is_noted() { causeway status disk1 | grep -q 'other portals: 198.18.2.1:3260'; }
one_path() { [ "$(paths)" = 1 ]; }
two_paths() { [ "$(paths)" = 2 ] && path_active disk1 p2; }

modprobe -a veth nbd
links_up
lio_start memory 64
daemon_start

# The first only, over both interfaces: the second portal is told of.
causeway attach disk1 --target "$iqn" --portal 198.18.1.1 --bind p1 --bind p2 --lun 1
device=$(causeway status disk1 --json | jq -r .device)
wait_until 15 'status tells of the other portal' is_noted
one_path || fail 'a path was made unasked'
[ "$(grep -c 'no path leads to' "$work/causewayd.log")" = 1 ] || fail 'the log does not tell of it once'
causeway set disk1 portal-discovery=ignore
causeway detach disk1

# Taken at once by whoever says so, and used; removed by hand it stays away.
causeway attach disk1 --target "$iqn" --portal 198.18.1.1 --bind p1 --bind p2 --lun 1 \
    --set portal-discovery=add --set discovery-interval=10s
device=$(causeway status disk1 --json | jq -r .device)
wait_until 15 'the path to the second portal is made' two_paths
fio --minimal --name=load --filename="$device" --direct=1 --ioengine=libaio --iodepth=4 --rw=randwrite --bs=16k \
    --size=4M --verify=crc32c --verify_state_save=0 >"$work/fio.log" 2>&1 || fail "fio: $(cat "$work/fio.log")"
cut 1
fio --minimal --name=load --filename="$device" --direct=1 --ioengine=libaio --iodepth=4 --rw=randwrite --bs=16k \
    --size=4M --verify=crc32c --verify_state_save=0 >"$work/fio.log" 2>&1 || fail "fio: $(cat "$work/fio.log")"
heal 1
wait_until 20 'p1 is active again' path_active disk1 p1
causeway path remove disk1 p2
wait_until 10 'it is removed' one_path
sleep 12
causeway rescan disk1
one_path || fail 'a path that was removed has come back'
causeway detach disk1
daemon_stop
