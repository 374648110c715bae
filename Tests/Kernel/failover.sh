#!/bin/bash
# failover.sh tgt|lio CONTESTANT RUNS [FAULT…]: how long an application waits when a path fails, and how soon a path
# that came back is used again. For each fault and run one line:
#
#   run FAULT NUMBER stall MS write MS read MS used MS|never|- down MS errors N
#
# `stall` is the longer of the writer's and the reader's longest wait (see stall.c), `down` how much of it the target
# itself was away, `used` how long after the link's return I/O went over it again. CONTESTANT is causeway, or for
# comparison open-iscsi or open-iscsi-tuned (with dm-multipath; see open-iscsi.sh).
set -eu
target=$1 contestant=$2 runs=$3
shift 3
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

modprobe -a veth sch_netem nbd
links_up
"${target}_start"
case $contestant in
    causeway)
        daemon_start
        attach disk1
        ;;
    open-iscsi) open_iscsi_up ;;
    open-iscsi-tuned) open_iscsi_up tuned ;;
    *) fail "no such contestant: $contestant" ;;
esac
"${CC:-cc}" -O1 -o "$work/stall" "$here/stall.c" -lpthread

coproc STALL { exec "$work/stall" "$device" 2>>"$work/stall.log"; }
# shellcheck disable=SC2153
load=$STALL_PID
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

for fault in $faults; do
    for run in $(seq "$runs"); do
        link=$((1 + run % 2))
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
        down=0
        [ "$fault" != restart ] || down=$(((${ended/./} - ${began/./}) / 1000))
        sleep 0.5
        ask end
        read -r _ write write_at _ read read_at _ _ _ errors <<<"$answer"
        stall=$((write > read ? write : read))
        used=-
        if [ "$fault" != restart ]; then
            healed=$EPOCHREALTIME
            mend "$fault" "$link"
            ask "used p$link $healed 60"
            used=$answer
        fi
        say "run $fault $run stall $((stall > down ? stall - down : 0)) write $write read $read used $used" \
            "down $down errors $errors at $began writer $write_at reader $read_at"
    done
done
case $contestant in
    causeway)
        end_process "$load"
        load=''
        if [ -n "${SHOW_LOG:-}" ]; then cat "$work/causewayd.log"; fi
        causeway detach disk1 --force
        daemon_stop
        ;;
esac
