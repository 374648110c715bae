#!/bin/bash
# chap.sh: CHAP with LIO, one-way and mutual, with every algorithm; what people get wrong.
set -eu
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

our_secret='secret of host1' their_secret='secret of the array'
socket=$work/disk1.sock
modprobe -a veth sha3_generic
links_up
lio_start memory 64
our=$(secret our "$our_secret") their=$(secret their "$their_secret") wrong=$(secret wrong 'not this secret')
mkdir -p "$work/etc"

# configure ALGORITHM one-way|mutual: and a daemon that has read it.
configure() {
    {
        printf '[chap]\nuser = "host1"\nsecret-file = "%s"\nalgorithms = ["%s"]\n' "$our" "$1"
        [ "$2" = one-way ] || printf 'mutual-user = "array"\nmutual-secret-file = "%s"\n' "$their"
    } >"$configuration"
    daemon_stop
    daemon_start
}
chap_attach() {
    causeway attach disk1 --target "$iqn" --portal "$portal1" --portal "$portal2" --bind p1 --bind p2 --lun 1 \
        --socket "$socket" "$@"
}
refuses() { # WORDS COMMAND…
    local words=$1
    shift
    if "$@" >"$work/said" 2>&1; then fail "no refusal where \"$words\" was expected"; fi
    grep -qE -- "$words" "$work/said" || fail "expected \"$words\", and it says: $(cat "$work/said")"
    say "$(head -n 1 "$work/said")"
}

: >"$configuration"
daemon_start
lio_chap host1 "$our_secret"
# LIO closes the connection without a word, or says 0201.
refuses 'CHAP and none is configured' chap_attach
refuses 'CHAP' causeway discover "$portal1" --bind p1
refuses 'CHAP user and secret' chap_attach --chap-user host1 --chap-secret-file "$wrong"
# Where the portals are listed, too.
causeway attach disk1 --target "$iqn" --discovery "$portal1" --bind p1 --bind p2 --lun 1 --socket "$socket" \
    --chap-user host1 --chap-secret-file "$our"
causeway detach disk1
refuses 'CHAP' causeway attach disk1 --target "$iqn" --discovery "$portal1" --bind p1 --bind p2 --lun 1 \
    --socket "$socket" --chap-user host1 --chap-secret-file "$wrong"
refuses 'does not prove who it is' chap_attach --chap-user host1 --chap-secret-file "$our" \
    --mutual-chap-secret-file "$their"

taken=''
for way in one-way mutual; do
    [ $way = one-way ] || lio_chap host1 "$our_secret" array "$their_secret"
    for algorithm in MD5 SHA-1 SHA-256 SHA3-256; do
        configure "$algorithm" $way
        if causeway discover "$portal1" --bind p1 --luns >"$work/said" 2>&1 && grep -q causeway-lab "$work/said"; then
            taken="$taken $algorithm/$way"
        else
            say "$algorithm $way: $(head -n 2 "$work/said")"
        fi
    done
done
say "taken:$taken"
# The portal group, who made the LUN, and its own name.
cat "$work/said"
grep -qE '^ +198\.18\.1\.1:3260 +1 +p1$' "$work/said" || fail 'discover does not show portal group 1'
grep -qE '^ +1 +64 MiB +512 +LIO-ORG +RAMDISK-MCP .* naa\.6001405[0-9a-f]{25}$' "$work/said" ||
    fail "discover --luns does not show LIO's LUN"
for expected in MD5/one-way SHA-1/one-way SHA-256/one-way SHA3-256/one-way MD5/mutual SHA-256/mutual; do
    [[ " $taken " = *" $expected "* ]] || fail "no login with $expected"
done

# The lane: strongest first, over both paths; a target with another secret is refused.
configure SHA-256 mutual
sed -i '/^algorithms/d' "$configuration"
daemon_stop
daemon_start
chap_attach
wait_until 20 'both paths are up' path_active disk1 p2
nbdinfo --size "nbd+unix:///?socket=$socket"
causeway detach disk1
printf '%s\n' 'not the array at all' >"$their"
refuses 'its CHAP response .* is wrong' chap_attach
no_trace_of "$our_secret" "$their_secret"
