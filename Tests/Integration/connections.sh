# shellcheck shell=bash
# shellcheck disable=SC2154  # what lib.sh and tests.sh set
# Paths as connections of one session. Sourced by tests.sh.

# How many connections each session of the target has, one a line. tgtadm names a session once for each.
connections_of_sessions() {
    tgt_admin --op show --mode conn --tid 1 |
        awk '/^Session:/ { count[$2]++ } END { for (session in count) print count[session] }'
}
sessions_have() { [ "$(connections_of_sessions | xargs)" = "$1" ]; }

# The paths share a session; each link is cut in turn under verified writes. A logout for another connection makes
# tgtd close the one that brings it, so that its session is made anew.
test_connections() {
    links_up
    tgt_start 64M
    tgt_admin --op update --mode target --tid 1 -n MaxConnections -v 4
    daemon_start
    attach disk1 --socket "$socket" --set multipathing=connections
    sessions_have 2 || fail "the target has other sessions than one of two connections: $(connections_of_sessions)"
    causeway params disk1 --json | jq -e '[.. | .negotiated?.MaxConnections? // empty] | all(. == "4")' >/dev/null ||
        fail 'params does not show what was negotiated'
    refused 'changing it under the disk' 'not changed while the disk is attached' -- \
        causeway set disk1 multipathing=sessions
    verified_fio mixed --rw=randrw --bsrange=512-256k --blockalign=512 --iodepth=16 --size=32M
    local link writer round
    for round in once again; do
        for link in 1 2; do
            verified_fio_in_background "cut$link" --rw=randwrite --bs=16k --iodepth=16 --size=16M --rate=6M \
                --offset=$(((link - 1) * 32))M
            writer=$!
            sleep 1
            cut "$link"
            say "link $link is cut, $round"
            wait_until 20 "the path over p$link is given up" path_lost disk1 "p$link"
            wait "$writer" || fail "fio failed while link $link was cut"
            heal "$link"
            wait_until 30 "the path over p$link is active again" path_active disk1 "p$link"
            wait_until 10 'the paths are one session' sessions_have 2
        done
    done
    for link in 1 2; do
        verified_fio "cut$link" --rw=randwrite --bs=16k --iodepth=16 --size=16M --offset=$(((link - 1) * 32))M \
            --verify_only
    done
    causeway path disable disk1 p1
    wait_until 10 'the session has one connection' sessions_have 1
    causeway path enable disk1 p1
    wait_until 20 'the path is back' path_active disk1 p1
    wait_until 10 'the session has two connections' sessions_have 2
    # What holds for all connections is negotiated by the first alone: the session is made anew.
    mkdir -p "${configuration%/*}"
    printf '[parameters]\nMaxBurstLength = 65536\n' >"$configuration"
    verified_fio_in_background relogin --rw=randwrite --bs=16k --iodepth=16 --size=16M --rate=6M --offset=16M
    writer=$!
    causeway reload --relogin --json | tee "$work/said"
    jq -e '.disks[] | select(.name == "disk1") | (.loggedIn | length) == 2 and .oldLogins == [] and .needsAttach == []' \
        "$work/said" >/dev/null || fail 'the session was not made anew'
    causeway params disk1 --json | jq -e '[.. | .negotiated?.MaxBurstLength? // empty] | length == 2 and all(. == "65536")' \
        >/dev/null || fail 'the new session has the old parameters'
    wait "$writer" || fail 'fio failed while the session was made anew'
    # Killed, and its successor's login ends what it left.
    kill -9 "$daemon"
    wait "$daemon" || true
    daemon_start
    wait_until 30 'the disk is served again' path_active disk1 p1
    wait_until 30 'over both links' path_active disk1 p2
    wait_until 10 'the paths are one session again' sessions_have 2
    verified_fio "cut1" --rw=randwrite --bs=16k --iodepth=16 --size=16M --verify_only
    disk_down
    no_records
    [ "$wrong" = 0 ] || fail "$wrong answers are wrong"
}

# The target allows one connection: the other path stands by, and takes over.
test_connections_one() {
    links_up
    tgt_start 64M
    mkdir -p "${configuration%/*}"
    printf '[target."%s"]\ndisk.multipathing = "connections"\n' "$iqn" >"$configuration"
    daemon_start
    causeway attach disk1 --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --lun 1 \
        --socket "$socket"
    wait_until 10 'a path is active' one_path
    sessions_have 1 || fail 'there is more than one connection'
    causeway status disk1 | grep -q 'stands by: .*MaxConnections' || fail 'status does not say why a path stands by'
    local link
    for link in 1 2 1; do
        cut "$link"
        wait_until 20 'the other path is active' path_active disk1 "p$((3 - link))"
        verified_fio "one$link" --rw=randwrite --bs=16k --iodepth=16 --size=8M
        heal "$link"
    done
    refused 'another disk of the target by sessions' 'use its paths as connections' 'detach these disks first' -- \
        causeway attach disk2 --target "$iqn" --portal "$portal1" --bind p1 --lun 1 --socket "$work/disk2.sock" \
        --set multipathing=sessions --force
    disk_down
    [ "$wrong" = 0 ] || fail "$wrong answers are wrong"
}
one_path() {
    [ "$(causeway status disk1 --json | jq '[.paths[] | select(.state == "active")] | length')" = 1 ]
}
