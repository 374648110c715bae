# shellcheck shell=bash
# shellcheck disable=SC2154  # what lib.sh and tests.sh set
# What is particular to a peer: what was negotiated with it. Sourced by tests.sh.
# shellcheck source=Tests/Kernel/combinations.sh
. "$(dirname "$(realpath "$0")")/../Kernel/combinations.sh"

# tgt with every pair of settings of CHAP, digests, unsolicited data, segments, bursts, IPv4 and IPv6.
test_matrix() {
    links_up
    ipv6_up
    tgt_start 2M
    tgt_admin --op new --mode account --user host1 --password "$our_secret"
    tgt_admin --op new --mode account --user array --password "$their_secret"
    # It takes 7 for SHA-1, and is asked for MD5 alone then.
    export chap_algorithm=MD5
    matrix tgt
}
target_keys() {
    local setting
    for setting in "${@/#receives=/MaxRecvDataSegmentLength=}"; do
        tgt_admin --op update --mode target --tid 1 --name "${setting%%=*}" --value "${setting#*=}"
    done
}
target_chap() { # WAY
    tgt_admin --op unbind --mode account --tid 1 --user host1 2>/dev/null || true
    tgt_admin --op unbind --mode account --tid 1 --user array --outgoing 2>/dev/null || true
    [ "$1" = none ] || tgt_admin --op bind --mode account --tid 1 --user host1
    [ "$1" != mutual ] || tgt_admin --op bind --mode account --tid 1 --user array --outgoing
}

# The target sends logins elsewhere, for once and for good. (A tgtd goes by the address alone: it sends away who has not
# come to the one that it redirects to. It knows no names.)
test_redirect() {
    links_up
    far ip address add 198.18.1.9/24 dev t1
    local redirecting reason words
    TGT_OPTIONS="--iscsi portal=$portal1" tgt_start 64M
    redirecting=$tgtd
    TGT_OPTIONS='--iscsi portal=198.18.1.9:3260' other_tgt
    clients+=("$tgtd")
    tgtd=$redirecting
    daemon_start
    for reason in Temporary Permanent; do
        redirect 198.18.1.9 "$reason"
        : >"$work/causewayd.log"
        causeway attach disk1 --target "$iqn" --portal "$portal1" --bind p1 --lun 1 --socket "$socket"
        words='for this login'
        [ $reason = Temporary ] || words='for good'
        grep -q "redirected to 198.18.1.9:3260 $words" "$work/causewayd.log" || fail 'the log does not tell of it'
        [ "$(connections_at 198.18.1.9)" = 1 ] || fail 'the session is not where the target sent it'
        [ "$(connections_at 198.18.1.1)" = 0 ] || fail 'a session is where the target did not want it'
        verified_fio "$reason" --rw=randwrite --bs=16k --iodepth=8 --size=8M
        cut 1
        wait_until 20 'the path is lost' path_lost disk1 p1
        heal 1
        wait_until 20 'the path comes back' path_active disk1 p1
        [ "$(connections_at 198.18.1.9)" = 1 ] || fail 'the path did not come back to where the target sent it'
        causeway discover "$portal1" --bind p1 --luns | grep -q '64 MiB' || fail 'discover does not follow'
        disk_down
    done
}
redirect() { # ADDRESS REASON
    tgt_admin --op update --mode target --tid 1 --name RedirectAddress --value "$1"
    tgt_admin --op update --mode target --tid 1 --name RedirectPort --value 3260
    tgt_admin --op update --mode target --tid 1 --name RedirectReason --value "$2"
}
# The same LUN in a second tgtd.
other_tgt() {
    local work=$work/other
    mkdir "$work"
    tgt_back
}
connections_at() { far ss -Htn state established "src $1 and sport = :3260" | wc -l; }

# A write that the target holds for longer than the command time-out: ABORT TASK, and what is configured when that has
# no answer. Nothing overtakes the held write, and it is answered once.
test_command_timeout() {
    local reset writer expected word status old=$work/old
    export SLOW_PWRITE=$work/slow
    "${CC:-cc}" -O1 -shared -fPIC -o "$work/slow-pwrite.so" "$repository/Tests/Kernel/slow-pwrite.c" -ldl
    printf '%-4096s' 'GHOST WRITE of old data' >"$old"
    links_up
    TGT_PRELOAD=$work/slow-pwrite.so tgt_start 64M
    daemon_start
    for reset in none lun target; do
        say "--- reset-on-timeout=$reset"
        rm -f "$SLOW_PWRITE".*
        : >"$work/causewayd.log"
        attach disk1 --socket "$socket" --set command-timeout=5s --set "reset-on-timeout=$reset"
        : >"$SLOW_PWRITE.armed"
        timeout 120 qemu-io -f raw "$uri" -c "write -s $old 4M 4k" >"$work/writer.log" 2>&1 &
        writer=$!
        clients+=("$writer")
        wait_until 10 'the target holds the write' [ -e "$SLOW_PWRITE.held" ]
        # (A tgtd answers ABORT TASK once the command has ended. It does not survive one for the barrier that waits behind
        # the command in a new session, so the write is released before that barrier is 5 s old.)
        case $reset in
            none) expected='ABORT TASK:ABORT TASK to the target was not answered' ;;
            lun) expected='ABORT TASK:LOGICAL UNIT RESET' ;;
            target) expected='ABORT TASK:LOGICAL UNIT RESET:TARGET WARM RESET' ;;
        esac
        while read -r word; do
            wait_until 40 "the log tells of $word" grep -q "$word" "$work/causewayd.log"
        done <<<"${expected//:/$'\n'}"
        case $reset in
            none) ! grep -q RESET "$work/causewayd.log" || fail 'a reset was sent unasked' ;;
            lun) ! grep -q 'WARM RESET' "$work/causewayd.log" || fail 'the target was reset unasked' ;;
        esac
        kill -0 "$writer" 2>/dev/null || fail 'the write was answered while its first copy was inside the target'
        # Reads go on meanwhile.
        reads >"$work/said" 2>&1 || fail "a read fails while the write is held: $(cat "$work/said")"
        : >"$SLOW_PWRITE.release"
        wait_until 10 'the held write ends in the target' [ -e "$SLOW_PWRITE.ended" ]
        status=0
        wait "$writer" || status=$?
        [ $status = 0 ] || fail "the write failed: $(cat "$work/writer.log")"
        qemu-io -f raw "$uri" -c 'write -P 0x6e 4M 4k' >"$work/said" 2>&1
        sleep 1
        qemu-io -f raw "$uri" -c 'read -P 0x6e 4M 4k' >"$work/said" 2>&1 || fail 'the old write overtook the new one'
        cmp <(dd if="$backing" bs=4096 skip=1024 count=1 status=none) <(head -c 4096 /dev/zero | tr '\0' n) ||
            fail 'the medium has the old data'
        grep -E 'ABORT TASK|RESET|fence' "$work/causewayd.log"
        # (After a reset, a tgtd may keep a session that has logged out.)
        causeway detach disk1
    done
}
