# make            release build, nothing of Swift needed at run time
# make demo       a file system over two links, one of them cut: see it work
# make test       every test
# make bench      speed, beside qemu-nbd
# make simulate   the data path in simulated worlds: SEEDS=1000 START=1
# make install    DESTDIR= PREFIX=/usr
PREFIX ?= /usr
DESTDIR ?=
RELEASE := .build/release
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# What the build needs from Debian beside Swift, and what demo, tests and benchmarks need on top.
BUILD_PACKAGES := libnl-3-dev libnl-genl-3-dev libnl-route-3-dev pkg-config
LAB_PACKAGES := binutils dmsetup e2fsprogs fio gcc iproute2 jq kmod libc6-dev libnbd-bin qemu-block-extra qemu-utils \
	shellcheck tgt user-mode-linux xfsprogs

# Histories that `make simulate` lives through, and where it begins: a number or a commit hash.
SEEDS ?= 1000
START ?= 1

.PHONY: build deps build-deps demo test bench simulate lint install clean

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
	Tests/run

bench: deps build
	swift run -c release --static-swift-stdlib Bench

# The lane in simulated worlds. A failing seed is printed with its trace; `Simulator --seed N --trace` shows it again.
simulate: build-deps
	swift build -c release --product Simulator -Xswiftc -assert-config -Xswiftc Debug --scratch-path .build-simulator
	.build-simulator/release/Simulator --seeds $(SEEDS) --start $(START)

lint:
	swift format lint --strict --recursive --parallel Sources Tests Package.swift
	shellcheck $$(grep -rlE '^#!/bin/(ba)?sh|^# shellcheck shell' Tests .ci)

install:
	@[ -x $(RELEASE)/causewayd ] || { echo "not built yet; type: make" >&2; exit 1; }
	install -D -m 755 $(RELEASE)/causewayd $(DESTDIR)$(PREFIX)/sbin/causewayd
	install -D -m 755 $(RELEASE)/causeway $(DESTDIR)$(PREFIX)/bin/causeway
	sed 's|/usr/sbin/|$(PREFIX)/sbin/|' systemd/causewayd.service | \
		install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/causewayd.service
	install -D -m 644 udev/99-causeway.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/99-causeway.rules
	install -D -m 644 systemd/causeway.sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/causeway.conf
	for page in man/*.[1-8]; do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; \
	done

clean:
	swift package clean
	rm -rf .build/kernel-tests .build/integration-tests .build/test-logs
