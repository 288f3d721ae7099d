# The commands of this repository. `make run` and `make test` install what they need, see scripts/prerequisites.

# Where rustup puts cargo, for a shell that was opened before.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help run test test-long matrix check fmt clippy doc bench bench-full bench-peers guard schemathesis chaos fuzz supply-chain advisories features sbom reproducible prerequisites prerequisites-tests prerequisites-guard prerequisites-chaos

help:
	@echo 'make run        start a PostgreSQL, run this folder through the queue (DEMO="folder --workers 4" for others), and serve it'
	@echo 'make test       run all tests'
	@echo 'make test-long  contention and ticks for a full minute, and a server that is away for half a minute'
	@echo 'make matrix     run the tests on the oldest and the newest PostgreSQL, through PgBouncer, as a plain role and others: an hour or more'
	@echo 'make check      formatting, lints and documentation'
	@echo 'make schemathesis  hold the server against its description in OpenAPI, for two minutes (SCHEMATHESIS_EXAMPLES=100 for longer)'
	@echo 'make chaos      1,000 faults while everybody works, some ten minutes (CHAOS="--seed 6 --faults 60" for others)'
	@echo 'make bench      measure for five minutes, on a PostgreSQL of its own; writes target/bench (BENCH="--bin-dir DIR" and others)'
	@echo 'make bench-full measure everything, for hours'
	@echo 'make bench-peers  the same of other task queues beside pgmill: see bench/peers (PEERS="--quick --only pgmill pgmq" for less)'
	@echo 'make fuzz       look for input that breaks a parser, for 10 s each (FUZZ_SECONDS=600 for longer)'
	@echo 'make supply-chain  licences, bans, duplicates, sources, unused dependencies (make advisories asks RustSec)'
	@echo 'make features   whether each feature of each crate can be chosen alone, in some minutes'
	@echo 'make sbom       what the program is made of: target/sbom/pgmill.cdx.json'
	@echo 'make reproducible  build twice in different folders, and compare the bytes (PROFILE=dev is quicker)'
	@echo 'make guard      hold what a task costs, in instructions, WAL and statements (UPDATE_GUARD=1 to accept what it costs now)'

run: prerequisites
	cargo run --release --locked -p pgmill-cli -- demo --serve $(DEMO)

# Databases of tests are created some five times faster in memory: where there is room for them, and programs may be run.
IN_MEMORY = $(shell [ -z "$$TMPDIR" ] && [ -w /dev/shm ] && \
	awk '$$2 == "/dev/shm" && $$3 == "tmpfs" && $$4 !~ /noexec/ { found = 1 } END { exit !found }' /proc/mounts && \
	[ "$$(df -Pk /dev/shm | awk 'NR == 2 { print $$4 }')" -ge 4194304 ] && echo TMPDIR=/dev/shm)

# All features at once: none of them takes anything away, so there is one build to test.
test: prerequisites-tests examples/typescript/dist
	$(IN_MEMORY) cargo test --workspace --all-features --locked --no-fail-fast

# The same features and packages as in `test`, so that nothing is built anew.
test-long: prerequisites-tests
	PGMILL_LONG_TESTS=1 $(IN_MEMORY) cargo test --workspace --all-features --locked --test it -- --exact \
		concurrency::releases_and_extensions_of_the_same_tasks_never_deadlock_and_one_release_wins \
		outage::a_pool_outlasts_a_server_that_is_stopped_under_load_and_is_back_at_its_rate \
		ticker_once::a_thousand_tickers_of_a_second_tick_exactly_once_a_second_over_three_managers

# Other servers than the one at hand, and poolers, roles and settings: see docs/compatibility.md, which it writes.
matrix: prerequisites-tests examples/typescript/dist
	scripts/matrix $(MATRIX)

check: fmt clippy doc

fmt:
	cargo fmt --check

clippy:
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

doc:
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features --locked

# The same features and packages as in `test`, so that nothing is built anew.
schemathesis: prerequisites-tests
	cargo build --workspace --all-features --all-targets --locked
	scripts/schemathesis

# The same features and packages as in `test`, so that nothing is built anew. A disk that fills up needs root.
chaos: prerequisites-chaos
	cargo build --workspace --all-features --all-targets --locked
	$(IN_MEMORY) $${CARGO_TARGET_DIR:-target}/debug/pgmill-chaos $(CHAOS)

# Of what is written, the JSON lines can be added to those of other runs: pgmill-bench report FILE… --html OUT
MEASURE = $${CARGO_TARGET_DIR:-target}/release/pgmill-bench --save $(1)/results.jsonl --html $(1)/report.html

bench: prerequisites
	cargo build --release --locked -p pgmill-cli -p pgmill-bench
	mkdir -p target/bench
	$(call MEASURE,target/bench) --quick $(BENCH)

bench-full: prerequisites
	cargo build --release --locked -p pgmill-cli -p pgmill-bench
	mkdir -p target/bench/full
	$(call MEASURE,target/bench/full) --all $(BENCH)

# What is counted is what is shipped: the same profile.
guard: prerequisites-guard
	cargo build --release --locked -p pgmill-bench --bin pgmill-guard
	$${CARGO_TARGET_DIR:-target}/release/pgmill-guard $(if $(UPDATE_GUARD),--accept)

fuzz: prerequisites-tests
	scripts/fuzz

supply-chain: prerequisites-tests
	scripts/supply-chain

advisories: prerequisites-tests
	scripts/supply-chain advisories

features: prerequisites-tests
	scripts/supply-chain features

sbom: prerequisites
	scripts/sbom

reproducible: prerequisites
	scripts/reproducible

# A workspace of its own: nothing of it is needed to build, test or publish pgmill.
bench-peers: prerequisites
	cargo run --release --locked --manifest-path bench/peers/Cargo.toml --bin peers -- $(PEERS)

prerequisites:
	@scripts/prerequisites

prerequisites-tests:
	@scripts/prerequisites tests

prerequisites-guard:
	@scripts/prerequisites guard

prerequisites-chaos:
	@scripts/prerequisites chaos

# The examples in TypeScript, as JavaScript.
examples/typescript/dist: $(wildcard examples/typescript/*.ts examples/typescript/*.json)
	cd examples/typescript && npm ci --no-audit --no-fund && npm run build
	touch $@
