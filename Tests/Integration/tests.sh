#!/bin/bash
# tests.sh NAME: one integration test, the function test_NAME below. Started by Tests/Integration/run.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$(realpath "$0")")/../Kernel/lib.sh"
lab_begin

readonly size=$((64 << 20))
clients=()
test_end() {
    local client
    for client in "${clients[@]}"; do end_process "$client"; done
}

# A 64 MiB disk over both links on $socket, which NBD clients reach by $uri.
socket=$work/disk1.sock
uri="nbd+unix:///?socket=$socket"
disk_up() {
    links_up
    tgt_start 64M
    daemon_start
    attach disk1 --socket "$socket"
}
disk_down() {
    causeway detach disk1
    [ ! -e "$socket" ] || fail "detach left $socket"
    wait_until 10 'the target has no session left' no_sessions tgt
}
random_file() { head -c "$2" /dev/urandom >"$work/$1"; }
fio_command() { # name, fio's options
    fio=(timeout 150 fio --minimal --name="$1" --ioengine=nbd --uri="$uri" --verify=crc32c --verify_state_save=0
        --randrepeat=1 "${@:2}")
}
verified_fio() {
    fio_command "$@"
    "${fio[@]}" >"$work/fio-$1.log" 2>&1
}
verified_fio_in_background() { # its process in $!
    fio_command "$@"
    "${fio[@]}" >"$work/fio-$1.log" 2>&1 &
    clients+=($!)
}

test_discover() {
    links_up
    tgt_start 64M
    daemon_start
    local said word
    said=$(causeway discover "$portal1" "$portal2" --bind p1 --bind p2 --luns)
    say "$said"
    for word in "$iqn" 198.18.1.1 198.18.2.1 VIRTUAL-DISK '64 MiB|67108864|67\.1'; do
        grep -qE -- "$word" <<<"$said" || fail "discover does not show $word"
    done
    causeway discover "$portal1" --bind p1 --json | jq -e --arg iqn "$iqn" 'any(..; . == $iqn)' >/dev/null ||
        fail 'discover --json does not name the target'
    wait_until 10 'discovery leaves no session' no_sessions tgt
}

test_status() {
    disk_up
    local name
    causeway list | grep -q disk1 || fail 'list does not show disk1'
    causeway list --json | jq -e 'any(..; . == "disk1")' >/dev/null || fail 'list --json does not show disk1'
    verified_fio load --rw=write --bs=64k --size=4M
    causeway status disk1
    for name in p1 p2 198.18.1.1 198.18.2.1 active; do
        causeway status disk1 | grep -q "$name" || fail "status does not show $name"
    done
    # Round-robin: both links have carried I/O.
    for name in p1 p2; do
        causeway status disk1 --json | jq -e --arg interface $name \
            '[.. | objects | select(.interface? == $interface) | .writtenBytes] | add > 1000000' >/dev/null ||
            fail "$name has carried no share of the writes"
    done
    disk_down
}

test_nbdinfo() {
    disk_up
    local flag
    nbdinfo --json "$uri" | tee "$work/info.json"
    [ "$(nbdinfo --size "$uri")" = $size ] || fail "the size is $(nbdinfo --size "$uri")"
    for flag in can_flush can_fua can_multi_conn can_trim can_zero; do
        jq -e ".exports[0].$flag" "$work/info.json" >/dev/null || fail "$flag is not set"
    done
    jq -e '.exports[0].is_read_only == false' "$work/info.json" >/dev/null || fail 'the export is read-only'
    nbdinfo --list "$uri"
    nbdinfo --map "$uri"
    disk_down
}

test_nbdcopy() {
    disk_up
    random_file source $size
    nbdcopy --connections=4 --flush "$work/source" "$uri"
    nbdcopy --connections=4 "$uri" "$work/back"
    cmp "$work/source" "$work/back"
    cmp "$work/source" "$backing" || fail 'the LUN holds something else'
    disk_down
}

test_qemu_io() {
    disk_up
    # Unaligned to 4 KiB, across splits, with FUA, zeroes and discards; each read back.
    qemu-io -f raw "$uri" \
        -c 'write -P 0xa5 0 1M' -c 'write -P 0x11 512 1024' -c 'read -P 0x11 512 1024' \
        -c 'read -P 0xa5 1536 8k' -c 'write -f -P 0x22 3M 4k' -c 'read -P 0x22 3M 4k' \
        -c 'write -P 0x33 4M 16M' -c 'read -P 0x33 4M 16M' \
        -c 'write -z 5M 1M' -c 'read -P 0 5M 1M' -c 'read -P 0x33 6M 1M' \
        -c 'discard 8M 4M' -c 'flush' -c 'read -P 0xa5 4k 64k' \
        -c "read -P 0 $((size - 512)) 512" | tee "$work/said"
    ! grep -iE 'fail|error' "$work/said" || fail 'qemu-io read something else'
    disk_down
}

test_qemu_img() {
    disk_up
    random_file source $size
    qemu-img convert -n -f raw -O raw "$work/source" "$uri"
    qemu-img compare -f raw -F raw "$work/source" "$uri"
    qemu-img convert -f raw -O raw "$uri" "$work/back"
    cmp "$work/source" "$work/back"
    qemu-img map -f raw "$uri"
    disk_down
}

test_fio() {
    disk_up
    verified_fio small --rw=randwrite --bs=4k --iodepth=32 --size=32M
    verified_fio mixed --rw=randrw --bsrange=512-256k --blockalign=512 --iodepth=16 --size=32M
    verified_fio large --rw=write --bs=4M --iodepth=4 --size=64M --fsync=4
    disk_down
}

test_fio_links_cut() {
    disk_up
    local link writer
    for link in 1 2; do
        verified_fio_in_background "cut$link" --rw=randwrite --bs=16k --iodepth=16 --size=24M --rate=6M \
            --offset=$(((link - 1) * 32))M
        writer=$!
        sleep 1
        cut "$link"
        say "link $link is cut"
        wait_until 60 "the path over p$link is given up" path_lost disk1 "p$link"
        # Writes and verifies to its end with the link still cut.
        wait "$writer" || fail "fio failed while link $link was cut"
        heal "$link"
        wait_until 60 "the path over p$link is active again" path_active disk1 "p$link"
    done
    # What was written over the other link is still there, read over both.
    for link in 1 2; do
        verified_fio "cut$link" --rw=randwrite --bs=16k --iodepth=16 --size=24M --offset=$(((link - 1) * 32))M \
            --verify_only
    done
    disk_down
}

test_several_clients() {
    disk_up
    local number all=()
    for number in 0 1 2 3; do
        verified_fio_in_background "client$number" --rw=randwrite --bs=8k --iodepth=8 --size=12M \
            --offset=$((number * 16))M
        all+=($!)
    done
    for number in "${all[@]}"; do wait "$number" || fail 'a client failed'; done
    # CAN_MULTI_CONN: what one client has flushed, another reads.
    qemu-io -f raw "$uri" -c 'write -P 0x77 0 1M' -c flush
    ! qemu-io -r -f raw "$uri" -c 'read -P 0x77 0 1M' | grep -i fail || fail 'the second client reads old data'
    disk_down
}

test_client_connected() {
    disk_up
    qemu-io -f raw "$uri" -c 'write -P 0x42 0 1M' -c 'sleep 20000' >"$work/client.log" 2>&1 &
    local client=$!
    clients+=("$client")
    wait_until 10 'the client has written' written_bytes
    if causeway detach disk1 2>"$work/said"; then fail 'detach cut off a client that is connected'; fi
    grep -q "process $client" "$work/said" || fail "detach does not say who is connected: $(cat "$work/said")"
    # The end of the daemon does not wait for a client that only stays connected.
    local started=$SECONDS status=0
    kill -TERM "$daemon"
    wait "$daemon" || status=$?
    daemon=''
    [ $status = 0 ] || fail "causewayd ended with status $status on SIGTERM"
    [ $((SECONDS - started)) -le 5 ] || fail "causewayd took $((SECONDS - started)) s to end"
    wait_until 10 'causewayd logs out when it ends' no_sessions tgt
    cmp <(head -c 1M /dev/zero | tr '\0' '\102') <(head -c 1M "$backing") || fail 'what was written is not on the LUN'
}
written_bytes() { causeway status disk1 --json | jq -e '.counters.writtenBytes >= 1048576' >/dev/null; }

test_same_lun_twice() {
    disk_up
    if causeway attach disk2 --target "$iqn" --portal "$portal1" --bind p1 --lun 1 --socket "$work/disk2.sock" \
        2>"$work/said"; then
        fail 'the same LUN was attached a second time'
    fi
    grep -q 'disk1' "$work/said" || fail "attach does not say where the LUN is: $(cat "$work/said")"
    [ ! -e "$work/disk2.sock" ] || fail 'a refused attach left its socket'
    causeway attach disk2 --target "$iqn" --portal "$portal1" --bind p1 --lun 1 --socket "$work/disk2.sock" --force
    causeway detach disk2
    nbdinfo --size "$uri"
    disk_down
}

# The disks of a target share its sessions: the first to leave takes nothing of the others with it.
test_first_disk_leaves() {
    disk_up
    truncate -s 16M "$work/lun2"
    tgt_admin --op new --mode logicalunit --tid 1 --lun 2 --backing-store "$work/lun2"
    causeway attach disk2 --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --lun 2 \
        --socket "$work/disk2.sock"
    causeway detach disk1
    local link
    for link in 1 2; do
        cut "$link"
        wait_until 20 "the path over p$link is given up" path_lost disk2 "p$link"
    done
    for link in 1 2; do
        heal "$link"
        wait_until 20 "the path over p$link comes back" path_active disk2 "p$link"
    done
    [ "$(find "$work/state/sessions" -type f | wc -l)" = 2 ] || fail 'the sessions are not on record any more'
    causeway detach disk2
    [ -z "$(find "$work/state/sessions" -type f)" ] || fail 'sessions stay on record that were logged out'
    wait_until 10 'the target has no session left' no_sessions tgt
}

test_target_restarted() {
    disk_up
    local writer
    verified_fio_in_background restart --rw=randwrite --bs=16k --iodepth=8 --size=32M --rate=6M
    writer=$!
    sleep 1
    tgt_stop
    say 'the target is gone'
    sleep 3
    kill -0 "$writer" || fail 'fio ended: an error reached it while the target was away'
    tgt_start 64M
    say 'the target is back'
    wait "$writer" || fail 'fio failed over the restart of the target'
    wait_until 60 'a path over p1 is active again' path_active disk1 p1
    wait_until 60 'a path over p2 is active again' path_active disk1 p2
    disk_down
}

test_one_link_cut_at_attach() {
    links_up
    tgt_start 64M
    daemon_start
    cut 2
    local started=$SECONDS
    causeway attach disk1 --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --lun 1 \
        --socket "$socket"
    [ $((SECONDS - started)) -le 10 ] || fail "attach took $((SECONDS - started)) s: it waited for the dead path"
    path_active disk1 p1 || fail 'no active path over p1'
    verified_fio alone --rw=randwrite --bs=4k --iodepth=8 --size=4M
    heal 2
    wait_until 60 'the path over p2 joins' path_active disk1 p2
    disk_down
}

test_reattach() {
    disk_up
    random_file source 4M
    nbdcopy --flush "$work/source" "$uri"
    disk_down
    # An ordinary file in the socket's place is left alone.
    echo precious >"$socket"
    if causeway attach disk1 --target "$iqn" --portal "$portal1" --bind p1 --lun 1 --socket "$socket"; then
        fail 'attach replaced a file that is no socket'
    fi
    [ "$(cat "$socket")" = precious ] || fail 'the file in the socket'\''s place was touched'
    rm "$socket"
    wait_until 10 'a refused attach leaves no session' no_sessions tgt
    attach disk1 --socket "$socket"
    nbdcopy "$uri" "$work/back"
    cmp -n $((4 << 20)) "$work/source" "$work/back"
    disk_down
}

test_daemon_ends() {
    disk_up
    local status=0
    kill -TERM "$daemon"
    wait "$daemon" || status=$?
    daemon=''
    [ $status = 0 ] || fail "causewayd ended with status $status on SIGTERM"
    [ ! -e "$socket" ] || fail "causewayd left $socket"
    [ ! -e "$control" ] || fail "causewayd left $control"
    wait_until 10 'causewayd logs out when it ends' no_sessions tgt
}

"test_$1"
