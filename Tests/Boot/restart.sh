#!/bin/bash
# restart.sh restart | kill | stuck | lost: the daemon is restarted, killed, or stopped so that the watchdog ends it,
# while two file systems are written to; or restarted while the target is away. No write fails, and all that was written
# is there.
set -eu
# shellcheck source=Tests/Boot/machine.sh
. "$(dirname "$0")/machine.sh"
lab_begin
boot_with data mail
wait_until 40 'both paths' has_sessions 2
load_start /srv/data /srv/mail
sleep 3
daemon() { guest 'systemctl show -P MainPID causewayd'; }
is_another() { [ "$(daemon)" != "$first" ] && [ "$(daemon)" != 0 ]; }
for _ in 1 2; do
    first=$(daemon)
    case $1 in
        restart) check 'the restart' 'systemctl restart causewayd' ;;
        kill) check 'the kill' "kill -KILL $first" ;;
        lost)
            target_gone
            # It neither waits for the target for ever, nor fails to start without it.
            check 'the restart' 'systemctl restart causewayd' 150
            check 'active' 'systemctl is-active --quiet causewayd'
            target_start
            ;;
        stuck)
            # The manager waits WatchdogSec= for a sign of life.
            check 'the stop' "kill -STOP $first"
            wait_until 60 'the watchdog ends it' logged "causewayd.service: Watchdog timeout"
            ;;
    esac
    wait_until 60 'another daemon' is_another
    wait_until 60 'its status' guest 'systemctl show -P StatusText causewayd | grep -q "^2 disks: data 2/2 paths, mail 2/2 paths"'
    # The others take their time.
    [ "$1" = restart ] || [ "$1" = kill ] || break
    sleep 5
done
check 'the names' 'test -b /dev/causeway/data && test -b /dev/causeway/mail'
# The kernel noticed nothing of a planned restart: systemd kept the sockets.
if [ "$1" = restart ]; then
    for name in data mail; do
        count=$(tr -d '\r' <"$journal" | grep -c "$name: took over /dev/nbd" || true)
        [ "$count" = 2 ] || fail "$name was taken over $count times without the kernel's notice, not twice"
    done
fi
load_end /srv/data /srv/mail
has_sessions 2 || fail "the target has $(sessions) sessions, not 2"
check 'mounted all the time' 'findmnt -n /srv/data && findmnt -n /srv/mail'
! logged 'Unmounted srv-' || fail 'a file system was unmounted'
power_off
say "off after $off_seconds s"
[ "$logged_out" = yes ] || fail 'the target was left with sessions'
no_io_error
