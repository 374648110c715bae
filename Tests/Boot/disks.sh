#!/bin/bash
# disks.sh: a machine boots with its disks although a portal is dead and an interface comes only later; file systems,
# LVM and an encrypted volume on them are there again after a reboot; shutting down logs out.
set -eu
# shellcheck source=Tests/Boot/machine.sh
. "$(dirname "$0")/machine.sh"
lab_begin

naa=60000000000000000e00000000010002
file_system 1 96M
file_system 2 96M
lun 3 200M
printf 'label: gpt\n,48M\n,64M\n,40M\n,40M\n,\n' | sfdisk -q "$work/lun3"
target_start
silent_portal
disk data 1 "10.0.1.2:$silent_port"
disk mail 2 '10.0.2.2:9'
disk vault 3
put /etc/fstab <<end
/dev/causeway/data /srv/data ext4 _netdev,X-mount.mkdir 0 2
/dev/disk/by-id/scsi-3$naa /srv/mail ext4 _netdev,X-mount.mkdir 0 2
end

# What systemd takes for local is unmounted before its disk goes.
unmounted_by_hand() {
    local mounted
    for mounted in mnt-hand 'mnt-by.x20hand' mnt-secret; do before "Unmounted $mounted.mount" 'vault: detached'; done
    ! logged 'vault .* is in use' || fail 'the disk was taken away by force'
}

# ---- the first boot: one portal is dead, eth1 is not there

power_on
guest 'systemctl is-system-running --wait' 240 >/dev/null || true
[ "$(guest 'systemctl is-system-running')" = running ] ||
    fail "the machine is $(guest 'systemctl is-system-running; systemctl --failed --no-legend')"
up_within 75
for name in data mail; do check "/srv/$name is mounted" "findmnt -n /srv/$name"; done
before 'Found device dev-causeway-data.device' 'Mounted srv-data.mount'
before 'Mounted srv-data.mount' 'Reached target remote-fs.target'
before 'Mounted srv-mail.mount' 'Reached target remote-fs.target'
[ "$(guest 'stat -c %G /run/causeway/io.causeway')" = causeway ] || fail 'the control socket is not of the group'

# Names.
device=$(guest 'readlink -f /dev/causeway/mail')
for link in disk/by-id/wwn-0x$naa disk/by-id/scsi-3$naa "disk/by-path/ip-10.0.1.2:$port-iscsi-$iqn-lun-2"; do
    [ "$(guest "readlink -f /dev/$link")" = "$device" ] || fail "/dev/$link is not $device"
done
check 'the properties' "udevadm info --query=property $device | grep -qx ID_SERIAL=3$naa &&
    udevadm info --query=property $device | grep -qx ID_VENDOR=IET"
check 'partitions have names' 'test -b /dev/causeway/vault-part3 && test -b /dev/disk/by-id/wwn-0x*0003-part1'
[ "$(guest 'udevadm info --query=property --property=SYSTEMD_READY --value /dev/causeway/data')" != 0 ] || fail 'not ready'

# The service: what it says, that nothing of the sandbox is in its way, what that leaves.
guest 'systemctl show -P StatusText causewayd' | grep -q '3 disks: data 1/3 paths' ||
    fail "status: $(guest 'systemctl show -P StatusText causewayd')"
! logged 'causewayd.*(not permitted|Permission denied|EPERM|EACCES|EROFS)' || fail 'the sandbox is in the way'
check 'the units' 'cd /lib/systemd/system && systemd-analyze verify --man=no causewayd.service causeway.target \
    causeway-shutdown.service causeway-release.service causeway@data.service'
say "exposure: $(guest 'systemd-analyze security --no-pager causewayd | tail -n 1' | grep -oE '[0-9]+\.[0-9]+')"
hardened
check 'attach --persist writes, detach --forget removes' "causeway detach vault --forget &&
    test ! -e /etc/causeway/disks/vault.toml &&
    causeway attach vault --target $iqn --lun 3 --portal 10.0.1.2:$port 10.0.2.2:$port --bind eth0 --bind eth1 \
        --wait-for-interfaces --persist && test -e /etc/causeway/disks/vault.toml"

# Who is not root gets at nothing; a member of the group sees what there is, and changes nothing.
check 'a user is refused' '! setpriv --reuid 65534 --regid 65534 --clear-groups causeway list &&
    ! setpriv --reuid 65534 --regid 65534 --clear-groups head -c 512 /dev/causeway/mail'
guest 'setpriv --reuid 65534 --regid causeway --clear-groups causeway list --names' | grep -qx mail ||
    fail 'a member of the group sees nothing'
guest 'setpriv --reuid 65534 --regid causeway --clear-groups causeway detach vault' >"$work/refused.log" &&
    fail 'a member of the group has detached a disk'
grep -qi 'root' "$work/refused.log" || fail "not explained: $(cat "$work/refused.log")"
check 'the disk is there' 'test -b /dev/causeway/vault && causeway list --names | grep -qx vault'

# Who uses a disk is said once, although every service in a sandbox sees the mount.
guest 'causeway detach data' >"$work/refused.log" && fail 'a mounted disk was detached'
grep -q 'mounted on /srv/data' "$work/refused.log" || fail "not explained: $(cat "$work/refused.log")"
[ "$(grep -o 'mounted on /srv/data' "$work/refused.log" | wc -l)" = 1 ] || fail "more than once: $(cat "$work/refused.log")"

# eth1 appears: the daemon, which somebody has stopped, is started by that, and takes its disks back.
has_sessions 1 || fail "the target has $(sessions) sessions, not 1"
check 'the daemon stops' 'systemctl stop causewayd'
wait_until 10 'it has logged out' has_sessions 0
plug_eth1
wait_until 60 'the interface starts the daemon' guest 'systemctl is-active --quiet causewayd'
wait_until 60 'the target sees the second path' has_sessions 2
wait_until 40 'the second path carries I/O' guest 'causeway status data | grep -q "eth1 .* active"'

# Links vanish at detach, and come back.
check 'detach' 'causeway detach vault && udevadm settle && test ! -e /dev/causeway/vault && test ! -e /dev/causeway/vault-part1 &&
    test ! -e /dev/disk/by-id/wwn-0x*0003'
check 'its unit attaches it' 'systemctl restart causeway@vault && udevadm settle && test -b /dev/causeway/vault-part3'

# A file system mounted by hand, without _netdev, a volume group and an encrypted volume.
check 'mkfs' 'mkfs.ext4 -q /dev/causeway/vault-part1 && mkdir -p /mnt/hand && mount /dev/causeway/vault-part1 /mnt/hand'
check 'LVM' 'pvcreate -q /dev/causeway/vault-part2 && vgcreate -q lab /dev/causeway/vault-part2 &&
    lvcreate -q -y -n home -l 50%FREE lab && mkfs.ext4 -q /dev/lab/home &&
    lvcreate -q -y -n hand -l 100%FREE lab && mkfs.ext4 -q /dev/lab/hand && mkdir "/mnt/by hand" && mount /dev/lab/hand "/mnt/by hand"'
check 'LUKS' 'head -c 32 /dev/urandom >/etc/secret.key && chmod 600 /etc/secret.key &&
    cryptsetup -q luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/causeway/vault-part3 /etc/secret.key &&
    cryptsetup open --key-file /etc/secret.key /dev/causeway/vault-part3 secret && mkfs.ext4 -q /dev/mapper/secret' 120
check 'LUKS by hand' 'cryptsetup -q luksFormat --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/causeway/vault-part4 /etc/secret.key &&
    cryptsetup open --key-file /etc/secret.key /dev/causeway/vault-part4 hand && mkfs.ext4 -q /dev/mapper/hand &&
    mkdir /mnt/secret && mount /dev/mapper/hand /mnt/secret' 120
check 'swap' 'mkswap -q /dev/causeway/vault-part5 && swapon /dev/causeway/vault-part5'
check 'entries for the next boot' 'mkdir -p /srv/home /srv/secret &&
    echo "/dev/lab/home /srv/home ext4 _netdev 0 2" >>/etc/fstab &&
    echo "/dev/mapper/secret /srv/secret ext4 _netdev 0 2" >>/etc/fstab &&
    echo "secret /dev/causeway/vault-part3 /etc/secret.key luks,_netdev" >>/etc/crypttab &&
    mount /dev/lab/home /srv/home && mount /dev/mapper/secret /srv/secret'
# shellcheck disable=SC2016  # expanded in the machine
check 'files' 'for folder in /srv/data /srv/mail /srv/home /srv/secret /mnt/hand "/mnt/by hand" /mnt/secret; do
    head -c 3000000 /dev/urandom >"$folder/file" && sha256sum "$folder/file" >>/opt/sums || exit; done'

# ---- reboot, and the next time without LVM's own service that closes what is on disks

check 'another shutdown' 'systemctl disable -q blk-availability'
power_off reboot
say "off after $off_seconds s"
[ "$logged_out" = yes ] || fail 'the target was left with sessions'
! logged 'ordering cycle' || fail 'systemd had to break a cycle'
unmounted_by_hand
before 'Deactivated swap' 'vault: detached'
before 'Unmounted srv-data.mount' 'data: detached'
before 'vault: detached' 'causewayd.*stopping on SIGTERM'
before 'Stopped causewayd.service' 'Stopping systemd-networkd.service'
no_io_error

power_on eth1
guest 'systemctl is-system-running --wait' 240 >/dev/null || true
[ "$(guest 'systemctl is-system-running')" = running ] ||
    fail "the machine is $(guest 'systemctl is-system-running; systemctl --failed --no-legend')"
up_within 75
! logged 'ordering cycle' || fail 'systemd had to break a cycle'
check 'what was mounted by hand' 'mount /dev/causeway/vault-part1 /mnt/hand && mount /dev/lab/hand "/mnt/by hand" &&
    cryptsetup open --key-file /etc/secret.key /dev/causeway/vault-part4 hand && mount /dev/mapper/hand /mnt/secret'
check 'the data' 'sha256sum --quiet -c /opt/sums'
has_sessions 2 || fail "the target has $(sessions) sessions, not 2"
power_off
[ "$logged_out" = yes ] || fail 'the target was left with sessions'
! logged 'ordering cycle' || fail 'systemd had to break a cycle'
! logged 'Stopping blk-availability' || fail 'LVM has closed what this test is about'
unmounted_by_hand
before 'vault: detached' 'Stopping causewayd.service'
no_io_error
