# Everything is built in one profile (release) into one target directory that survives between
# runs, since RocksDB takes some 25 CPU-minutes to compile.

SHELL := /bin/bash
.DEFAULT_GOAL := help

export RINGKV_CACHE ?= $(HOME)/.cache/ringkv
export CARGO_TARGET_DIR ?= $(HOME)/.cache/ringkv/target
export PATH := /usr/lib/ccache:$(PATH)

.PHONY: help setup test check dev bench loadtest simulate image containers clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: ## Install what is missing on a Debian machine
	@scripts/setup.sh

test: setup ## Run everything: format, deny, clippy, unit to container tests
	@scripts/test.sh

check: setup ## Run the checks that start nothing: format, deny, tidy, clippy
	@scripts/test.sh format deny tidy clippy

dev: setup ## Run a whole cluster in one process on 127.0.0.1:8080 (ARGS="--data-dir DIR")
	@cargo build --release --locked --workspace --bins
	@exec "$(CARGO_TARGET_DIR)/release/ringkv" dev $(ARGS)

bench: setup ## Compare with etcd on this machine (ARGS="--seconds 30 --rounds 5")
	@cargo build --release --locked --workspace --bins
	@cargo xtask bench quick $(ARGS)

loadtest: setup ## Run a k6 script (SCRIPT=ycsb-a ARGS="-e DURATION=1m"), by default smoke
	@exec "$(RINGKV_CACHE)/k6" run --no-usage-report $(ARGS) loadtests/$(or $(SCRIPT),smoke).js

simulate: setup ## Run the simulation (ARGS="--seed 42" or "--seeds 10000")
	@cargo xtask simulate $(or $(ARGS),--seeds 500)

image: setup ## Build the image ringkv:latest from source, with local base images if need be
	@scripts/image.sh

containers: setup ## Run only the container tests
	@scripts/test.sh build containers

clean: ## Remove the local base images; the build cache stays
	@scripts/base-images.sh --remove
