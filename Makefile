# The long forms of what the tests do in short. `make chaos SECONDS=3600 SEED=7 WORKERS=12` for more of it.
SECONDS ?= 600
WORKERS ?= 8
SEED ?=

.PHONY: chaos

# Real workers, clients and a server under kill -9, restarts and broken connections; ends with a ledger, exits with 1 if it does not balance.
chaos:
	python guarantees/chaos --seconds $(SECONDS) --workers $(WORKERS) $(if $(SEED),--seed $(SEED))
