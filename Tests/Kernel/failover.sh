#!/bin/bash
# failover.sh tgt|lio CONTESTANT [RUNS [FAULT…]]: how long an application waits when a path fails, and how soon a path
# that came back is used again. For each fault and run one line:
#
#   run FAULT NUMBER stall MS write MS read MS others MS used MS|never|- down MS errors N
#
# `stall` is the longest wait of the writer, the reader and the writers of other disks (see stall.c) without `down`,
# the time that the target itself was away; `used` is how long after the link's return I/O went over it again.
#
# CONTESTANT is causeway, causeway-connections (its paths are connections of one session), or for comparison open-iscsi
# or open-iscsi-tuned (with dm-multipath; see open-iscsi.sh), or `test`: Causeway, which fails where it takes three times
# as long as it may. DISKS=n gives the target n LUNs, each attached as a disk of its own (tgt and Causeway only).
set -eu
target=$1 contestant=$2 runs=${3:-1}
[ $# -lt 3 ] || shift
shift 2
here=$(dirname "$(realpath "$0")")
# shellcheck source=Tests/Kernel/lib.sh
. "$here/lib.sh"
# shellcheck source=Tests/Kernel/open-iscsi.sh
. "$here/open-iscsi.sh"
lab_begin

#   carrier       the link goes down at the far end
#   interface     our own interface is taken down
#   silence       every packet is dropped, both ways; the links stay up
#   silence-out   only what we send is dropped
#   silence-in    only what the target sends is dropped
#   restart       the target, with all its portals, ends and starts again
faults=${*:-carrier interface silence silence-out silence-in restart}

load=''
test_end() {
    end_process "$load"
    case $contestant in open-iscsi*) open_iscsi_down ;; esac
}

# How long a fault may stall I/O, milliseconds; a path that came back may take 2000.
may_take() {
    case $1 in
        carrier | interface) say 100 ;;
        *) say 1000 ;;
    esac
}
readonly may_take_back=2000

modprobe -a veth sch_netem nbd
links_up
"${target}_start"
sessions=2 options=()
if [ "$contestant" = causeway-connections ]; then
    sessions=1 options=(--set multipathing=connections)
    case $target in
        tgt) tgt_admin --op update --mode target --tid 1 -n MaxConnections -v 4 ;;
        lio) lio_parameters MaxConnections=4 ;;
    esac
fi
case $contestant in
    causeway* | test)
        daemon_start
        for number in $(seq 2 "${DISKS:-1}"); do
            truncate -s 16M "$work/lun$number"
            tgt_admin --op new --mode logicalunit --tid 1 --lun "$number" --backing-store "$work/lun$number"
        done
        ;;
    open-iscsi) open_iscsi_up ;;
    open-iscsi-tuned) open_iscsi_up tuned ;;
    *) fail "no such contestant: $contestant" ;;
esac
"${CC:-cc}" -O1 -o "$work/stall" "$here/stall.c" -lpthread

# What the daemon costs with all disks attached.
show_cost() {
    awk -v disks="$DISKS" -v seconds=$((SECONDS - attaching)) '
        /^VmRSS|^VmLck|^Threads/ { text = text ", " $1 " " $2 }
        END { print disks " disks attached in " seconds " s" text }' "/proc/$daemon/status"
}

# Starts the load. Causeway's disks are attached anew for each run: a path that fails again and again is kept away
# from I/O for a while, which is not what is measured here.
begin() {
    local number first others=() attaching=$SECONDS
    case $contestant in
        causeway* | test)
            attach disk1 "${options[@]}"
            first=$device
            for number in $(seq 2 "${DISKS:-1}"); do
                attach "disk$number" --lun "$number"
                others+=("$device")
            done
            device=$first
            [ "${DISKS:-1}" = 1 ] || show_cost
            sleep 0.5 # udev and the like have read what they want
            ;;
    esac
    coproc STALL { exec "$work/stall" "$device" "${others[@]}" 2>>"$work/stall.log"; }
    # shellcheck disable=SC2153
    load=$STALL_PID
}
end() {
    local number
    end_process "$load"
    load=''
    case $contestant in
        causeway* | test)
            number=$("${target}_sessions")
            [ "$number" = "$sessions" ] || fail "the target has $number sessions"
            for number in $(seq "${DISKS:-1}"); do causeway detach "disk$number"; done
            wait_until 10 'detach leaves no device' no_nbd_devices
            wait_until 10 'the target has no session left' no_sessions "$target"
            ;;
    esac
}
ask() { # COMMAND: sets `answer`
    echo "$1" >&"${STALL[1]}"
    read -r -t 200 answer <&"${STALL[0]}" || fail "no answer to: $1"
}

inflict() { # FAULT LINK
    case $1 in
        carrier) far ip link set "t$2" down ;;
        interface) ip link set "p$2" down ;;
        silence)
            tc qdisc replace dev "p$2" root netem loss 100%
            far tc qdisc replace dev "t$2" root netem loss 100%
            ;;
        silence-out) tc qdisc replace dev "p$2" root netem loss 100% ;;
        silence-in) far tc qdisc replace dev "t$2" root netem loss 100% ;;
        restart)
            "${target}_away"
            sleep 2
            "${target}_back"
            ;;
    esac
}
mend() { # FAULT LINK
    case $1 in
        carrier) far ip link set "t$2" up ;;
        interface) ip link set "p$2" up ;;
        silence)
            far tc qdisc delete dev "t$2" root
            tc qdisc delete dev "p$2" root
            ;;
        silence-out) tc qdisc delete dev "p$2" root ;;
        silence-in) far tc qdisc delete dev "t$2" root ;;
        restart) ;;
    esac
}

# Sets stall, used, errors.
measure() { # FAULT RUN
    local fault=$1 run=$2 link i began ended healed down=0 write read others
    link=$((1 + run % 2))
    begin
    for i in 1 2; do
        ask "used p$i $EPOCHREALTIME 120"
        [ "$answer" != never ] || fail "no I/O goes over p$i before $fault $run"
    done
    sleep 0.5
    echo begin >&"${STALL[1]}"
    sleep 0.2
    began=$EPOCHREALTIME
    inflict "$fault" "$link"
    ended=$EPOCHREALTIME
    [ "$fault" != restart ] || down=$(((${ended/./} - ${began/./}) / 1000))
    sleep 0.5
    ask end
    read -r _ write _ _ read _ _ others _ _ _ errors <<<"$answer"
    stall=$write
    [ "$read" -le "$stall" ] || stall=$read
    [ "$others" -le "$stall" ] || stall=$others
    stall=$((stall > down ? stall - down : 0))
    used=-
    if [ "$fault" != restart ]; then
        healed=$EPOCHREALTIME
        mend "$fault" "$link"
        ask "used p$link $healed 60"
        used=$answer
    fi
    say "run $fault $run stall $stall write $write read $read others $others used $used down $down errors $errors"
    end
}
good() { # FAULT
    [ "$errors" = 0 ] && [ "$stall" -le $((3 * $(may_take "$1"))) ] &&
        { [ "$used" = - ] || { [ "$used" != never ] && [ "$used" -le $((3 * may_take_back)) ]; }; }
}

for fault in $faults; do
    for run in $(seq "$runs"); do
        measure "$fault" "$run"
        [ "$contestant" = test ] || continue
        # The machine may be busy with something else for a moment, but not three times.
        [ "$errors" = 0 ] || fail "$errors I/O errors"
        good "$fault" || measure "$fault" "$run"
        good "$fault" || measure "$fault" "$run"
        good "$fault" || fail "$fault takes too long three times"
    done
done
[ -z "${SHOW_LOG:-}" ] || cat "$work/causewayd.log"
case $contestant in causeway* | test) daemon_stop ;; esac
