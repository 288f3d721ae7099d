# The commands of this repository. `make run` and `make test` install what they need, see scripts/prerequisites.

# Where rustup puts cargo, for a shell that was opened before.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help run test check fmt clippy doc bench prerequisites

help:
	@echo 'make run     start a PostgreSQL, and run this folder through the queue (DEMO="folder --workers 4" for others)'
	@echo 'make test    run all tests'
	@echo 'make check   formatting, lints and documentation'
	@echo 'make bench   measure, on a PostgreSQL of its own'

run: prerequisites
	cargo run --release --locked -p pgmill-cli -- demo $(DEMO)

# All features at once: none of them takes anything away, so there is one build to test.
test: prerequisites
	cargo test --workspace --all-features --locked --no-fail-fast

check: fmt clippy doc

fmt:
	cargo fmt --check

clippy:
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

doc:
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features --locked

bench: prerequisites
	cargo run --release --locked -p pgmill-bench -- --quick $(BENCH)

prerequisites:
	@scripts/prerequisites
