# Every target sets up what it needs: an environment in .venv with the versions of constraints.txt.
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: picture check lint types contracts test full format

picture: $(VENV)/.gesso  ## draw the first picture
	$(BIN)/gesso "a red house beside a pine tree, at night" --seed 8

check: lint types contracts test  ## everything CI runs

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

# One process a core, one thread in each: the tests' tensors are too small to be shared among threads.
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

full: $(VENV)/.dev  ## full-size parity: about 10 GB of memory and some minutes
	$(BIN)/python -m pytest -m full

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# torch comes first and pinned: a looser request for it may bring gigabytes of CUDA along.
$(VENV)/.gesso: pyproject.toml constraints.txt
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e .
	touch $@

# Of k-diffusion the tests use the samplers alone; what it asks for is for training.
$(VENV)/.dev: $(VENV)/.gesso
	$(PIP) -e '.[dev]'
	$(PIP) --no-deps k-diffusion
	touch $@
