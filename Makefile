# Every command does its own set-up: what is missing is installed or built, with progress shown.
# The same build settings everywhere, so that nothing is compiled twice.
export CGO_ENABLED = 0
export GOFLAGS := -trimpath -buildvcs=false
export GOTOOLCHAIN = local

SHELL   := /bin/bash
VERSION ?= dev
LDFLAGS := -s -w -X main.version=$(VERSION)
LAB     := demo
# Charts have a version of their own kind, which must be three numbers.
CHART_VERSION ?= $(or $(patsubst v%,%,$(filter v%,$(VERSION))),0.1.0)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/lintel
	@echo "building bin/lintel"
	@go build -ldflags "$(LDFLAGS)" -o bin/lintel ./cmd/lintel

.PHONY: lab
lab: ## Build the lab's programs: lab/bin/lab and others
	@echo "building lab/bin"
	@mkdir -p lab/bin
	@cd lab && go build -ldflags "-s -w" -o bin/ ./cmd/lab ./cmd/demo ./cmd/page ./cmd/labimage ./cmd/release ./cmd/rights

.PHONY: image
image: build lab ## Build bin/lintel.tar, the container image for this machine
	@lab/bin/release -ref lintel:$(VERSION) -version $(VERSION) -arch $$(go env GOARCH) -archive bin/lintel.tar -sbom bin

# Where the image is pushed to is decided by whoever pushes it: the layout has no registry in it.
.PHONY: image-release
image-release: lab ## Build bin/lintel-release.tar and bin/oci, the image for amd64 and arm64, with bills of materials
	@mkdir -p bin
	@lab/bin/release -ref lintel:$(VERSION) -version $(VERSION) -arch amd64,arm64 -archive bin/lintel-release.tar -dir bin/oci -sbom bin

.PHONY: chart
chart: helm ## Build bin/lintel-chart.tgz, the Helm chart
	@mkdir -p bin/chart
	@bin/helm package --destination bin/chart --version $(CHART_VERSION) --app-version $(VERSION) charts/lintel >/dev/null
	@mv bin/chart/lintel-$(CHART_VERSION).tgz bin/lintel-chart.tgz && rmdir bin/chart
	@echo "built bin/lintel-chart.tgz"

.PHONY: helm
helm: ## Build bin/helm, Helm itself
	@echo "building bin/helm"
	@cd test/chart && go build -o ../../bin/helm helm.sh/helm/v4/cmd/helm

##@ Two commands to begin with

.PHONY: demo
demo: root image ## Show Lintel at work on a real Kubernetes on this machine (root)
	@lab/bin/labimage -ref lab.local/page:1 -o lab/bin/page.tar lab/bin/page
	@lab/bin/demo -lab $(LAB) -config config -lintel $(CURDIR)/bin/lintel \
		-command "lab/bin/lab --name $(LAB)" bin/lintel.tar lab/bin/page.tar

.PHONY: demo-down
demo-down: root lab ## Remove every trace of the demo (root)
	@lab/bin/lab --name $(LAB) down

.PHONY: test
test: root ## Run all tests (root)
	@$(MAKE) --no-print-directory check test-fast test-race test-image
	@$(MAKE) --no-print-directory -j2 test-net test-lab # these wait for packets and clocks more than they compute
	@echo "all tests passed"

##@ Parts of make test

.PHONY: root
root:
	@[ "$$(id -u)" = 0 ] || { echo "this target makes network namespaces: run it as root"; exit 1; }

.PHONY: check
check: ## Format, vet, lint, generated files
	@echo "== gofmt, go vet"
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "run gofmt on: $$out"; exit 1; }
	@go vet ./... && go vet -tags netns ./... && (cd lab && go vet ./...) && (cd test/chart && go vet ./...)
	@echo "== golangci-lint"
	@go tool -modfile=tools/go.mod golangci-lint run ./...
	@cd lab && go tool -modfile=../tools/go.mod golangci-lint run --config ../.golangci.yaml ./...
	@echo "== generated files"
	@cd tools && go test -count=1 ./...

.PHONY: test-fast
test-fast: ## Tests without privileges
	@echo "== tests without privileges"
	@go test ./...
	@cd test/chart && go test ./...
	@cd lab && go test $$(go list ./... | grep -v -e /e2e/ -e /labtest -e /release -e 'lintel/lab$$')
	@cd lab && go test -count=1 ./docpage # the pages are outside of the module, so that a kept result may be old

.PHONY: test-image
test-image: ## Two builds of the image, from two directories, have one digest
	@echo "== the image is reproducible"
	@cd lab && go test -count=1 -v ./release

# Only packages that start goroutines and do not pull all of Kubernetes through the race build.
RACE := ./internal/members/... ./internal/links/... ./internal/l2/... ./internal/bgp/... ./internal/bfd/... ./internal/kube/inbox/...

.PHONY: test-race
test-race: ## The concurrent packages under the race detector
	@echo "== race detector"
	@CGO_ENABLED=1 go test -race $(RACE)

.PHONY: test-net
test-net: root packages ## Namespace tests: the real kernel, FRR, BIRD (root)
	@echo "== namespace tests"
	@go test -tags netns -count=1 -p 1 ./internal/links/... ./internal/l2/... ./internal/bfd/... ./internal/kube/speaker
	@cd test/interop && go test -count=1 -p 1 ./...

.PHONY: test-lab
test-lab: root lab ## End-to-end tests on a real Kubernetes in the lab (root)
	@echo "== the lab and end-to-end tests"
	@rm -rf lab/bin/audit && mkdir lab/bin/audit
	@cd lab && bin/lab setup && LINTEL_AUDIT=$(CURDIR)/lab/bin/audit go test -count=1 -p 2 -timeout 30m ./e2e/takeover ./e2e/layer2 ./e2e/bgp ./e2e/pods ./e2e/... . ./labtest
	@echo "== service accounts may do what they have done, and nothing else"
	@lab/bin/rights -config config lab/bin/audit

.PHONY: bench
bench: root packages ## Measurements, which print figures (root)
	@go test -run '^$$' -bench . -benchtime 200ms ./internal/announce ./internal/ipam
	@go test -tags netns -run '^$$' -bench Measure -benchtime 1x ./internal/l2 ./internal/bfd
	@cd test/interop && go test -run '^$$' -bench . -benchtime 1x .
	@cd lab && go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./e2e/...

##@ Upkeep

.PHONY: generate
generate: ## Generate deep copies, apply configurations, CRDs, API reference and plain manifests
	@go generate ./api
	@cd test/chart && go generate .

PACKAGES := iproute2 nftables tcpdump arping ndisc6 frr bird2 iputils-ping

.PHONY: packages
packages: root
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || echo $$p; done); \
	[ -z "$$missing" ] || { echo "installing" $$missing; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null; }
