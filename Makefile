# TabRL. `make up` installs what is missing and starts everything; `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Without compiled bytecode every start would compile jax and its like again.
unexport PYTHONDONTWRITEBYTECODE

PORT ?= 8080
DATA ?= .data
OPEN ?= 1
ROBOTS ?= 0
FOLDER = $(patsubst ~/%,$(HOME)/%,$(DATA))
PYTHON ?= $(shell command -v python3.11 || command -v python3)

UV := .tools/bin/uv
VENV := .venv/bin
NPM := $(VENV)/npm
WEB := frontend/web
MEMBERS := protos players/python $(sort $(patsubst %/pyproject.toml,%,$(wildcard services/*/pyproject.toml))) deploy/local frontend/cli
SERVICES := scene rewardgen trainer exporter inference
RUNTIME_LOCKS := $(SERVICES:%=deploy/locks/%.txt) deploy/locks/gateway.txt deploy/locks/cli.txt
PROTOS := $(shell find protos -name '*.proto' -not -path 'protos/gen/*')
WEB_SOURCES := $(shell find $(WEB) -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/dist-share/*' -not -path '*/src/gen/*' 2>/dev/null)
say = @printf '\033[1m▸ %s\033[0m\n' '$(1)'
# node of the virtual environment first: npm's scripts look for it on the path
export PATH := $(CURDIR)/$(VENV):$(PATH)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

# ---- running -------------------------------------------------------------------------------------------------------------------

.PHONY: up
up: preflight install $(if $(filter-out 0 no false,$(ROBOTS)),robots) ## Install what is missing and start everything (PORT=8080 DATA=.data OPEN=1 ROBOTS=0)
	@$(VENV)/python -m tabrl_scene.bake --data '$(FOLDER)'
	@exec $(VENV)/python -m tabrl_local --port '$(PORT)' --data '$(FOLDER)' $(if $(filter 0 no false,$(OPEN)),--no-open)

# What makes the start impossible is said before anything is installed, so by a bare Python.
.PHONY: preflight
preflight:
	@test -z '$(PYTHON)' || PYTHONPATH=deploy/local '$(PYTHON)' -m tabrl_local.preflight --port '$(PORT)' --data '$(FOLDER)'

.PHONY: install
install: .venv/stamps/members $(WEB)/dist/index.html ## Install everything that `make up` needs

.PHONY: robots
robots: .venv/stamps/members ## Download the robots of the locomotion and manipulation environments (180 MB, once for all data folders)
	@$(VENV)/python -m tabrl_scene.robots

# ---- installing ----------------------------------------------------------------------------------------------------------------

.tools/stamps/uv: deploy/locks/uv.txt deploy/install/bootstrap.sh
	$(call say,Installing uv)
	@bash deploy/install/bootstrap.sh '$(PYTHON)' .tools deploy/locks/uv.txt
	@mkdir -p $(@D) && touch $@

.venv/stamps/created: .tools/stamps/uv
	$(call say,Creating the virtual environment)
	@test -x $(VENV)/python || $(UV) venv --quiet --python '$(PYTHON)' .venv
	@mkdir -p $(@D) && touch $@

.venv/stamps/runtime: .venv/stamps/created $(RUNTIME_LOCKS)
	$(call say,Installing Python packages)
	@$(UV) pip install --python $(VENV)/python --require-hashes $(RUNTIME_LOCKS:%=-r %)
	$(call say,Compiling Python packages)
	@$(VENV)/python deploy/install/compile_bytecode.py $$($(VENV)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	@mkdir -p $(@D) && touch $@

.venv/stamps/members: .venv/stamps/runtime protos/gen/stamp $(MEMBERS:%=%/pyproject.toml)
	$(call say,Installing the packages of this workspace)
	@$(UV) pip install --quiet --python $(VENV)/python --no-deps $(MEMBERS:%=-e %)
	@mkdir -p $(@D) && touch $@

.venv/stamps/development: .venv/stamps/members deploy/locks/development.txt
	$(call say,Installing the development tools)
	@$(UV) pip install --python $(VENV)/python --require-hashes -r deploy/locks/development.txt
	@$(VENV)/python deploy/install/compile_bytecode.py $$($(VENV)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	@mkdir -p $(@D) && touch $@

$(WEB)/node_modules/.package-lock.json: $(WEB)/package.json $(WEB)/package-lock.json .venv/stamps/runtime
	$(call say,Installing the packages of the front end)
	@bash deploy/install/npm.sh $(NPM) $(WEB)
	@touch $@

$(WEB)/dist/index.html: $(WEB_SOURCES) $(WEB)/node_modules/.package-lock.json protos/gen/stamp
	$(call say,Building the front end)
	@cd $(WEB) && npm run --silent build
	@touch $@

# ---- other players ---------------------------------------------------------------------------------------------------------------

.tools/tabrl-play: $(wildcard players/cpp/*.cpp players/cpp/*.h players/cpp/third_party/onnxruntime/*.h) players/cpp/build.sh .venv/stamps/runtime
	@bash deploy/install/cpp.sh
	$(call say,Building the C++ player)
	@bash players/cpp/build.sh $(VENV)/python $@

.PHONY: player-cpp
player-cpp: .tools/tabrl-play ## Build the C++ player of controllers, .tools/tabrl-play

# ---- contracts -----------------------------------------------------------------------------------------------------------------

protos/gen/stamp: $(PROTOS) buf.yaml buf.gen.yaml deploy/codegen/protoc_gen_grpc_python.py .venv/stamps/runtime $(WEB)/node_modules/.package-lock.json
	$(call say,Generating code from the contracts)
	@buf generate
	@buf build -o protos/gen/tabrl.binpb --as-file-descriptor-set
	@touch $@

.PHONY: proto
proto: protos/gen/stamp ## Generate Python, TypeScript and Envoy's descriptors from the contracts

.PHONY: baseline
baseline: .venv/stamps/runtime ## Take the contracts as they are for the ones that must not break
	@buf build -o protos/baseline.binpb --exclude-source-info

# ---- checks --------------------------------------------------------------------------------------------------------------------

.PHONY: check
check: check-python check-contracts check-web ## Format, lint, types, imports, contracts

.PHONY: check-python
check-python: .venv/stamps/development
	$(call say,ruff)
	@ruff check .
	@ruff format --check --quiet .
	$(call say,import-linter)
	@lint-imports --no-cache
	$(call say,mypy)
	@mypy

.PHONY: check-contracts
check-contracts: protos/gen/stamp
	$(call say,buf)
	@buf lint
	@buf format --diff --exit-code > /dev/null || { echo 'a contract is not formatted; run: buf format -w' >&2; exit 1; }
	@buf breaking --against protos/baseline.binpb
	@bash deploy/codegen/check.sh

.PHONY: check-web
check-web: $(WEB)/node_modules/.package-lock.json protos/gen/stamp
	$(call say,Biome and tsc)
	@cd $(WEB) && npm run --silent check

# ---- tests ---------------------------------------------------------------------------------------------------------------------

.PHONY: test
test: test-web test-python ## Everything, in a real browser too

.PHONY: test-web
test-web: $(WEB)/node_modules/.package-lock.json protos/gen/stamp
	$(call say,vitest)
	@cd $(WEB) && npm run --silent test

.PHONY: test-python
test-python: .venv/stamps/development $(WEB)/dist/index.html chromium postgresql faketime cpp
	$(call say,pytest)
	@$(if $(TESTS),pytest $(TESTS),pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder tests/robustness deploy frontend/cli players services && pytest tests --ignore=tests/robustness)

.PHONY: chromium
chromium:
	@bash deploy/install/chromium.sh

.PHONY: postgresql
postgresql:
	@bash deploy/install/postgresql.sh

.PHONY: faketime
faketime:
	@bash deploy/install/faketime.sh

.PHONY: cpp
cpp:
	@bash deploy/install/cpp.sh

.PHONY: bench
bench: install ## Learning curves and step rates on this machine (minutes; BENCH='stepping --help' for one of them)
	@$(VENV)/python -m tabrl_simulation.benchmarks $(BENCH)

.PHONY: bench-sealing
bench-sealing: .venv/stamps/development ## From reward source to a sealed program, with jails warm and cold (minutes; BENCH='--rewards 100' for more)
	@$(VENV)/python -m tabrl_simulation.benchmarks.sealing $(BENCH)

.PHONY: bench-first-answers
bench-first-answers: .venv/stamps/development ## Rewards of every behaviour's first answer, by library and language model: how many seal (minutes)
	@$(VENV)/python -m tests.benchmarks.first_answers $(BENCH)

.PHONY: bench-behaviours
bench-behaviours: .venv/stamps/development ## From prompts to motions: does the robot do what was asked? (an hour; BENCH='--rows walker-walk' for some)
	@$(VENV)/python -m tests.benchmarks.behaviours $(BENCH)

.PHONY: bench-finetuning
bench-finetuning: .venv/stamps/development ## A new wish for a robot that can do something already, beside from scratch (an hour; BENCH='--pairs walker' for some)
	@$(VENV)/python -m tests.benchmarks.finetuning $(BENCH)

.PHONY: bench-kills
bench-kills: .venv/stamps/development postgresql faketime ## kill -9 of Trainer and workers hundreds of times, full disks, clocks that jump, databases that go away (half an hour; BENCH='--postgresql --seed 1')
	@$(VENV)/python -m tests.robustness.trainer_kills $(BENCH)

.PHONY: bench-batches
bench-batches: install .venv/stamps/development ## Three approaches as one batch with early stopping, and as three runs one after the other (ten minutes)
	@$(VENV)/python -m tests.benchmarks.batches $(BENCH)

.PHONY: bench-watchers
bench-watchers: .venv/stamps/development ## A thousand watchers of one run: order, delay, memory, and what they cost the training (minutes)
	@$(VENV)/python -m tests.benchmarks.watchers $(BENCH)

.PHONY: bench-browser
bench-browser: install .venv/stamps/development chromium ## Trained controllers for ten seconds in Chromium and in Python (ten minutes; MENAGERIE_ROOT=FOLDER for ANYmal C too)
	@$(VENV)/python -m tests.benchmarks.browser $(BENCH)

.PHONY: bench-studio
bench-studio: install .venv/stamps/development chromium ## The page in Chromium: first robot, script, long tasks, real-time factors, frames, memory (three quarters of an hour; BENCH='arrival playing' for ten minutes)
	@$(VENV)/python -m tests.benchmarks.studio $(BENCH)

.tools/peers/stamp: .tools/stamps/uv deploy/locks/peers.txt
	$(call say,Installing the trainers to compare with)
	@$(UV) venv --quiet --allow-existing --python '$(PYTHON)' $(@D)
	@$(UV) pip install --python $(@D)/bin/python --require-hashes -r deploy/locks/peers.txt
	@$(UV) pip install --quiet --python $(@D)/bin/python --no-deps -e players/python -e services/simulation
	@$(@D)/bin/python deploy/install/compile_bytecode.py $$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	@touch $@

.PHONY: bench-peers
bench-peers: .tools/peers/stamp ## Time to the same return beside Brax on MJX and Stable-Baselines3, step rate beside EnvPool (quarter of an hour)
	@.tools/peers/bin/python -m tabrl_simulation.benchmarks peers $(BENCH)

.PHONY: harden
harden: .venv/stamps/development ## Attack the reward checker: 100,000 random syntax trees, and hundreds of broken checkers that must be noticed (5 minutes)
	@$(VENV)/python -m tests.security.fuzz_checker
	@$(VENV)/python -m tests.security.mutate_checker

.PHONY: footprint
footprint: .venv/stamps/development install ## Memory and start-up time of each service at rest
	@$(VENV)/python -m tests.footprint.measure

.PHONY: thumbnails
thumbnails: .venv/stamps/members ## Draw the pictures of the environments again
	@MUJOCO_GL=$${MUJOCO_GL:-osmesa} $(VENV)/python -m tabrl_scene.thumbnails

# ---- keeping up ----------------------------------------------------------------------------------------------------------------

.PHONY: locks
locks: .tools/stamps/uv ## Lock every dependency again (UPGRADE=1 takes the newest)
	@bash deploy/locks/lock.sh $(UV) $(if $(UPGRADE),--upgrade)

.PHONY: format
format: .venv/stamps/development $(WEB)/node_modules/.package-lock.json ## Format all code
	@ruff check --fix --quiet . ; ruff format --quiet .
	@buf format -w
	@cd $(WEB) && npm run --silent format

.PHONY: clean
clean: ## Remove all that make has made, but for the data folder
	@rm -rf .tools .venv protos/gen $(WEB)/node_modules $(WEB)/dist $(WEB)/src/gen .mypy_cache .ruff_cache
