# Node 26 and the tools come from npm; they are first in the PATH of everything that starts here.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
MAKEFLAGS += --no-print-directory

help: ## this list
	@echo 'VCC-PKI: a service mesh with its own PKI.'
	@echo
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/  make \1\t\2/p' Makefile

demo: setup ## the mesh at work, in about two minutes; KEEP=1 leaves it running; HSM=1 has its keys in SoftHSM
	@node e2e/demo/main.ts $(if $(KEEP),--keep) $(if $(HSM),--hsm)

test: ## all tests; the last line is the total; ONLY=check|unit|conformance|fuzz|e2e|mesh-softhsm-mosquitto|interop runs a part
	@tools/setup.sh || { echo '0 passed, 1 failed'; exit 1; }
	@ONLY='$(ONLY)' node tools/test.ts

check: setup ## formatting, lint, types, unused code, house rules; under a minute
	@node tools/check.ts

conformance: setup ## other people's tests of path validation; LIMBO=file PKITS=folder WYCHEPROOF=folder name others
	@LIMBO='$(LIMBO)' PKITS='$(PKITS)' WYCHEPROOF='$(WYCHEPROOF)' node e2e/conformance/main.ts

fuzz: setup ## a million changed inputs for each parser; CASES=n ONLY=target SEED=n CASE=n say which
	@node e2e/fuzz/main.ts --cases=$(or $(CASES),1000000) --seed='$(SEED)' --only='$(ONLY)' $(if $(CASE),--case=$(CASE))

interop: setup ## other people's tools on what the product makes; ONLY=openssl|certtool|… runs one
	@node e2e/interop/main.ts $(if $(ONLY),--only=$(ONLY))

interop-tools: ## fetches those of them that are no Debian packages, where Go and Python are
	@tools/interop-tools.sh

bench: setup ## measures what the product promises
	@node e2e/bench/main.ts

clean: ## removes what runs and builds leave behind; packages stay
	@rm -rf .demo e2e/.tap node_modules/.vite node_modules/.vitest
	@find . -path ./node_modules -prune -o -name .types -type d -prune -exec rm -rf {} +

setup:
	@tools/setup.sh

.DEFAULT_GOAL := help
.PHONY: help demo test check conformance fuzz interop interop-tools bench clean setup
