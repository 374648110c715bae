# make            release build, nothing of Swift needed at run time
# make demo       a file system over two links, one of them cut: see it work
# make test       every test but the long ones: test-boot, test-adopt, sanitize
# make unit-tests  the tests of the modules; make worlds: those of the lane in simulated worlds
# make bench      speed, beside qemu-nbd
# make bench-failover  the stall when a path fails, beside open-iscsi with dm-multipath: RUNS=7 OTHERS=3
# make test-adopt  the daemon killed and restarted under load: TIMES=50
# make simulate   the data path in simulated worlds: SEEDS=1000 CONNECTIONS=1000 START=1
# make fuzz       foreign bytes made up by libFuzzer: SECONDS=60 for each reader
# make sanitize   the unit tests under the address and the thread sanitizer
# make install    DESTDIR= PREFIX=/usr
# make deb        a Debian package, in .build/deb
# make test-boot  a Debian machine that boots from the package and has its disks: Tests/Boot
PREFIX ?= /usr
DESTDIR ?=
# Where systemd, udev and zsh look for what others bring.
UNITS ?= $(PREFIX)/lib/systemd/system
UDEV ?= $(PREFIX)/lib/udev/rules.d
ZSH ?= $(PREFIX)/share/zsh/site-functions
RELEASE := .build/release
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# What the build needs from Debian beside Swift, and what demo, tests and benchmarks need on top.
BUILD_PACKAGES := libnl-3-dev libnl-genl-3-dev libnl-route-3-dev libssl-dev pkg-config
LAB_PACKAGES := binutils dmsetup e2fsprogs fdisk fio fish gcc iproute2 jq kmod libc6-dev libiscsi-bin libnbd-bin \
	mandoc procps qemu-block-extra qemu-utils shellcheck tgt udev user-mode-linux xfsprogs zsh

# What makes a package, and a machine that boots.
DEB_PACKAGES := debhelper dpkg-dev
BOOT_PACKAGES := $(DEB_PACKAGES) busybox-static cpio e2fsprogs fdisk kmod lz4 mmdebstrap qemu-system-x86 tgt xz-utils

# What fail-over is compared with. Unpacked inside User Mode Linux, never installed: a multipathd would look for its
# disks on this machine.
OPEN_ISCSI_PACKAGES := kpartx libaio1 libisns0 libopeniscsiusr libsgutils2-1.46-2 liburcu8 multipath-tools open-iscsi \
	sg3-utils sg3-utils-udev udev

# Of the tests and the simulator: optimised, with assertions.
TEST_BUILD := -c release -Xswiftc -enable-testing -Xswiftc -assert-config -Xswiftc Debug --scratch-path .build-release-tests

# Histories that `make simulate` lives through, and where it begins: a number or a commit hash.
SEEDS ?= 1000
START ?= 1
# As many of them with the paths as connections of one session.
CONNECTIONS ?= $(SEEDS)

.PHONY: build deps build-deps demo test test-build unit-tests worlds bench bench-failover simulate test-adopt fuzz sanitize lint install deb \
	test-boot clean

build: build-deps
	swift build -c release --static-swift-stdlib

# $(call need,PACKAGES): installs those that are missing; asks apt only then.
need = @missing=$$(for package in $(1); do \
		dpkg-query -W -f '$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || echo $$package; \
	done); \
	if [ -n "$$missing" ]; then \
		echo "installing" $$missing; \
		$(SUDO) apt-get update -qq && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing \
			>/dev/null; \
	fi

build-deps:
	$(call need,$(BUILD_PACKAGES))

deps:
	$(call need,$(BUILD_PACKAGES) $(LAB_PACKAGES))

demo: deps build
	$(SUDO) Tests/Kernel/demo

test: deps
	$(call need,$(BOOT_PACKAGES))
	Tests/run

test-build: build-deps
	swift build $(TEST_BUILD) --build-tests

# Those that take worlds of hours of virtual time, and the count of a lane's allocations, have the machine to themselves.
WORLDS := SimulationTests|Lane[A-Za-z]*Tests|HostileTarget|SteadyState
unit-tests: test-build
	swift test $(TEST_BUILD) --skip-build --parallel --skip '$(WORLDS)|RealKernelTests'

worlds: test-build
	swift test $(TEST_BUILD) --skip-build --filter '$(WORLDS)'

bench: deps build
	$(RELEASE)/Bench

bench-failover: deps build .build/open-iscsi
	$(SUDO) env RUNS=$(or $(RUNS),7) OTHERS=$(or $(OTHERS),3) Tests/Kernel/bench-failover

.build/open-iscsi:
	rm -rf $@.new && mkdir -p $@.new
	cd $@.new && apt-get download -qq -o APT::Sandbox::User=root $(OPEN_ISCSI_PACKAGES) || { $(SUDO) apt-get update -qq && \
		apt-get download -qq -o APT::Sandbox::User=root $(OPEN_ISCSI_PACKAGES); }
	mv $@.new $@

# How often `make test-adopt` ends the daemon, in each of its runs.
TIMES ?= 50

test-adopt: deps build
	for target in tgt lio; do for way in kill restart; do \
		echo "$$target $$way"; \
		$(SUDO) Tests/Kernel/uml-run -t $$((300 + 30 * $(TIMES))) $(CURDIR)/Tests/Kernel/adopt.sh $$target $$way $(TIMES) \
			|| exit 1; \
	done; done

# The lane in simulated worlds, both kinds at once: each is one thread. A failing seed is printed with its trace; `Simulator --seed N --trace` shows it again.
simulate: build-deps
	swift build $(TEST_BUILD) --product Simulator
	@cd .build-release-tests; trap 'kill $$other 2>/dev/null' EXIT; trap 'exit 130' INT TERM; \
	release/Simulator --seeds $(CONNECTIONS) --start $(START) --connections >connections.log 2>&1 & other=$$!; \
	status=0; release/Simulator --seeds $(SEEDS) --start $(START) || status=$$?; \
	wait $$other || status=$$?; cat connections.log; exit $$status

# Seconds for each of the targets in Sources/FuzzTargets.
SECONDS ?= 60
fuzz: build-deps
	Tests/Fuzz/run $(SECONDS)

# What is counted, timed or run by script is no business of a sanitizer. (XCTest, which none of the tests uses, leaks.)
# Simulated worlds take too long in code that is not optimised, and the compiler fails on optimised code for the thread
# sanitizer: without them there, as they have one thread.
SANITIZED := --disable-xctest --skip Tidy --skip Bench --skip NBDDevice
ADDRESS := -c release -Xswiftc -enable-testing --sanitize=address --scratch-path .build-asan
MUTEX := $$s15Synchronization12_MutexHandleV
THREAD := --sanitize=thread --scratch-path .build-tsan -Xlinker $(CURDIR)/.build-tsan/runtime.o \
	-Xlinker --wrap=__tsan_external_write -Xlinker '--wrap=$(MUTEX)9_lockSlowyys6UInt32VF' \
	-Xlinker '--wrap=$(MUTEX)11_unlockSlowyyF'
# Of the compilers that may be there, Swift's own knows how Swift calls.
CLANG = $(dir $(realpath $(shell command -v swift)))clang

sanitize: build-deps
	timeout -k 10 2400 swift test $(ADDRESS) $(SANITIZED)
	mkdir -p .build-tsan
	$(CLANG) -O1 -Wall -Wextra -Werror -c Tests/ThreadSanitizer/runtime.c -o .build-tsan/runtime.o
	timeout -k 10 2400 swift test $(THREAD) $(SANITIZED) --skip 'SimulationTests|Lane[A-Za-z]*Tests|HostileTarget'

lint:
	swift format lint --strict --recursive --parallel Sources Tests Package.swift
	shellcheck $$(grep -rlE '^#!/bin/(ba)?sh|^# shellcheck shell' Tests .ci systemd debian/causeway.*)

install:
	@[ -x $(RELEASE)/causewayd ] || { echo "not built yet; type: make" >&2; exit 1; }
	install -D -m 755 $(RELEASE)/causewayd $(DESTDIR)$(PREFIX)/sbin/causewayd
	install -D -m 755 $(RELEASE)/causeway $(DESTDIR)$(PREFIX)/bin/causeway
	install -D -m 755 systemd/shutdown $(DESTDIR)$(PREFIX)/lib/causeway/shutdown
	for unit in systemd/*.service systemd/*.target; do \
		sed -E 's|/usr/(bin/causeway\>\|sbin/causewayd\>\|lib/causeway/)|$(PREFIX)/\1|g' $$unit | \
			install -D -m 644 /dev/stdin $(DESTDIR)$(UNITS)/$${unit##*/}; \
	done
	install -D -m 644 udev/59-causeway.rules $(DESTDIR)$(UDEV)/59-causeway.rules
	install -D -m 644 systemd/causeway.sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/causeway.conf
	install -d -m 755 $(DESTDIR)/etc/causeway/disks
	install -D -m 644 man/causeway.toml $(DESTDIR)$(PREFIX)/share/doc/causeway/causeway.toml
	install -D -m 644 man/disk.toml $(DESTDIR)$(PREFIX)/share/doc/causeway/disk.toml
	for page in man/*.[1-8]; do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; \
	done
	for program in causeway causewayd; do \
		for place in bash:$(PREFIX)/share/bash-completion/completions/$$program zsh:$(ZSH)/_$$program \
			fish:$(PREFIX)/share/fish/vendor_completions.d/$$program.fish; do \
			$(RELEASE)/$$program --generate-completion-script $${place%%:*} | sed '1{/^#!/d}' | \
				install -D -m 644 /dev/stdin $(DESTDIR)$${place#*:}; \
		done; \
	done

deb: build
	$(call need,$(DEB_PACKAGES))
	mkdir -p .build/deb
	rm -f .build/deb/*.deb
	debian/rules clean >/dev/null
	debian/rules binary DESTINATION=$(CURDIR)/.build/deb
	debian/rules clean >/dev/null
	@ls -l .build/deb/*.deb

test-boot: deb
	$(call need,$(BOOT_PACKAGES))
	$(SUDO) Tests/Boot/run

clean:
	swift package clean
	rm -rf .build-release-tests .build/kernel-tests .build/integration-tests .build/kernels .build/test-logs
