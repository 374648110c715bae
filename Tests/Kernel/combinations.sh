# shellcheck shell=bash
# shellcheck disable=SC2154  # what lib.sh sets
# The matrix: logins with every pair of settings. Each row attaches, writes, reads back, compares with what the target
# holds, and holds what was negotiated against what the settings of both sides must yield (RFC 7143 §13). Sourced by
# Tests/Kernel/matrix.sh (LIO) and Tests/Integration/peers.sh (tgt); rows are printed as lines that begin with a bar.
#
# Whoever calls `matrix TARGET` has started the target with LUN 1 in the file $backing, and defines
#   target_keys KEY=VALUE…   what the target wants of the sessions from now on; `receives` is the
#                            MaxRecvDataSegmentLength that it declares
#   target_chap WAY          none, one-way or mutual
#   $chap_algorithm          what it chooses of those that are offered, or can

our_secret='secret of host1' their_secret='secret of the array'
readonly matrix_portal6='[fd00:18:1::1]:3260'
matrix_rows=0

ipv6_up() {
    near ip -6 address add fd00:18:1::2/64 dev p1 nodad
    far ip -6 address add fd00:18:1::1/64 dev t1 nodad
}

# What either side's wishes yield.
least() { say $(($1 < $2 ? $1 : $2)); }
either() { case "$1$2" in *Yes*) say Yes ;; *) say No ;; esac }
both() { case "$1$2" in *No*) say No ;; *) say Yes ;; esac }
flag() { case $1 in Yes) say true ;; *) say false ;; esac } # as TOML has it

# matrix_row TARGET PORTAL CHAP DIGESTS OUR-R2T OUR-IMMEDIATE ITS-R2T ITS-IMMEDIATE SIZES
# DIGESTS: none (the target has none), header, data, both. SIZES: large, or one side has small segments and bursts.
matrix_row() {
    local target=$1 portal=$2 chap=$3 digests=$4 our_r2t=$5 our_immediate=$6 its_r2t=$7 its_immediate=$8 sizes=$9
    local our=(262144 262144 1048576) its=(262144 262144 1048576) header=None data=None options=() expected problem=''
    case $sizes in
        its-small) its=(4096 16384 32768) ;;
        our-small) our=(4096 8192 65536) ;;
    esac
    case $digests in header | both) header=CRC32C ;; esac
    case $digests in data | both) data=CRC32C ;; esac
    # What the target has not is only preferred.
    local words=(prefer-crc32c prefer-crc32c)
    case $digests in
        header) words=(crc32c none) ;;
        data) words=(none crc32c) ;;
        both) words=(crc32c prefer-crc32c) ;;
    esac
    options=(--set "header-digest=${words[0]}" --set "data-digest=${words[1]}")
    case $chap in one-way | mutual) options+=(--chap-user host1 --chap-secret-file "$work/our.secret") ;; esac
    case $chap in mutual) options+=(--mutual-chap-secret-file "$work/their.secret") ;; esac

    local proof=None
    [ "$chap" = none ] || proof="CHAP $chap_algorithm, $chap"

    target_chap "$chap"
    local its_digest=CRC32C,None
    [ "$digests" != none ] || its_digest=None
    target_keys "InitialR2T=$its_r2t" "ImmediateData=$its_immediate" "HeaderDigest=$its_digest" \
        "DataDigest=$its_digest" "receives=${its[0]}" "FirstBurstLength=${its[1]}" "MaxBurstLength=${its[2]}"
    cat >"$configuration" <<END
[parameters]
InitialR2T = $(flag "$our_r2t")
ImmediateData = $(flag "$our_immediate")
MaxRecvDataSegmentLength = ${our[0]}
FirstBurstLength = ${our[1]}
MaxBurstLength = ${our[2]}
END
    causeway reload >"$work/said" 2>&1 || fail "reload: $(cat "$work/said")"

    local r2t immediate first
    r2t=$(either "$our_r2t" "$its_r2t") immediate=$(both "$our_immediate" "$its_immediate")
    first=$(least "${our[1]}" "${its[1]}")
    # Without unsolicited data it has no meaning, and may be answered so.
    [ "$r2t$immediate" != YesNo ] || first=-
    expected="HeaderDigest=$header DataDigest=$data InitialR2T=$r2t ImmediateData=$immediate \
MaxRecvDataSegmentLength=${our[0]}/${its[0]} FirstBurstLength=$first MaxBurstLength=$(least "${our[2]}" "${its[2]}")"

    causeway attach disk1 --target "$iqn" --portal "$portal" --bind p1 --lun 1 --socket "$socket" "${options[@]}" \
        >"$work/said" 2>&1 || fail "attach with $* says: $(cat "$work/said")"
    matrix_data "$sizes" || problem="the data of a write came back as something else"
    local negotiated authentication
    causeway params disk1 --json >"$work/params"
    authentication=$(jq -r '.paths[0].authentication' "$work/params")
    [ "$authentication" = "$proof" ] || problem="authentication is $authentication, and must be $proof"
    negotiated=$(jq -r --arg first "$first" '.paths[0].negotiated |
        "HeaderDigest=\(.HeaderDigest) DataDigest=\(.DataDigest) InitialR2T=\(.InitialR2T)" +
        " ImmediateData=\(.ImmediateData)" +
        " MaxRecvDataSegmentLength=\(.MaxRecvDataSegmentLength | sub(", the target.s "; "/"))" +
        " FirstBurstLength=\(if $first == "-" then $first else .FirstBurstLength end)" +
        " MaxBurstLength=\(.MaxBurstLength)"' "$work/params")
    [ "$negotiated" = "$expected" ] || problem="it must be $expected"
    causeway detach disk1
    ! grep 'path lost' "$work/causewayd.log" || problem='the path was lost meanwhile'
    printf '| %s | %s | %s | digests %s | ours %s/%s, its %s/%s | %s/%s | %s:%s/%s:%s | %s |\n' "$target" "$portal" \
        "${authentication/None/CHAP none}" "$digests" "$our_r2t" "$our_immediate" "$its_r2t" "$its_immediate" \
        "${our[0]}" "${its[0]}" \
        "${our[1]}" "${our[2]}" "${its[1]}" "${its[2]}" "$negotiated"
    [ -z "$problem" ] || fail "that row: $problem"
    matrix_rows=$((matrix_rows + 1))
}

# Writes in large pieces and reads in small ones, or the other way round; the sizes of a row decide how they are cut.
matrix_data() {
    local write=1048576 read=8192
    [ "$1" != its-small ] || write=65536 read=1048576
    head -c 2097152 /dev/urandom >"$work/source"
    timeout 30 nbdcopy --request-size=$write --connections=1 --flush "$work/source" "$uri" || return 1
    timeout 30 nbdcopy --request-size=$read --connections=1 "$uri" "$work/back" || return 1
    cmp "$work/source" "$work/back" && cmp "$work/source" "$backing"
}

# Rows that hold every pair of settings, of the 48 that hold each triple of CHAP, digests and the target's flags; for a
# machine on which a row takes seconds.
# shellcheck disable=SC2034  # used by matrix.sh
readonly matrix_pairs='0 6 8 10 11 13 14 15 17 18 19 20 23 24 31 33 35 37 41 42 44'

# matrix TARGET [ROW…]: 48 rows unless some are named.
matrix() {
    local target=$1 c d r row o p s i k ways=(none one-way mutual) digests=(none header data both)
    local flags=('No Yes' 'Yes Yes' 'No No' 'Yes No') portals=("$portal1" "$matrix_portal6") sizes=(large its-small our-small)
    local -a numbers choice
    local -A seen=()
    shift
    numbers=("$@")
    [ $# != 0 ] || read -ra numbers <<<"$(seq -s ' ' 0 47)"
    socket=$work/disk1.sock uri="nbd+unix:///?socket=$work/disk1.sock"
    secret our "$our_secret" >/dev/null
    secret their "$their_secret" >/dev/null
    mkdir -p "$work/etc"
    : >"$configuration"
    daemon_start
    say '| target | portal | CHAP | digests | InitialR2T/ImmediateData | MaxRecvDataSegmentLength ours/its' \
        '| FirstBurstLength:MaxBurstLength ours/its | negotiated |'
    for row in "${numbers[@]}"; do
        c=$((row / 16)) d=$((row / 4 % 4)) r=$((row % 4))
        o=$(((c + d + r) % 4)) p=$(((c + d / 2 + r / 2) % 2)) s=$(((c + 2 * d + r) % 3))
        # shellcheck disable=SC2086  # two words each
        matrix_row "$target" "${portals[p]}" "${ways[c]}" "${digests[d]}" ${flags[o]} ${flags[r]} "${sizes[s]}"
        choice=("$c" "$d" "$r" "$o" "$p" "$s")
        for i in 0 1 2 3 4; do
            for ((k = i + 1; k < 6; k++)); do seen[$i${choice[i]}$k${choice[k]}]=1; done
        done
    done
    say "$matrix_rows rows against $target, with ${#seen[@]} of 165 pairs of settings"
    [ ${#seen[@]} = 165 ] || fail 'pairs of settings are missing'
    no_trace_of "$our_secret" "$their_secret"
    daemon_stop
}
