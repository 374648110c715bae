# shellcheck shell=bash
# What uml-run and qemu-run have in common: how a machine is told what to run, and how what came of it comes out.
# Sourced.

# guest_begin TEMPLATE: sets `work`, a folder that goes when the script ends, with the process `machine`.
guest_begin() {
    work=$(mktemp -d "$1")
    machine='' tail=''
    trap guest_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}
guest_end() {
    [ -z "$machine" ] || kill "$machine" 2>/dev/null || true
    [ -z "$machine" ] || wait "$machine" 2>/dev/null || true
    [ -z "$tail" ] || kill "$tail" 2>/dev/null || true
    rm -rf "$work"
}

# guest_command FOLDER COMMAND [ARGUMENT…]: what the machine is to run, in a folder that it sees.
guest_command() {
    local folder=$1 name
    shift
    {
        printf 'cd %q\n' "$PWD"
        # What a test may be told from outside.
        for name in CI CAUSEWAY_BIN CAUSEWAY_LOG_LEVEL SHOW_LOG DISKS CYCLES; do
            [ -z "${!name:-}" ] || printf 'export %s=%q\n' "$name" "${!name}"
        done
        printf 'exec'
        printf ' %q' "$@"
        echo
    } >"$folder/command"
    : >"$folder/log"
}

# guest_result FOLDER SECONDS CONSOLE…: shows what the command says while `machine` runs, and ends the script as the
# command has ended.
guest_result() {
    local folder=$1 limit=$2 status=0
    shift 2
    tail -n +1 -s 0.1 -f --pid="$machine" "$folder/log" &
    tail=$!
    # (The shell's own word on a crash is not wanted.)
    { wait "$machine" || status=$?; } 2>/dev/null
    machine=''
    wait "$tail" || true
    tail=''
    case $status in
        124 | 137) echo "${0##*/}: time limit of $limit s reached" >&2; exit 124 ;;
    esac
    if [ ! -s "$folder/status" ]; then
        echo "${0##*/}: the machine ended with status $status and left no result; its console:" >&2
        tail -n 60 "$@" >&2
        exit 125
    fi
    exit "$(cat "$folder/status")"
}
