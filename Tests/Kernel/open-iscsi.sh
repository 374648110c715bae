# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets them
# The kernel's initiator with dm-multipath, for comparison. Sourced after lib.sh. Its parts come from Debian packages
# that are unpacked into the throw-away root of User Mode Linux only: nobody wants a multipathd on a machine that did
# not ask for one.

# The folder that `make bench-failover` downloads the packages into.
packages=$repository/.build/open-iscsi

iscsid='' multipathd='' udevd=''

# open_iscsi_up [tuned]: two paths to $iqn; sets `device`.
#
# Both: round-robin over all paths, as Causeway does. Tuned: pings every second, a path that fails is given up after
# one second, paths are checked every second, and I/O is queued while there is none.
open_iscsi_up() {
    local package i setting
    compgen -G "$packages/*.deb" >/dev/null || fail "no packages in $packages; type: make bench-failover"
    for package in "$packages"/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C / --keep-directory-symlink
    done
    ldconfig
    modprobe -a scsi_mod sd_mod sg iscsi_tcp crc32c_generic libcrc32c dm_mod dm_multipath dm_round_robin
    mkdir -p /run/udev /run/lock/iscsi /etc/iscsi/nodes /etc/iscsi/send_targets /etc/iscsi/ifaces
    echo "InitiatorName=$initiator" >/etc/iscsi/initiatorname.iscsi
    /lib/systemd/systemd-udevd >>"$work/udevd.log" 2>&1 &
    udevd=$!
    udevadm trigger --action=add --subsystem-match=block
    iscsid --foreground >>"$work/iscsid.log" 2>&1 &
    iscsid=$!
    sleep 0.5
    for i in 1 2; do
        iscsiadm -m iface -I "if$i" --op=new
        iscsiadm -m iface -I "if$i" --op=update -n iface.net_ifacename -v "p$i"
        iscsiadm -m node -o new -T "$iqn" -p "198.18.$i.1:3260,1" -I "if$i"
        [ -n "${1:-}" ] || continue
        for setting in noop_out_interval noop_out_timeout; do
            iscsiadm -m node -T "$iqn" -p "198.18.$i.1:3260" -I "if$i" -o update \
                -n "node.conn[0].timeo.$setting" -v 1
        done
    done >>"$work/iscsiadm.log"
    iscsiadm -m node -l >>"$work/iscsiadm.log"
    wait_until 20 'both SCSI disks appear' both_disks
    {
        printf 'defaults {\n user_friendly_names yes\n find_multipaths no\n'
        [ -z "${1:-}" ] || printf ' polling_interval 1\n max_polling_interval 1\n'
        # Stronger than what multipathd knows of these targets.
        printf '}\noverrides {\n path_grouping_policy multibus\n path_selector "round-robin 0"\n'
        [ -z "${1:-}" ] || printf ' fast_io_fail_tmo 1\n no_path_retry queue\n'
        printf '}\n'
    } >/etc/multipath.conf
    multipathd -d >>"$work/multipathd.log" 2>&1 &
    multipathd=$!
    device=/dev/mapper/mpatha
    wait_until 20 'the multipath device appears' test -b "$device"
    sleep 1
    multipath -ll
}
both_disks() { [ "$(compgen -G '/sys/block/sd?' | wc -l)" = 2 ]; }

# The machine under it is thrown away: nothing is put in order.
open_iscsi_down() {
    end_process "$multipathd"
    end_process "$iscsid"
    end_process "$udevd"
}
