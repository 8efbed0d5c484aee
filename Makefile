# netlab's set-up, tests and demo. Say `make` for a list.
#
# Every target does all of its own set-up, on a fresh Debian 12 too, as root or as a user with sudo; what is there
# already is left alone. The work is in .ci/setup; the dependencies are in pyproject.toml.

# bcc is a Debian package and belongs to Debian's own interpreter, whatever python3 comes first on PATH.
PYTHON = /usr/bin/python3
PREFIX = /usr/local
# For pytest: make test ARGS='-k balancer -x'
ARGS =
SLOW =
# Where there is less time than on an idle machine: one-cpu, quota or burners (.ci/under)
UNDER =
QUICK =
# For test-kernels: images in place of Debian's kernels, the short form, and docs/kernels.md written by it too
KERNELS =
SHORT =
WRITE =
# For the benchmarks: make bench PARTS='datapath scale'; all without
PARTS =

SETUP := PYTHON='$(PYTHON)' PREFIX='$(PREFIX)' sh .ci/setup
BIN := .venv/bin

LIBBPF_PACKAGES := clang libbpf-dev
TEST_PACKAGES := $(LIBBPF_PACKAGES) graphviz ethtool nftables iptables dnsmasq-base bind9-dnsutils dnsperf $(if $(SLOW),debootstrap chromium)
DAEMON_PACKAGES := frr bind9 haproxy keepalived curl
KERNEL_PACKAGES := qemu-system-x86 kmod busybox-static file
SOAK := tests/lab/test_soak.py tests/lab/test_killed_reloads.py tests/lab/test_endurance.py
BENCH_PACKAGES := mininet docker.io docker-compose busybox-static nginx libnginx-mod-stream nftables time gcc libc6-dev

.NOTPARALLEL:
.PHONY: help install install-libbpf demo check test test-bpf test-docker test-kernels soak lint man docs dist bench bench-quick image image-dev uninstall clean dev

help:
	@sed -n 's/^## //p' Makefile

## make install     Debian packages, .venv, and the netlab command in /usr/local/bin (PREFIX=/usr/local)
install:
	@$(SETUP) packages
	@$(SETUP) venv
	@$(SETUP) link

## make install-libbpf  clang and libbpf's headers, for sources of libbpf's dialect (docs/libbpf.md); objects need neither
install-libbpf:
	@$(SETUP) packages $(LIBBPF_PACKAGES)

dev:
	@$(SETUP) packages $(TEST_PACKAGES)
	@for package in $(DAEMON_PACKAGES); do $(SETUP) daemons $$package || true; done
	@$(SETUP) venv dev
	@$(SETUP) link || true

## make demo        play parts A and B, show what happens in the kernel, check every claim of the exercise
demo:
	@$(SETUP) packages
	@$(SETUP) venv
	@$(SETUP) link || true
	@for demo in parta partb-low partb-high; do $(SETUP) root $(BIN)/netlab demo $$demo || exit; done

## make check       lint, types and the tests that need no root: what to say before each commit
check: dev lint
	@WITHOUT_ROOT=1 sh .ci/test $(ARGS)

## make test        lint, types and tests (ARGS='-k word' for some; SLOW=1 adds those of minutes, such as a whole fresh
##                  Debian; UNDER=quota, one-cpu or burners leaves them less time than there is)
test: dev lint
	@SLOW='$(SLOW)' $(if $(UNDER),sh .ci/under $(UNDER)) sh .ci/test $(ARGS)

## make test-bpf    the programs alone, at length: a million fuzzed packets, 300,000 rounds of each race, 1,000 objects
test-bpf: dev
	@PROGRAMS=1 WORKERS=$${WORKERS:-$$(nproc)} sh .ci/test $(ARGS)

## make soak        100,000 requests, packets lost on purpose, workers and the balancer's role killed, and a full account;
##                  196 reloads under traffic, half of them killed; 1,000 labs, 200 killed on their way (15 minutes)
soak: dev
	@$(SETUP) cell env NETLAB_LONG=1 $(BIN)/python -m pytest -p no:cacheprovider $(SOAK) $(ARGS)

## make test-docker the contract in containers, and what can go wrong; starts a Docker engine if none answers
test-docker: dev
	@for package in docker.io docker-compose debootstrap; do $(SETUP) packages $$package || true; done
	@$(SETUP) root $(BIN)/python -m pytest -p no:cacheprovider -m docker tests/contract tests/docker $(ARGS)

## make test-kernels  what works on which kernel: Debian's in virtual machines, and this one; writes docs/kernels.md
##                  (SHORT=1: 20 minutes at most, KERNELS=/path/vmlinuz: others; these write nothing unless WRITE=1)
test-kernels: dev
	@for package in $(KERNEL_PACKAGES); do $(SETUP) packages $$package || true; done
	@$(SETUP) root $(BIN)/python -m tests.kernels $(if $(SHORT),--short) $(if $(WRITE),--write) $(KERNELS)

## make lint        ruff and mypy, strict
lint: dev
	@$(SETUP) user $(BIN)/ruff check --quiet
	@$(SETUP) user $(BIN)/mypy --no-error-summary

## make man         write docs/man/netlab.1 anew, from the table of verbs
man: dev
	@$(SETUP) user $(BIN)/python docs/man/build.py

## make docs        the documentation as a site, in build/site; fails at a link that leads nowhere
docs: dev
	@$(SETUP) user env NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "build/site/index.html"

## make dist        wheel and source distribution, in dist
dist: dev
	@$(SETUP) user $(BIN)/python -m hatchling build

## make bench       netlab beside its peers; writes docs/benchmarks.md (PARTS='datapath verbs' for some)
bench: dev
	@$(SETUP) packages $(BENCH_PACKAGES) || true
	@$(SETUP) venv bench
	@$(SETUP) root $(BIN)/python -m tests.bench $(PARTS) $(QUICK) $(ARGS)

## make bench-quick every table in less than three minutes, with fewer rounds; writes nothing (ARGS='--save FILE', '--against FILE')
bench-quick: QUICK = --quick
bench-quick: bench

## make image       the nodes' image for Docker, built without a registry; image-dev: for eBPF development
image:
	@sh .ci/image node

image-dev:
	@sh .ci/image dev

## make uninstall   remove the netlab command, .venv, what was compiled, and kernels; Debian packages stay
uninstall:
	@$(SETUP) unlink
	@$(SETUP) root rm -rf /var/cache/netlab /var/lib/netlab
	@$(SETUP) user rm -rf .venv

## make clean       remove caches and built files
clean:
	@$(SETUP) user rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
