# What people and CI type. `make help` lists the targets. `make test` and `make lint` need Rust and Node.js 20; what else they
# need they install with apt, or say what to install.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

HOST ?=
TESTS ?=
ARCH ?= arm64
BENCH := BENCH_PYTHON=/usr/bin/python3 bench/target/release/foghorn-bench
SOAK_SECONDS ?= 300
KILLS ?= 200
KILL_SEED ?=
BOARDS_FAULTS ?= 200
BOARDS_SEED ?=
TORTURE_SECONDS ?=
TORTURE_SEED ?=
TORTURE_ONLY ?=
FUZZ_SECONDS ?= 60
FILES ?= src/hub/**
SIM_SECONDS ?= 60
SIM_SEED ?=
SIM_FROM ?=
SIM_COUNT ?=

# Tests wait more than they compute.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1|/' | column -t -s '|'

run: ## build and run it here
	cargo run --release --locked

test: test-rust test-browser test-clients ## all tests: unit, property, integration, browser, clients

# One folder for the debug builds of all crates: what they share is built once.
test-rust: ## unit, property and integration tests
	scripts/need ip:iproute2 zbarimg:zbar-tools /usr/lib/python3/dist-packages/prometheus_client:python3-prometheus-client curl:curl /usr/sbin/mosquitto:mosquitto mosquitto_sub:mosquitto-clients faketime:faketime strace:strace redis-server:redis-server python3:python3 jq:jq setcap:libcap2-bin nginx:nginx caddy:caddy openssl:openssl
	cargo test --locked --no-default-features --lib
	cargo test --locked --no-default-features --test it without_redis
	cargo test --locked
	cargo test --locked --target-dir target --manifest-path bench/Cargo.toml
	cargo test --locked --target-dir target --manifest-path soak/Cargo.toml
	cargo test --locked --target-dir target --manifest-path sim/Cargo.toml

test-browser: ## the page in headless Chromium
	scripts/need node:nodejs npm:npm chromium:chromium openssl:openssl curl:curl
	cargo build --locked
	npm ci --silent --no-fund --no-audit --prefix tests/browser
	FOGHORN_BIN=$(CURDIR)/target/debug/foghorn npm test --silent --prefix tests/browser

test-clients: ## the examples in clients/, with what they are written for
	scripts/need node:nodejs npm:npm /usr/bin/python3:python3 /usr/lib/python3/dist-packages/websockets:python3-websockets \
		/usr/lib/python3/dist-packages/pip:python3-pip curl:curl
	cargo build --locked
	npm ci --silent --no-fund --no-audit --prefix tests/browser
	npm ci --silent --no-fund --no-audit --omit=optional --ignore-scripts --prefix tests/clients
	/usr/bin/python3 -m pip --quiet --disable-pip-version-check --no-cache-dir install --upgrade --no-deps --only-binary :all: --platform any --require-hashes \
		--root-user-action ignore --target target/websockets -r tests/clients/requirements.txt
	FOGHORN_BIN=$(CURDIR)/target/debug/foghorn WEBSOCKETS_PYTHONPATH=$(CURDIR)/target/websockets npm test --silent --prefix tests/clients

screenshots: ## the pictures of the README and of the recipes, anew
	scripts/need node:nodejs npm:npm chromium:chromium pngquant:pngquant
	cargo build --locked
	npm ci --silent --no-fund --no-audit --prefix tests/browser
	FOGHORN_BIN=$(CURDIR)/target/debug/foghorn npm run --silent screenshots --prefix tests/browser

lint: ## format, clippy, rustdoc
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features simulation -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings
	for crate in fuzz soak sim bench; do cargo fmt --check --manifest-path $$crate/Cargo.toml && \
		cargo clippy --locked --all-targets --target-dir target --manifest-path $$crate/Cargo.toml -- -D warnings || exit 1; done
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

fuzz: ## attack the parsers and the hub for FUZZ_SECONDS each, on stable Rust
	cargo run --release --locked --manifest-path fuzz/Cargo.toml -- --seconds $(FUZZ_SECONDS)

soak: ## hundreds of bad clients and a few honest ones for SOAK_SECONDS
	cargo build --release --locked
	cargo run --release --locked --manifest-path soak/Cargo.toml -- --seconds $(SOAK_SECONDS)

kills: ## kill -9 the server KILLS times under load, and hold that nothing is lost (KILL_SEED repeats a run)
	cargo build --release --locked
	cargo run --release --locked --manifest-path soak/Cargo.toml --bin kills -- --kills $(KILLS) $(if $(KILL_SEED),--seed $(KILL_SEED))

boards: ## three boards with one Redis, while BOARDS_FAULTS things go wrong, and hold that all tell one story (BOARDS_SEED repeats a run)
	scripts/need redis-server:redis-server setpriv:util-linux
	cargo build --release --locked
	cargo run --release --locked --manifest-path soak/Cargo.toml --bin boards -- --faults $(BOARDS_FAULTS) $(if $(BOARDS_SEED),--seed $(BOARDS_SEED))

mutants: ## change the code of FILES in one place after the other, and name the changes that no unit test notices (or none of TESTS)
	command -v cargo-mutants >/dev/null || { echo "mutants: it needs cargo-mutants: cargo install --locked cargo-mutants" >&2; exit 1; }
	PROPTEST_MAX_SHRINK_ITERS=0 nice -n 19 cargo mutants --output target $(foreach glob,$(FILES),--file '$(glob)') -- $(or $(TESTS),--lib)

torture: ## make each system call fail in turn, all of it in half an hour or a sample in TORTURE_SECONDS (TORTURE_SEED, TORTURE_ONLY)
	scripts/need strace:strace setpriv:util-linux
	cargo build --release --locked
	cargo run --release --locked --manifest-path soak/Cargo.toml --bin torture -- $(if $(TORTURE_SECONDS),--seconds $(TORTURE_SECONDS)) \
		$(if $(TORTURE_SEED),--seed $(TORTURE_SEED)) $(if $(TORTURE_ONLY),--only $(TORTURE_ONLY))

sim: ## the real server in a simulated world, one seed after the other for SIM_SECONDS (SIM_FROM, SIM_COUNT: which; SIM_SEED replays one)
	cargo run --release --locked --manifest-path sim/Cargo.toml -- $(if $(SIM_SEED),--seed $(SIM_SEED),--seconds $(SIM_SECONDS)) $(if $(SIM_FROM),--from $(SIM_FROM)) \
		$(if $(SIM_COUNT),--count $(SIM_COUNT))

deny: ## licences, sources, duplicates and, where the database can be reached, advisories of all crates
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check licenses bans sources
	if cargo deny fetch db; then cargo deny check advisories; else echo "deny: no advisory database, not checked" >&2; fi

bench: bench-tools ## measure Foghorn and its peers side by side, into bench/results (about half an hour)
	$(BENCH) suite

bench-quick: bench-tools ## the same in about a minute, into bench/target/quick
	$(BENCH) suite --quick

bench-heart: ## microbenchmarks of frame, backlog and channel
	cargo bench --locked --manifest-path bench/Cargo.toml --bench heart

bench-shell: ## measure send and listen beside mosquitto_pub and mosquitto_sub (about three minutes)
	scripts/need python3:python3 /usr/sbin/mosquitto:mosquitto mosquitto_sub:mosquitto-clients
	cargo build --release --locked
	scripts/bench-shell

bench-boards: ## measure two boards on one Redis server beside two of socket.io (about a minute)
	scripts/need node:nodejs npm:npm redis-server:redis-server
	cargo build --release --locked
	cargo build --release --locked --manifest-path bench/Cargo.toml
	npm ci --silent --no-fund --no-audit --prefix bench/peers
	$(BENCH) boards

bench-tools:
	scripts/need node:nodejs npm:npm nginx:nginx /usr/lib/nginx/modules/ngx_nchan_module.so:libnginx-mod-nchan \
		/usr/lib/python3/dist-packages/websockets:python3-websockets
	cargo build --release --locked
	cargo build --release --locked --manifest-path bench/Cargo.toml
	npm ci --silent --no-fund --no-audit --prefix bench/peers

arm64: ## build for 64-bit boards, with no container engine
	scripts/cross-build aarch64-unknown-linux-gnu

armv7: ## build for 32-bit boards (Pi 2 and later), with no container engine
	scripts/cross-build armv7-unknown-linux-gnueabihf

test-arm64: ## the integration tests against the aarch64 binary under qemu
	scripts/test-arm arm64 $(TESTS)

test-armv7: ## the integration tests against the ARMv7 binary under qemu
	scripts/test-arm armv7 $(TESTS)

units: ## check the systemd units
	scripts/check-units

deb: ## the Debian package; ARCH=arm64, armhf, amd64 or armv6
	scripts/deb $(ARCH)

test-deb: ## install, load, break, upgrade and purge the packages in a booted Debian, and count the way to the first message (needs root)
	scripts/deb arm64
	scripts/deb armhf
	scripts/test-deb
	scripts/first-message

deploy: ## build for a board, install there, print the address; HOST=pi@raspberrypi.local
	scripts/deploy $(HOST)

.PHONY: help run test test-rust test-browser test-clients screenshots lint fuzz soak kills boards torture sim mutants deny bench bench-quick bench-heart bench-shell bench-boards bench-tools arm64 armv7 test-arm64 test-armv7 units deb test-deb deploy
