# Sluice: `make demo` to see it, `make test` to trust it.
.PHONY: build
build:
	go build -o bin/sluice ./cmd/sluice
