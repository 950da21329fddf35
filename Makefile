# The ways in. `cargo` alone works as well: where it builds, and with which settings, is in
# .cargo/config.toml and Cargo.toml. What make adds is what a machine still lacks (scripts/setup.sh,
# each target its own stage) and ccache in front of the C++ compiler.

SHELL := /bin/bash
.DEFAULT_GOAL := help

export RINGKV_CACHE ?= $(HOME)/.cache/ringkv
export PATH := /usr/lib/ccache:$(PATH)

# What CI tests, what is measured and what ships.
OPTIMIZED := --config .cargo/optimized.toml
SETUP := scripts/setup.sh

.PHONY: help setup test check t dev inner-loop bench loadtest simulate image containers clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: ## Install all that `make test` needs on a Debian machine
	@$(SETUP) test

test: setup ## Run everything: format, deny, clippy, unit to container tests
	@scripts/test.sh

check: ## Run the checks that start nothing: format, deny, features, tidy, clippy
	@$(SETUP) check
	@scripts/test.sh format deny features tidy clippy

t: ## Run the tests of one crate, or one of them (P=ringkv-gateway T=name)
	@$(SETUP) t
	@$(if $(filter ringkv-cluster-tests,$(P)),cargo build --locked --workspace --bins)
	@cargo nextest run --locked --package $(or $(P),$(error say which crate: make t P=ringkv-gateway T=name)) $(T)

dev: ## Run a whole cluster in one process on 127.0.0.1:8080 (ARGS="--data-dir DIR")
	@$(SETUP) build
	@exec cargo run --locked --package ringkv-cli -- dev $(ARGS)

inner-loop: ## Time an edit in each of four places to its result
	@$(SETUP) t
	@scripts/inner-loop.sh

simulate: ## Run the simulation (ARGS="--seed 42" or "--seeds 10000")
	@$(SETUP) build
	@cargo $(OPTIMIZED) xtask simulate $(or $(ARGS),--seeds 500)

bench: ## Compare with etcd on this machine (ARGS="--seconds 30 --rounds 5")
	@$(SETUP) bench
	@cargo $(OPTIMIZED) xtask bench quick $(ARGS)

loadtest: ## Run a k6 script (SCRIPT=ycsb-a ARGS="-e DURATION=1m"), by default smoke
	@$(SETUP) loadtest
	@exec "$(RINGKV_CACHE)/k6" run --no-usage-report $(ARGS) loadtests/$(or $(SCRIPT),smoke).js

image: ## Build the image ringkv:latest from source, with local base images if need be
	@$(SETUP) image
	@scripts/image.sh

containers: ## Run only the container tests
	@$(SETUP) containers
	@scripts/test.sh build containers

clean: ## Remove the local base images; the build cache stays
	@scripts/base-images.sh --remove
