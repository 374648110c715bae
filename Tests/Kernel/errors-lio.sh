#!/bin/bash
# errors-lio.sh: what people get wrong with LIO, which refuses with other statuses than tgt; and that what they are
# told to do helps.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

group=$lio_config/iscsi/$iqn/tpgt_1
access=$group/acls/$initiator
# The portal group is not removed as long as it has an access list.
test_end() {
    [ ! -d "$access" ] || { rm -f "$access"/lun_1/lun_1 && rmdir "$access"/lun_1 "$access"; }
}
paths=(--portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --socket "$work/disk1.sock")

modprobe veth
links_up
lio_start memory 64
daemon_start

refused 'target name wrong' 'iqn\.2026-01\.example\.lab:nosuch' '\(login status 0301\)' \
    'check the target.s name with: causeway discover 198\.18\.' -- \
    causeway attach disk1 --target iqn.2026-01.example.lab:nosuch --lun 1 "${paths[@]}"

# Before any login: it would be remembered as allowed.
echo 0 >"$group/attrib/generate_node_acls"
why="refused the login to $iqn: not authorised: .* \(login status 0202\)"
refused 'initiator not allowed' "the portal 198\.18\.[12]\.1:3260 through p[12] $why" \
    "the initiator name to allow on the target is $initiator" -- \
    causeway attach disk1 --target "$iqn" --lun 1 "${paths[@]}"
# The target shows itself and lets nobody in: its LUNs are a problem of theirs, in the same words.
causeway discover "$portal1" --bind p1 --luns >"$work/said" 2>&1 || true
grep -qE "the portal 198\.18\.1\.1:3260 through p1 $why" "$work/said" ||
    fail "discovery does not say why there are no LUNs: $(cat "$work/said")"

mkdir -p "$access/lun_1"
ln -s "$group/lun/lun_1" "$access/lun_1/lun_1"
causeway attach disk1 --target "$iqn" --lun 1 "${paths[@]}" || fail 'the initiator name is allowed now, and no attach'
causeway detach disk1
refused 'LUN absent' 'has no LUN 7' 'causeway discover 198\.18\..*--luns' -- \
    causeway attach disk1 --target "$iqn" --lun 7 "${paths[@]}"
wait_until 10 'detach and refusal leave no session' no_sessions lio
daemon_stop
[ $wrong = 0 ] || fail "$wrong answers were not as they should be"
