#!/bin/bash
# device.sh: the unit tests that need the kernel's own NBD driver, from the test build.
set -eu -o pipefail
# shellcheck source=Tests/Kernel/lib.sh
. "$(dirname "$0")/lib.sh"
lab_begin

tests=$repository/.build-release-tests/release/causewayPackageTests.xctest
[ -x "$tests" ] || skip 'there is no test build; type: make test-build'
there_are=$(grep -c '^    @Test' "$repository/Tests/NBDDevice/RealKernelTests.swift")
# They load the driver themselves.
"$tests" --testing-library swift-testing --filter RealKernelTests 2>&1 | tee "$work/said"
# One that skips itself here would run nowhere.
ran=$(grep -cE '✔[^ ]* Test [^ ]+ passed after' "$work/said" || true)
[ "$ran" = "$there_are" ] || fail "$ran of $there_are tests have run and passed"
