# shellcheck shell=bash
# shellcheck disable=SC2154  # what lib.sh and tests.sh set
# What people type, right and wrong: names, portals, interfaces, LUNs, sockets. Sourced by tests.sh.

options=(--target "$iqn" --lun 1 --socket "$work/d.sock")
one=(--portal "$portal1" --bind p1)

test_names() {
    links_up
    tgt_start 16M
    daemon_start
    local name
    for name in '' A Disk -x ../x a/b 'a b' $'a\nb' $'\e[31m' naïve "$(printf 'x%.0s' {1..33})" 'x;id' '*' .; do
        refused "the name $(printf %q "$name")" 'name|argument|option' -- causeway attach "${options[@]}" "${one[@]}" -- "$name"
        refused "status of $(printf %q "$name")" 'name|argument|option' -- causeway status -- "$name"
    done
    for name in 0 a-_9 "$(printf 'x%.0s' {1..32})"; do
        causeway attach "$name" "${options[@]}" "${one[@]}"
        causeway status "$name" --json | jq -e --arg name "$name" '.name == $name' >/dev/null || fail "status of $name"
        causeway detach "$name"
    done
    [ "$(causeway list --json | jq -c .)" = '[]' ] || fail "list --json without disks: $(causeway list --json)"
    causeway version | grep -q '^causewayd ' || fail 'version does not name the daemon'
    right
}

test_numbers() {
    links_up
    tgt_start 16M
    daemon_start
    local lun
    for lun in '' -1 1.5 abc 0x1 16384 65536 4294967297 99999999999999999999; do
        refused "LUN '$lun'" 'lun' -- \
            causeway attach d --target "$iqn" --lun="$lun" --socket "$work/d.sock" "${one[@]}"
    done
    for lun in 0 7 255 256 16383; do # LUN 0 of tgt is no disk
        refused "LUN $lun is not there" "LUN.*$lun|LUN" 'discover' -- \
            causeway attach d --target "$iqn" --lun "$lun" --socket "$work/d.sock" "${one[@]}"
    done
    for lun in 0 -1 abc 99999999999999999999; do
        refused "queue depth $lun" 'queue-depth|depth' -- \
            causeway attach d "${options[@]}" "${one[@]}" --queue-depth="$lun"
    done
    refused 'a policy that is none' 'policy' 'round-robin' -- \
        causeway attach d "${options[@]}" "${one[@]}" --policy sideways
    wait_until 10 'refused attaches leave no session' no_sessions tgt
    right
}

test_targets() {
    links_up
    tgt_start 16M
    daemon_start
    local name
    for name in '' disk iqn 'iqn.2026-01.example.lab:a b' $'iqn.2026-01.example.lab:\e[31m' \
        "iqn.2026-01.example.lab:$(printf 'x%.0s' {1..300})"; do
        refused "the target $(printf %q "$name")" 'target|name' -- \
            causeway attach d --target "$name" --lun 1 --socket "$work/d.sock" "${one[@]}"
        ! grep -q $'\e' "$work/said" || fail 'an escape sequence reached the terminal'
    done
    refused 'a target that is not there' 'has no target' 'discover' -- \
        causeway attach d --target iqn.2026-01.example.lab:nosuch --lun 1 --socket "$work/d.sock" "${one[@]}"
    refused 'no target at all' 'target' -- causeway attach d --lun 1 --socket "$work/d.sock" "${one[@]}"
    # Names go out as they are given: there are targets with capitals in theirs.
    refused 'a name in capitals' 'has no target' 'discover' -- \
        causeway attach d --target "${iqn^^}" --lun 1 --socket "$work/d.sock" "${one[@]}"
    right
}

test_portals() {
    mkdir -p "/etc/netns/$NEAR"
    made_names="/etc/netns/$NEAR"
    printf '127.0.0.1 localhost\n198.18.1.1 storage.example\nfd00:18:1::1 storage6.example\n' >"$made_names/hosts"
    links_up
    near ip -6 address add fd00:18:1::2/64 dev p1 nodad
    far ip -6 address add fd00:18:1::1/64 dev t1 nodad
    near ip -6 address add fe80::2/64 dev p1 nodad
    far ip -6 address add fe80::1/64 dev t1 nodad
    tgt_start 16M
    daemon_start
    local portal
    refused 'no portal' 'portal' -- causeway attach d "${options[@]}" --bind p1
    refused 'no portal to discover' 'portal' -- causeway discover
    for portal in '' :3260 198.18.1.1:0 198.18.1.1:65536 198.18.1.1:abc '[::1' '[::1]x' '198.18.1.1:3260:1' 'a b' \
        $'x\ny' "$(printf 'x%.0s' {1..300})"; do
        refused "the portal $(printf %q "$portal")" 'portal|address|port|name' -- \
            causeway attach d "${options[@]}" --portal "$portal" --bind p1
        refused "discovery at $(printf %q "$portal")" 'portal|address|port|name' -- causeway discover -- "$portal"
    done
    refused 'a host that is not known' 'nosuch\.invalid' -- \
        causeway attach d "${options[@]}" --portal nosuch.invalid --bind p1
    refused 'a host that is not known, discovery' 'nosuch\.invalid' -- causeway discover nosuch.invalid
    for portal in 198.18.1.1 '[fd00:18:1::1]' fd00:18:1::1 '[fd00:18:1::1]:3260' storage.example \
        storage6.example:3260 'fe80::1%p1'; do
        causeway discover "$portal" --bind p1 | grep -q "$iqn" || fail "discovery at $portal"
        causeway attach d "${options[@]}" --portal "$portal" --bind p1
        nbdinfo --size "nbd+unix:///?socket=$work/d.sock" >/dev/null
        causeway status d
        causeway detach d
    done
    # The same portal, and the same interface, twice is once.
    causeway attach d "${options[@]}" --portal "$portal1" --portal 198.18.1.1 --portal storage.example \
        --bind p1 --bind p1
    [ "$(causeway status d --json | jq '.paths | length')" = 1 ] || fail "$(causeway status d)"
    causeway detach d
    # Both families through one interface, and without any.
    causeway attach d "${options[@]}" --portal "$portal1" --portal '[fd00:18:1::1]' --bind p1
    [ "$(causeway status d --json | jq '.paths | length')" = 2 ] || fail "$(causeway status d)"
    causeway detach d
    causeway attach d "${options[@]}" --portal "$portal1" --portal "$portal2"
    [ "$(causeway status d --json | jq '.paths | length')" = 2 ] || fail "$(causeway status d)"
    causeway detach d
    causeway discover "$portal1" --luns | grep -q '16 MiB' || fail 'discovery without --bind shows no LUN'
    wait_until 10 'no session is left' no_sessions tgt
    right
}

test_interfaces() {
    links_up
    near ip link add bare type veth peer name far-bare
    near ip link set bare up
    tgt_start 16M
    daemon_start
    local name
    for name in '' nosuch0 a/b 'p 1' "$(printf 'x%.0s' {1..16})"; do
        refused "the interface $(printf %q "$name")" 'interface' -- \
            causeway attach d "${options[@]}" --portal "$portal1" --bind "$name"
        refused "discovery over $(printf %q "$name")" 'interface' -- causeway discover "$portal1" --bind "$name"
    done
    refused 'an interface without address' bare address -- \
        causeway attach d "${options[@]}" --portal "$portal1" --bind bare
    refused 'an interface without IPv6' p1 IPv6 -- \
        causeway attach d "${options[@]}" --portal '[fd00:18:1::1]' --bind p1
    near ip link set p2 down
    refused 'an interface that is down' p2 -- causeway attach d "${options[@]}" --portal "$portal2" --bind p2
    near ip link set p2 up
    # It goes while an attach waits for an answer over it.
    causeway attach d "${options[@]}" --portal 198.18.2.77 --bind p2 >"$work/said" 2>&1 &
    local attaching=$! started=$SECONDS
    sleep 0.3
    near ip link delete p2
    ! wait "$attaching" || fail 'an attach over an interface that is gone succeeded'
    say "$(cat "$work/said")"
    grep -q p2 "$work/said" || fail 'the error does not name the interface'
    [ $((SECONDS - started)) -le 10 ] || fail "it took $((SECONDS - started)) s"
    causeway attach d "${options[@]}" "${one[@]}"
    causeway detach d
    right
}

test_sockets() {
    links_up
    tgt_start 16M
    daemon_start
    local place long
    long=$work/$(printf 'x%.0s' {1..120})
    mkdir "$work/folder"
    echo precious >"$work/file"
    ln -s file "$work/link"
    for place in '' "$work/folder" "$work/file" "$work/link" "$work/no/such" "$long" "$work/file/x"; do
        refused "a socket at $(printf %q "${place#"$work"}")" 'socket|path' -- \
            causeway attach d --target "$iqn" --lun 1 "${one[@]}" --socket "$place"
    done
    [ "$(cat "$work/file")$(readlink "$work/link")" = preciousfile ] || fail 'something was replaced that is no socket'
    # One that a dead daemon left is replaced.
    causeway attach d "${options[@]}" "${one[@]}"
    kill -9 "$daemon"
    wait "$daemon" || true
    [ -S "$work/d.sock" ] || fail 'the socket of a killed daemon is gone: nothing to replace'
    [ -S "$control" ] || fail 'the control socket of a killed daemon is gone: nothing to replace'
    refused 'a daemon that was killed' 'not running' -- causeway list
    daemon_start
    refused 'a second daemon' 'another causewayd' -- near timeout 10 "$binaries/causewayd" --control "$control" \
        --state-dir "$work/state" --initiator-name "$initiator"
    causeway list >/dev/null || fail 'the first daemon does not answer any more'
    wait_until 15 'the disk is taken back' path_active d p1
    wait_until 15 'its socket is there again' nbdinfo --size "nbd+unix:///?socket=$work/d.sock"
    nbdinfo --size "nbd+unix:///?socket=$work/d.sock" >/dev/null
    refused 'a second disk on the same socket' 'socket' -- \
        causeway attach e --target "$iqn" --lun 1 "${one[@]}" --socket "$work/d.sock" --force
    nbdinfo --size "nbd+unix:///?socket=$work/d.sock" >/dev/null
    causeway detach d
    daemon_stop
    for place in "$work/folder" "$work/file" "$long" "$work/no/such/socket"; do
        refused "a control socket at $(printf %q "${place#"$work"}")" 'causewayd:' -- \
            near timeout 10 "$binaries/causewayd" --control "$place" --state-dir "$work/state" \
            --initiator-name "$initiator"
        refused "a client of $(printf %q "${place#"$work"}")" 'causeway:' -- causeway list --control "$place"
    done
    refused 'a state directory that is a file' 'causewayd:' -- near timeout 10 "$binaries/causewayd" \
        --control "$control" --state-dir "$work/file" --initiator-name "$initiator"
    for place in '' 'host' 'iqn.x y'; do
        refused "the initiator name '$place'" 'name' -- near timeout 10 "$binaries/causewayd" \
            --control "$control" --state-dir "$work/state" --initiator-name "$place"
    done
    [ "$(cat "$work/file")" = precious ] || fail 'the file was touched'
    right
}

test_read_only() {
    links_up
    tgt_start 16M
    tgt_admin --op update --mode logicalunit --tid 1 --lun 1 --params readonly=1
    daemon_start
    causeway attach d "${options[@]}" "${one[@]}" | grep -qi 'read.only' || fail 'attach does not say that it is read-only'
    causeway status d | grep -qi 'read.only' || fail 'status does not say that it is read-only'
    nbdinfo --json "nbd+unix:///?socket=$work/d.sock" | jq -e '.exports[0].is_read_only' >/dev/null ||
        fail 'the export is not read-only'
    ! qemu-io -f raw "nbd+unix:///?socket=$work/d.sock" -c 'write 0 4k' >"$work/said" 2>&1 ||
        fail 'a write to a read-only LUN succeeded'
    qemu-io -r -f raw "nbd+unix:///?socket=$work/d.sock" -c 'read 0 4k'
    causeway detach d
    tgt_admin --op update --mode logicalunit --tid 1 --lun 1 --params readonly=0
    causeway attach d "${options[@]}" "${one[@]}" --read-only
    nbdinfo --json "nbd+unix:///?socket=$work/d.sock" | jq -e '.exports[0].is_read_only' >/dev/null ||
        fail 'with --read-only the export is not read-only'
    causeway detach d
    right
}

# Fails the test if `refused` found something wrong.
right() { [ "$wrong" = 0 ] || fail "$wrong wrong inputs were not answered as they should be"; }
