# Builds, tests and measures ngx_http_redis_cache_module. `make help` lists what there is.

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash

# Which nginx the module is for:
#   vendored   nginx 1.28 of crate nginx-src, compiled here
#   system     the nginx that Debian installed (packages nginx and nginx-dev)
#   source     the nginx or Angie in NGINX_SOURCE_DIR, which was configured before (docs/nginx-versions.md)
FLAVOR ?= vendored

# How it is compiled: release, debug (nginx with --with-debug too) or sanitize (AddressSanitizer).
BUILD ?= release

# Arguments of the demonstration (--once), of bench/run (--quick) and of bench/instructions (--write), and the command line of `make install`.
DEMO_ARGS ?=
BENCH_ARGS ?=
INSTRUCTIONS_ARGS ?=
DESTDIR ?=
# How long `make soak`, `make chaos` and `make freshness` go on, and the seed of what happens in it (another one each time).
SECONDS ?= 600
SEED ?=
# The memory tier of `make soak` and `make chaos`, as the line `memory` says it: MEMORY=4m. Empty: none.
MEMORY ?=
# The store of `make chaos`: standalone, sentinel or cluster.
MODE ?= standalone
# Whether something is frozen, cut and killed in `make freshness`.
WEATHER ?= calm
# How long `make fuzz` runs each target.
FUZZ_SECONDS ?= 60
MODULES_DIR ?=
# `make deb`: for nginx.org's package of this version, and its source if it isn't the version of FLAVOR=vendored.
NGINX_VERSION ?=
NGINX_SOURCE ?=

# nginx takes a variable of this name for sockets that it inherits.
unexport NGINX
export FLAVOR BUILD
export TESTBED_MEMORY := $(MEMORY)
# where rustup puts cargo, which not every shell has on its path
export PATH := $(PATH):$(HOME)/.cargo/bin

ifeq ($(filter $(FLAVOR),vendored system source),)
$(error FLAVOR is "$(FLAVOR)", but can be vendored, system or source)
endif
ifeq ($(filter $(BUILD),release debug sanitize),)
$(error BUILD is "$(BUILD)", but can be release, debug or sanitize)
endif

# What is built goes to build/, build/system/, build/source/, build/debug/, build/debug/system/ or build/sanitize/.
OUT := build$(if $(filter-out release,$(BUILD)),/$(BUILD))$(if $(filter-out vendored,$(FLAVOR)),/$(FLAVOR))
MODULE := ngx_http_redis_cache_module.so

# Debian packages by purpose; build-aux/packages installs those that are missing.
DEB_BUILD := gcc libc6-dev make perl libclang-dev libssl-dev libpcre2-dev zlib1g-dev
DEB_SYSTEM := nginx nginx-dev
DEB_DEMO := redis-server
DEB_INSTRUCTIONS := valgrind redis-server perl
DEB_TEST := $(DEB_SYSTEM) $(DEB_INSTRUCTIONS) libnginx-mod-http-set-misc libnginx-mod-http-lua libnginx-mod-http-js libnginx-mod-http-perl libnginx-mod-http-echo \
	libnginx-mod-http-image-filter libnginx-mod-http-xslt-filter php-fpm libtest-base-perl curl openssl gzip zstd patch prometheus python3
DEB_PAGE := chromium chromium-driver redis-server
DEB_MEMCHECK := valgrind redis-server perl libtest-base-perl
DEB_PACKAGE := build-essential debhelper dpkg-dev lintian libclang-dev libpcre2-dev libssl-dev zlib1g-dev nginx nginx-dev perl
DEB_PACKAGE_TEST := mmdebstrap
DEB_DIST := git perl tar xz-utils
DEB_FUZZ := g++ libc6-dev make
DEB_BENCH := nginx perl redis-server memcached wrk zstd libnginx-mod-http-srcache-filter libnginx-mod-http-memc

# A program of crates/testbed, with cargo's own word on how far it is.
compile = . build-aux/common.sh; heading 'building the $(1) program'; cargo build -p testbed --bin $(1)

.PHONY: help build demo test page-test memcheck soak chaos freshness fuzz bench instructions fmt lint install deb package-test \
	addon-test dist dist-test reproducible sbom sbom-test clean distclean

help: ## shows this list
	@echo 'make [TARGET] [FLAVOR=vendored|system|source] [BUILD=release|debug|sanitize]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'FLAVOR=system builds for the nginx that Debian installed, FLAVOR=source for that in'
	@echo 'NGINX_SOURCE_DIR (docs/nginx-versions.md); DEMO_ARGS=--once leaves the'
	@echo 'demonstration after its walk; BENCH_ARGS=--quick measures in a minute, but roughly.'

build: ## builds the module and its nginx: build/ngx_http_redis_cache_module.so, build/nginx (the default)
	@build-aux/packages $(DEB_BUILD) $(if $(filter system,$(FLAVOR)),$(DEB_SYSTEM))
	@build-aux/toolchain
	@build-aux/build $(OUT)
	@$(call compile,demo)

demo: build ## shows what the module does, with a Redis, a backend and an nginx of its own
	@build-aux/packages $(DEB_DEMO)
	@REDIS_CACHE_NGINX=$(CURDIR)/$(OUT)/nginx REDIS_CACHE_MODULE=$(CURDIR)/$(OUT)/$(MODULE) \
	  cargo run --quiet -p testbed --bin demo -- $(DEMO_ARGS)

test: ## runs every check and test, on both flavours; installs what they need
	@build-aux/packages $(DEB_BUILD) $(DEB_TEST)
	@build-aux/toolchain rustfmt clippy
	@build-aux/test

page-test: build ## drives the page of redis_cache_admin in Chromium; installs it; leaves pictures in target/page
	@build-aux/packages $(DEB_PAGE) || [ -n "$$REDIS_CACHE_WITHOUT_BROWSER" ]
	@REDIS_CACHE_NGINX=$(CURDIR)/$(OUT)/nginx REDIS_CACHE_MODULE=$(CURDIR)/$(OUT)/$(MODULE) \
	  cargo test -p testbed --test page

memcheck: build ## runs suites and a script of requests with nginx under valgrind; installs valgrind
	@build-aux/packages $(DEB_MEMCHECK)
	@build-aux/memcheck $(OUT)/nginx $(OUT)/$(MODULE)

soak: build ## random load and random trouble for SECONDS=600; SEED=... repeats one
	@build-aux/packages redis-server
	@$(call compile,soak)
	@REDIS_CACHE_NGINX=$(CURDIR)/$(OUT)/nginx REDIS_CACHE_MODULE=$(CURDIR)/$(OUT)/$(MODULE) \
	  cargo run --quiet -p testbed --bin soak -- $(SECONDS) $(SEED)

chaos: build ## load while nodes of the store die, change roles and move slots: MODE=standalone|sentinel|cluster
	@build-aux/packages redis-server
	@$(call compile,chaos)
	@REDIS_CACHE_NGINX=$(CURDIR)/$(OUT)/nginx REDIS_CACHE_MODULE=$(CURDIR)/$(OUT)/$(MODULE) \
	  cargo run --quiet -p testbed --bin chaos -- $(MODE) $(SECONDS) $(SEED)

freshness: build ## how long a memory tier serves what Redis has no more: WEATHER=calm|trouble
	@build-aux/packages redis-server
	@$(call compile,freshness)
	@REDIS_CACHE_NGINX=$(CURDIR)/$(OUT)/nginx REDIS_CACHE_MODULE=$(CURDIR)/$(OUT)/$(MODULE) \
	  cargo run --quiet -p testbed --bin freshness -- $(SECONDS) $(WEATHER) $(SEED)

fuzz: ## runs a fuzzer on each parser for FUZZ_SECONDS=60; prints the input that breaks one
	@build-aux/packages $(DEB_FUZZ)
	@build-aux/toolchain
	@FUZZ_SECONDS=$(FUZZ_SECONDS) build-aux/fuzz

bench: build ## measures the module beside its peers: table and chart under target/bench
	@build-aux/packages $(DEB_BENCH)
	@bench/run --nginx $(OUT)/nginx --module $(OUT)/$(MODULE) --out target/bench$(if $(filter system,$(FLAVOR)),/system) $(BENCH_ARGS)

instructions: build ## counts the instructions of a hit; fails if it takes 3 % more than in bench/instructions.txt
	@build-aux/packages $(DEB_INSTRUCTIONS)
	@bench/instructions --nginx $(OUT)/nginx --module $(OUT)/$(MODULE) $(INSTRUCTIONS_ARGS)

fmt: ## formats the Rust sources
	@build-aux/toolchain rustfmt
	@cargo fmt --all

lint: ## checks formatting, lints, licences and which room of src/ uses which, without running tests
	@build-aux/packages $(DEB_BUILD)
	@build-aux/toolchain rustfmt clippy deny
	@build-aux/test lint

install: ## copies the module to where nginx loads it from (FLAVOR=system, or MODULES_DIR=...)
	@build-aux/install-module '$(OUT)/$(MODULE)' '$(OUT)/nginx' '$(DESTDIR)' '$(MODULES_DIR)'

deb: ## builds the Debian package in target/deb; NGINX_VERSION=1.28.3 for nginx.org's nginx
	@build-aux/packages $(DEB_PACKAGE)
	@build-aux/toolchain
	@NGINX_VERSION='$(NGINX_VERSION)' NGINX_SOURCE='$(NGINX_SOURCE)' build-aux/deb

package-test: deb ## installs, upgrades and purges the package in a fresh Debian, and serves a request there
	@build-aux/packages $(DEB_PACKAGE_TEST)
	@NGINX_VERSION='$(NGINX_VERSION)' build-aux/package-test

addon-test: ## builds the module by nginx's configure --add-dynamic-module, and loads it
	@build-aux/packages $(DEB_BUILD)
	@build-aux/toolchain
	@build-aux/addon-test

dist: ## makes the source archive of the last commit with all crates in target/dist
	@build-aux/packages $(DEB_DIST)
	@build-aux/toolchain
	@build-aux/dist

dist-test: dist ## builds from the source archive without a network
	@build-aux/packages $(DEB_BUILD) $(DEB_SYSTEM)
	@build-aux/dist-test

reproducible: ## builds module, package and archive in two folders: the bytes must be the same
	@build-aux/packages $(DEB_BUILD) $(DEB_PACKAGE) $(DEB_DIST)
	@build-aux/toolchain
	@build-aux/reproducible

sbom: ## writes the bill of materials in CycloneDX to target/ngx_http_redis_cache_module.cdx.json
	@build-aux/packages perl
	@build-aux/toolchain
	@mkdir -p target
	@build-aux/sbom target/ngx_http_redis_cache_module.cdx.json

sbom-test: sbom ## checks the bill of materials against CycloneDX's schema; the validator is PyPI's
	@build-aux/packages python3 python3-venv
	@build-aux/sbom-test target/ngx_http_redis_cache_module.cdx.json

clean: ## removes build/, keeps cargo's target directory
	@rm -rf build

distclean: clean ## removes cargo's target directory as well
	@cargo clean
