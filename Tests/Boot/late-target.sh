#!/bin/bash
# late-target.sh: the target comes up only after the machine, which waits for nothing, and mounts by itself then; and so
# it does after the daemon was stopped and the NBD driver loaded anew.
set -eu
# shellcheck source=Tests/Boot/machine.sh
. "$(dirname "$0")/machine.sh"
lab_begin
file_system 1
disk data 1
put /etc/fstab <<end
/dev/causeway/data /srv/data ext4 _netdev,nofail,X-mount.mkdir 0 2
end
power_on eth1
wait_until 180 'the machine is up without its target' logged 'Reached target multi-user.target'
up_within 75
guest 'systemctl show -P StatusText causewayd' | grep -q 'no disks; waiting for data' ||
    fail "status: $(guest 'systemctl show -P StatusText causewayd')"
# A daemon that somebody has stopped is started by the NBD driver's coming.
check 'nothing is left that would start it' 'systemctl stop causewayd && modprobe -r nbd && sleep 3 &&
    ! systemctl is-active --quiet causewayd'
check 'the driver comes' 'modprobe nbd'
wait_until 30 'the driver starts the daemon' guest 'systemctl is-active --quiet causewayd'
sleep 10
from=$SECONDS
target_start
wait_until 60 'the disk is mounted' guest 'findmnt -n /srv/data'
say "mounted $((SECONDS - from)) s after the target came"
wait_until 40 'both paths' has_sessions 2
check 'it holds data' 'echo data >/srv/data/file && sync /srv/data/file'
power_off
[ "$logged_out" = yes ] || fail 'the target was left with sessions'
no_io_error
