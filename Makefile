# The long forms of what the tests do in short. `make chaos SECONDS=3600 SEED=7 WORKERS=12` for more of it.
SECONDS ?= 600
WORKERS ?= 8
SEED ?=

.PHONY: benchmarks chaos guarantees

# All that docs/guarantees.md gives figures of, and the page itself.
guarantees:
	python guarantees/enumerate.py
	python guarantees/mutants --jobs 2
	python guarantees/chaos --seconds 150 --workers $(WORKERS)
	python guarantees/cluster.py --tests
	python guarantees/report.py

# Real workers, clients and a server under kill -9, restarts and broken connections; ends with a ledger, exits with 1 if it does not balance.
chaos:
	python guarantees/chaos --seconds $(SECONDS) --workers $(WORKERS) $(if $(SEED),--seed $(SEED))

# All that docs/performance.md gives figures of, and the page itself.
benchmarks:
	python benchmarks
	python benchmarks curves cluster
	python benchmarks/report.py
