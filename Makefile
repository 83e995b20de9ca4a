# Weft's commands. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# What `make dev` hands to the node in addition, e.g. make dev ARGS="--http.port 9545"
ARGS ?=
# Rounds of `make test-crash`
ROUNDS ?= 100
# The long way of `make test-network`
BLOCKS ?= 10000
KILLS ?= 20
# What `make bench` measures: seconds of load per payload size; a minute at full speed writes 50 GB
DURATION ?= 20
# What `make fuzz` runs, all targets where it is empty, and for how many seconds each
TARGET ?=
FUZZ_SECONDS ?= 60

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: deps
deps: ## Install what building needs and this machine lacks (apt)
	@bash scripts/install-deps

.PHONY: dev
dev: deps ## Install what is missing, build, start a development chain on 127.0.0.1:8545
	@echo "building weft (release); the first build takes some minutes"
	@cargo build --release --locked -p weft
	@exec "$$(bash scripts/target-dir)/release/weft" node --dev $(ARGS)

.PHONY: build
build: deps ## Build the release binary
	cargo build --release --locked -p weft

.PHONY: test
test: deps ## The whole default suite, doc tests included
	@if command -v cargo-nextest >/dev/null; then \
		echo "cargo nextest run --workspace"; cargo nextest run --workspace --locked; \
	else \
		echo "cargo test --workspace"; cargo test --workspace --locked --lib --bins --tests; \
	fi
	cargo test --workspace --locked --doc

.PHONY: test-crash
test-crash: deps ## Kill the node under load ROUNDS times (100) and prove that nothing acknowledged is lost
	WEFT_CRASH_ROUNDS=$(ROUNDS) cargo test --release --locked -p weft --test crash -- --nocapture

.PHONY: test-arlocal
test-arlocal: deps ## Our Arweave client against arlocal, which npm installs and compiles (minutes, once)
	cargo test --locked -p weft-arweave --test arlocal -- --ignored

.PHONY: test-network
test-network: deps ## Sync BLOCKS blocks (10000) across KILLS SIGKILLs (20); peers that mean ill; links that are cut and slow
	WEFT_SYNC_BLOCKS=$(BLOCKS) WEFT_SYNC_KILLS=$(KILLS) cargo test --release --locked -p weft --test network -- --nocapture
	cargo test --release --locked -p weft --test links -- --nocapture

.PHONY: fuzz
fuzz: deps ## Fuzz what reads bytes of peers, FUZZ_SECONDS (60) per target, or one of them, e.g. TARGET=messages
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	@export RUSTC_BOOTSTRAP=1; \
	for target in $(or $(TARGET),$$(cargo fuzz list --fuzz-dir fuzz)); do \
		echo "cargo fuzz run $$target, $(FUZZ_SECONDS) s"; \
		cargo fuzz run --fuzz-dir fuzz "$$target" -- -len_control=0 -max_total_time=$(FUZZ_SECONDS); \
	done

.PHONY: bench-network
bench-network: deps ## Throughput of a node that seals and three that follow, then the same beside a peer that answers nothing
	@cargo build --release --locked -p weft
	@weft="$$(bash scripts/target-dir)/release/weft"; \
	"$$weft" bench --network --duration $(DURATION)s; \
	"$$weft" bench --network --silent-peer --duration $(DURATION)s

.PHONY: bench
bench: deps ## Throughput through the whole node at 1 MiB, 128 KiB, 10 KiB, 8 MiB and plain transfers
	@cargo build --release --locked -p weft
	@weft="$$(bash scripts/target-dir)/release/weft"; \
	for size in 1MiB 128KiB 10KiB 8MiB; do "$$weft" bench --size $$size --duration $(DURATION)s; done; \
	"$$weft" bench --transfers --duration $(DURATION)s

.PHONY: lint
lint: deps ## Formatting and clippy, warnings as errors
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: docs
docs: deps ## API documentation, warnings as errors
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
