# Thin on purpose: what a target does stands in local/<target>.ts. Needs node >= 20 with npm, python3 and, where nothing can
# be downloaded, go. `make up` builds the tools once (10 to 25 minutes on two cores without downloads), later it takes seconds.
NODE := node_modules/.bin/node
# Found by every program that the targets start: the pinned Node first.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# Files to test, e.g. make test TESTS=tests/releases/pin.test.ts
TESTS ?=

.PHONY: up down clean test lint format

up: node_modules/.package-lock.json
	@$(NODE) local/up.ts

down: node_modules/.package-lock.json
	@$(NODE) local/down.ts

clean: node_modules/.package-lock.json
	@$(NODE) local/clean.ts

test: node_modules/.package-lock.json
	@$(NODE) tests/run.ts $(TESTS)

lint: node_modules/.package-lock.json
	@node_modules/.bin/tsc --noEmit
	@node_modules/.bin/eslint .
	@node_modules/.bin/prettier --check --log-level warn .

format: node_modules/.package-lock.json
	@node_modules/.bin/prettier --write --log-level warn .

# npm writes this file last; it is older than package-lock.json when the libraries are not those of the lock file.
node_modules/.package-lock.json: package-lock.json
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "There is no node with npm on PATH; install Node 20 or later, then run make again." >&2; exit 1; }
	@node -e 'if (parseInt(process.versions.node) < 20) { console.error("Node " + process.versions.node + " is older than 20 and cannot install the libraries; install Node 20 or later, then run make again."); process.exit(1) }'
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@
