.PHONY: check format lint types contracts test full

check: lint types contracts test  ## what CI runs

lint:
	ruff format --check .
	ruff check .

types:
	pyright

contracts:
	lint-imports

test:
	pytest

full:  ## full-size parity: about 10 GB of memory and some minutes
	pytest -m full

format:
	ruff format .
	ruff check --fix .
