#!/bin/sh
# Shows in the machine code that the data path neither allocates nor counts references.
# usage: hot-path-gate.sh BINARY [LIST]
#
# Disassembles BINARY (release, not stripped), starts at the functions named in LIST (hot-functions.txt beside
# this script), follows their calls inside the package and fails on a call into the allocator, Swift's
# reference counting, exclusivity checks or metadata, and on a call through a pointer (an existential or a
# closure). It fails too when a name of LIST is not in BINARY: a function that was renamed would otherwise go
# unchecked.
# exit status: 0 clean, 1 something found, 2 not done
set -eu
export LC_ALL=C
fail() { echo "hot-path-gate: $*" >&2; exit 2; }
if [ $# -lt 1 ] || [ $# -gt 2 ]; then fail "usage: hot-path-gate.sh BINARY [LIST]"; fi
binary=$1
list=${2:-$(dirname "$0")/hot-functions.txt}
[ -r "$binary" ] || fail "$binary: cannot be read; build it with swift build -c release"
[ -r "$list" ] || fail "$list: cannot be read"
command -v objdump >/dev/null || fail "objdump is not installed: apt-get install binutils"
command -v swift >/dev/null || fail "swift is not in PATH"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

# F function / C caller callee / I caller (a call through a pointer). A jump to another function is a call too.
objdump -d --no-show-raw-insn "$binary" >"$work/code" || fail "$binary: objdump cannot read it"
awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2; sub(/^</, "", name); sub(/>:$/, "", name); print "F", name; next }
    !/\t(call|j|bl|b\.|b |cb|tb|notrack)/ { next }
    /\tcallq? +\*/ && !/</ || /\tblr/ { print "I", name; next }
    match($0, /<[^>]*>/) {
        callee = substr($0, RSTART + 1, RLENGTH - 2)
        sub(/[+]0x[0-9a-f]+$/, "", callee)
        sub(/@.*$/, "", callee)
        if (callee != name) print "C", name, callee
    }' "$work/code" | sort -u >"$work/calls"
awk '$1 == "F" { print $2 }' "$work/calls" >"$work/names"
grep -q "^[$]s" "$work/names" || fail "$binary has no Swift symbols: is it stripped?"
swift demangle --simplified <"$work/names" >"$work/demangled" || fail "swift demangle failed"
paste "$work/names" "$work/demangled" >"$work/pairs"

awk -v list="$list" -v pairs="$work/pairs" '
    # Whether the readable name is wanted or is a specialization, closure, ... of it.
    function matches(readable, wanted,    at, before, after, rest) {
        rest = readable
        while ((at = index(rest, wanted)) > 0) {
            before = at == 1 ? " " : substr(rest, at - 1, 1)
            after = substr(rest, at + length(wanted), 1)
            if (before == " " && (after == "" || after == "(" || after == " " || after == "<")) return 1
            rest = substr(rest, at + 1)
        }
        return 0
    }
    function isForbidden(callee) {
        if (callee ~ /^(malloc|calloc|realloc|free|posix_memalign|aligned_alloc|memalign)$/) return 1
        if (callee ~ /^_?swift_(retain|release|nonatomic|tryRetain|bridgeObject|unknownObject)/) return 1
        if (callee ~ /^_?swift_(weak|unowned|isUnique|isEscaping|setDealloc|alloc|dealloc|slow)/) return 1
        if (callee ~ /^_?swift_(initStack|makeBox|project|array|buffer|error|task|once)/) return 1
        if (callee ~ /^_?swift_(beginAccess|endAccess|dynamicCast|conforms|checkMetadata)/) return 1
        if (callee ~ /^_?swift_(instantiate|getType|getGeneric|getWitness|getAssoc|getOpaque|get.*Metadata)/) return 1
        return callee ~ /^__swift_(instantiate|allocate|project|destroy|mutable_project)/
    }
    # Only code of the package is followed; a specialization of the standard library, and the outlined copy of
    # a value, are code of the package too.
    function isOwn(callee) {
        return callee ~ /^\$s(12CausewayCore|11LinuxSystem)/ || callee in own \
            || readable[callee] ~ /^(specialized|merged|outlined) /
    }
    function report(function_, what,    chain, at) {
        chain = ""
        for (at = function_; at in caller; at = caller[at]) chain = chain "\n    called by " readable[caller[at]]
        print readable[function_] ": " what chain
        bad = 1
    }
    BEGIN {
        while ((getline line <list) > 0) {
            sub(/^[ \t]+/, "", line); sub(/[ \t]+$/, "", line)
            if (line == "" || line ~ /^#/) continue
            kind = "hot"
            if (match(line, /^(cold|indirect) +/)) {
                kind = line; sub(/ .*$/, "", kind)
                line = substr(line, RLENGTH + 1)
            }
            entry[++entries] = line
            kindOf[entries] = kind
        }
        while ((getline line <pairs) > 0) {
            tab = index(line, "\t")
            name = substr(line, 1, tab - 1)
            readable[name] = substr(line, tab + 1)
            for (e = 1; e <= entries; e++) if (matches(readable[name], entry[e])) {
                found[e] = 1
                if (kindOf[e] == "cold") cold[name] = 1
                else if (kindOf[e] == "indirect") indirect[name] = 1
                else hot[name] = 1
            }
        }
        # The package owns the module of a listed function, whatever its name is.
        for (name in hot) if (match(name, /^\$s[0-9]+/)) {
            digits = substr(name, 3, RLENGTH - 2)
            module[substr(name, 1, RLENGTH + digits)] = 1
        }
        for (name in readable) for (m in module) if (index(name, m) == 1) own[name] = 1
        for (e = 1; e <= entries; e++) if (!(e in found)) {
            print entry[e] ": listed as " kindOf[e] ", not in the binary"
            bad = 1
        }
        for (e = 1; e <= entries; e++) if (kindOf[e] == "hot") any = 1
        if (!any) { print list ": names no function of the data path, so nothing is shown"; bad = 1 }
    }
    $1 == "C" { callees[$2] = callees[$2] " " $3 }
    $1 == "I" { pointer[$2] = 1 }
    END {
        for (name in hot) if (!(name in cold)) { queue[++last] = name; seen[name] = 1 }
        for (first = 1; first <= last; first++) {
            name = queue[first]
            if (name in pointer && !(name in indirect)) report(name, "a call through a pointer")
            count = split(callees[name], callee, " ")
            for (c = 1; c <= count; c++) {
                if (isForbidden(callee[c])) report(name, callee[c])
                else if (!(callee[c] in seen) && !(callee[c] in cold) && (callee[c] in readable) \
                    && isOwn(callee[c])) {
                    seen[callee[c]] = 1
                    caller[callee[c]] = name
                    queue[++last] = callee[c]
                }
            }
        }
        printf "hot-path-gate: %d functions checked\n", last
        exit bad
    }' "$work/calls"
