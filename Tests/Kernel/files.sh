# shellcheck shell=bash
# shellcheck disable=SC2154  # lib.sh sets them
# Files written under $work/mnt while a test plays with the links, and checked afterwards. Sourced after lib.sh.

writer='' mounted=''
test_end() {
    : >"$work/stop"
    end_process "$writer"
    [ -z "$mounted" ] || umount -l "$work/mnt"
}

mount_device() {
    mkdir -p "$work/mnt"
    mount "$device" "$work/mnt"
    mounted=1
}
unmount_device() {
    umount "$work/mnt"
    mounted=''
}

# One file: direct with several I/Os in flight, or buffered with fsync.
job() { # FILE-NUMBER, then more options
    local engine=(--direct=1 --ioengine=libaio --iodepth=8)
    [ $(($1 % 2)) = 0 ] || engine=(--direct=0 --ioengine=psync --fsync=64)
    fio --minimal --name=file --filename="$work/mnt/file$1" --size=4M --rw=randwrite --bsrange=4k-64k \
        --blockalign=4k --verify=crc32c --verify_state_save=0 --randseed="$1" "${engine[@]}" "${@:2}"
}
# One file after the other, until told to stop; after the last, in a round again.
write_files() {
    local number=0
    while [ ! -e "$work/stop" ]; do
        job $((number % 32)) --do_verify=0 >>"$work/fio.log" 2>&1 || return
        number=$((number + 1))
        echo "$number" >"$work/written.new"
        mv "$work/written.new" "$work/written"
        sleep 0.2
    done
}
start_writing() {
    write_files &
    writer=$!
    wait_until 30 'the first file is written' more_written_than 0
}
stop_writing() {
    : >"$work/stop"
    wait "$writer" || fail 'the writer ended with an error'
    writer=''
}
written() { cat "$work/written" 2>/dev/null || echo 0; }
more_written_than() {
    kill -0 "$writer" 2>/dev/null || fail 'the writer ended: an error reached it'
    [ "$(written)" -gt "$1" ]
}

# Every file again, read from the target: the file system has been mounted anew since.
verify_files() {
    local files number
    files=$(written)
    [ "$files" -le 32 ] || files=32
    for number in $(seq 0 $((files - 1))); do
        job "$number" --verify_only >>"$work/fio.log" 2>&1 || fail "file $number does not hold what was written"
    done
    say "$files files verified"
}
