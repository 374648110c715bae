# shellcheck shell=bash
# What every test script says and waits with. Sourced.

say() { printf '%s\n' "$*"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# wait_until SECONDS WHAT COMMAND…: fails the test when COMMAND has not succeeded in time.
wait_until() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "not in time: $what"
        sleep 0.2
    done
}
