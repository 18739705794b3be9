# Short names for what is done often; each is a command that also works without just.

export CARGO_TERM_COLOR := env("CARGO_TERM_COLOR", "auto")

# Lists the recipes.
default:
    @just --list

# Starts the server; FLAGS are its own.
run *FLAGS:
    cargo run --release -- {{FLAGS}}

# Fetches the third-party tools that some tests drive.
tools:
    scripts/tools

# Runs the end-to-end tests with NAME in their names, on SQLite.
test NAME:
    cargo test -p tidegate-tests --test it {{quote(NAME)}}

# Runs the end-to-end tests with NAME in their names, on a throw-away PostgreSQL.
test-pg NAME:
    #!/usr/bin/env bash
    set -euo pipefail
    folder=$(mktemp -d)
    trap 'scripts/postgres stop "$folder" immediate; rm -rf "$folder"' EXIT
    url=$(scripts/postgres start "$folder")
    export TIDEGATE_TEST_DATABASE=postgres TIDEGATE_TEST_POSTGRES=$url
    cargo test -p tidegate-tests --test it {{quote(NAME)}} -- --include-ignored --skip sqlite_only

# Checks format and lints.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy --workspace --all-targets --features tidegate-server/failpoints,tidegate-server/fuzzing -- -D warnings

# Builds the documentation as strictly as .ci/run does.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Checks dependencies and their licences; needs cargo-deny.
deny:
    cargo deny check bans licenses sources

# Writes client/api/api.txt, the client's public API; FLAGS: --check.
client-api *FLAGS:
    scripts/client-api {{FLAGS}}

# Writes proto/generated from the .proto files; FLAGS: --check.
generate *FLAGS:
    scripts/generate {{FLAGS}}

# Makes the image that the contract is compared with: for a change that is to break callers.
contract:
    cd proto && ../target/tools/bin/buf build --exclude-source-info -o descriptor.binpb

# Makes Debian packages in FOLDER.
deb FOLDER:
    scripts/deb {{quote(FOLDER)}}

# Runs the programs in other languages against a server; ARGS go to pytest.
clients *ARGS:
    scripts/clients {{ARGS}}

# Runs the chaos runs: short or long.
chaos FORM="short":
    scripts/chaos {{FORM}}

# Measures the release build against yardsticks of the same run: ARGS are names of lines, history, quick or flags.
bench *ARGS:
    cargo run --release -p tidegate-bench -- {{ if ARGS == "quick" { "--quick" } else { ARGS } }}

# Counts instructions and compares them with the baseline; FLAGS: --write.
instructions *FLAGS:
    scripts/instructions {{FLAGS}}

# Checks that the chaos runs notice servers with a deliberate fault: NAMES of chaos/deliberate-faults, or all.
deliberate-faults *NAMES:
    scripts/deliberate-faults {{NAMES}}

# Checks that the unit tests notice small changes to the rules; needs cargo-mutants, which takes FLAGS.
mutants-domain *FLAGS:
    PROPTEST_RNG_SEED=1 PROPTEST_CASES=32 PROPTEST_DISABLE_FAILURE_PERSISTENCE=true \
        cargo mutants -p tidegate-domain --output target/mutants-domain {{FLAGS}}

# Checks the same of a twentieth of the ledger and the store, SEED being 0 to 19.
mutants-sample SEED="0":
    cargo mutants --workspace -f server/src/ledger.rs -f 'server/src/ledger/**' -f 'store/src/**' \
        --shard {{SEED}}/20 --sharding round-robin --timeout 120 --output target/mutants-sample

# Runs everything that must hold.
ci:
    .ci/run
