# Two commands matter: `make demo` shows Signet at work, `make test` runs every test. `make help` lists the rest.
#
# Everything is built with one profile and one set of features, so that demo, tests and lints share what is compiled.

SHELL := /bin/bash
TARGET := $(or $(CARGO_TARGET_DIR),target)
CARGO ?= cargo

# Tests mostly wait for the API server: more of them than processors is right.
export RUST_TEST_THREADS ?= 6

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 22

.PHONY: demo
demo: tools ## build what is needed and show a run on a local control plane (KEEP=1: leave it up, to look around)
	@echo "Building the local control plane (Go) and Signet (Rust). The first time takes several minutes."
	@$(MAKE) --no-print-directory -j2 cluster binaries
	@$(TARGET)/debug/demo $(if $(KEEP),--keep)

.PHONY: demo-stop
demo-stop: ## stop what `make demo KEEP=1` left up
	@$(TARGET)/debug/demo --stop

.PHONY: test
test: tools ## build everything, then run all tests: unit, command line, end to end on a real control plane
	@$(MAKE) --no-print-directory -j2 cluster kubeseal test-binaries
	$(CARGO) test --workspace --no-fail-fast

.PHONY: bench
bench: tools ## build optimised, then measure beside the API server's own floor: docs/benchmarks.md (ARGS="--objects 1000")
	@$(MAKE) --no-print-directory cluster kubeseal && $(CARGO) build --profile quick --workspace --bins && $(TARGET)/quick/bench $(ARGS)

.PHONY: soak
soak: tools ## what CI does in seconds, for minutes: 50 crashes of an apply of 500 objects, and a minute of faults on the way to the API server
	@$(MAKE) --no-print-directory -j2 cluster kubeseal test-binaries
	SIGNET_CRASH_POINTS=50 SIGNET_FAULTS=long $(CARGO) test --workspace --test e2e -- --nocapture --exact \
		crash::a_controller_that_is_killed_anywhere_ends_where_git_says faults::storms_delay_what_git_says_and_cost_no_object

.PHONY: check
check: fmt lint deny doc ## formatting, lints, dependencies and documentation, as CI checks them

.PHONY: fmt
fmt: ## is everything formatted?
	$(CARGO) fmt --all --check

.PHONY: lint
lint: ## clippy; warnings are errors
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@# In the workspace `crds` always has its feature `kube`; by itself it does not.
	$(CARGO) clippy --package crds --all-targets -- -D warnings

.PHONY: deny
deny: ## licences, banned crates and sources of all dependencies
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	$(CARGO) deny --log-level error check --hide-inclusion-graph bans licenses sources

.PHONY: doc
doc: ## the crates' documentation; warnings are errors
	@# Private items are documented too, so links to them lead somewhere; and the arguments of `signet` are documented for
	@# the terminal, where four spaces do not mean Rust.
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links -A rustdoc::invalid-rust-codeblocks" $(CARGO) doc --workspace --no-deps --document-private-items

.PHONY: tools
tools:
	@tests/check-tools.sh

.PHONY: cluster
cluster: ## the local control plane in one binary: target/cluster/signet-cluster
	@tests/cluster/build.sh >/dev/null

.PHONY: kubeseal
kubeseal: ## the real Sealed Secrets, which tests and benchmarks compare with: target/cluster/kubeseal and beside it
	@tests/kubeseal/build.sh >/dev/null
	@tests/age/build.sh >/dev/null

.PHONY: binaries
binaries: ## signet and signet-controller: target/debug
	$(CARGO) build --workspace --bins

# `cargo test` alone builds no binary of another package, and the end-to-end tests run them.
.PHONY: test-binaries
test-binaries:
	$(CARGO) build --workspace --all-targets
