# shellcheck shell=bash
# shellcheck disable=SC2154  # what lib.sh and tests.sh set
# A disk with two queues: clients spread over two lanes, a session of each on every path. Sourced by tests.sh.

sessions_are() { [ "$(tgt_sessions)" = "$1" ]; }
# Commands that the sessions of each queue have answered.
queue_commands() { causeway status disk1 --json | jq -r "[.queues[$1].paths[].ios] | add"; }

test_queues() {
    mkdir -p "${configuration%/*}"
    printf 'lanes = 2\n' >"$configuration"
    links_up
    tgt_start 64M
    daemon_start
    local options=(--target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --lun 1 --socket "$socket")
    refused 'more queues than lanes' 'lanes = 3' -- causeway attach disk1 "${options[@]}" --queues 3
    refused 'too many queues' '1 to 16' -- causeway attach disk1 "${options[@]}" --queues 17
    local endless
    for endless in all-paths-down-timeout=forever command-timeout=never space=hold; do
        refused "queues and $endless" "${endless%=*}" -- causeway attach disk1 "${options[@]}" --queues 2 --set $endless
    done
    [ -z "$(causeway list --json | jq -r '.[].name')" ] || fail 'a refused disk is there'
    attach disk1 --socket "$socket" --queues 2
    # As people see it.
    causeway status disk1 | tee "$work/said"
    grep -q 'Queues  *2, each with a session on every path: 4 of 4 are up' "$work/said" || fail 'status does not tell of sessions'
    [ "$(grep -c ' active  *2/2 ' "$work/said")" = 2 ] || fail 'status has not each path once, with two sessions'
    sessions_are 4 || fail "the target has $(tgt_sessions) sessions"
    [ "$(cat "/proc/$daemon/task/"*/comm | grep -c '^lane ')" = 2 ] || fail 'there are not two lanes'

    # Settings of all queues or of none, and none that outlives the patience of clients.
    [ "$(causeway set disk1 policy=least-queue-depth | grep ^policy)" = policy=least-queue-depth ] || fail 'set changes nothing'
    refused 'a path that is none' p1/198.18.1.1 -- causeway set disk1 policy=fixed,preferred=p7
    refused 'waiting for ever' all-paths-down-timeout -- causeway set disk1 all-paths-down-timeout=forever
    refused 'waiting for longer' 'detach and attach' -- causeway set disk1 command-timeout=10m
    causeway set disk1 | grep -qx 'command-timeout=60s' || fail 'a refused setting changed something'
    refused 'reservations' queues -- causeway reserve disk1 register

    # Clients on both queues; a link is cut under them.
    local link number writers=() writer
    for link in 1 2; do
        writers=()
        for number in 0 1 2 3; do
            verified_fio_in_background "cut$link-$number" --rw=randwrite --bs=16k --iodepth=8 --size=8M --rate=2M \
                --offset=$((number * 16))M
            writers+=($!)
        done
        sleep 1
        cut "$link"
        wait_until 60 "the path over p$link is given up" path_lost disk1 "p$link"
        for writer in "${writers[@]}"; do wait "$writer" || fail "fio failed while link $link was cut"; done
        heal "$link"
        wait_until 60 "the path over p$link is active again" path_active disk1 "p$link"
    done
    for number in 0 1; do
        [ "$(queue_commands $number)" -gt 500 ] || fail "queue $number has done $(queue_commands $number) commands"
    done
    for number in 0 1 2 3; do
        verified_fio "cut2-$number" --rw=randwrite --bs=16k --iodepth=8 --size=8M --offset=$((number * 16))M --verify_only
    done
    # CAN_MULTI_CONN: what one client has flushed, the next ones read, on whichever queue.
    qemu-io -f raw "$uri" -c 'write -P 0x77 0 1M' -c flush
    for number in 0 1; do
        ! qemu-io -r -f raw "$uri" -c 'read -P 0x77 0 1M' | grep -i fail || fail 'another client reads old data'
    done

    # A path is that of all queues.
    causeway path disable disk1 p1
    wait_until 10 'its sessions are logged out' sessions_are 2
    causeway path enable disk1 p1
    wait_until 20 'they are back' sessions_are 4
    causeway path remove disk1 p1
    wait_until 10 'its sessions are logged out' sessions_are 2
    wait_until 10 'the path is gone' path_gone disk1 p1
    refused 'the last path' 'path that works' -- causeway path remove disk1 p2
    path_active disk1 p2 || fail 'a refused removal disabled the path'
    causeway path add disk1 --bind p1 --portal "$portal1"
    wait_until 20 'the path is back' path_active disk1 p1
    wait_until 10 'in both queues' sessions_are 4

    # The sessions of a daemon that was killed are fenced in all queues before clients are served again.
    verified_fio before --rw=write --bs=64k --size=4M --end_fsync=1
    kill -9 "$daemon"
    wait "$daemon" || true
    daemon_start
    wait_until 30 'the disk is served again' path_active disk1 p1
    wait_until 30 'its socket is there' nbd_answers
    wait_until 10 'all sessions are back' sessions_are 4
    verified_fio before --rw=write --bs=64k --size=4M --verify_only
    verified_fio after --rw=write --bs=64k --size=4M

    # A second disk of the target with one queue shares the sessions of the first queue.
    truncate -s 16M "$work/lun2"
    tgt_admin --op new --mode logicalunit --tid 1 --lun 2 --backing-store "$work/lun2"
    causeway attach disk2 "${options[@]:0:10}" --lun 2 --socket "$work/disk2.sock"
    sessions_are 4 || fail "two disks of one target have $(tgt_sessions) sessions"
    causeway detach disk2
    sessions_are 4 || fail "the sessions went with another disk: $(tgt_sessions)"
    disk_down
    daemon_start_again_finds_nothing
    [ "$wrong" = 0 ] || fail "$wrong answers were not as they should be"
}
