# Homeostat. On a fresh Debian machine with Rust, `make demo` and `make test` need nothing before
# them.

SHELL := /bin/sh
CARGO ?= cargo

# Where `make deps` unpacks the distribution's packages when it may not install them.
export PATH := $(CURDIR)/target/tools/usr/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help deps build demo demo-hosts test test-kubernetes check bench sim torture fuzz mixin deb image chart sbom release book

help: ## Show this list
	@echo 'Homeostat, the healing side of the Prometheus stack'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'demo and test need Prometheus and Alertmanager: they install the packages of the'
	@echo 'distribution when they are missing. To use your own, say where they are:'
	@echo '  make demo PROMETHEUS=/path/to/prometheus ALERTMANAGER=/path/to/alertmanager'

deps: ## Install Prometheus and Alertmanager, if they are missing
	@scripts/deps

build: ## Build the homeostat binary
	$(CARGO) build --locked --package homeostat

demo: deps build ## Watch the whole loop on this machine, in about a minute (ARGS=--keep to stay)
	@$(CARGO) run --quiet --locked --package homeostat -- demo $(ARGS)

demo-hosts: ## Watch services on three hosts healed over SSH, in less than a minute
	@scripts/deps hosts
	$(CARGO) build --locked --package homeostat
	@scripts/demo-hosts "$${CARGO_TARGET_DIR:-target}/debug/homeostat"

# All tests of one build, with failpoints. The runner's summary is the last thing that is said, so
# the doc tests go first.
FAILPOINTS_ON := --features homeostat/failpoints
test: ## Run all tests, those against the real Prometheus stack too
	@scripts/deps test
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    $(CARGO) test --locked --workspace $(FAILPOINTS_ON) --doc \
	        && $(CARGO) nextest run --locked --workspace $(FAILPOINTS_ON); \
	else \
	    $(CARGO) test --locked --workspace $(FAILPOINTS_ON); \
	fi

# Beside `make test`, because the server is built first, which takes minutes.
test-kubernetes: ## Run the tests against a real API server of Kubernetes (ARGS='-E …' for some)
	@scripts/api-server build
	$(CARGO) test --locked --workspace $(FAILPOINTS_ON) --no-run
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    scripts/api-server run $(CARGO) nextest run --locked --workspace $(FAILPOINTS_ON) \
	        --run-ignored only $(or $(ARGS),-E 'test(/^kubernetes::/)'); \
	else \
	    scripts/api-server run $(CARGO) test --locked --workspace $(FAILPOINTS_ON) \
	        --test engine -- --ignored kubernetes::; \
	fi

torture: ## Kill the engine a thousand times under load and account for all (ROUNDS=n SEED=n)
	$(CARGO) build --locked --profile torture --package homeostat --package homeostat-torture \
	    --features homeostat/failpoints,homeostat-torture/failpoints
	@$(CARGO) run --quiet --locked --profile torture --package homeostat-torture \
	    --features homeostat-torture/failpoints -- \
	    $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SEED),--seed $(SEED))

bench: ## Measure against peers and limits, in about ten minutes (BENCH_ONLY=name for one)
	@scripts/deps bench
	$(CARGO) build --release --locked --package homeostat --package homeostat-bench
	@$(CARGO) run --quiet --release --locked --package homeostat-bench

sim: ## Simulate a million incidents in lying worlds, in minutes (ARGS='--seed N' for one world)
	$(CARGO) build --release --locked --package homeostat-sim
	@$(CARGO) run --quiet --release --locked --package homeostat-sim -- $(or $(ARGS),--seeds 10000 --incidents 1000000)

fuzz: ## Feed strange bytes to every door, each for FUZZ_SECONDS (60; FUZZ=name for one door)
	@scripts/fuzz $(FUZZ)

deb: ## Make a Debian package, in target/debian
	$(CARGO) build --release --locked --package homeostat
	@scripts/deb target/release/homeostat

# In the form of Docker, also by podman: that of the OCI has no health checks.
image: ## Make an image for containers, by podman or docker
	@if command -v podman >/dev/null; then build='podman build --format docker'; \
	elif command -v docker >/dev/null; then build='docker build'; \
	else echo 'image: neither podman nor docker is here'; exit 1; fi; \
	$$build --file Containerfile --tag homeostat \
	    --build-arg HOMEOSTAT_REVISION="$$(git rev-parse --short=12 HEAD)" .

chart: ## Render the chart into contrib/kubernetes, and validate what it makes
	@scripts/chart

sbom: ## Say what is linked, with its licences, in target/homeostat.cdx.json and third-party.txt
	@scripts/sbom

release: ## Gather all that is released of a tag in target/release-files (TAG=v1.2.3)
	@scripts/release check "$(TAG)"
	@$(MAKE) deb image sbom
	@scripts/release gather

book: ## Make a book of the manual, in target/book
	@scripts/book

mixin: ## Make the alerts, rules and dashboards of contrib/mixin from their source
	@scripts/mixin

check: ## Check the format and the lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
	    $(CARGO) deny check bans licenses sources; \
	else \
	    echo 'check: cargo-deny is not here: nobody looked at licences'; \
	fi
