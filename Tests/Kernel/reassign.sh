#!/bin/bash
# reassign.sh: LIO at ErrorRecoveryLevel 2. The two paths are connections of one session; one and then the other is cut
# while fio writes and reads back. What was under way on it goes on over the other, in the same session.
#
# It is no part of `make test`: LIO of Linux 6.1 panics (target_release_cmd_kref, from iscsit_close_connection) when a
# connection ends while a write of it is being carried out. Here writes are over at once, and most runs are spared.
# LIO of Linux 6.12 answers no login any more after the second cut.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

fio=''
test_end() { [ -z "$fio" ] || end_process "$fio"; }

modprobe -a veth sch_netem nbd
links_up
lio_start file 64
lio_parameters MaxConnections=4 DefaultTime2Wait=0
# What LIO agrees to is this, whatever param/ErrorRecoveryLevel says.
echo 2 >"$lio_config/iscsi/$iqn/tpgt_1/attrib/default_erl"
mkdir -p "$(dirname "$configuration")"
printf '[parameters]\nErrorRecoveryLevel = 2\nDefaultTime2Wait = 0\n' >"$configuration"
daemon_start
attach disk1 --set multipathing=connections
causeway params disk1 --json >"$work/params.json"
jq -e '[.. | .negotiated?.ErrorRecoveryLevel? // empty] | length == 2 and all(. == "2")' "$work/params.json" >/dev/null ||
    fail "ErrorRecoveryLevel is not 2: $(cat "$work/params.json")"

reassigned() { causeway status disk1 --json | jq '[.. | .reassigned? // empty] | add'; }
is_writing() { kill -0 "$fio" 2>/dev/null || fail "fio ended: $(tail -n 5 "$work/fio.log")"; }

: >"$work/fio.log"
loops=0
while [ ! -e "$work/stop" ]; do
    fio --minimal --name=reassign --filename="$device" --direct=1 --ioengine=libaio --iodepth=32 --rw=randrw \
        --bssplit=4k/60:64k/30:1m/10 --size=60M --io_size=24M --verify=crc32c --verify_state_save=0 --randseed="$loops" \
        >>"$work/fio.log" 2>&1 || exit
    loops=$((loops + 1))
done &
fio=$!

for turn in 1 2 3; do
    for fault in carrier silence; do
        for link in 1 2; do
            sleep 1
            is_writing
            before=$(reassigned)
            cut "$link" "$fault"
            wait_until 20 "the path over p$link is given up" path_lost disk1 "p$link"
            sleep 1
            heal "$link"
            wait_until 60 "the path over p$link is active again" path_active disk1 "p$link"
            say "turn $turn, link $link ($fault): $(($(reassigned) - before)) commands reassigned"
        done
    done
done
: >"$work/stop"
wait "$fio" || fail "fio ended with an error: $(tail -n 5 "$work/fio.log")"
fio=''
again=$(grep -oE '[0-9]+ sent once more' "$work/causewayd.log" | awk '{ sum += $1 } END { print sum + 0 }')
say "$(reassigned) commands reassigned, $again sent once more under their numbers"
say "$(grep -c 'connection recovered' "$work/causewayd.log" || true) connections recovered"
[ "$(($(reassigned) + again))" -gt 0 ] || fail 'no command went on'
say "$(grep -c 'its session ends' "$work/causewayd.log" || true) times the session was made anew"

causeway detach disk1
wait_until 10 'detach leaves no device' no_nbd_devices
wait_until 10 'the target has no session left' no_sessions lio
no_records
daemon_stop
