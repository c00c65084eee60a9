# Sluice: `make demo` to see it, `make test` to trust it.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -ldflags "-X main.version=$(VERSION)"
# Built when it is first run, which takes a minute or two; .golangci.yml says
# what it looks for.
GOLANGCI := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Those that take longest come first: the others run beside them.
LONGEST := ./test/system ./test/streams ./test/remedies ./test/load ./test/kafkalab ./balance/data ./cluster ./cmd/sluice
PACKAGES = $(LONGEST) $(filter-out sluice/test/bench $(patsubst ./%,sluice/%,$(LONGEST)),$(shell go list ./...))

# Begins a recipe that runs tests. Whatever they and the go command put into the
# temporary folder lies in one of the checkout's, named by the shell's process
# id, and goes with the recipe, or with the next one where it was killed.
TIDY = for d in .tmp/*; do kill -0 "$${d\#\#*/}" 2>/dev/null || rm -rf "$$d"; done; \
	export TMPDIR="$(CURDIR)/.tmp/$$$$"; mkdir -p "$$TMPDIR"; \
	trap 'rm -rf "$$TMPDIR"; rmdir .tmp 2>/dev/null' EXIT; trap 'exit 130' INT TERM

.PHONY: build demo test prove-short prove bench lint fuzz clean
build:
	CGO_ENABLED=0 go build $(LDFLAGS) -o bin/sluice ./cmd/sluice

demo: build
	./bin/sluice demo

# Everything but what takes minutes, in some minutes on two quiet cores. What
# waits for brokers leaves processors to others: two packages at a time.
# SLUICE_KAFKA=required makes it fail where no real Kafka can be had.
test:
	@command -v java >/dev/null && command -v mvn >/dev/null || echo "left out: all tests on real Kafka (they need Java 17+ and Maven)"
	@$(TIDY); go test -timeout 20m -p 3 $(TESTFLAGS) $(PACKAGES)

# What "make test" leaves out because it takes minutes, in few rounds, and what
# copying costs, as ratios in the same run.
prove-short:
	@$(TIDY); export SLUICE_PROVE=short SLUICE_KAFKA=required; \
	go test -count=1 -timeout 20m -run 'RollingRestart|Upgrade|Transactions|Canary|Latency|Linear|Outsiders|MirrorMaker|ThreeBrokers|BrokersKilled' ./test/system ./test/streams ./test/load ./test/fillers && \
	SIM_SEEDS=4 go test -count=1 -timeout 20m -run 'Sim|Chaos' ./cluster ./cmd/sluice && \
	go test -count=1 -timeout 20m -run Limit ./test/streams && \
	go test -count=1 -timeout 20m ./test/bench

# The full counts of the reliability and performance claims. What needs a quiet
# machine comes first and takes an hour, the rest on real Kafka another, and the
# simulations as long as their seeds: the first lasts a whole day.
QUIET := ^Test(Latency|Outsiders|Limit)$$
prove:
	@$(TIDY); export SLUICE_PROVE=1 SLUICE_KAFKA=required; prove="go test -v -count=1 -timeout 6h -p 1"; failed=; \
	$$prove ./test/bench || failed=1; \
	$$prove -run '$(QUIET)' ./test/system ./test/streams || failed=1; \
	$$prove -skip '$(QUIET)' $(filter-out sluice/test/bench,$(shell go list ./test/...)) ./replication/... ./fsm ./balance/... || failed=1; \
	SIM_SEEDS=$(SIM_SEEDS) $$prove ./cluster ./cmd/sluice || failed=1; \
	test -z "$$failed"
SIM_SEEDS ?= 50

bench:
	@$(TIDY); SLUICE_KAFKA=required go test -v -count=1 -timeout 30m ./test/bench
	go test -run xxx -bench . -benchmem ./fsm ./balance/... ./kafka ./replication/...

lint:
	@test -z "$$(gofmt -l .)" || { echo "gofmt:"; gofmt -l .; exit 1; }
	$(GOLANGCI) run --allow-parallel-runners ./...
	go test -count=1 ./test/arch

# Each fuzz target for a while: make fuzz FUZZTIME=60s
FUZZTIME ?= 20s
fuzz:
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; go test -run xxx -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; done; done

clean:
	rm -rf bin .tmp
