# shellcheck shell=bash
# shellcheck disable=SC2154  # what lib.sh and tests.sh set
# The configuration, mended and unmended, while disks are in use. Sourced by tests.sh.

# With a mistake in causeway.toml the daemon starts only for the disks that it finds on record: it serves them as they
# were, CHAP of that file included, says so, and attaches no other.
test_mistake_at_start() {
    links_up
    tgt_start 64M
    tgt_chap host1 "$our_secret"
    mkdir -p "$work/etc/disks"
    local right
    right="[chap]
user = \"host1\"
secret-file = \"$(secret our "$our_secret")\"
[disk]
noop-interval = \"3s\""
    echo "$right" >"$configuration"
    printf 'target = "%s"\nportals = ["%s", "%s"]\nbind = ["p1", "p2"]\nlun = 1\nsocket = "%s"\n' \
        "$iqn" "$portal1" "$portal2" "$socket" >"$work/etc/disks/disk1.toml"
    daemon_start
    wait_until 20 'the disk is there' path_active disk1 p2
    kill -9 "$daemon"
    wait "$daemon" || true
    printf '[chap\n%s\npolcy = "fixed"\n' "$right" >"$configuration"
    printf 'target = "%s"\nportals = ["%s"]\nbind = ["p1"]\nlun = 1\nsocket = "%s.2"\n' \
        "$iqn" "$portal1" "$socket" >"$work/etc/disks/disk2.toml"
    : >"$work/causewayd.log"
    daemon_start
    wait_until 30 'the disk is served again' path_active disk1 p1
    wait_until 30 'over both links' path_active disk1 p2
    wait_until 10 'its socket is there' nbd_answers
    setting_is noop-interval 3s || fail 'the disk is served with another setting'
    grep -q 'causeway.toml:1: ' "$work/causewayd.log" || fail 'the log does not name the mistake'
    grep -q 'critical.*causeway.toml cannot be used' "$work/causewayd.log" || fail 'the log is not loud'
    causeway status disk1 | grep -q 'served as before .*causeway.toml:1: .*causeway reload' || fail 'status says nothing'
    if causeway reload 2>"$work/said"; then fail 'the mistake is taken'; fi
    causeway list --json | jq -e 'length == 1' >/dev/null || fail 'another disk was attached'
    # Once more, for what was in force is still that.
    daemon_stop
    daemon_start
    wait_until 30 'the disk is served a third time' path_active disk1 p2
    # Mended.
    rm "$work/etc/disks/disk2.toml"
    echo "${right/3s/4s}" >"$configuration"
    causeway reload | tee "$work/said"
    setting_is noop-interval 4s || fail 'what was mended is not in force'
    ! causeway status disk1 | grep -q 'served as before' || fail 'status still names the mistake'
    disk_down
    # Without a disk on record it does not start.
    daemon_stop
    echo '[chap' >"$configuration"
    if near timeout 10 "$binaries/causewayd" --control "$control" --state-dir "$work/state" \
        --config "$configuration" 2>"$work/said"; then
        fail 'the daemon takes a wrong configuration'
    fi
    grep -q 'causeway.toml:1: ' "$work/said" || fail "the daemon says: $(cat "$work/said")"
}

# A disk without a file follows causeway.toml across a restart, and keeps what was said for it alone.
test_reload_without_file() {
    links_up
    tgt_start 64M
    mkdir -p "$work/etc/disks"
    printf '[disk]\nnoop-interval = "3s"\nnoop-timeout = "4s"\ncommand-timeout = "50s"\nqueue-depth = 9\n' >"$configuration"
    daemon_start
    attach disk1 --socket "$socket" --set policy=least-queue-depth --set command-timeout=40s
    causeway set disk1 noop-timeout=7s
    # Changed while there is no daemon: it is served as it was until somebody has it reloaded.
    daemon_stop
    printf '[disk]\nnoop-interval = "6s"\nnoop-timeout = "4s"\ncommand-timeout = "51s"\nqueue-depth = 8\npolicy = "round-robin"\n' \
        >"$configuration"
    daemon_start
    wait_until 30 'the disk is served again' path_active disk1 p2
    setting_is noop-interval 3s || fail 'a start changes a setting'
    daemon_stop
    daemon_start
    wait_until 30 'the disk is served a third time' path_active disk1 p2
    causeway reload | tee "$work/said"
    grep -q 'noop-interval is 6s; it was 3s' "$work/said" || fail 'reload does not say what it has set'
    setting_is noop-interval 6s || fail 'reload passes over the disk'
    setting_is policy least-queue-depth || fail 'what was said for the disk alone is gone'
    setting_is command-timeout 40s || fail 'what was said for the disk alone is gone'
    setting_is noop-timeout 7s || fail 'what was set by hand is gone, and nothing has changed it since'
    causeway reload | grep -q '^disk1  unchanged' || fail 'a second reload changes something'
    printf '[disk]\nnoop-interval = "6s"\nnoop-timeout = "5s"\n' >"$configuration"
    daemon_stop
    daemon_start
    wait_until 30 'the disk is served a fourth time' path_active disk1 p2
    causeway reload | tee "$work/said"
    setting_is noop-timeout 5s || fail 'the newest word does not count'
    setting_is policy least-queue-depth || fail 'what was said for the disk alone is gone'
    disk_down
}
