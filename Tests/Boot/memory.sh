#!/bin/bash
# memory.sh: a machine with little memory dirties twice as many pages of its disk as it has, while a path is lost, and
# they drain: the daemon needs no memory that is only had by writing to its disk.
set -eu
# shellcheck source=Tests/Boot/machine.sh
. "$(dirname "$0")/machine.sh"
lab_begin
memory=320 disk_size=900M
boot_with data
wait_until 40 'both paths' has_sessions 2
first=$(guest 'systemctl show -P MainPID causewayd')
hardened
say "$(guest "awk '/^MemTotal/ { print \$2 }' /proc/meminfo") KiB of memory"
# Nothing is written before it must be, so that all of memory becomes dirty.
check 'the settings' 'sysctl -q vm.dirty_background_ratio=80 vm.dirty_ratio=90 vm.dirty_expire_centisecs=60000'
check 'the pattern' 'head -c 16M /dev/urandom >/run/pattern'
# shellcheck disable=SC2016 # the machine's own shell expands it
guest 'systemd-run --quiet --unit=writer sh -c "for i in \$(seq 40); do cat /run/pattern >/srv/data/\$i || exit 1; done; sync"' \
    >/dev/null
writer_is_over() { ! guest 'systemctl is-active --quiet writer'; }
dirty() { guest "awk '/^Dirty|^Writeback:/ { sum += \$2 } END { print int(sum / 1024) }' /proc/meminfo"; }
most=0
for turn in $(seq 12); do
    now=$(dirty)
    [ "$now" -le "$most" ] || most=$now
    [ "$turn" != 4 ] || check 'a path is lost' 'ip link set eth1 down'
    [ "$turn" != 9 ] || check 'and comes back' 'ip link set eth1 up'
    if [ "$turn" = 4 ] && writer_is_over; then fail 'the writer was too fast to meet a failure'; fi
    sleep 0.5
done
wait_until 400 'the pages drain' writer_is_over
say "up to $most MiB were dirty at once"
[ "$most" -gt 60 ] || fail 'memory was never full of dirty pages'
check 'every write went well' '! systemctl is-failed --quiet writer'
check 'no cache' 'echo 3 >/proc/sys/vm/drop_caches'
# Some of it: such a machine reads slowly.
# shellcheck disable=SC2016
check 'the data' 'for i in 1 14 27 40; do cmp -s /srv/data/$i /run/pattern || exit 1; done' 300
[ "$(guest 'systemctl show -P MainPID causewayd')" = "$first" ] || fail 'the daemon was ended'
! logged 'Out of memory' || fail 'memory ran out'
power_off
[ "$logged_out" = yes ] || fail 'the target was left with sessions'
no_io_error
