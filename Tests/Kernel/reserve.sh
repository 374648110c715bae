#!/bin/bash
# reserve.sh tgt|lio|lio-one: two hosts, each a Causeway of its own, agree by persistent reservations who writes to one LUN;
# the one that is pre-empted while a path of its is down writes nothing any more. LIO with a portal group for each
# portal; with one for both (lio-one) it lets the holder's path alone write, and the others have to stand by.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

target=${1%-one}
# shellcheck disable=SC2034  # by their names
here=$control there=$work/other.control
other_daemon='' writer=''
second=$lio_config/iscsi/$iqn/tpgt_2
test_end() {
    end_process "$writer"
    end_process "$other_daemon"
    end_process "$daemon"
    daemon=''
    [ ! -d "$second" ] || second_group_stop
}
# LIO's second portal moves to a portal group of its own.
second_group_start() {
    local setting
    rmdir "$lio_config/iscsi/$iqn/tpgt_1/np/$portal2"
    mkdir -p "$second/lun/lun_1"
    ln -s "$lio_config/core/fileio_0/disk" "$second/lun/lun_1/store"
    nsenter --net="/run/netns/$FAR" mkdir "$second/np/$portal2"
    for setting in authentication=0 generate_node_acls=1 demo_mode_write_protect=0 cache_dynamic_acls=1; do
        echo "${setting#*=}" >"$second/attrib/${setting%=*}"
    done
    echo 1 >"$second/enable"
}
second_group_stop() {
    echo 0 >"$second/enable"
    rmdir "$second"/np/*
    rm "$second/lun/lun_1/store"
    rmdir "$second/lun/lun_1" "$second"
}
paths=(--target "$iqn" --lun 1 --portal "$portal1" --portal "$portal2" --bind p1 --bind p2)

other_start() {
    mkdir -p "$work/other"
    ${NEAR:+ip netns exec "$NEAR"} "$binaries/causewayd" --control "$there" --state-dir "$work/other" --data-dir "$work/other-data" \
        --config "$work/none.toml" --initiator-name "$initiator-2" --log-level debug >>"$work/other.log" 2>&1 &
    other_daemon=$!
    wait_until 10 'the other causewayd listens' other list
}
other() { CAUSEWAY_CONTROL=$there causeway "$@"; }
# reserve HOST ACTION [OPTION…]: what is printed is in $work/said.
reserve() {
    local host=$1
    shift
    CAUSEWAY_CONTROL=${!host} causeway reserve disk1 "$@" --json >"$work/said" 2>"$work/complaint" || {
        cat "$work/complaint"
        return 1
    }
}
said() { jq -e "$@" "$work/said" >/dev/null; }
must_say() { # what, jq filter
    said "$2" || fail "$1: $(cat "$work/said")"
}
refuses() { # what, expression, HOST ACTION…
    ! reserve "${@:3}" >"$work/refusal" || fail "$1 is not refused"
    tr -s '\n ' ' ' <"$work/refusal" | grep -qE "$2" || fail "$1: $(cat "$work/refusal")"
}
uri() { echo "nbd+unix:///?socket=$work/$1.sock"; }
io() { # HOST COMMAND
    qemu-io -f raw "$(uri "$1")" -c "$2" >"$work/qemu-io" 2>&1 && ! grep -qi error "$work/qemu-io"
}
holds() { # byte, for people
    io there "read -P $1 0 1M" || fail "$2: it cannot be read"
    ! grep -q 'Pattern verification failed' "$work/qemu-io" || fail "$2"
}
path_state() { # HOST LINK
    CAUSEWAY_CONTROL=${!1} causeway status disk1 --json |
        jq -r --arg link "$2" '.. | objects | select(.interface? == $link and .portal? != null) | .state' | sort -u
}
path_works() { path_state "$1" "$2" | grep -q active; }
is_evicted() { reserve here status && said '.state == "evicted"'; }

[ -n "$NEAR" ] || modprobe veth
links_up
"${target}_start"
[ "$1" != lio ] || second_group_start
daemon_start
other_start
causeway attach disk1 "${paths[@]}" --socket "$work/here.sock"
other attach disk1 "${paths[@]}" --socket "$work/there.sock"
for host in here there; do
    for link in p1 p2; do wait_until 20 "$host has a path over $link" path_works "$host" "$link"; done
done
# Each bound interface leads to its own portal: two paths.
all=$(causeway status disk1 --json | jq '[.. | objects | select(.portal? != null and .interface? != null)] | length')

say '--- one command registers all paths'
refuses 'a reservation without registration' 'not registered' here reserve
refuses 'a wrong key' 'no reservation key' here register --key xyz
refuses 'a key of zero' 'no reservation key' here register --key 0
reserve here register --key 0xa
must_say 'keys' "(.keys | length) == $all and .key == \"0xa\" and (.paths | length) == $all"
reserve there register --key 0xb
reserve here status
must_say 'keys of both hosts' "[.keys[] | select(. == \"0xa\")] | length == $all"
must_say 'keys of both hosts' "[.keys[] | select(. == \"0xb\")] | length == $all"

say '--- a reservation'
refuses 'a type with one holder' 'several paths' here reserve --type write-exclusive
if [ "$1" = lio-one ]; then
    reserve here reserve
    for i in 1 2 3 4; do io here "write -P 0x11 ${i}M 1M" || fail 'the holder cannot write'; done
    shut_out() { grep -q 'lets only the path that made the reservation write' "$work/causewayd.log"; }
    wait_until 10 'the path that may not write stands by, and the log says why' shut_out
    [ "$( (path_works here p1 && echo p1; path_works here p2 && echo p2) | wc -l)" = 1 ] ||
        fail 'not just one path carries I/O'
    other reserve disk1 unregister >/dev/null
    ! io there 'write -P 0x99 0 1M' || fail 'a host without registration writes'
    reserve here release
    for link in p1 p2; do wait_until 20 "a path over $link is back" path_works here "$link"; done
    reserve here unregister
    causeway detach disk1
    other detach disk1
    exit 0
fi
reserve here reserve
must_say 'reservation' '.holder == "0xa" and .type == "write-exclusive-registrants-only"'
refuses 'a second reservation' 'RESERVATION CONFLICT.*0xa' there reserve --type exclusive-access-registrants-only
io here 'write -P 0x11 0 1M' || fail 'the holder cannot write'
reserve there unregister
! io there 'write -P 0x99 0 1M' || fail 'a host without registration writes'
grep -q 'RESERVATION CONFLICT' "$work/other.log" || fail 'the log does not say RESERVATION CONFLICT'
holds 0x11 'the write of the host without registration got through'

say '--- a path that comes back is registered before its first I/O'
cut 1
wait_until 10 'a path is lost' eval '! path_works here p1'
heal 1
wait_until 20 'the path is back' path_works here p1
io here 'write -P 0x12 0 1M' || fail 'the holder cannot write after a path came back'
! grep -q 'RESERVATION CONFLICT' "$work/causewayd.log" || fail 'a path had I/O before it was registered'

say '--- pre-empted while a path is down'
reserve there register --key 0xb
cut 1
wait_until 10 'a path is lost' eval '! path_works here p1'
reserve there preempt --victim 0xa
must_say 'pre-empted' '.holder == "0xb" and ([.keys[] | select(. == "0xa")] | length) == 0'
io there 'write -P 0xbb 0 1M' || fail 'the new holder cannot write'
(while :; do io here 'write -P 0x66 0 1M' && echo written >>"$work/written"; done) &
writer=$!
heal 1
wait_until 20 'the path is back' path_works here p1
wait_until 20 'the host knows that it is evicted' is_evicted
sleep 3
end_process "$writer"
writer=''
[ ! -e "$work/written" ] || fail 'a write of the pre-empted host succeeded'
holds 0xbb 'a write of the pre-empted host got through'
must_say 'evicted' '(.keys | index("0xa")) == null'
causeway status disk1 | grep -q 'writes fail until' || fail 'status does not say that writes fail'

say '--- and by another daemon neither'
kill -9 "$daemon"
wait "$daemon" 2>/dev/null || true
daemon_start
wait_until 30 'the disk is back' path_works here p1
wait_until 30 'the disk is back' path_works here p2
is_evicted || fail 'the successor does not know that it is evicted'
must_say 'not registered' '(.keys | index("0xa")) == null'
! io here 'write -P 0x66 0 1M' || fail 'the successor writes'
holds 0xbb 'a write of the successor got through'

say '--- until an administrator says so'
reserve here register
must_say 'registered again' ".state == \"standing\" and ([.keys[] | select(. == \"0xa\")] | length) == $all"
io here 'write -P 0x13 0 1M' || fail 'a registered host cannot write'
kill -9 "$daemon"
wait "$daemon" 2>/dev/null || true
daemon_start
wait_until 30 'the disk is back' path_works here p1
wait_until 30 'the disk is back' path_works here p2
reserve here status
must_say 'registered by the successor' '.state == "standing"'
io here 'write -P 0x14 0 1M' || fail 'the successor of a registered host cannot write'
if [ "$target" = tgt ]; then
    refuses 'what tgt cannot do' 'did not preempt-abort: ILLEGAL REQUEST.* may not support' here preempt-abort --victim 0xb
    reserve here preempt --victim 0xb
else
    reserve here preempt-abort --victim 0xb
fi
must_say 'pre-empted' '.holder == "0xa" and (.keys | index("0xb")) == null'
reserve here release
must_say 'released' '.holder == null and .type == null'
reserve here clear
must_say 'cleared' '(.keys | length) == 0 and .key == null'
io here 'write -P 0x15 0 1M' || fail 'no write after clear'

say '--- one holder, one path'
causeway detach disk1
causeway attach disk1 --target "$iqn" --lun 1 --portal "$portal1" --bind p1 --socket "$work/here.sock"
reserve here register --key 0xa
reserve here reserve --type write-exclusive
causeway path add disk1 --bind p2 --portal "$portal2" || fail 'no path can be added'
sleep 1
io here 'write -P 0x16 0 1M' || fail 'the holder cannot write'
! path_works here p2 || fail 'a path carries I/O that the reservation shuts out'
! io there 'write -P 0x99 0 1M' || fail 'another host writes'
reserve here release
wait_until 10 'the other path carries I/O' path_works here p2
reserve here unregister
causeway detach disk1
other detach disk1
daemon_stop
end_process "$other_daemon"
other_daemon=''
wait_until 10 'no session is left' no_sessions "$target"
