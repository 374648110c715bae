#!/bin/bash
# lost-target.sh gone | silent: the target vanishes, or says nothing any more, under a file system with data that are
# not written yet, and the machine is shut down within its bound.
set -eu
# shellcheck source=Tests/Boot/machine.sh
. "$(dirname "$0")/machine.sh"
lab_begin
file_system 2
disk mail 2
boot_with data
check 'mounted' 'findmnt -n /srv/data && mkdir -p /mnt/hand && mount /dev/causeway/mail /mnt/hand'
# Somebody who does not end by himself sits on the file system that was mounted by hand.
check 'the sitter' 'systemd-run --quiet --unit=sitter -p DefaultDependencies=no -p WorkingDirectory=/mnt/hand sleep infinity'
check 'data in memory' 'head -c 4000000 /dev/urandom >/srv/data/file; head -c 4000000 /dev/urandom >/mnt/hand/file'
case $1 in
    gone) target_gone ;;
    silent) kill -STOP "$tgtd"; silent=$tgtd tgtd='' ;;
esac
sleep 2
# README: with the target gone, shutdown takes a minute and a half at most.
off_limit=90
power_off
say "off after $off_seconds s"
logged 'Stopped causewayd\.service' || fail 'the daemon was not stopped in order'
