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
