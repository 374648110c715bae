# shellcheck shell=bash
# The lab: two links to a target, faults, the daemon. Sourced by the kernel tests, the integration tests and
# the demo, after `set -eu`. Whoever sources it calls `lab_begin` first; everything started here ends with the
# script.
#
#   near (p1, 198.18.1.2) ───── (t1, 198.18.1.1) far namespace: tgtd or LIO
#   near (p2, 198.18.2.2) ───── (t2, 198.18.2.1)
#
# NEAR is the initiator's network namespace; empty means the current one (the kernel's NBD netlink family lives
# in the first namespace only). 198.18.0.0/15 is set aside for tests by RFC 2544. NEAR_LINK names the near ends
# otherwise, where p1 and p2 may be somebody's own.

# shellcheck disable=SC2034  # used by the scripts that source this file
readonly iqn=iqn.2026-01.example.lab:disk portal1=198.18.1.1:3260 portal2=198.18.2.1:3260
readonly initiator=iqn.2026-01.example.lab:host

repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
# The folder of the executables under test.
binaries=${CAUSEWAY_BIN:-$repository/.build/release}
NEAR=${NEAR:-}
near_link=${NEAR_LINK:-p}
export FAR=${FAR:-far}

# shellcheck source=Tests/script.sh
. "$repository/Tests/script.sh"
# Ends the test as skipped (77, as automake has it); the reason is the last line of its output.
skip() {
    printf '%s\n' "$*"
    exit 77
}

lab_begin() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/causeway-lab.XXXXXX")
    control=$work/io.causeway
    configuration=$work/etc/causeway.toml
    export CAUSEWAY_CONTROL=$control
    daemon='' tgtd='' lio='' namespaces='' links='' wrong=0
    trap lab_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

lab_end() {
    local status=$?
    trap - EXIT INT TERM
    set +e
    case $status in
        0 | 77) ;;
        *) lab_evidence >&2 ;;
    esac
    [ -z "$(type -t test_end)" ] || test_end
    end_process "$daemon"
    tgt_stop
    [ -z "$lio" ] || lio_stop
    local link namespace
    # A namespace takes its links with it, some time later; those of this machine are gone when the script has ended.
    for link in $links; do near ip link delete "$link" 2>/dev/null; done
    for namespace in $namespaces; do ip netns delete "$namespace"; done
    rm -rf "$work"
    exit "$status"
}

# What one wants to see when a test failed.
lab_evidence() {
    local file
    if [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; then
        say '--- causeway list, status'
        CAUSEWAY_PATIENCE=10 causeway list
        CAUSEWAY_PATIENCE=10 causeway list --json |
            jq -r '.. | objects | .name? // empty' | sort -u | while read -r file; do
            CAUSEWAY_PATIENCE=10 causeway status "$file"
        done
    elif [ -n "$daemon" ]; then
        say '--- causewayd is not running any more'
    fi
    for file in "$work"/*.log; do
        [ -s "$file" ] || continue
        say "--- the end of ${file##*/}"
        tail -n 60 "$file"
    done
    if [ -z "$NEAR" ]; then
        say '--- the end of the kernel log'
        dmesg | tail -n 25
    fi
}

# Processes that $1 has started, and that these have.
descendants() {
    local child
    while read -r child; do
        echo "$child"
        descendants "$child"
    done < <(pgrep -P "$1")
}
# A process and those that it has started: a client that does not end by itself is not left to run on.
end_process() {
    [ -n "$1" ] && kill -0 "$1" 2>/dev/null || return 0
    local turn family
    family=$(descendants "$1")
    kill "$1" 2>/dev/null
    for turn in $(seq 50); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
        [ "$turn" != 50 ] || kill -9 "$1" 2>/dev/null
    done
    # shellcheck disable=SC2086
    [ -z "$family" ] || kill -9 $family 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# ---- links

near() { if [ -n "$NEAR" ]; then ip netns exec "$NEAR" "$@"; else "$@"; fi; }
far() { ip netns exec "$FAR" "$@"; }

links_up() {
    local i
    ip netns add "$FAR"
    namespaces="$namespaces $FAR"
    if [ -n "$NEAR" ]; then
        ip netns add "$NEAR"
        namespaces="$namespaces $NEAR"
        near ip link set lo up
    fi
    far ip link set lo up
    # The kernel holds back a change of carrier for up to a second, unless it knows the interface for a virtual one by
    # this: its peer's index is not its own.
    far ip link add spare1 type veth peer name spare2
    far ip link delete spare1
    for i in 1 2; do
        near ip link add "$near_link$i" type veth peer name "t$i" netns "$FAR"
        links="$links $near_link$i"
        near ip address add "198.18.$i.2/24" dev "$near_link$i"
        near ip link set "$near_link$i" up
        far ip address add "198.18.$i.1/24" dev "t$i"
        far ip link set "t$i" up
    done
}

# cut LINK [carrier|silence]: the far end goes down, so that the near end loses its carrier; or every packet
# is dropped in both directions while both ends stay up.
cut() {
    case ${2:-carrier} in
        carrier) far ip link set "t$1" down ;;
        silence)
            near tc qdisc replace dev "$near_link$1" root netem loss 100%
            far tc qdisc replace dev "t$1" root netem loss 100%
            ;;
        *) fail "cut: no such fault: $2" ;;
    esac
}
heal() {
    far ip link set "t$1" up
    near tc qdisc delete dev "$near_link$1" root 2>/dev/null || true
    far tc qdisc delete dev "t$1" root 2>/dev/null || true
}

# connections LINK: how many TCP connections to the target come from that link's near end.
connections() { far ss -Htn state established "dst 198.18.$1.2 and sport = :3260" | wc -l; }
more_connections_than() { [ "$(connections "$1")" -gt "$2" ]; }

# ---- targets: NAME_start, NAME_sessions (prints a number), NAME_stop

tgt_admin() { TGT_IPC_SOCKET=$work/tgtd tgtadm --lld iscsi "$@"; }

# tgt_start [SIZE] [BACKING-STORE-TYPE]: LUN 1 in a file beside the test, or a null LUN. TGT_PRELOAD names a
# library to load into tgtd, TGT_OPTIONS its options.
tgt_start() {
    backing=$work/lun
    backing_type=${2:-rdwr}
    truncate -s "${1:-512M}" "$backing"
    tgt_back
}
# tgt_away, tgt_back: the target ends, as a machine that lost its power; and starts again.
tgt_away() { tgt_stop; }
tgt_back() {
    tgt_launch
    tgt_admin --op new --mode target --tid 1 --targetname "$iqn"
    tgt_admin --op new --mode logicalunit --tid 1 --lun 1 --backing-store "$backing" --bstype "$backing_type"
    tgt_admin --op update --mode logicalunit --tid 1 --lun 1 --params thin_provisioning=1
    tgt_admin --op bind --mode target --tid 1 --initiator-address ALL
}
tgt_launch() {
    rm -f "$work"/tgtd.*
    # shellcheck disable=SC2086
    TGT_IPC_SOCKET=$work/tgtd LD_PRELOAD=${TGT_PRELOAD:-} \
        ip netns exec "$FAR" tgtd --foreground ${TGT_OPTIONS:-} >>"$work/target.log" 2>&1 &
    tgtd=$!
    wait_until 10 'tgtd answers' tgt_answers
}
# tgt_chap USER SECRET [TARGET-USER TARGET-SECRET]: CHAP from now on, mutual with four words.
tgt_chap() {
    tgt_admin --op new --mode account --user "$1" --password "$2"
    tgt_admin --op bind --mode account --tid 1 --user "$1"
    [ $# = 4 ] || return 0
    tgt_admin --op new --mode account --user "$3" --password "$4"
    tgt_admin --op bind --mode account --tid 1 --user "$3" --outgoing
}
# The same for discovery sessions; the accounts have to exist.
tgt_chap_discovery() { # USER [TARGET-USER]
    tgt_admin --op bind --mode account --user "$1"
    [ $# = 1 ] || tgt_admin --op bind --mode account --user "$2" --outgoing
}
tgt_answers() { tgt_admin --op show --mode sys >/dev/null 2>&1; }
tgt_sessions() { tgt_admin --op show --mode conn --tid 1 | grep -c '^Session:' || true; }
tgt_stop() { # at once, as a machine that lost its power: SIGTERM does not end a tgtd that has targets
    [ -z "$tgtd" ] || kill -9 "$tgtd" 2>/dev/null || true
    wait "$tgtd" 2>/dev/null || true
    tgtd=''
}

lio_config=/sys/kernel/config/target

# lio_start [file|memory|block:DEVICE] [SIZE in MiB]: LUN 1 of one portal group with both portals.
lio_start() {
    local kind=${1:-file} size=${2:-512} store group setting
    modprobe configfs
    mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
    mkdir -p /etc/target/pr /etc/target/alua /var/target/alua /var/target/pr
    modprobe -a target_core_mod target_core_file target_core_iblock iscsi_target_mod
    mkdir -p "$lio_config/iscsi"
    lio=$kind
    case $kind in
        file)
            backing=$work/lun
            truncate -s "${size}M" "$backing"
            store=$lio_config/core/fileio_0/disk
            mkdir -p "$store"
            echo "fd_dev_name=$backing,fd_dev_size=$((size << 20)),fd_buffered_io=1" >"$store/control"
            ;;
        memory)
            store=$lio_config/core/rd_mcp_0/disk
            mkdir -p "$store"
            echo "rd_pages=$((size << 8))" >"$store/control"
            ;;
        block:*)
            store=$lio_config/core/iblock_0/disk
            mkdir -p "$store"
            echo "udev_path=${kind#block:}" >"$store/control"
            ;;
    esac
    echo causeway-lab >"$store/wwn/vpd_unit_serial"
    echo 1 >"$store/enable"
    if [ "$kind" = file ]; then
        echo 1 >"$store/attrib/emulate_tpu"
        echo 1 >"$store/attrib/emulate_tpws"
    fi

    group=$lio_config/iscsi/$iqn/tpgt_1
    mkdir -p "$group/lun/lun_1"
    ln -s "$store" "$group/lun/lun_1/store"
    for setting in authentication=0 generate_node_acls=1 demo_mode_write_protect=0 cache_dynamic_acls=1; do
        echo "${setting#*=}" >"$group/attrib/${setting%=*}"
    done
    lio_back
}
# lio_away, lio_back: the portal group closes its sessions and its portals; and opens them again.
lio_away() {
    local group=$lio_config/iscsi/$iqn/tpgt_1
    echo 0 >"$group/enable"
    rmdir "$group"/np/*
}
lio_back() {
    local group=$lio_config/iscsi/$iqn/tpgt_1 portal
    # LIO listens in the namespace of the process that makes the portal.
    for portal in "$portal1" "$portal2"; do
        nsenter --net="/run/netns/$FAR" mkdir "$group/np/$portal"
    done
    echo 1 >"$group/enable"
}
# lio_parameters KEY=VALUE…: what LIO wants of the sessions from now on.
lio_parameters() {
    local setting
    for setting; do echo "${setting#*=}" >"$lio_config/iscsi/$iqn/tpgt_1/param/${setting%%=*}"; done
}
# lio_chap USER SECRET [TARGET-USER TARGET-SECRET]: CHAP from now on, for discovery too, mutual with four words.
lio_chap() {
    local auth
    for auth in "$lio_config/iscsi/$iqn/tpgt_1/auth" "$lio_config/iscsi/discovery_auth"; do
        printf '%s' "$1" >"$auth/userid"
        printf '%s' "$2" >"$auth/password"
        printf '%s' "${3:-NULL}" >"$auth/userid_mutual"
        printf '%s' "${4:-NULL}" >"$auth/password_mutual"
    done
    echo 1 >"$lio_config/iscsi/$iqn/tpgt_1/attrib/authentication"
    echo 1 >"$lio_config/iscsi/discovery_auth/enforce_discovery_auth"
}
lio_sessions() { cat "$lio_config/iscsi/$iqn/fabric_statistics/iscsi_instance/sessions"; }
lio_stop() {
    local target=$lio_config/iscsi/$iqn
    local group=$target/tpgt_1
    echo 0 >"$group/enable"
    rmdir "$group"/np/*
    rm "$group/lun/lun_1/store"
    rmdir "$group/lun/lun_1" "$group" "$target" "$lio_config"/core/*/disk
    lio=''
}

no_sessions() { [ "$("${1}_sessions")" = 0 ]; }

# ---- the daemon

causeway() { near timeout "${CAUSEWAY_PATIENCE:-90}" "$binaries/causeway" "$@"; }

# daemon_start [OPTION…]. DAEMON_UNDER names a program that starts it, in the place of a service manager.
daemon_start() {
    [ -x "$binaries/causewayd" ] || fail "there is no $binaries/causewayd; type: make"
    mkdir -p "$work/state"
    # Not through `near`: a function in the background is a shell, and the daemon would be its child.
    ${NEAR:+ip netns exec "$NEAR"} ${DAEMON_UNDER:+"$DAEMON_UNDER"} "$binaries/causewayd" --control "$control" --state-dir "$work/state" \
        --data-dir "$work/data" --config "$configuration" --initiator-name "$initiator" --log-level "${CAUSEWAY_LOG_LEVEL:-debug}" "$@" >>"$work/causewayd.log" 2>&1 &
    daemon=$!
    wait_until "${DAEMON_START_SECONDS:-30}" 'causewayd listens on its control socket' daemon_ready
}
daemon_ready() {
    kill -0 "$daemon" 2>/dev/null || fail 'causewayd ended at once'
    [ -S "$control" ] && causeway list >/dev/null 2>&1
}
daemon_stop() {
    end_process "$daemon"
    daemon=''
}

# attach NAME [OPTION…]: over both links; sets `device`; returns when both links carry I/O.
attach() {
    local name=$1
    shift
    causeway attach "$name" --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 \
        --lun 1 --json "$@" >"$work/attach.json" || fail "attach $name did not succeed"
    device=$(jq -r 'first(.. | objects | .device? // empty)' "$work/attach.json")
    wait_until 20 "$name has an active path over p1" path_active "$name" p1
    wait_until 20 "$name has an active path over p2" path_active "$name" p2
}
# secret NAME TEXT: a file that only root can read; prints its path.
secret() {
    (umask 077 && printf '%s\n' "$2" >"$work/$1.secret")
    say "$work/$1.secret"
}
# no_trace_of SECRET…: none is in what the daemon, its client and the test have written, nor in their arguments.
no_trace_of() {
    local text
    causeway status disk1 >"$work/status.log" 2>&1 || true
    causeway list --json >>"$work/status.log" 2>&1 || true
    tr '\0' ' ' <"/proc/$daemon/cmdline" >>"$work/status.log"
    tr '\0' ' ' <"/proc/$daemon/environ" >>"$work/status.log"
    for text; do
        ! grep -F -- "$text" "$work/causewayd.log" "$work/status.log" "$work/said" "$work/attach.json" 2>/dev/null ||
            fail 'a secret shows'
    done
}
# path_active NAME INTERFACE: a path over it carries I/O.
path_active() {
    # (Of no input at all, jq 1.6 says yes.)
    causeway status "$1" --json | jq -e --slurp --arg interface "$2" \
        'any(.. | objects | select(.interface? == $interface); .state == "active")' >/dev/null
}
path_lost() { ! path_active "$@"; }

# Devices that the kernel's NBD driver has connected.
nbd_devices() {
    local pid
    for pid in /sys/block/nbd*/pid; do
        [ -e "$pid" ] || continue
        pid=${pid%/pid}
        say "${pid##*/}"
    done
}
# After a detach nothing is on record any more.
no_records() {
    local left
    left=$(find "$work/state/disks" "$work/state/sessions" -type f)
    [ -z "$left" ] || fail "detach left records: $left"
}
no_nbd_devices() { [ -z "$(nbd_devices)" ]; }

# ---- what people get wrong

# refused WHAT PATTERN… -- COMMAND…: COMMAND must fail by itself (no crash, no time limit) and every PATTERN must
# be in what it says. A failure is noted, and the test goes on.
refused() {
    local what=$1 status=0 patterns=() pattern message=''
    shift
    while [ "$1" != -- ]; do
        patterns+=("$1")
        shift
    done
    shift
    "$@" >"$work/said" 2>&1 </dev/null || status=$?
    if [ $status = 0 ]; then
        message='it succeeded'
    elif [ $status -ge 124 ]; then
        message="exit status $status"
    fi
    for pattern in "${patterns[@]}"; do
        grep -qiE -e "$pattern" "$work/said" || message="$message; nothing about /$pattern/"
    done
    if [ -n "$message" ]; then
        say "WRONG $what: ${message#; }. It said:"
        sed 's/^/    /' "$work/said"
        wrong=$((wrong + 1))
    else
        say "right $what: $(head -n 1 "$work/said")"
    fi
}
