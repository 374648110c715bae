#!/bin/bash
# many-disks.sh: with 64 disks of one target, two paths each, the time to fail over and the number of sessions are those
# of one disk: failover.sh with its bounds. Prints what 64 disks cost.
DISKS=64 exec "$(dirname "$(realpath "$0")")/failover.sh" tgt test 1 silence
