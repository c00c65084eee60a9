# Sluice: `make demo` to see it, `make test` to trust it.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -ldflags "-X main.version=$(VERSION)"
# Built when it is first run, which takes a minute or two; .golangci.yml says
# what it looks for.
GOLANGCI := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Packages that start real brokers, where Java 17+ and Maven are found, and
# those that need none.
REAL := ./test/system ./test/streams ./test/remedies ./test/load ./test/kafkalab ./test/kafkatest ./test/syncreal ./test/identity ./test/faults
UNIT = $(filter-out sluice/test/bench $(patsubst ./%,sluice/%,$(REAL)),$(shell go list ./...))

.PHONY: build demo test prove bench lint fuzz clean
build:
	CGO_ENABLED=0 go build $(LDFLAGS) -o bin/sluice ./cmd/sluice

demo: build
	./bin/sluice demo

# Everything. SLUICE_KAFKA=required makes it fail where no real Kafka can be had.
test:
	@command -v java >/dev/null && command -v mvn >/dev/null || echo "left out: all tests on real Kafka (they need Java 17+ and Maven)"
	go test -timeout 30m $(UNIT)
	go test -timeout 40m -p 2 $(REAL)

# The full counts of the reliability and performance claims.
prove:
	SLUICE_PROVE=1 SLUICE_KAFKA=required go test -v -count=1 -timeout 120m -p 1 ./balance/... ./fsm ./cluster ./cmd/sluice ./test/...

bench:
	SLUICE_KAFKA=required go test -v -count=1 -timeout 30m ./test/bench
	go test -run xxx -bench . -benchmem ./fsm ./balance/... ./kafka ./replication/...

lint:
	@test -z "$$(gofmt -l .)" || { echo "gofmt:"; gofmt -l .; exit 1; }
	$(GOLANGCI) run ./...
	go test -count=1 ./test/arch

# Each fuzz target for a while: make fuzz FUZZTIME=60s
FUZZTIME ?= 20s
fuzz:
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; go test -run xxx -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; done; done

clean:
	rm -rf bin
