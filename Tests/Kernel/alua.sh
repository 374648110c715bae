#!/bin/bash
# alua.sh: asymmetric access with LIO. Two target port groups, one behind each link; their states change under
# verified I/O, which must neither fail nor read anything else.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

load=''
test_end() {
    : >"$work/stop"
    [ -z "$load" ] || wait "$load" 2>/dev/null
    end_process "$daemon"
    daemon=''
    [ ! -d "$second" ] || second_group_stop
}

store=$lio_config/core/rd_mcp_0/disk
second=$lio_config/iscsi/$iqn/tpgt_2

# The second portal moves to an iSCSI portal group of its own; each LUN's port is in a target port group of its own.
second_group_start() {
    local number setting
    rmdir "$lio_config/iscsi/$iqn/tpgt_1/np/$portal2"
    mkdir -p "$second/lun/lun_1"
    ln -s "$store" "$second/lun/lun_1/store"
    nsenter --net="/run/netns/$FAR" mkdir "$second/np/$portal2"
    for setting in authentication=0 generate_node_acls=1 demo_mode_write_protect=0 cache_dynamic_acls=1; do
        echo "${setting#*=}" >"$second/attrib/${setting%=*}"
    done
    for number in 1 2; do
        mkdir "$store/alua/group$number"
        echo $number >"$store/alua/group$number/tg_pt_gp_id"
        echo 3 >"$store/alua/group$number/alua_access_type" # implicit and explicit
        echo "group$number" >"$lio_config/iscsi/$iqn/tpgt_$number/lun/lun_1/alua_tg_pt_gp"
    done
    echo 1 >"$second/enable"
}
second_group_stop() {
    local number
    echo 0 >"$second/enable"
    rmdir "$second"/np/*
    for number in 1 2; do echo default_tg_pt_gp >"$lio_config/iscsi/$iqn/tpgt_$number/lun/lun_1/alua_tg_pt_gp"; done
    rm "$second/lun/lun_1/store"
    rmdir "$second/lun/lun_1" "$second" "$store"/alua/group[12]
}

# state GROUP optimized|non-optimized|standby|unavailable
state() {
    local number
    case $2 in
        optimized) number=0 ;;
        non-optimized) number=1 ;;
        standby) number=2 ;;
        unavailable) number=3 ;;
    esac
    echo $number >"$store/alua/group$1/alua_access_state"
}

shows() { # LINK KEY VALUE
    causeway status disk1 --json | jq -e --arg interface "p$1" --arg value "$3" \
        "any(.. | objects | select(.interface? == \$interface); (.$2 | tostring) == \$value)" >/dev/null
}
ios() {
    causeway status disk1 --json |
        jq --arg interface "p$1" '[.. | objects | select(.interface? == $interface) | .ios] | add'
}
activations() { causeway status disk1 --json | jq '[.. | .activations? // empty] | add'; }
rounds() { cat "$work/rounds"; }
another_round() { [ "$(rounds)" -gt "$1" ]; }
# I/O goes on, nothing has failed, and link $1 carries all of it.
works_over() {
    local before other=$((3 - $1)) moved
    wait_until 60 'I/O goes on' another_round "$(rounds)"
    before=$(ios "$other")
    moved=$(ios "$1")
    wait_until 60 'I/O goes on' another_round $(($(rounds) + 1))
    [ ! -e "$work/failed" ] || fail 'I/O failed'
    [ $(($(ios "$1") - moved)) -gt 100 ] || fail "link $1 carries nothing"
    [ $(($(ios "$other") - before)) -lt 20 ] || fail "link $other carries I/O although link $1 is better"
}

modprobe -a veth nbd
links_up
lio_start memory 64
second_group_start
daemon_start
attach disk1
causeway status disk1
shows 1 accessGroup 1 || fail 'the path over p1 is not in target port group 1'
shows 2 accessGroup 2 || fail 'the path over p2 is not in target port group 2'

# Writes with a checksum in every block, and reads each back.
echo 0 >"$work/rounds"
while [ ! -e "$work/stop" ]; do
    fio --minimal --name=alua --filename="$device" --direct=1 --ioengine=libaio --iodepth=8 --rw=randwrite \
        --bs=16k --size=4M --verify=crc32c --verify_state_save=0 --randrepeat=0 >"$work/fio.log" 2>&1 ||
        { : >"$work/failed" && break; }
    echo $(($(rounds) + 1)) >"$work/rounds"
done &
load=$!

state 1 non-optimized
wait_until 10 'group 1 is second best' shows 1 accessState active/non-optimized
works_over 2
say 'non-optimized: I/O went to the other group'
state 1 optimized
wait_until 70 'both paths are active' path_active disk1 p1

state 1 standby
works_over 2
shows 1 accessState standby || fail 'p1 is not on standby'
state 1 optimized
state 2 unavailable
works_over 1
shows 2 accessState unavailable || fail 'p2 is not unavailable'
say 'standby and unavailable: I/O went to the other group'

# Both in transition at once: I/O waits, and nobody hears of an error.
echo 4000 >"$store/alua/group1/trans_delay_msecs"
state 2 standby
(state 1 non-optimized) &
changing=$!
wait_until 5 'group 1 is in transition' shows 1 accessState transitioning
wait "$changing"
works_over 1
echo 0 >"$store/alua/group1/trans_delay_msecs"
say 'transition: I/O waited'

# No active group is left: the daemon activates one, once.
before=$(activations)
state 1 standby
state 2 standby
wait_until 60 'a group is activated' another_round $(($(rounds) + 1))
[ ! -e "$work/failed" ] || fail 'I/O failed'
[ "$(activations)" = $((before + 1)) ] || fail "$(($(activations) - before)) activations instead of one"
grep -q 0 "$store"/alua/group[12]/alua_access_state || fail 'no group is active'
say 'explicit: a group was activated'

state 1 optimized
state 2 optimized
wait_until 70 'p1 is active again' path_active disk1 p1
wait_until 70 'p2 is active again' path_active disk1 p2
# Of two groups in the same lesser state, the preferred one.
echo 1 >"$store/alua/group2/preferred"
state 1 non-optimized
state 2 non-optimized
wait_until 70 'p2 is preferred' path_active disk1 p2
works_over 2
say 'preferred: I/O went to the preferred group'
causeway set disk1 alua=implicit
: >"$work/stop"
wait "$load" || true
load=''
[ ! -e "$work/failed" ] || fail 'I/O failed'
say "$(rounds) rounds of verified I/O"
causeway status disk1
causeway detach disk1
