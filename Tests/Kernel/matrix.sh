#!/bin/bash
# matrix.sh: LIO with every pair of settings of CHAP, digests, unsolicited data, segments, bursts, IPv4 and IPv6.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/Kernel/combinations.sh
. "$(dirname "$0")/combinations.sh"
lab_begin

# (LIO declares MaxXmitDataSegmentLength as what it can receive.)
target_keys() { lio_parameters "${@/#receives=/MaxXmitDataSegmentLength=}"; }
target_chap() { # WAY
    case $1 in
        none) echo 0 >"$lio_config/iscsi/$iqn/tpgt_1/attrib/authentication" ;;
        one-way) lio_chap host1 "$our_secret" ;;
        mutual) lio_chap host1 "$our_secret" array "$their_secret" ;;
    esac
}

# The first that is offered.
export chap_algorithm=SHA3-256

modprobe -a veth ipv6
links_up
ipv6_up
lio_start file 2
nsenter --net="/run/netns/$FAR" mkdir "$lio_config/iscsi/$iqn/tpgt_1/np/$matrix_portal6"
# shellcheck disable=SC2086  # numbers
matrix LIO $matrix_pairs
