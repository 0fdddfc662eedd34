# make run   sets everything up and runs a whole pair on this machine
# make test  sets everything up and runs every check
# make explore  walks through all states of a pair: minutes, on two cores
# make chaos MINUTES=10   breaks a real pair in every way we know, and loses nothing
# make simulate SEEDS=10000  breaks that many simulated pairs at random; --seed N replays one
# make mutants  breaks the deciding code on purpose and sees that the tests notice
# make fuzz  tries strange bytes on each parser, 60 s each or SECONDS=…
PYTHON ?= python3
SEEDS ?= 1000
MINUTES ?= 10
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test explore simulate chaos mutants fuzz check format docs clean

run: $(READY)
	@exec $(BIN)/python -m node pair

# A file of tests runs in one process: what its tests share is made once.
test: check
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

explore: $(READY)
	@exec $(BIN)/python -m tests.exploration

# One again, with its whole trace: make simulate SEED=7
simulate: $(READY)
	@exec $(BIN)/python -m tests.simulation --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

# More options: python -m tests.chaos --help
chaos: $(READY)
	@exec $(BIN)/python -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

mutants: $(READY)
	@exec $(BIN)/python -m tests.mutants

SECONDS := 60
fuzz: $(READY)
	-@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[fuzz]'
	@exec $(BIN)/python -m tests.fuzz --seconds $(SECONDS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Pages that are generated from the code; a test fails when one is stale.
docs: $(READY)
	$(BIN)/python -m node.supervision_table > docs/supervision.md

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	@echo "Setting up in $(VENV): about a minute, once."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

clean:
	rm -rf $(VENV) .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis
