# shellcheck shell=bash
# A machine that boots, and a target on the other side of its two networks. Sourced by the tests of this folder, after
# `set -eu`. Whoever sources it calls `lab_begin` first; all that is started here ends with the script, by its process
# id.
#
#   machine eth0 10.0.1.15 ── 10.0.1.2 ┐
#                                      ├─ the outside's 127.0.0.1: tgtd
#   machine eth1 10.0.2.15 ── 10.0.2.2 ┘
#
# The networks are QEMU's own (user mode): nothing is set up on the machine that the test runs on. eth1 is plugged in
# by the tests that want it from the start, too.

# shellcheck disable=SC2034  # used by the scripts that source this file
readonly iqn=iqn.2026-01.example.boot:array
: "${BOOT_IMAGE:?the folder that Tests/Boot/image made}"

# shellcheck source=Tests/script.sh
. "$(dirname "${BASH_SOURCE[0]}")/../script.sh"

lab_begin() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/causeway-boot.XXXXXX")
    tgtd='' silent='' qemu='' commands=0 runs=0
    trap lab_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    cp --reflink=auto --sparse=always "$BOOT_IMAGE/root.ext4" "$work/root.ext4"
    port=$(free_port)
    silent_port=$(free_port)
    mkfifo "$work"/{agent,monitor}.{in,out}
    exec {to_agent}<>"$work/agent.in" {from_agent}<>"$work/agent.out" {to_monitor}<>"$work/monitor.in"
}

lab_end() {
    local status=$? log
    trap - EXIT INT TERM
    set +e
    if [ "$status" != 0 ]; then
        for log in "$work"/*.log; do
            [ -s "$log" ] || continue
            say "--- the end of ${log##*/}"
            tail -n 120 "$log" | tr -d '\r'
        done >&2
    fi
    [ -z "${BOOT_KEEP:-}" ] || cp "$work"/*.log "$BOOT_KEEP/"
    for process in $qemu $tgtd $silent; do kill -KILL "$process" 2>/dev/null; done
    wait
    rm -rf "$work"
    exit "$status"
}

# A port that nobody listens on, from a range that the kernel gives to nobody by itself.
free_port() {
    local candidate
    while :; do
        candidate=$((20000 + RANDOM % 10000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null && [ "$candidate" != "${port:-}" ]; then
            echo "$candidate"
            return
        fi
    done
}

# ---- the target

tgt() { TGT_IPC_SOCKET=$work/tgtd tgtadm --lld iscsi "$@"; }

# lun NUMBER SIZE: its file; what is in it is the test's affair.
lun() {
    truncate -s "$2" "$work/lun$1"
    luns="${luns:-} $1"
}

# file_system NUMBER [SIZE]: a LUN with an ext4.
file_system() {
    lun "$1" "${2:-64M}"
    mkfs.ext4 -q -F "$work/lun$1"
}

target_start() {
    local number
    rm -f "$work"/tgtd.*
    TGT_IPC_SOCKET=$work/tgtd tgtd --foreground --iscsi "portal=127.0.0.1:$port" >>"$work/target.log" 2>&1 &
    tgtd=$!
    wait_until 10 'tgtd answers' tgt_answers
    tgt --op new --mode target --tid 1 --targetname "$iqn"
    for number in $luns; do
        tgt --op new --mode logicalunit --tid 1 --lun "$number" --backing-store "$work/lun$number"
    done
    tgt --op bind --mode target --tid 1 --initiator-address ALL
}
tgt_answers() { tgt --op show --mode sys >/dev/null 2>&1; }

# At once, as a machine that lost its power.
target_gone() {
    kill -KILL "$tgtd"
    wait "$tgtd" 2>/dev/null || true
    tgtd=''
}

# How many sessions the target has.
sessions() { tgt --op show --mode target | grep -c 'I_T nexus:' || true; }
has_sessions() { [ "$(sessions)" = "$1" ]; }

# A portal that takes connections, as the kernel does it for a stopped process, and never says a word.
silent_portal() {
    TGT_IPC_SOCKET=$work/silent tgtd --foreground --iscsi "portal=127.0.0.1:$silent_port" >/dev/null 2>&1 &
    silent=$!
    wait_until 10 'the silent portal listens' listens "$silent_port"
    kill -STOP "$silent"
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ---- the machine

# put PATH: standard input becomes a file of the machine, while it is off.
put() {
    cat >"$work/put"
    debugfs -w -R "rm $1" "$work/root.ext4" >/dev/null 2>&1
    debugfs -w -R "write $work/put $1" "$work/root.ext4" >/dev/null 2>&1
}

# disk NAME LUN [PORTAL…]: its file, for a machine that is off; over eth0 and eth1, to both portals and those named.
disk() {
    local name=$1 lun=$2 portal portals="\"10.0.1.2:$port\", \"10.0.2.2:$port\""
    shift 2
    for portal; do portals="$portals, \"$portal\""; done
    printf 'target = "%s"\nportals = [%s]\nbind = ["eth0", "eth1"]\nlun = %d\n' "$iqn" "$portals" "$lun" |
        put "/etc/causeway/disks/$name.toml"
}

# boot_with NAME…: the machine is up, over both networks, with a disk for each name: LUN 1 and so on, an ext4 on it that
# /etc/fstab has in /srv/NAME.
boot_with() {
    local name number=0 entries=''
    for name; do
        number=$((number + 1))
        file_system "$number" "${disk_size:-64M}"
        disk "$name" "$number"
        entries+="/dev/causeway/$name /srv/$name ext4 _netdev,X-mount.mkdir 0 2"$'\n'
    done
    put /etc/fstab <<<"$entries"
    target_start
    power_on eth1
    wait_until 180 'the machine is up' logged 'Reached target multi-user.target'
}

network() { printf 'user,id=net%d,ipv6=off,net=10.0.%d.0/24,host=10.0.%d.2' "$1" $(($1 + 1)) $(($1 + 1)); }

# power_on [eth1]: with the second network from the start, or without.
power_on() {
    local more=()
    runs=$((runs + 1))
    [ "${1:-}" != eth1 ] || more=(-netdev "$(network 1)" -device 'virtio-net-pci,netdev=net1,id=eth1,addr=9')
    started=$(date +%s.%N)
    qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -M pc -accel tcg,thread=multi \
        -cpu qemu64,+rdrand -smp 2 -m "${memory:-768}" -kernel "$BOOT_IMAGE/vmlinux" -initrd "$BOOT_IMAGE/initrd" \
        -append 'console=ttyS0 panic=-1 mitigations=off quiet net.ifnames=0 systemd.show_status=0' \
        -chardev "file,id=console,path=$work/console$runs.log" -serial chardev:console \
        -device virtio-serial-pci -chardev "file,id=journal,path=$work/journal$runs.log" \
        -device virtconsole,chardev=journal \
        -chardev "pipe,id=agent,path=$work/agent" -device virtserialport,chardev=agent,name=lab \
        -chardev "pipe,id=monitor,path=$work/monitor" -mon chardev=monitor \
        -drive "if=none,id=root,file=$work/root.ext4,format=raw,cache=unsafe" -device virtio-blk-pci,drive=root \
        -netdev "$(network 0)" -device virtio-net-pci,netdev=net0,id=eth0,addr=8 "${more[@]}" \
        >"$work/qemu.log" 2>&1 &
    qemu=$!
    journal=$work/journal$runs.log
    guest true 180 || fail 'the machine has not come up'
}

# guest COMMAND [SECONDS]: in the machine; prints what it prints, and has its status.
guest() {
    local line number status answer='' command=${1//$'\\\n'/ }
    commands=$((commands + 1))
    # One line each.
    printf '%d %s\n' "$commands" "${command//$'\n'/ }" >&"$to_agent"
    local end=$((SECONDS + ${2:-120}))
    while [ "$SECONDS" -lt "$end" ]; do
        if IFS= read -r -t 1 line <&"$from_agent"; then
            if [[ $line =~ ^end\ ([0-9]+)\ ([0-9]+)$ ]]; then
                number=${BASH_REMATCH[1]} status=${BASH_REMATCH[2]}
                # An answer that came too late for its question.
                if [ "$number" != "$commands" ]; then
                    answer=''
                    continue
                fi
                [ -z "${answer//$'\n'/}" ] || printf '%s' "$answer"
                return "$status"
            fi
            answer+=$line$'\n'
        fi
        kill -0 "$qemu" 2>/dev/null || fail "the machine ended during: $1"
    done
    fail "the machine does not answer: $1"
}

# check WHAT COMMAND [SECONDS]: in the machine, or the test fails.
check() {
    local answer
    answer=$(guest "$2" "${3:-120}") || fail "$1: $answer"
}

monitor() { printf '%s\n' "$1" >&"$to_monitor"; }

plug_eth1() {
    monitor "netdev_add $(network 1)"
    monitor 'device_add virtio-net-pci,netdev=net1,id=eth1,addr=9'
}

# power_off [reboot]: as an administrator does it. Afterwards `off_seconds` is how long it took, and `logged_out` says
# whether the target's last session was ended while there still was a machine.
power_off() {
    local from
    from=$(date +%s%N)
    logged_out=no
    guest "systemctl --no-block ${1:-poweroff}" >/dev/null
    wait_until "${off_limit:-120}" 'the machine is off' machine_is_off
    off_seconds=$((($(date +%s%N) - from) / 1000000000))
    qemu=''
    # In order, and not because it fell over.
    logged "Reached target ${1:-poweroff}\.target" || fail 'the machine was not shut down in order'
    ! tr -d '\r' <"$work/console$runs.log" | grep -q 'Kernel panic' || fail 'the kernel fell over'
}
# up_within SECONDS: the machine was up so soon after its kernel's start: it waited for nobody.
up_within() {
    local seconds
    seconds=$(logged_at 'Reached target multi-user.target')
    say "up after $seconds s"
    [ "${seconds%.*}" -lt "$1" ] || fail "up only after $seconds s"
}
machine_is_off() {
    [ -z "$tgtd" ] || ! has_sessions 0 || ! kill -0 "$qemu" 2>/dev/null || logged_out=yes
    ! kill -0 "$qemu" 2>/dev/null
}

# What the journal said, in the order of time: logged TEXT, and its second since the kernel's start.
logged() { tr -d '\r' <"$journal" | grep -qE -- "$1"; }
logged_at() { tr -d '\r' <"$journal" | grep -E -- "$1" | sed -nE '1s/^\[ *([0-9]+)\.([0-9]+)\].*/\1.\2/p'; }
# before A B: both were logged, and A first.
before() {
    local a b
    a=$(tr -d '\r' <"$journal" | grep -nE -- "$1" | tail -n 1 | cut -d : -f 1)
    b=$(tr -d '\r' <"$journal" | grep -nE -- "$2" | tail -n 1 | cut -d : -f 1)
    [ "${a:-999999}" -lt "${b:-0}" ] || fail "the journal does not have '$1' before '$2'"
}
no_io_error() {
    ! tr -d '\r' <"$journal" | grep -E 'I/O error|EXT4-fs error|EXT4-fs warning|Buffer I/O|Remounting filesystem read-only' ||
        fail 'an I/O error'
}

# hardened: the running daemon has what keeps it alive under its own disks, and nothing that it does not need.
hardened() {
    local process
    process=/proc/$(guest 'systemctl show -P MainPID causewayd')
    # PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE (prctl PR_SET_IO_FLUSHER) of every thread.
    check 'every thread may write back' \
        "awk '{ sub(/.*\\) /, \"\"); if (int(\$7 / 524288) % 4 != 3) exit 1 }' $process/task/*/stat"
    # Pages as they are used, so fewer than are mapped: none that is in memory is left unlocked.
    check 'locked memory' "awk '/^VmLck/ { locked = \$2 } /^VmRSS/ { resident = \$2 }
        END { exit !(locked >= resident && resident > 1000) }' $process/status"
    check 'the last to be killed' "[ \$(cat $process/oom_score_adj) = -1000 ]"
    check 'the limits' "grep -q '^Max locked memory  *unlimited  *unlimited' $process/limits &&
        awk '/^Max open files/ { exit !(\$4 >= 65536) }' $process/limits"
    # causewayd.service: CapabilityBoundingSet=, NoNewPrivileges=, SystemCallFilter=.
    check 'capabilities' "awk '/^Cap(Prm|Eff|Bnd)/ { right += \$2 == \"0000000001287005\" }
        /^Cap(Inh|Amb)/ { right += \$2 ~ /^0+\$/ } END { exit right != 5 }' $process/status"
    check 'no new privileges' "grep -qE '^NoNewPrivs:\\s1\$' $process/status"
    check 'a filter of system calls' "grep -qE '^Seccomp:\\s2\$' $process/status"
    # ProtectSystem=, ProtectHome=, ProtectKernelTunables=, ReadWritePaths=: as the daemon sees the machine.
    local enter="nsenter -t ${process#/proc/} -m" folder
    for folder in /usr /etc /var /home /root; do
        check "$folder is read-only" "$enter touch $folder/new 2>&1 | grep -q 'Read-only file system'"
    done
    check 'tunables are, too' "$enter sh -c 'echo 0 >/proc/sys/kernel/sysrq' 2>&1 | grep -q 'Read-only file system'"
    for folder in /etc/causeway /run/causeway; do
        check "$folder is not" "$enter sh -c 'touch $folder/.new && rm $folder/.new'"
    done
}

# ---- what is under load

# load_start FOLDER…: files are written in the machine, each flushed, until load_end; their sums are kept outside of
# the disk.
load_start() {
    guest 'mkdir -p /run/load' >/dev/null
    local folder
    for folder; do
        guest "systemd-run --quiet --unit=load-$(basename "$folder") -p DefaultDependencies=no /usr/local/sbin/load $folder" >/dev/null
    done
}
# load_end FOLDER…: every write was answered without an error, and what was written is there when it is read from the
# target. The longest that a file took goes to standard output.
load_end() {
    local folder
    guest 'rm -rf /run/load' >/dev/null
    for folder; do
        wait_until 60 "the load on $folder ends" load_is_over "$folder"
        check "the load on $folder" "! systemctl is-failed --quiet load-$(basename "$folder")"
        check 'no cache' 'sync; echo 3 >/proc/sys/vm/drop_caches'
        check "the sums of $folder" "cd $folder && sha256sum --quiet -c /run/sums-$(basename "$folder")"
        say "$folder: $(guest "cat /run/longest-$(basename "$folder")")"
    done
}
load_is_over() { ! guest "systemctl is-active --quiet load-$(basename "$1")"; }
