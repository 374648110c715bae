#!/bin/bash
# cycles.sh: a disk attached as a kernel device and detached, CYCLES times (30 unless set), a mounted file system now and
# then: nothing is left over in the daemon, in the kernel or at the target.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

cycles=${CYCLES:-30}
modprobe -a veth nbd
links_up
tgt_start 64M
daemon_start
mkdir "$work/mnt"

of_daemon() { find "/proc/$daemon/$1" -mindepth 1 -maxdepth 1 | wc -l; }
sockets() { find "/proc/$daemon/fd" -lname 'socket:*' | wc -l; }
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status"; }
# TCP connections in any state but the one that the kernel keeps for a while after a good end.
near_connections() { ss -Htan state all exclude time-wait exclude listening "dport = :3260" | wc -l; }
nodes() { find /sys/block -maxdepth 1 -name 'nbd*' | wc -l; }
# What the kernel keeps for sockets, and of memory for itself.
kernel_sockets() { awk '/^sockets:/ { print $3 }' /proc/net/sockstat; }
kernel_memory() { awk '/^SUnreclaim/ { print $2 }' /proc/meminfo; }
figures() {
    say "$(of_daemon fd) descriptors, $(sockets) of them sockets, $(of_daemon task) threads, $(resident) KiB in use;" \
        "the machine has $(kernel_sockets) sockets, $(nodes) nodes, $(kernel_memory) KiB of slab in use"
}
no_more() { # WHAT BEFORE NOW…
    wait_until 15 "$1: as many as before, $2" at_most "$2" "${@:3}"
}
at_most() { [ "$("${@:2}")" -le "$1" ]; }

started=$(date +%s%N)
for cycle in $(seq "$cycles"); do
    if [ $((cycle % 5)) = 1 ]; then
        attach disk1
    else
        # Detached while its second path is still being made.
        causeway attach disk1 --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --lun 1 \
            --json >"$work/attach.json"
        device=$(jq -r 'first(.. | objects | .device? // empty)' "$work/attach.json")
    fi
    case $((cycle % 10)) in
        1)
            mkfs.ext4 -q "$device"
            mount "$device" "$work/mnt"
            head -c 2000000 /dev/urandom >"$work/mnt/file"
            umount "$work/mnt"
            ;;
        6) dd if=/dev/urandom of="$device" bs=64k count=16 oflag=direct status=none ;;
    esac
    causeway detach disk1
    no_nbd_devices || fail "detach $cycle left $(nbd_devices)"
    # What is made once is there after some cycles.
    if [ "$cycle" = $((cycles / 3)) ]; then
        figures
        files=$(of_daemon fd) open=$(sockets) threads=$(of_daemon task) early=$(resident) blocks=$(nodes)
        all=$(kernel_sockets) slab=$(kernel_memory)
    fi
done
figures
say "$cycles cycles, $((($(date +%s%N) - started) / 1000000 / cycles)) ms each"
no_more descriptors "$files" of_daemon fd
no_more sockets "$open" sockets
no_more threads "$threads" of_daemon task
no_more 'sockets of the machine' $((all + 2)) kernel_sockets
no_more devices "$blocks" nodes
no_more 'connections to the target' 0 near_connections
grown=$(($(resident) - early))
[ "$grown" -le 4096 ] || fail "the daemon has $grown KiB more in use than after a third of the cycles"
grown=$(($(kernel_memory) - slab))
[ "$grown" -le 8192 ] || fail "the kernel has $grown KiB more in use than after a third of the cycles"
[ -z "$(pgrep -P "$daemon" || true)" ] || fail "the daemon has children left: $(pgrep -a -P "$daemon")"
wait_until 10 'the target has no session left' no_sessions tgt
no_records
daemon_stop
