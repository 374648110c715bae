#!/bin/bash
# policies.sh equal|unequal: what a disk moves over two links of limited speed, against what each of them moves
# alone. `equal`: at least 1.9 x one link with every policy that spreads. `unequal`, one link three times as fast:
# at least 0.9 x the sum with service-time; what the others reach is printed.
set -eu
speeds=$1
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

modprobe -a veth sch_tbf nbd
links_up
lio_start memory 64
daemon_start
attach disk1

# limit LINK MBIT/S, in both directions. Not over the burst: packets of many segments are cut up.
limit() {
    near tc qdisc replace dev "p$1" root tbf rate "$2mbit" burst 64k latency 100ms
    far tc qdisc replace dev "t$1" root tbf rate "$2mbit" burst 64k latency 100ms
}

# moved read|write BLOCK-SIZE DEPTH: bytes a second, after a second to settle.
moved() {
    timeout 60 fio --name=load --filename="$device" --rw="$1" --bs="$2" --iodepth="$3" --direct=1 \
        --ioengine=libaio --time_based --ramp_time=1 --runtime=4 --output-format=json >"$work/fio.json" ||
        fail "fio failed: $(cat "$work/fio.json")"
    jq ".jobs[0].$1.bw_bytes" "$work/fio.json"
}

# at_least WHAT BYTES RATIO OF-BYTES
short=0
at_least() {
    local ratio
    ratio=$(awk -v a="$2" -v b="$4" 'BEGIN { printf "%.2f", a / b }')
    if awk -v ratio="$ratio" -v least="$3" 'BEGIN { exit ratio >= least }'; then
        say "SHORT $1: $ratio, wanted $3"
        short=$((short + 1))
    else
        say "right $1: $ratio of ${5:-one link}"
    fi
}

policy() { causeway set disk1 "policy=$1" >/dev/null; }

case $speeds in
    # So slow that the links are what limits: at 150 and 50 the emulated machine's one processor was.
    equal) limit 1 60 && limit 2 60 ;;
    unequal) limit 1 60 && limit 2 20 ;;
    *) fail "no such links: $speeds" ;;
esac
for load in 'read 1M 4' 'write 1M 4' 'read 128k 16' 'write 128k 16'; do
    # shellcheck disable=SC2086
    {
        policy fixed,preferred=p1
        one=$(moved $load)
        policy fixed,preferred=p2
        other=$(moved $load)
        sum=$((one + other))
        say "$load: $one and $other bytes a second alone"
        if [ "$speeds" = equal ]; then
            for policy in round-robin least-queue-depth service-time; do
                policy $policy
                at_least "$load, $policy" "$(moved $load)" 1.9 $((sum / 2))
            done
        else
            for policy in round-robin least-queue-depth; do
                policy $policy
                at_least "$load, $policy" "$(moved $load)" 0 "$sum" 'the sum'
            done
            policy service-time
            at_least "$load, service-time" "$(moved $load)" 0.9 "$sum" 'the sum'
        fi
    }
done
causeway status disk1
causeway detach disk1
[ "$short" = 0 ] || fail "$short loads moved too little"
