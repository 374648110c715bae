# shellcheck shell=bash
# shellcheck disable=SC2154  # what lib.sh and tests.sh set
# What breaks things: flapping links, detach at any moment, many disks, clients that behave badly. Sourced by
# tests.sh.

test_flapping_links() {
    disk_up
    local writer round link turn=0
    verified_fio_in_background flap --rw=randrw --bs=16k --iodepth=16 --size=32M --rate=4M,4M --time_based --runtime=25 \
        --verify_backlog=64
    writer=$!
    # Once to five times a second, one link after the other and now and then both.
    for round in $(seq 40); do
        kill -0 "$writer" 2>/dev/null || break
        link=$((round % 2 + 1))
        cut $link
        [ $((round % 7)) != 0 ] || cut $((3 - link))
        sleep "0.$((round % 4 + 1))"
        heal 1
        heal 2
        sleep "0.$((round % 3 + 1))"
        turn=$round
    done
    say "$turn times a link was cut"
    wait "$writer" || fail "fio failed: $(tail -n 5 "$work/fio-flap.log")"
    # Links that flap so are kept away from I/O for a while, until someone has looked after them; never both.
    wait_until 30 'a path is active again' any_path_active
    causeway path enable disk1 p1 p2
    wait_until 30 'p1 is active again' path_active disk1 p1
    wait_until 30 'p2 is active again' path_active disk1 p2
    verified_fio after --rw=randwrite --bs=4k --iodepth=8 --size=8M
    disk_down
}

# Detach in every state in which a disk can be.
test_detach_any_time() {
    links_up
    tgt_start 64M
    daemon_start
    local attaching started
    # While it connects: nothing answers at that address.
    causeway attach disk1 --target "$iqn" --portal 198.18.1.77 --bind p1 --lun 1 --socket "$socket" \
        >"$work/said" 2>&1 &
    attaching=$!
    sleep 0.5
    causeway detach disk1 --force >>"$work/said" 2>&1 || true
    wait "$attaching" && fail 'an attach that was called off succeeded'
    wait_until 30 'the disk is gone' not_listed disk1
    # With writes and no path: not politely, for they would be lost; by force at once.
    attach disk1 --socket "$socket"
    verified_fio_in_background down --rw=randwrite --bs=16k --iodepth=16 --size=32M --rate=6M
    sleep 1
    cut 1
    cut 2
    wait_until 20 'all paths are down' all_paths_down
    refused 'detach with a client' 'process' -- causeway detach disk1
    end_process "${clients[-1]}"
    started=$SECONDS
    refused 'a detach that cannot flush' 'flush' 'stays attached' -- causeway detach disk1
    [ $((SECONDS - started)) -le 45 ] || fail "the refusal took $((SECONDS - started)) s"
    causeway list | grep -q disk1 || fail 'the disk is gone although its detach was refused'
    started=$SECONDS
    causeway detach disk1 --force
    [ $((SECONDS - started)) -le 10 ] || fail "detach --force took $((SECONDS - started)) s"
    heal 1
    heal 2
    # With clients in the middle of their work.
    attach disk1 --socket "$socket"
    verified_fio_in_background busy --rw=randwrite --bs=16k --iodepth=16 --size=32M --rate=6M
    sleep 1
    causeway detach disk1 --force
    [ ! -e "$socket" ] || fail 'the socket is still there'
    ! client_ends || fail 'fio ended well although its disk was taken away'
    # Fencing: the target holds the sessions back while they are made anew.
    attach disk1 --socket "$socket"
    verified_fio_in_background fence --rw=randwrite --bs=16k --iodepth=16 --size=32M --rate=6M
    sleep 1
    kill -STOP "$tgtd"
    cut 1
    sleep 1
    heal 1
    sleep 1
    causeway status disk1
    started=$SECONDS
    causeway detach disk1 --force
    [ $((SECONDS - started)) -le 10 ] || fail "detach --force took $((SECONDS - started)) s"
    kill -CONT "$tgtd"
    ! client_ends || fail 'fio ended well although its disk was taken away'
    attach disk1 --socket "$socket"
    verified_fio last --rw=randwrite --bs=4k --iodepth=8 --size=4M
    disk_down
    right
}
# How the newest client ends. fio's NBD engine may go on asking a connection that was closed, without a pause.
client_ends() {
    local turn
    for turn in $(seq 200); do
        kill -0 "${clients[-1]}" 2>/dev/null || break
        [ "$turn" != 200 ] || end_process "${clients[-1]}"
        sleep 0.1
    done
    wait "${clients[-1]}"
}
not_listed() { ! causeway list | grep -q "$1"; }
# Temporarily, or for good: every path says that the LUN is gone.
all_paths_down() {
    causeway status disk1 --json |
        jq -e '.state == "all-paths-down" or .state == "permanent-device-loss"' >/dev/null
}
any_path_active() { causeway status disk1 --json | jq -e 'any(.paths[]; .state == "active")' >/dev/null; }

# 32 LUNs of one target share two sessions; 8 targets have two each.
test_many_disks() {
    links_up
    tgt_start 16M
    daemon_start
    local number target all=()
    for number in $(seq 2 32); do
        truncate -s 16M "$work/lun$number"
        tgt_admin --op new --mode logicalunit --tid 1 --lun "$number" --backing-store "$work/lun$number"
    done
    for number in $(seq 32); do
        causeway attach "d$number" --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 \
            --lun "$number" --socket "$work/d$number.sock" >/dev/null
    done
    [ "$(tgt_sessions)" = 2 ] || fail "32 LUNs have $(tgt_sessions) sessions"
    for number in $(seq 32); do
        timeout 100 fio --minimal --name="d$number" --ioengine=nbd --uri="nbd+unix:///?socket=$work/d$number.sock" \
            --rw=randwrite --bs=16k --iodepth=4 --size=4M --verify=crc32c --verify_state_save=0 \
            >"$work/fio-$number.log" 2>&1 &
        all+=($!)
        clients+=($!)
    done
    sleep 1
    cut 1
    for number in "${all[@]}"; do wait "$number" || fail 'a client of one of 32 disks failed'; done
    heal 1
    for number in $(seq 32); do
        wait_until 20 "d$number is active over p1" path_active "d$number" p1
        causeway detach "d$number"
    done
    wait_until 10 'the target has no session left' no_sessions tgt
    for target in $(seq 2 8); do
        tgt_admin --op new --mode target --tid "$target" --targetname "$iqn$target"
        truncate -s 16M "$work/lun1-$target"
        tgt_admin --op new --mode logicalunit --tid "$target" --lun 1 --backing-store "$work/lun1-$target"
        tgt_admin --op bind --mode target --tid "$target" --initiator-address ALL
        causeway attach "t$target" --target "$iqn$target" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 \
            --lun 1 --socket "$work/t$target.sock" >/dev/null
    done
    cut 2
    for target in $(seq 2 8); do
        qemu-io -f raw "nbd+unix:///?socket=$work/t$target.sock" -c 'write -P 7 0 1M' -c 'read -P 7 0 1M' >/dev/null
    done
    heal 2
    for target in $(seq 2 8); do causeway detach "t$target"; done
    [ "$(causeway list)" = 'no disks' ] || fail "$(causeway list)"
}

# A LUN with 4096-byte blocks, which grows while it is attached.
test_large_blocks() {
    links_up
    tgt_start 16M
    truncate -s 64M "$work/large"
    tgt_admin --op new --mode logicalunit --tid 1 --lun 2 --backing-store "$work/large" --blocksize 4096
    daemon_start
    causeway attach disk1 --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --lun 2 \
        --socket "$socket"
    causeway status disk1 --json | jq -e '.blockLength == 4096 and .sizeBytes == 67108864' >/dev/null ||
        fail "$(causeway status disk1)"
    nbdinfo --json "$uri" | jq -e '.exports[0].block_size_minimum == 4096' >/dev/null || fail "$(nbdinfo "$uri")"
    verified_fio large --rw=randrw --bsrange=4k-128k --blockalign=4k --iodepth=16 --size=32M
    # qemu turns smaller requests into whole blocks.
    qemu-io -f raw "$uri" -c 'write -P 0x42 512 1024' -c 'read -P 0x42 512 1024' -c 'discard 1M 1M' \
        -c 'write -z 2M 1M' -c 'read -P 0 2M 1M'
    # Gone and back, twice as large: the disk grows.
    tgt_admin --op delete --mode logicalunit --tid 1 --lun 2
    # An idle disk hears nothing of it.
    ! qemu-io -f raw "$uri" -c 'read 0 4k' || fail 'a LUN that is gone was read'
    wait_until 30 'no path shows the LUN' all_paths_down
    truncate -s 128M "$work/large"
    tgt_admin --op new --mode logicalunit --tid 1 --lun 2 --backing-store "$work/large" --blocksize 4096
    wait_until 30 'p1 shows the LUN again' path_active disk1 p1
    wait_until 30 'p2 shows the LUN again' path_active disk1 p2
    wait_until 10 'the disk has grown' has_grown
    verified_fio again --rw=randrw --bsrange=4k-128k --blockalign=4k --iodepth=16 --size=32M
    causeway detach disk1
    causeway attach disk1 --target "$iqn" --portal "$portal1" --bind p1 --lun 2 --socket "$socket"
    has_grown || fail 'attached anew, the disk has not the new size'
    # Smaller than the disk, which keeps its size.
    tgt_admin --op delete --mode logicalunit --tid 1 --lun 2
    truncate -s 64M "$work/large"
    tgt_admin --op new --mode logicalunit --tid 1 --lun 2 --backing-store "$work/large" --blocksize 4096
    causeway rescan disk1
    wait_until 30 'status says that the LUN is smaller' status_says 'has shrunk to 67108864 bytes'
    has_grown || fail 'the disk shrank unasked'
    causeway detach disk1 --force
}
has_grown() { [ "$(nbdinfo --size "$uri")" = $((128 << 20)) ]; }
status_says() { causeway status disk1 | grep -q -- "$1"; }

# Attach and detach, again and again: nothing is left behind. CYCLES=200 for more.
test_no_leaks() {
    links_up
    tgt_start 16M
    daemon_start --log-level error
    local round before after
    for round in $(seq $((5 + ${CYCLES:-40}))); do
        causeway attach disk1 --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --lun 1 \
            --socket "$socket" >/dev/null
        [ $((round % 4)) != 0 ] || qemu-io -f raw "$uri" -c 'write -P 1 0 1M' >/dev/null
        if [ $((round % 2)) = 0 ]; then causeway detach disk1; else causeway detach disk1 --force; fi
        # The first ones make what stays: threads, the allocator's pools.
        [ "$round" != 5 ] || before=$(footprint)
    done
    wait_until 10 'the target has no session left' no_sessions tgt
    wait_until 10 'descriptors and threads are given back' same_footprint "$before"
    after=$(footprint)
    say "descriptors, threads, KiB: $before, then $after"
    [ $((${after##* } - ${before##* })) -le 4096 ] || fail "memory has grown from ${before##* } to ${after##* } KiB"
}
# Descriptors, threads and resident KiB of the daemon.
footprint() {
    local descriptors=("/proc/$daemon/fd/"*) threads=("/proc/$daemon/task/"*)
    echo "${#descriptors[@]} ${#threads[@]} $(awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status")"
}
same_footprint() {
    local now
    now=$(footprint)
    say "descriptors, threads, KiB: $now"
    [ "${now% *}" = "${1% *}" ]
}

# More clients than a disk has places, clients that are killed in the middle of writes, clients that say nothing,
# rubbish or half a request: none is another's harm.
test_bad_clients() {
    disk_up
    local number all=() before
    # The thread that answered attach is gone by then.
    sleep 1
    before=$(footprint)
    say "descriptors, threads, KiB: $before"
    # 64 may come; the others are sent away at once.
    perl -MIO::Socket::UNIX -e '
        my @kept;
        for (1 .. 100) {
            my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or next;
            push @kept, $socket;
        }
        my $served = 0;
        for (@kept) { my $bytes; $served++ if (sysread($_, $bytes, 18) // 0) == 18; }
        print "$served\n";' "$socket" >"$work/served"
    [ "$(cat "$work/served")" = 64 ] || fail "$(cat "$work/served") of 100 clients were served at once"
    wait_until 10 'a place is free again' nbdinfo --size "$uri" >/dev/null
    verified_fio_in_background beside --rw=randwrite --bs=16k --iodepth=8 --size=24M --rate=2M
    local beside=$!
    for number in $(seq 20); do
        fio --minimal --name=killed --ioengine=nbd --uri="$uri" --rw=randwrite --bs=256k --iodepth=32 --offset=32M \
            --size=32M --time_based --runtime=60 >/dev/null 2>&1 &
        all+=($!)
        clients+=($!)
    done
    sleep 2
    for number in "${all[@]}"; do kill -9 "$number"; done
    for number in "${all[@]}"; do wait "$number" 2>/dev/null || true; done
    for number in $(seq 20); do
        perl -MIO::Socket::UNIX -e '
            my ($path, $kind) = @ARGV;
            my $socket = IO::Socket::UNIX->new(Peer => $path) or die;
            my $bytes;
            sysread($socket, $bytes, 18);
            my $go = pack("N", 3) . "IHAVEOPT" . pack("NNNn", 7, 6, 0, 0);
            my $magic = 0x25609513;
            if ($kind % 5 == 0) { syswrite($socket, join("", map { chr(($_ * 37 + $kind) % 256) } 1 .. 70000)); }
            elsif ($kind % 5 == 1) { syswrite($socket, pack("N", 3) . "IHAVEOPT" . pack("NN", 7, 0xffffffff)); }
            else {
                syswrite($socket, $go);
                select(undef, undef, undef, 0.2);
                # A bad magic number, half a write, and a write that is longer than anything is allowed.
                if ($kind % 5 == 2) { syswrite($socket, pack("NnnQ>Q>N", 0xdeadbeef, 0, 0, 1, 0, 4096)); }
                elsif ($kind % 5 == 3) { syswrite($socket, pack("NnnQ>Q>N", $magic, 0, 1, 1, 0, 1 << 20) . "x" x 5000); }
                else { syswrite($socket, pack("NnnQ>Q>N", $magic, 0, 1, 1, 0, 0xfffffe00)); }
            }
            shutdown($socket, 1) if $kind % 2;
            select(undef, undef, undef, 0.3);' "$socket" "$number" &
        clients+=($!)
        wait "${clients[-1]}" || fail "bad client $number could not speak"
    done
    wait "$beside" || fail 'a client suffered from others'
    wait_until 15 'the places of the dead are given back' same_footprint "$before"
    verified_fio beside --rw=randwrite --bs=16k --iodepth=8 --size=24M --verify_only
    disk_down
}

# The control socket takes rubbish, half calls and silence without a word to others.
test_bad_control_clients() {
    links_up
    daemon_start
    local before
    # The first client makes what stays.
    causeway list
    before=$(footprint)
    say "descriptors, threads, KiB: $before"
    perl -MIO::Socket::UNIX -e '
        my @kept;
        for my $kind (1 .. 60) {
            my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or next;
            if ($kind % 4 == 1) { syswrite($socket, "rubbish\n" x 1000 . "\0"); }
            elsif ($kind % 4 == 2) { syswrite($socket, "{\"method\":\"io.causeway.Li"); }
            elsif ($kind % 4 == 3) { syswrite($socket, "x" x 3_000_000); }
            push @kept, $socket;
        }
        sleep 2;' "$control"
    wait_until 10 'list is answered' causeway list
    wait_until 10 'descriptors and threads are given back' same_footprint "$before"
}

# DISC with replies outstanding: each comes before the end.
test_disconnect() {
    disk_up
    perl -MIO::Socket::UNIX -e '
        my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
        my $read = sub {
            my ($count, $all) = (shift, "");
            while (length $all < $count) {
                sysread($socket, my $bytes, $count - length $all) or die "closed after " . length($all) . " bytes";
                $all .= $bytes;
            }
            return $all;
        };
        $read->(18);
        syswrite($socket, pack("N", 3) . "IHAVEOPT" . pack("NN", 1, 0));
        $read->(10); # EXPORT_NAME: size and flags, no padding
        my $requests = "";
        $requests .= pack("NnnQ>Q>N", 0x25609513, 0, 0, $_, $_ << 18, 1 << 18) for 0 .. 63;
        $requests .= pack("NnnQ>Q>N", 0x25609513, 0, 2, 99, 0, 0);
        syswrite($socket, $requests);
        sleep 1; # the replies do not fit the socket
        my %seen;
        for (0 .. 63) {
            my ($magic, $error, $cookie) = unpack("NNQ>", $read->(16));
            die "reply with magic $magic, error $error" if $magic != 0x67446698 or $error;
            $seen{$cookie}++;
            $read->(1 << 18);
        }
        die "not every request was answered" if keys %seen != 64;
        die "more came" if sysread($socket, my $rest, 1);
        print "64 replies, then the end\n";' "$socket"
    disk_down
}
