#!/bin/bash
# tests.sh NAME: one integration test, the function test_NAME below. Started by Tests/Integration/run.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$(realpath "$0")")/../Kernel/lib.sh"
lab_begin

readonly size=$((64 << 20))
clients=() made_names=''
test_end() {
    local client
    for client in "${clients[@]}"; do end_process "$client"; done
    [ -z "$made_names" ] || rm -rf "$made_names"
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
    # The portal group; who made the LUN, and its own name.
    grep -qE '^ +198\.18\.1\.1:3260 +1 +p1$' <<<"$said" || fail 'discover does not show portal group 1'
    grep -qE '^ +1 +64 MiB +512 +IET +VIRTUAL-DISK .* naa\.6[0-9a-f]{31}$' <<<"$said" ||
        fail 'discover --luns does not show vendor and WWID of the LUN'
    causeway discover "$portal1" --bind p1 --json | jq -e --arg iqn "$iqn" 'any(..; . == $iqn)' >/dev/null ||
        fail 'discover --json does not name the target'
    wait_until 10 'discovery leaves no session' no_sessions tgt
    # A disk whose portals are found (tgt lists the one that it is asked at); its address needs a section where it is
    # asked again.
    causeway attach disk1 --target "$iqn" --discovery "$portal1" --bind p1 --bind p2 --lun 1 --socket "$socket"
    path_active disk1 p1 || fail 'the portal that was found has no path'
    causeway detach disk1
    if causeway attach disk1 --target "$iqn" --discovery "$portal1" --lun 1 --persist 2>"$work/said"; then
        fail 'a file names a discovery address that has no section'
    fi
    grep -qF "there is no [discovery.\"$portal1\"]" "$work/said" || fail "$(cat "$work/said")"
    mkdir -p "$work/etc/disks"
    printf '[discovery."%s".disk]\npolicy = "service-time"\n' "$portal1" >"$configuration"
    causeway reload
    causeway attach disk1 --target "$iqn" --discovery "$portal1" --bind p1 --lun 1 --socket "$socket" --persist
    grep -qxF "discovery = \"$portal1\"" "$work/etc/disks/disk1.toml" || fail 'the file does not name the address'
    causeway status disk1 | grep -q '^  Policy  *service-time' || fail 'the disk does not inherit from the address'
    causeway detach disk1 --forget
    if causeway attach disk1 --target "$iqn-2" --discovery "$portal2" --bind p2 --lun 1 --socket "$socket" \
        2>"$work/said"; then
        fail 'a target is attached that the address does not list'
    fi
    grep -q "has no target" "$work/said" || fail "$(cat "$work/said")"
}

# Bytes that an interface of the initiator has sent.
sent() { near cat "/sys/class/net/$1/statistics/tx_bytes"; }

# Each policy under a client that writes and verifies, changed while it runs.
test_policies() {
    disk_up
    local writer policy
    verified_fio_in_background policies --rw=randwrite --bsrange=4k-256k --blockalign=4k --iodepth=16 --size=48M --rate=8M
    writer=$!
    for policy in round-robin,ios=1 least-queue-depth service-time fixed,preferred=p2 most-recently-used \
        round-robin,bytes=1M; do
        [ "$(causeway set disk1 policy=$policy | grep ^policy)" = "policy=$policy" ] || fail "set does not show $policy"
        sleep 1
        case $policy in
            fixed*)
                path_is disk1 p1 standby || fail 'p1 is not on stand-by with p2 preferred'
                path_is disk1 p2 active || fail 'p2 is preferred and not active'
                ;;
        esac
    done
    if causeway set disk1 policy=fixed,preferred=p7 2>"$work/said"; then fail 'a path that is none is preferred'; fi
    grep -q 'p1/198.18.1.1:3260, p2/198.18.2.1:3260' "$work/said" || fail "set does not name the paths: $(cat "$work/said")"
    if causeway set disk1 polcy=fixed 2>"$work/said"; then fail 'a setting that is none is taken'; fi
    grep -q 'did you mean policy' "$work/said" || fail "set does not suggest policy: $(cat "$work/said")"
    causeway set disk1 | grep -qx 'policy=round-robin,bytes=1M' || fail 'a refused setting changed something'
    wait "$writer" || fail 'fio failed while the policy changed'
    disk_down
}
# path_is NAME INTERFACE STATE
path_is() {
    causeway status "$1" --json | jq -e --slurp --arg interface "$2" --arg state "$3" \
        'any(.[].paths[]; .interface == $interface and .state == $state)' >/dev/null
}
path_gone() { causeway status "$1" --json | jq -e --arg interface "$2" 'all(.paths[]; .interface != $interface)' >/dev/null; }

# Two interfaces in one subnet, p3 and p4, to one portal: a bridge joins them. Both carry traffic, and one alone all.
test_same_subnet() {
    links_up
    local i portal=198.18.3.1:3260 before link
    far ip link add bridge type bridge
    far ip address add 198.18.3.1/24 dev bridge
    far ip link set bridge up
    for i in 3 4; do
        near ip link add "p$i" type veth peer name "t$i" netns "$FAR"
        near ip address add "198.18.3.$i/24" dev "p$i"
        near sysctl -qw "net.ipv4.conf.p$i.rp_filter=1"
        near ip link set "p$i" up
        far ip link set "t$i" master bridge up
    done
    tgt_start 64M
    daemon_start
    # Without arp_announce p3 asks with p4's address, and the target sends to p3 what is p4's.
    near sysctl -qw net.ipv4.conf.p3.rp_filter=2 net.ipv4.conf.p3.arp_ignore=1 net.ipv4.conf.p3.arp_announce=2
    causeway attach disk1 --target "$iqn" --portal "$portal" --bind p3 p4 --lun 1 --socket "$socket" --wait-for-interfaces
    # What the kernel would drop is said.
    causeway status disk1
    for i in rp_filter arp_ignore arp_announce; do
        causeway status disk1 | grep -q "! .*net.ipv4.conf.p4.$i" || fail "status does not warn of $i on p4"
        grep -q "net.ipv4.conf.p4.$i" "$work/causewayd.log" || fail "the log does not warn of $i on p4"
        ! causeway status disk1 | grep -q "net.ipv4.conf.p3.$i" || fail "status warns of $i on p3"
    done
    near sysctl -qw net.ipv4.conf.p4.rp_filter=2 net.ipv4.conf.p4.arp_ignore=1 net.ipv4.conf.p4.arp_announce=2
    ! causeway status disk1 | grep -q net.ipv4.conf || fail 'status warns of what was mended'
    near ip neighbour flush all
    far ip neighbour flush all
    # Whoever asks for an address in this moment may have to ask again, a second later: such a path is lost for once.
    sleep 2
    for i in 3 4; do wait_until 20 "the path over p$i is active" path_active disk1 "p$i"; done
    before=("$(sent p3)" "$(sent p4)")
    verified_fio both --rw=write --bs=64k --iodepth=8 --size=32M
    say "p3 sent $(($(sent p3) - before[0])), p4 $(($(sent p4) - before[1]))"
    [ $(($(sent p3) - before[0])) -gt 8000000 ] || fail 'p3 carries no share'
    [ $(($(sent p4) - before[1])) -gt 8000000 ] || fail 'p4 carries no share'
    for link in 3 4; do
        cut "$link"
        wait_until 20 "the path over p$link is given up" path_lost disk1 "p$link"
        before=("$(sent p3)" "$(sent p4)")
        verified_fio "cut$link" --rw=write --bs=64k --iodepth=8 --size=16M
        i=$((7 - link))
        [ $(($(sent "p$i") - before[i - 3])) -gt 16000000 ] || fail "p$i does not carry all while p$link is cut"
        heal "$link"
        wait_until 20 "the path over p$link comes back" path_active disk1 "p$link"
    done
    disk_down
}

# Up to eight paths come and go under a client that writes and verifies; nothing is sent again for it.
test_path_changes() {
    disk_up
    local writer i
    verified_fio_in_background changes --rw=randwrite --bsrange=4k-64k --blockalign=4k --iodepth=16 --size=48M --rate=5M
    writer=$!
    for i in 3 4 5 6 7 8; do
        near ip link add "p$i" type veth peer name "t$i" netns "$FAR"
        near ip address add "198.18.$i.2/24" dev "p$i"
        near ip link set "p$i" up
        far ip address add "198.18.$i.1/24" dev "t$i"
        far ip link set "t$i" up
        causeway path add disk1 --bind "p$i" --portal "198.18.$i.1" >"$work/said"
        wait_until 5 "the path over p$i is active" path_active disk1 "p$i"
    done
    causeway status disk1
    [ "$(causeway status disk1 --json | jq .counters.resent)" = 0 ] || fail 'a path that was added disturbed I/O'
    causeway path disable disk1 p3 p4
    for i in 3 4; do wait_until 10 "no session over p$i" no_connections "$i"; done
    path_is disk1 p3 disabled || fail 'p3 is not disabled'
    causeway path enable disk1 p3 p4
    for i in 3 4; do wait_until 5 "the path over p$i is active again" path_active disk1 "p$i"; done
    for i in 1 2 3 4 5 6; do causeway path remove disk1 "p$i/198.18.$i.1"; done
    for i in 1 2 3 4 5 6; do
        wait_until 10 "the path over p$i is gone" path_gone disk1 "p$i"
        wait_until 10 "no session over p$i" no_connections "$i"
    done
    [ "$(causeway status disk1 --json | jq .counters.resent)" = 0 ] || fail 'a path that was removed disturbed I/O'
    [ "$(find "$work/state/sessions" -type f | wc -l)" = 2 ] || fail 'removed paths are still on record'
    causeway path disable disk1 p7
    if causeway path disable disk1 p8 2>"$work/said"; then fail 'the last path that works was disabled'; fi
    grep -q 'without a path that works' "$work/said" || fail "the refusal does not say why: $(cat "$work/said")"
    if causeway path remove disk1 p9 2>"$work/said"; then fail 'a path that is none was removed'; fi
    grep -q 'p7/198.18.7.1:3260, p8/198.18.8.1:3260' "$work/said" || fail "the paths are not named: $(cat "$work/said")"
    causeway path enable disk1 p7
    wait "$writer" || fail 'fio failed while paths came and went'
    disk_down
}
no_connections() { [ "$(connections "$1")" = 0 ]; }

# An interface that is not there at attach: its path is used within 2 s of its appearance. The same for one that
# goes and comes back with another address.
test_interface_appears() {
    links_up
    tgt_start 64M
    daemon_start
    near ip link delete p2
    if causeway attach disk1 --target "$iqn" --portal "$portal1" "$portal2" --bind p1 p2 --lun 1 --socket "$socket"; then
        fail 'attach passed over a missing interface unasked'
    fi
    if causeway attach disk1 --target "$iqn" --portal "$portal2" --bind p2 --lun 1 --socket "$socket" \
        --wait-for-interfaces; then
        fail 'attach succeeded with no interface at all'
    fi
    causeway attach disk1 --target "$iqn" --portal "$portal1" "$portal2" --bind p1 p2 --lun 1 --socket "$socket" \
        --wait-for-interfaces | tee "$work/said"
    grep -q 'p2 .*198.18.2.1:3260 .*waiting' "$work/said" || fail 'attach does not show p2 as waiting'
    local address
    for address in 198.18.2.2 198.18.2.9; do
        near ip link add p2 type veth peer name t2 netns "$FAR"
        far ip address add 198.18.2.1/24 dev t2
        far ip link set t2 up
        near ip link set p2 up
        near ip address add "$address/24" dev p2
        wait_until 2 "the path over p2 is used from $address" path_active disk1 p2
        causeway status disk1 | grep -q "p2 *$address" || fail "status does not show the address $address"
        verified_fio "over-$address" --rw=write --bs=64k --iodepth=4 --size=4M
        near ip link delete p2
        wait_until 10 'the path over p2 is given up' path_lost disk1 p2
    done
    # The lost session cannot be logged out, and this target keeps it for ever.
    causeway detach disk1
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
    jq -e '.exports[0].contexts == ["base:allocation"]' "$work/info.json" >/dev/null ||
        fail 'base:allocation is not offered'
    nbdinfo --list "$uri"
    disk_down
}

# What is data and what is not, in nbdinfo's words and in QEMU's, beside what was written and given back.
test_allocation() {
    disk_up
    maps 'a new LUN' "0 $size hole,zero"
    qemu-io -f raw "$uri" -c 'write -P 0x5a 0 1M' -c 'discard 256k 256k' -c flush
    maps 'data and a discarded part' '0 262144 data' '262144 262144 hole,zero' '524288 524288 data' \
        "1048576 $((size - 1048576)) hole,zero"
    # Zeroes that must stay allocated (NO_HOLE), and those that need not.
    qemu-io -f raw "$uri" -c 'write -z 2M 1M' -c 'write -P 0x5a 4M 1M' -c 'write -z -u 4M 512k' -c flush
    maps 'zeroes' '0 262144 data' '262144 262144 hole,zero' '524288 524288 data' '1048576 1048576 hole,zero' \
        '2097152 1048576 data' '3145728 1572864 hole,zero' '4718592 524288 data' \
        "5242880 $((size - 5242880)) hole,zero"
    disk_down
}
# maps WHAT RUN…: the runs "OFFSET LENGTH KIND" that the whole disk consists of.
maps() {
    local what=$1
    shift
    nbdinfo --map --json "$uri" | jq -r '.[] | "\(.offset) \(.length) \(.description)"' >"$work/map"
    diff "$work/map" <(printf '%s\n' "$@") || fail "$what: nbdinfo shows another map"
    qemu-img map --output=json -f raw "$uri" |
        jq -r '.[] | "\(.start) \(.length) \(if .data then "data" else "hole,zero" end)"' >"$work/map"
    diff "$work/map" <(printf '%s\n' "$@") || fail "$what: qemu-img shows another map"
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

test_digests() {
    links_up
    tgt_start 64M
    daemon_start
    local key
    # tgt says None until it is told otherwise: who demands a digest gets no session, and hears which key.
    if causeway attach disk1 --target "$iqn" --portal "$portal1" --bind p1 --lun 1 --socket "$socket" \
        --set data-digest=crc32c >"$work/said" 2>&1; then
        fail 'attach made a session without the digest that was demanded'
    fi
    grep -q DataDigest "$work/said" || fail "attach does not name DataDigest: $(cat "$work/said")"
    wait_until 10 'a refused attach leaves no session' no_sessions tgt
    for key in HeaderDigest DataDigest; do
        tgt_admin --op update --mode target --tid 1 --name "$key" --value CRC32C,None
    done
    attach disk1 --socket "$socket" --set header-digest=crc32c --set data-digest=crc32c
    verified_fio small --rw=randrw --bsrange=512-8k --blockalign=512 --iodepth=16 --size=8M
    verified_fio large --rw=write --bs=1M --iodepth=4 --size=48M
    cut 1
    verified_fio cut --rw=randwrite --bs=16k --iodepth=8 --size=8M
    heal 1
    wait_until 60 'the path over p1 is active again' path_active disk1 p1
    causeway status disk1 --json | jq -e '[.. | objects | .digestErrors? // empty] | length == 2 and add == 0' ||
        fail 'digest errors were counted on intact links'
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

disk_state() { causeway list --json | jq -r '.. | objects | select(.name? == "disk1") | .state'; }
disk_is() { [ "$(disk_state)" = "$1" ]; }
disk_notes() { causeway status disk1 | grep -q -- "$1"; }
lun_1() { # [OPTION=VALUE,…]: LUN 1 as at first, or with other names
    tgt_admin --op new --mode logicalunit --tid 1 --lun 1 --backing-store "$backing" --bstype rdwr
    tgt_admin --op update --mode logicalunit --tid 1 --lun 1 --params "thin_provisioning=1${1:+,$1}"
}
reads() { timeout 30 qemu-io -f raw "$uri" -c 'read 4M 64k'; }

test_lun_deleted() {
    disk_up
    local started
    # Flushed: otherwise the next flush says that the LUN may have lost what was in its cache.
    verified_fio before --rw=write --bs=64k --size=4M --end_fsync=1
    tgt_admin --op delete --mode logicalunit --tid 1 --lun 1
    started=$SECONDS
    reads >"$work/said" 2>&1 && fail 'a LUN that is gone was read'
    grep -q 'Input/output error' "$work/said" || fail "it said: $(cat "$work/said")"
    [ $((SECONDS - started)) -lt 20 ] || fail 'it took too long to see that the LUN is lost'
    wait_until 10 'the disk is lost' disk_is permanent-device-loss
    causeway list
    causeway status disk1
    disk_notes 'permanent device loss' || fail 'status does not say so'

    # Another LUN under the same number, told by its serial number alone, or by its names.
    lun_1 scsi_sn=ANOTHER
    sleep 5
    disk_is permanent-device-loss || fail 'a LUN with another serial number is taken for the disk'
    ! reads || fail 'another LUN was read'
    causeway status disk1
    disk_notes 'not the disk' || fail 'status does not say that it is another LUN'
    tgt_admin --op delete --mode logicalunit --tid 1 --lun 1
    lun_1 scsi_id=ANOTHER
    sleep 5
    disk_is permanent-device-loss || fail 'a LUN with another name is taken for the disk'
    ! reads || fail 'another LUN was read'

    tgt_admin --op delete --mode logicalunit --tid 1 --lun 1
    lun_1
    wait_until 20 'the disk is back' disk_is optimal
    verified_fio after --rw=write --bs=64k --size=4M
    disk_down
}

# tgt keeps a LUN for as long as a command is in it.
lun_1_is_deleted() {
    tgt_admin --op delete --mode logicalunit --tid 1 --lun 1 2>/dev/null
}

# A new LUN in the disk's place, after a moment in which I/O meets none. tgt tells no session, and only one of
# the two may have met it.
test_lun_replaced() {
    disk_up
    local other=$work/other
    truncate -s 64M "$other"
    verified_fio_in_background load --rw=randwrite --bs=16k --iodepth=8 --size=32M --rate=4M --loops=4
    sleep 2
    wait_until 20 'the LUN is deleted' lun_1_is_deleted
    sleep 0.5
    tgt_admin --op new --mode logicalunit --tid 1 --lun 1 --backing-store "$other" --bstype rdwr
    tgt_admin --op update --mode logicalunit --tid 1 --lun 1 --params scsi_sn=ANOTHER,scsi_id=ANOTHER
    sleep 4
    causeway status disk1
    [ -z "$(tr -d '\0' <"$other" | head -c 1)" ] || fail 'the other LUN was written to'
    wait_until 20 'the other LUN is deleted' lun_1_is_deleted
    lun_1
    wait_until 20 'the disk is back' disk_is optimal
    causeway detach disk1 --force
    wait_until 10 'the target has no session left' no_sessions tgt
}

test_new_luns() {
    disk_up
    local number
    for number in 2 5; do
        truncate -s 32M "$work/lun$number"
        tgt_admin --op new --mode logicalunit --tid 1 --lun $number --backing-store "$work/lun$number" \
            --bstype rdwr
    done
    reads
    wait_until 10 'the new LUNs are reported' disk_notes 'new on the target: LUN 2, 5'
    causeway list | grep -q 'LUN 2, 5' || fail 'list does not show the new LUNs'
    causeway attach all --all-luns --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 \
        --socket "$work/all"
    causeway list
    for number in 2 5; do
        [ "$(nbdinfo --size "nbd+unix:///?socket=$work/all-lun$number")" = $((32 << 20)) ] ||
            fail "LUN $number is not attached"
    done
    [ "$(causeway list --json | jq '[.. | objects | .lun? // empty] | length')" = 3 ] ||
        fail 'there are not three disks'
    causeway detach all-lun2
    causeway detach all-lun5
    disk_down
}

test_settings_of_failure() {
    disk_up
    causeway set disk1 all-paths-down-timeout=3 fence=lun-reset space=hold alua=off
    causeway status disk1 | grep -q 'all-paths-down-timeout=3s' || fail 'status does not show the setting'
    ! causeway set disk1 fence=maybe 2>"$work/said" || fail 'a wrong value was taken'
    grep -q 'lun-reset' "$work/said" || fail 'what is allowed is not said'
    cut 1
    cut 2
    wait_until 10 'all paths are down' disk_is all-paths-down
    disk_notes 'all paths down for' || fail 'status does not say since when'
    ! reads || fail 'it was read without a path'
    heal 1
    heal 2
    wait_until 20 'both paths are back' disk_is optimal
    reads
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

test_persist() {
    disk_up
    causeway detach disk1
    attach disk1 --socket "$socket" --set policy=round-robin,ios=4 --persist
    local file=$work/etc/disks/disk1.toml
    grep -q "^target = \"$iqn\"" "$file" || fail "attach --persist did not write $file"
    causeway config check --config "$configuration"
    daemon_stop
    daemon_start
    wait_until 20 'the disk comes back with the daemon' test -S "$socket"
    wait_until 20 'the disk comes back over both links' path_active disk1 p2
    causeway status disk1 --json | jq -e '.settings.policy == "round-robin,ios=4"' >/dev/null ||
        fail 'the disk came back with another policy'
    nbdinfo --size "$uri"
    # A plain detach leaves the file, by which a name is enough to attach.
    causeway detach disk1
    [ -f "$file" ] || fail 'detach without --forget removed the file'
    causeway attach disk1
    causeway detach disk1 --forget
    [ ! -e "$file" ] || fail "detach --forget left $file"
    if causeway attach disk1 2>"$work/said"; then fail 'a disk without a file was attached'; fi
    grep -q "no $file" "$work/said" || fail "attach does not say which file is missing: $(cat "$work/said")"
    daemon_stop
    daemon_start
    [ "$(causeway list --json | jq length)" = 0 ] || fail 'a forgotten disk came back'
    wait_until 10 'the target has no session left' no_sessions tgt
}

test_target_comes_late() {
    links_up
    mkdir -p "$work/etc/disks"
    printf 'initiator-name = "%s"\n[disk]\nqueue-depth = 7\n' "$initiator" >"$configuration"
    printf 'target = "%s"\nportals = ["%s", "%s"]\nbind = ["p1", "p2"]\nlun = 1\nsocket = "%s"\n' \
        "$iqn" "$portal1" "$portal2" "$socket" >"$work/etc/disks/disk1.toml"
    cp "$work/etc/disks/disk1.toml" "$work/etc/disks/disk2.toml"
    echo 'portal = "x"' >>"$work/etc/disks/disk2.toml"
    local said
    said=$(causeway config check --config "$configuration" 2>&1) && fail 'config check takes a wrong key'
    grep -q 'disks/disk2.toml:6: there is no "portal" in this file; did you mean "portals"?' <<<"$said" ||
        fail "config check says: $said"
    daemon_start
    grep -q 'disk2.toml:6' "$work/causewayd.log" || fail 'the daemon does not say what is wrong with disk2'
    wait_until 20 'the daemon says that it waits' waits_for_target
    causeway detach disk1
    ! waits_for_target || fail 'a disk that was given up is still waited for'
    daemon_stop
    daemon_start
    tgt_start 64M
    wait_until 40 'the disk comes with its target' test -S "$socket"
    wait_until 20 'the disk comes over both links' path_active disk1 p2
    nbdinfo --size "$uri"
    disk_down
    daemon_stop
    echo 'queue-depth = 1' >>"$configuration.wrong"
    if near timeout 10 "$binaries/causewayd" --control "$control" --state-dir "$work/state" \
        --config "$configuration.wrong" 2>"$work/said"; then
        fail 'the daemon takes a wrong configuration'
    fi
    grep -q 'causeway.toml.wrong:1: there is no "queue-depth"' "$work/said" ||
        fail "the daemon says: $(cat "$work/said")"
}
# A daemon that dies or is restarted brings its disks back.
test_restart() {
    disk_up
    random_file before 4194304
    nbdcopy "$work/before" "$uri"
    local number
    for number in 1 2 3; do
        case $number in
            2) daemon_stop ;;
            *)
                kill -9 "$daemon"
                wait "$daemon" || true
                ;;
        esac
        daemon_start
        wait_until 30 "start $number: the disk is served again" path_active disk1 p1
        wait_until 30 "start $number: its socket is there" nbd_answers
        nbdcopy "$uri" "$work/after"
        cmp -n 4194304 "$work/before" "$work/after"
    done
    disk_down
    daemon_start_again_finds_nothing
}
nbd_answers() { nbdinfo --size "$uri" >/dev/null 2>&1; }
daemon_start_again_finds_nothing() {
    daemon_stop
    daemon_start
    [ "$(causeway list --json | jq length)" = 0 ] || fail 'a detached disk came back'
    [ -z "$(find "$work/state/disks" "$work/state/sessions" -type f)" ] || fail "records are left: $(find "$work/state")"
}

# Nothing is left of disks that came and went. CYCLES=1000 for the long run.
# Targets are spread over threads, of which there are no more than are needed; I/O of all at once.
test_lanes() {
    local i writers=() writer
    mkdir -p "$(dirname "$configuration")"
    printf 'lanes = 2\n' >"$configuration"
    links_up
    tgt_start 64M
    for i in 2 3; do
        truncate -s 64M "$work/lun$i"
        tgt_admin --op new --mode target --tid $i --targetname "$iqn-$i"
        tgt_admin --op new --mode logicalunit --tid $i --lun 1 --backing-store "$work/lun$i"
        tgt_admin --op bind --mode target --tid $i --initiator-address ALL
    done
    daemon_start
    lanes() { cat "/proc/$daemon/task/"*/comm | grep -c '^lane '; }
    [ "$(lanes)" = 1 ] || fail "$(lanes) lanes without a disk"
    attach disk1 --socket "$socket"
    [ "$(lanes)" = 1 ] || fail "$(lanes) lanes with one target"
    for i in 2 3; do
        causeway attach disk$i --target "$iqn-$i" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 \
            --lun 1 --socket "$work/disk$i.sock"
        [ "$(lanes)" = 2 ] || fail "$(lanes) lanes with $i targets"
    done
    for i in 1 2 3; do
        uri="nbd+unix:///?socket=$work/disk$i.sock"
        verified_fio_in_background "lanes$i" --rw=randwrite --bs=4k --iodepth=16 --size=16M --time_based --runtime=3
        writers+=($!)
    done
    cut 1
    sleep 1
    heal 1
    for writer in "${writers[@]}"; do wait "$writer" || fail 'a disk does not read what was written'; done
    for i in 2 3 1; do causeway detach disk$i; done
    wait_until 10 'the target has no session left' no_sessions tgt
    # A target that comes back has the lane that it had.
    attach disk1 --socket "$socket"
    [ "$(lanes)" = 2 ] || fail "$(lanes) lanes after all"
    causeway detach disk1
    printf 'lanes = 0\n' >"$configuration"
    refused 'no lanes' 'causeway.toml:1: lanes is a number from 1 to 64' -- causeway config check --config "$configuration"
    [ $wrong = 0 ] || fail "$wrong answers were not as they should be"
}

test_cycles() {
    links_up
    tgt_start 64M
    daemon_start
    local cycle cycles=${CYCLES:-60} early=0 files threads memory
    for cycle in $(seq "$cycles"); do
        causeway attach disk1 --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --lun 1 \
            --socket "$socket" >"$work/attach.out"
        [ $((cycle % 10)) != 0 ] || nbdinfo --size "$uri" >"$work/size"
        causeway detach disk1
        # What is made once is there after some cycles.
        if [ "$cycle" = $((cycles / 3)) ]; then
            files=$(find "/proc/$daemon/fd" -type l | wc -l)
            threads=$(find "/proc/$daemon/task" -maxdepth 1 | wc -l)
            early=$(resident)
        fi
    done
    say "after a third of $cycles cycles: $files descriptors, $((threads - 1)) threads, $early KiB; now $(resident) KiB"
    wait_until 10 'as many descriptors as before' fewer_than "/proc/$daemon/fd" $((files + 2))
    wait_until 10 'as many threads as before' fewer_than "/proc/$daemon/task" $((threads + 2))
    memory=$(($(resident) - early))
    [ "$memory" -lt 4096 ] || fail "$memory KiB more in use than after a third of the cycles"
    wait_until 10 'the target has no session left' no_sessions tgt
    [ -z "$(find "$work/state/disks" "$work/state/sessions" -type f)" ] || fail 'records are left'
}
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status"; }
fewer_than() { [ "$(find "$1" -maxdepth 1 | wc -l)" -lt "$2" ]; }

disk_waits() { causeway status "$1" 2>&1 | grep -q 'configured and not attached yet'; }
waits_for_target() { causeway status disk1 2>&1 | grep -q 'configured and not attached yet: .*198.18'; }

test_chap() {
    links_up
    tgt_start 64M
    tgt_chap host1 "$our_secret"
    tgt_chap_discovery host1
    daemon_start
    local file wrong
    file=$(secret our "$our_secret") wrong=$(secret wrong 'not this secret')
    # Nothing configured, a wrong secret, a wrong name, a secret that others can read.
    refuses_chap 'the target wants CHAP and none is configured' causeway discover "$portal1" --bind p1
    refuses_chap 'the target wants CHAP and none is configured' chap_attach
    refuses_chap 'check CHAP user and secret' chap_attach --chap-user host1 --chap-secret-file "$wrong"
    refuses_chap 'check CHAP user and secret' chap_attach --chap-user host2 --chap-secret-file "$file"
    chmod 640 "$file"
    refuses_chap "chmod 600 $file" chap_attach --chap-user host1 --chap-secret-file "$file"
    refuses_chap 'has 5 bytes' chap_attach --chap-user host1 --chap-secret-file "$(secret short 12345)"
    refuses_chap 'No such file' chap_attach --chap-user host1 --chap-secret-file "$work/absent"
    chmod 600 "$file"
    # This tgtd takes the number of SHA-256 for SHA-1: MD5 alone does, and the log says so.
    : >"$work/causewayd.log"
    chap_attach --chap-user host1 --chap-secret-file "$file" --persist
    wait_until 20 'both paths prove who we are' path_active disk1 p2
    grep -q 'trying once more with MD5 alone' "$work/causewayd.log" || fail 'the log says nothing of MD5'
    causeway discover "$portal1" --bind p1 --luns --chap-user host1 --chap-secret-file "$file" | grep -q "$iqn" ||
        fail 'discovery does not list the target'
    nbdinfo --size "$uri"
    # A path that comes back proves it again, and the disk's file names the secret's.
    cut 1
    wait_until 20 'the path over p1 is given up' path_lost disk1 p1
    heal 1
    wait_until 20 'the path over p1 comes back' path_active disk1 p1
    grep -q "secret-file = \"$file\"" "$work/etc/disks/disk1.toml" || fail 'the file of the disk names no secret'
    daemon_stop
    daemon_start
    wait_until 20 'the disk comes back' path_active disk1 p1
    # Without a file its record leads to the secret.
    causeway detach disk1 --forget
    chap_attach --chap-user host1 --chap-secret-file "$file"
    daemon_stop
    daemon_start
    wait_until 20 'the disk without a file comes back' path_active disk1 p1
    no_trace_of "$our_secret"
    disk_down
}

test_chap_mutual() {
    links_up
    tgt_start 64M
    tgt_chap host1 "$our_secret" array "$their_secret"
    tgt_chap_discovery host1 array
    mkdir -p "$work/etc"
    cat >"$configuration" <<END
[target."$iqn".chap]
user = "host1"
secret-file = "$(secret our "$our_secret")"
mutual-user = "array"
mutual-secret-file = "$(secret their "$their_secret")"
[discovery."$portal1".chap]
user = "host1"
secret-file = "$work/our.secret"
mutual-secret-file = "$work/their.secret"
algorithms = ["MD5"]
END
    causeway config check --config "$configuration"
    daemon_start
    chap_attach
    wait_until 20 'both targets prove who they are' path_active disk1 p2
    causeway discover "$portal1" --bind p1 --luns | grep -q "67108864\|64 MiB" || fail 'discovery shows no LUN'
    causeway detach disk1
    # Who does not know the target's secret is not the target.
    secret their 'not the array at all' >/dev/null
    refuses_chap 'does not prove who it is' chap_attach
    secret their "$our_secret" >/dev/null
    refuses_chap 'same CHAP secret is set for both directions' chap_attach
    secret their "$their_secret" >/dev/null
    # A target that proves nothing although it has to.
    tgt_admin --op unbind --mode account --tid 1 --user array --outgoing
    refuses_chap 'array|prove|0201|CHAP' chap_attach
    no_trace_of "$our_secret" "$their_secret" 'not the array at all'
    # MD5 forbidden: no try with it, though nothing else works with this tgtd.
    cat >"$configuration" <<END
[chap]
user = "host1"
secret-file = "$work/our.secret"
algorithms = ["SHA3-256", "SHA-256", "SHA-1"]
END
    daemon_stop
    : >"$work/causewayd.log"
    daemon_start
    refuses_chap 'allow it under .chap. algorithms' chap_attach
    ! grep -q 'MD5 alone' "$work/causewayd.log" || fail 'MD5 was tried although it is forbidden'
}
chap_attach() { # one link is enough for what fails
    causeway attach disk1 --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --lun 1 \
        --socket "$socket" "$@"
}
refuses_chap() { # WORDS COMMAND…
    local words=$1
    shift
    if "$@" >"$work/said" 2>&1; then fail "no refusal where \"$words\" was expected"; fi
    grep -qE -- "$words" "$work/said" || fail "expected \"$words\", and it says: $(cat "$work/said")"
    say "$(head -n 1 "$work/said")"
}

# What is configured is asked for, what came of it is shown, and the data path keeps to it.
test_parameters() {
    links_up
    tgt_start 64M
    mkdir -p "$work/etc"
    cat >"$configuration" <<END
[parameters]
ImmediateData = false
MaxBurstLength = 65536
[target."$iqn".parameters]
FirstBurstLength = 8192
MaxRecvDataSegmentLength = 4096
END
    daemon_start
    attach disk1 --socket "$socket"
    local said
    said=$(causeway params disk1 --json)
    say "$said"
    parameter wanted ImmediateData No
    parameter negotiated ImmediateData No
    parameter wanted MaxBurstLength 65536
    parameter negotiated MaxBurstLength 65536
    parameter wanted FirstBurstLength 8192
    parameter negotiated InitialR2T Yes
    parameter negotiated MaxRecvDataSegmentLength '4096, the target.s 8192'
    parameter negotiated TaskReporting RFC3720
    parameter negotiated iSCSIProtocolLevel 1
    causeway params disk1 | grep -q '^ *MaxBurstLength  *65536  *65536  *512 to 16777215  *262144  *the lower one' ||
        fail "params prints: $(causeway params disk1)"
    verified_fio small --rw=randwrite --bsrange=512-128k --blockalign=512 --iodepth=16 --size=16M
    disk_down
}
parameter() { # wanted|negotiated KEY VALUE: on both paths
    jq -e --arg what "$1" --arg key "$2" --arg value "^$3\$" \
        '.paths | length == 2 and all(.[$what][$key] | test($value))' <<<"$said" >/dev/null ||
        fail "$1 $2 is not $3"
}

# The configuration is read again while the disk is in use: what can be changed is, what waits for a login is said
# and done path by path, and what cannot be is left alone.
test_reload() {
    links_up
    tgt_start 64M
    mkdir -p "$work/etc/disks"
    local file=$work/etc/disks/disk1.toml writer
    printf 'target = "%s"\nportals = ["%s"]\nbind = ["p1"]\nlun = 1\nsocket = "%s"\n' \
        "$iqn" "$portal1" "$socket" >"$file"
    daemon_start
    wait_until 20 'the disk of the file is there' path_active disk1 p1
    verified_fio_in_background reload --rw=randwrite --bsrange=4k-64k --blockalign=4k --iodepth=8 --size=48M --rate=3M
    writer=$!
    # One mistake anywhere, and nothing is changed.
    printf '[disk]\npolicy = "fixed"\n' >"$configuration"
    printf 'lun = 1\nportal = "x"\n' >"$work/etc/disks/disk2.toml"
    if causeway reload >"$work/said" 2>&1; then fail 'reload takes a wrong file'; fi
    grep -q 'disks/disk2.toml:2: there is no "portal"' "$work/said" || fail "reload says: $(cat "$work/said")"
    grep -q '"target" is missing' "$work/said" || fail "reload does not name all that is wrong: $(cat "$work/said")"
    setting_is policy round-robin || fail 'a setting was changed although a file is wrong'
    # Settings, paths and a new disk. The file goes before what was set by hand.
    causeway set disk1 command-timeout=30s
    printf 'target = "%s"\nportals = ["%s", "%s"]\nbind = ["p1", "p2"]\nlun = 1\nsocket = "%s"\n' \
        "$iqn" "$portal1" "$portal2" "$socket" >"$file"
    printf 'target = "%s"\nportals = ["198.18.1.7"]\nlun = 1\nsocket = "%s/disk2.sock"\n' \
        "$iqn.absent" "$work" >"$work/etc/disks/disk2.toml"
    printf '[disk]\nnoop-interval = "3s"\n' >"$configuration"
    causeway reload | tee "$work/said"
    grep -q '^disk2  is being attached' "$work/said" || fail 'reload does not say that disk2 is being attached'
    grep -q 'noop-interval is 3s; it was 5s' "$work/said" || fail 'reload does not say what it has set'
    grep -q "path p2/$portal2 is added" "$work/said" || fail 'reload does not say that p2 is added'
    setting_is command-timeout 60s || fail 'what was set by hand goes before the file'
    wait_until 20 'the new path comes up' path_active disk1 p2
    wait_until 20 'the daemon says that it waits for disk2' disk_waits disk2
    causeway reload | grep -q '^disk1  unchanged' || fail 'a second reload changes something'
    # Login settings: first only said, then one path after the other, with the load going on.
    printf '[disk]\nnoop-interval = "3s"\n[parameters]\nMaxBurstLength = 65536\n' >"$configuration"
    causeway reload | tee "$work/said"
    grep -q 'from the next login on: MaxBurstLength; not yet on p1/' "$work/said" || fail 'no path needs a login'
    said=$(causeway params disk1 --json)
    parameter wanted MaxBurstLength 65536
    if (parameter negotiated MaxBurstLength 65536) 2>"$work/said"; then fail 'reload has logged in unasked'; fi
    causeway reload --relogin --json | tee "$work/said"
    jq -e '.disks[] | select(.name == "disk1") | (.loggedIn | length) == 2 and .oldLogins == []' "$work/said" >/dev/null ||
        fail 'the paths were not logged in anew'
    said=$(causeway params disk1 --json)
    parameter negotiated MaxBurstLength 65536
    wait "$writer" || fail 'fio failed while the configuration was reloaded'
    # What was reloaded is what the next daemon serves.
    kill -9 "$daemon"
    wait "$daemon" || true
    daemon_start
    wait_until 30 'the disk is served again' path_active disk1 p2
    wait_until 30 'it has its first path, too' path_active disk1 p1
    setting_is noop-interval 3s || fail 'the next daemon has lost a setting'
    causeway reload | grep -q '^disk1  unchanged' || fail 'a reload after the restart changes something'
    # What cannot be changed is named; a path that the file has no more goes; a file that is gone is said.
    printf 'target = "%s"\nportals = ["%s"]\nbind = ["p2"]\nlun = 2\nread-only = true\n' "$iqn" "$portal2" >"$file"
    rm "$work/etc/disks/disk2.toml"
    causeway reload | tee "$work/said"
    grep -q "path p1/$portal1 is removed" "$work/said" || fail 'reload does not say that p1 is removed'
    grep -q 'only after detach and attach: lun is 2; it was 1' "$work/said" || fail 'reload does not name the LUN'
    grep -q 'only after detach and attach: read-only is true' "$work/said" || fail 'reload does not name read-only'
    grep -q '^disk2  is not tried any more' "$work/said" || fail 'disk2 is still tried'
    wait_until 10 'no session over p1' no_connections 1
    nbdinfo --size "$uri"
    rm "$file"
    causeway reload | grep -q '^disk1  stays attached, and its file is gone' || fail 'reload says nothing of the file'
    # SIGHUP does the same. The disk has no file any more, and follows causeway.toml.
    printf '[disk]\nnoop-interval = "4s"\n[parameters]\nMaxBurstLength = 65536\n' >"$configuration"
    kill -HUP "$daemon"
    wait_until 10 'SIGHUP has the configuration read again' setting_is noop-interval 4s
    disk_down
}
setting_is() { causeway status disk1 --json | jq -e --arg key "$1" --arg value "$2" '.settings[$key] == $value' >/dev/null; }

# Paths follow the file under load, the last one stays whatever is asked for, and what was done by hand is kept.
test_reload_paths() {
    links_up
    tgt_start 64M
    mkdir -p "$work/etc/disks"
    local writer
    disk_file "\"$portal1\"" '"p1"'
    daemon_start
    wait_until 20 'the disk of the file is there' path_active disk1 p1
    verified_fio_in_background paths --rw=randwrite --bs=8k --iodepth=8 --size=16M --rate=2M
    writer=$!
    # Another path in the place of the only one: it is up before that goes.
    disk_file "\"$portal2\"" '"p2"'
    causeway reload | tee "$work/said"
    grep -q "path p2/$portal2 is added" "$work/said" || fail 'p2 is not added'
    grep -q "path p1/$portal1 is removed" "$work/said" || fail 'p1 is not removed'
    wait_until 10 'the path over p1 is gone' path_gone disk1 p1
    path_active disk1 p2 || fail 'the path over p2 is not up'
    # An interface that is not there: nothing is lost for it.
    disk_file "\"$portal2\"" '"p9"'
    if causeway reload >"$work/said2" 2>"$work/said"; then fail 'reload takes an interface that is missing'; fi
    grep -q 'disk1: its paths stay as they are: there is no network interface "p9"' "$work/said" ||
        fail "reload says: $(cat "$work/said")"
    disk_file "\"$portal2\"" '"p2"'
    causeway path add disk1 --bind p1 --portal "$portal1"
    wait_until 10 'the path over p1 is up' path_active disk1 p1
    causeway path disable disk1 p1
    printf '[parameters]\nImmediateData = false\n' >"$configuration"
    if causeway reload --relogin >"$work/said2" 2>"$work/said"; then fail 'the last path was logged in anew'; fi
    grep -q "p2/$portal2: it is not logged in anew: this would leave disk1 without a path" "$work/said" ||
        fail "reload says: $(cat "$work/said")"
    grep -q "ImmediateData; not yet on p2/$portal2\$" "$work/said2" || fail "reload says: $(cat "$work/said2")"
    path_active disk1 p2 || fail 'the last path is down'
    path_is disk1 p1 disabled || fail 'a path that was disabled by hand is in use again'
    causeway path enable disk1 p1
    wait_until 10 'the path over p1 is up again' path_active disk1 p1
    causeway reload --relogin | grep -q "p2/$portal2 is logged in anew" || fail 'p2 was not logged in anew'
    said=$(causeway params disk1 --json)
    parameter negotiated ImmediateData No
    wait "$writer" || fail 'fio failed while paths were reloaded'
    disk_down
}
disk_file() { # PORTALS INTERFACES, as TOML has them
    printf 'target = "%s"\nportals = [%s]\nbind = [%s]\nlun = 1\nsocket = "%s"\n' "$iqn" "$1" "$2" "$socket" \
        >"$work/etc/disks/disk1.toml"
}

# A secret that is changed on both sides reaches the sessions one by one; a wrong one costs one path and no I/O.
test_reload_secret() {
    links_up
    tgt_start 64M
    tgt_chap host1 "$our_secret"
    mkdir -p "$work/etc"
    local file
    file=$(secret our "$our_secret")
    printf '[target."%s".chap]\nuser = "host1"\nsecret-file = "%s"\n' "$iqn" "$file" >"$configuration"
    daemon_start
    attach disk1 --socket "$socket" --persist
    causeway reload | grep -q '^disk1  unchanged' || fail 'reload changes something where nothing was'
    secret our 'a newer secret of host1' >/dev/null
    chmod 640 "$file"
    if causeway reload 2>"$work/said"; then fail 'reload takes a secret that others can read'; fi
    grep -q "disks/disk1.toml: .*chmod 600 $file" "$work/said" || fail "reload says: $(cat "$work/said")"
    chmod 600 "$file"
    causeway reload | tee "$work/said"
    grep -q 'from the next login on: chap; not yet on p1/' "$work/said" || fail 'no path needs a login'
    # The target does not know it yet: the first path stays down, the second one keeps its session.
    if CAUSEWAY_PATIENCE=120 causeway reload --relogin >"$work/said" 2>&1; then fail 'a wrong secret is no problem'; fi
    cat "$work/said"
    grep -q 'p1/.*: it is not up again: .*; the paths after it keep their sessions' "$work/said" ||
        fail 'reload does not say which path is down'
    path_active disk1 p2 || fail 'the second path was logged in anew after the first one failed'
    nbdinfo --size "$uri"
    tgt_admin --op unbind --mode account --tid 1 --user host1
    tgt_admin --op delete --mode account --user host1
    tgt_chap host1 'a newer secret of host1'
    wait_until 30 'the first path comes up with the newer secret' path_active disk1 p1
    causeway reload --relogin | tee "$work/said"
    grep -q "p2/$portal2 is logged in anew" "$work/said" || fail 'the second path was not logged in anew'
    ! grep -q 'next login' "$work/said" || fail 'a path still needs a login'
    no_trace_of "$our_secret" 'a newer secret of host1'
    disk_down
}

# The records of another initiator become a configuration by which the same target is attached.
test_import() {
    links_up
    tgt_start 64M
    tgt_chap host1 "$our_secret"
    local nodes=$work/iscsi/nodes number
    mkdir -p "$work/iscsi/ifaces" "$nodes/$iqn"
    echo "InitiatorName=$initiator" >"$work/iscsi/initiatorname.iscsi"
    for number in 1 2; do
        printf 'iface.net_ifacename = p%s\niface.transport_name = tcp\n' "$number" >"$work/iscsi/ifaces/port$number"
        mkdir "$nodes/$iqn/198.18.$number.1,3260,1"
        cat >"$nodes/$iqn/198.18.$number.1,3260,1/port$number" <<END
# BEGIN RECORD 2.1.8
node.name = $iqn
node.conn[0].address = 198.18.$number.1
node.conn[0].port = 3260
iface.iscsi_ifacename = port$number
node.session.auth.authmethod = CHAP
node.session.auth.username = host1
node.session.auth.password = $our_secret
node.conn[0].timeo.noop_out_interval = 7
# END RECORD
END
    done
    echo 'not a record' >"$nodes/$iqn/198.18.3.1,3260,1"
    if causeway import open-iscsi --nodes "$nodes" --config "$configuration" >"$work/said" 2>"$work/problems"; then
        fail 'a wrong record is passed over'
    fi
    grep -q '198.18.3.1,3260,1:1: this is not "key = value": skipped' "$work/problems" ||
        fail "import says: $(cat "$work/problems")"
    rm "$nodes/$iqn/198.18.3.1,3260,1"
    causeway import open-iscsi --nodes "$nodes" --config "$configuration" >"$work/said"
    [ ! -e "$configuration" ] || fail 'a dry run writes'
    grep -q 'disk.noop-interval = "7s"' "$work/said" || fail "import prints: $(cat "$work/said")"
    ! grep -qF "$our_secret" "$work/said" "$work/problems" || fail 'import prints a secret'
    causeway import open-iscsi --nodes "$nodes" --config "$configuration" --write >"$work/said"
    [ "$(stat -c %a "$work/etc/secrets/$iqn.secret")" = 600 ] || fail 'others can read the secret'
    causeway config check --config "$configuration"
    if causeway import open-iscsi --nodes "$nodes" --config "$configuration" --write >"$work/said2" 2>&1; then
        fail 'import writes over what is there'
    fi
    daemon_start
    # The command that was printed, and only the place of the disk added.
    local -a words
    read -ra words <<<"$(grep '^  causeway attach' "$work/said")"
    [ "${words[0]} ${words[1]}" = 'causeway attach' ] || fail "import prints no command: $(cat "$work/said")"
    "${words[@]}" --socket "$work/imported.sock" | tee "$work/said2"
    causeway status disk-lun1 --json | jq -e '.settings["noop-interval"] == "7s" and (.paths | length) == 2' >/dev/null ||
        fail 'the disk is not as the records have it'
    [ -f "$work/etc/disks/disk-lun1.toml" ] || fail 'the disk has no file'
    causeway detach disk-lun1 --forget
    wait_until 10 'the target has no session left' no_sessions tgt
}

# shellcheck source=Tests/Integration/configuration.sh
. "$(dirname "$(realpath "$0")")/configuration.sh"
# shellcheck source=Tests/Integration/input.sh
. "$(dirname "$(realpath "$0")")/input.sh"
# shellcheck source=Tests/Integration/stress.sh
. "$(dirname "$(realpath "$0")")/stress.sh"
# shellcheck source=Tests/Integration/connections.sh
. "$(dirname "$(realpath "$0")")/connections.sh"
# shellcheck source=Tests/Integration/queues.sh
. "$(dirname "$(realpath "$0")")/queues.sh"

# shellcheck source=Tests/Integration/peers.sh
. "$(dirname "$(realpath "$0")")/peers.sh"

"test_$1"
