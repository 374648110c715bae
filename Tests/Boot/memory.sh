#!/bin/bash
# memory.sh: a machine with little memory dirties three times as many pages of its disk as it has, while a path is lost,
# and they drain: the daemon needs no memory that is only had by writing to its disk.
set -eu
# shellcheck source=Tests/Boot/machine.sh
. "$(dirname "$0")/machine.sh"
lab_begin
memory=320 disk_size=1500M
boot_with data
wait_until 40 'both paths' has_sessions 2
first=$(guest 'systemctl show -P MainPID causewayd')
# PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE (prctl PR_SET_IO_FLUSHER) of every thread, memory that is not paged out, the
# last to be killed.
check 'every thread may write back' \
    "awk '{ sub(/.*\\) /, \"\"); if (int(\$7 / 524288) % 4 != 3) exit 1 }' /proc/$first/task/*/stat"
check 'locked memory' "awk '/^VmLck/ { exit \$2 < 1000 }' /proc/$first/status"
check 'the last to be killed' "[ \$(cat /proc/$first/oom_score_adj) -le -900 ]"
check 'the settings' 'sysctl -q vm.dirty_background_ratio=80 vm.dirty_ratio=90 vm.dirty_expire_centisecs=60000'
check 'the pattern' 'head -c 16M /dev/urandom >/run/pattern'
# shellcheck disable=SC2016 # the machine's own shell expands it
guest 'systemd-run --quiet --unit=writer sh -c "for i in \$(seq 60); do cat /run/pattern >/srv/data/\$i || exit 1; done; sync"' \
    >/dev/null
writer_is_over() { ! guest 'systemctl is-active --quiet writer'; }
sleep 4
! writer_is_over || fail 'the writer was too fast to meet a failure'
check 'a path is lost' 'ip link set eth1 down'
sleep 5
check 'and comes back' 'ip link set eth1 up'
wait_until 240 'the pages drain' writer_is_over
check 'every write went well' '! systemctl is-failed --quiet writer'
check 'no cache' 'echo 3 >/proc/sys/vm/drop_caches'
# shellcheck disable=SC2016
# Some of it: such a machine reads slowly.
check 'the data' 'for i in $(seq 1 9 60); do cmp -s /srv/data/$i /run/pattern || exit 1; done'
[ "$(guest 'systemctl show -P MainPID causewayd')" = "$first" ] || fail 'the daemon was ended'
! logged 'Out of memory' || fail 'memory ran out'
power_off
[ "$logged_out" = yes ] || fail 'the target was left with sessions'
no_io_error
