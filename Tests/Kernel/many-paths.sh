#!/bin/bash
# many-paths.sh one|many: 64 disks with four paths each, LUNs of one target, or one of each of 64 targets: the time
# until they are attached and until every path carries I/O, memory and threads of the daemon; then all are read and
# written at once. Prints a row of a table.
set -eu
kind=$1
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

readonly disks=64
modprobe -a veth nbd
links_up
for i in 3 4; do
    ip link add "p$i" type veth peer name "t$i" netns "$FAR"
    ip address add "198.18.$i.2/24" dev "p$i"
    ip link set "p$i" up
    far ip address add "198.18.$i.1/24" dev "t$i"
    far ip link set "t$i" up
done
tgt_start 16M
portals=() binds=()
for i in 1 2 3 4; do
    portals+=(--portal "198.18.$i.1:3260")
    binds+=(--bind "p$i")
done
# target_of N, lun_of N
case $kind in
    one)
        target_of() { say "$iqn"; }
        lun_of() { say "$1"; }
        for number in $(seq 2 $disks); do
            truncate -s 16M "$work/lun$number"
            tgt_admin --op new --mode logicalunit --tid 1 --lun "$number" --backing-store "$work/lun$number"
        done
        sessions=4
        ;;
    many)
        target_of() { if [ "$1" = 1 ]; then say "$iqn"; else say "$iqn-$1"; fi; }
        lun_of() { say 1; }
        for number in $(seq 2 $disks); do
            truncate -s 16M "$work/lun$number"
            tgt_admin --op new --mode target --tid "$number" --targetname "$iqn-$number"
            tgt_admin --op new --mode logicalunit --tid "$number" --lun 1 --backing-store "$work/lun$number"
            tgt_admin --op bind --mode target --tid "$number" --initiator-address ALL
        done
        sessions=$((4 * disks))
        ;;
esac
daemon_start --log-level info
status_of() { awk -v what="$1:" '$1 == what { print $2 }' "/proc/$daemon/status"; }
milliseconds() { say $((($(date +%s%N) - started) / 1000000)); }
seconds() { say "$(($1 / 1000)).$(($1 % 1000 / 100)) s"; }
idle=$(status_of VmRSS)

attach_one() {
    causeway attach "disk$1" --target "$(target_of "$1")" --lun "$(lun_of "$1")" "${portals[@]}" "${binds[@]}" \
        --json >"$work/attach$1.json" || fail "attach disk$1 did not succeed"
}
# Optimal: all four paths carry I/O.
all_optimal() { [ "$(causeway list --json | jq '[.. | objects | select(.state? == "optimal")] | length')" = $disks ]; }
started=$(date +%s%N)
for number in $(seq $disks); do attach_one "$number"; done
attached=$(milliseconds)
wait_until 120 'every path carries I/O' all_optimal
ready=$(milliseconds)
connected=$(far ss -Htn state established 'sport = :3260' | wc -l)
[ "$connected" = "$sessions" ] || fail "$connected connections to the target, not $sessions"
[ "$(nbd_devices | wc -l)" = $disks ] || fail "$(nbd_devices | wc -l) devices"
at_rest=$(status_of VmRSS)

# Every disk at once: what each holds is its own.
working=()
for number in $(seq $disks); do
    device=$(jq -r 'first(.. | objects | .device? // empty)' "$work/attach$number.json")
    (
        yes "disk $number" | head -c 2097152 >"$work/data$number" || true
        dd if="$work/data$number" of="$device" bs=256k oflag=direct status=none
        dd if="$device" bs=256k count=8 iflag=direct status=none | cmp - "$work/data$number"
    ) &
    working+=($!)
done
for number in $(seq $disks); do wait "${working[number - 1]}" || fail "disk$number does not hold what was written"; done
loaded=$(status_of VmRSS)
threads=$(status_of Threads)
say '| 64 disks x 4 paths, targets | sessions | attached | all paths | idle | attached | under load | threads |'
say '| --- | --- | --- | --- | --- | --- | --- | --- |'
say "| $kind | $sessions | $(seconds "$attached") | $(seconds "$ready") | $((idle / 1024)) MiB |" \
    "$((at_rest / 1024)) MiB | $((loaded / 1024)) MiB | $threads |"

for number in $(seq $disks); do causeway detach "disk$number"; done
wait_until 10 'detach leaves no device' no_nbd_devices
no_connections_left() { [ "$(far ss -Htn state established 'sport = :3260' | wc -l)" = 0 ]; }
wait_until 20 'the target has no connection left' no_connections_left
no_records
daemon_stop
