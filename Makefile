# BootTorrent. The two commands of the README are `make demo` and `make test`; `make help` lists the others.

GO       ?= go
SUDO     := $(if $(filter 0,$(shell id -u)),,sudo)
RELEASE  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  := -X github.com/boottorrent/boottorrent/internal/version.Release=$(RELEASE)
NODES    ?= 3

# What a seeder needs besides its own binary, what the room in one machine needs, and the foreign tools that tests use as
# referees. MEDIA is what mkimage makes sticks and ISO images with, SB what Secure Boot takes, ARM emulates arm64 machines.
PACKAGES_SEEDER := ipxe xz-utils
PACKAGES_ROOM   := grub-rescue-pc grub-efi-amd64-bin qemu-system-x86 qemu-utils ovmf ipxe-qemu iproute2 dnsmasq-base debian-installer-12-netboot-amd64 tmux
PACKAGES_MEDIA  := systemd-boot-efi grub-common grub-pc-bin xorriso
PACKAGES_SB     := shim-signed grub-efi-amd64-signed sbsigntool efitools
PACKAGES_ARM    := qemu-system-arm qemu-efi-aarch64
PACKAGES_TEST   := chromium prometheus mandoc zstd bzip2 mmdebstrap umoci skopeo docker-registry xfsprogs btrfs-progs squashfs-tools erofs-utils e2fsprogs openssh-client gdisk fdisk gcc libc6-dev dosfstools mtools binutils aria2 minisign tftp-hpa curl udhcpc isc-dhcp-client kea-dhcp4-server kea-ctrl-agent cpio kmod python3-libtorrent transmission-cli
PACKAGES_BENCH  := iproute2 aria2 python3-libtorrent nginx-light curl

# What `make bench` measures: the rows of the project's table once, in some 45 minutes. BENCHFLAGS adds to it: "--runs 3".
BENCH := swarm --scenario fast,unshaped,equal,server10,quarter,stagger,single --builds node,plain --runs 1

# The benchmark compiles its peers itself, as mkimage and `make build` compile nodes' programs and the seeder.
RUNBENCH = mkdir -p bin && $(GO) build -o bin/bench ./integration/bench && $(SUDO) env PATH="$$PATH" GOCACHE="$$($(GO) env GOCACHE)" GOMODCACHE="$$($(GO) env GOMODCACHE)" bin/bench

# Packages: a version as Debian orders them, the date of the commit, and what they are made in.
VERSION  := $(shell .ci/version)
ARCHES   := amd64 arm64
DIST     ?= dist
NFPM     := $(GO) tool -modfile=packaging/tools.mod nfpm
# Only here: what tests run has dates of its own.
stage deb release: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)

export CGO_ENABLED = 0

.PHONY: help build deb release stage install demo test check unit race room bench bench-phase1 tables pictures lint gofmt vet staticcheck fuzz deps deps-demo deps-bench clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/seeder, bin/mkimage, and bin/boottorrent, which is both
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./seeder ./mkimage ./seeder/boottorrent

stage:
	@mkdir -p $(DIST)
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(DIST)/build/ ./mkimage
	$(DIST)/build/mkimage prebuild $(DIST)/nodes --source . $(addprefix --arch ,$(ARCHES))
	@for arch in $(ARCHES); do packaging/stage $$arch $(VERSION) $(RELEASE) $(DIST)/nodes $(DIST)/stage/$$arch || exit 1; done

deb: stage ## Debian packages for amd64 and arm64, in dist/
	@for arch in $(ARCHES); do \
		ARCH=$$arch VERSION=$(VERSION) STAGE=$(DIST)/stage/$$arch QEMU=qemu-system-$$([ $$arch = amd64 ] && echo x86 || echo arm) \
		$(NFPM) package --config packaging/nfpm.yaml --packager deb --target $(DIST)/boottorrent_$(VERSION)_$$arch.deb || exit 1; done

release: stage ## the same as tar.gz, to be unpacked anywhere
	@for arch in $(ARCHES); do name=boottorrent-$(VERSION)-$$arch; \
		tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime=@$$SOURCE_DATE_EPOCH --transform="s,^\./usr,$$name," \
			--directory $(DIST)/stage/$$arch ./usr | gzip -9n >$(DIST)/$$name.tar.gz || exit 1; echo $(DIST)/$$name.tar.gz; done

install: build ## into /usr/local/bin
	$(SUDO) install -m 755 bin/seeder bin/mkimage /usr/local/bin/

demo: deps-demo build ## a room of three nodes on this machine; NODES=5 for five
	$(SUDO) env PATH="$$PATH" GOCACHE="$$($(GO) env GOCACHE)" GOMODCACHE="$$($(GO) env GOMODCACHE)" \
		$(GO) run ./integration/demo --nodes $(NODES) $(DEMOFLAGS)

test: ## everything: installs what is missing, then lint, unit tests and rooms; what failed is listed at the end
	@.ci/stages deps lint unit room

check: ## lint and unit tests alone: before each commit
	@.ci/stages lint unit

unit: ## the quick tests; those that need root or a foreign tool say so when they skip
	$(GO) test $$($(GO) list ./... | grep -v /integration)

race: ## the unit tests with the race detector; needs a C compiler
	CGO_ENABLED=1 $(GO) test -race $(RACEFLAGS) $$($(GO) list ./... | grep -v /integration) ./integration/lossy ./integration/bench/...

room: ## machines that boot from real firmware up, in network namespaces of this machine; needs root
	$(SUDO) env PATH="$$PATH" CI="$$CI" GOCACHE="$$($(GO) env GOCACHE)" GOMODCACHE="$$($(GO) env GOMODCACHE)" CGO_ENABLED=0 \
		$(GO) test -p 1 -timeout 80m $(ROOMFLAGS) ./integration/...

bench: deps-bench ## measure the swarm beside aria2, libtorrent and HTTP; BENCHFLAGS="--nodes 16" for another room
	$(RUNBENCH) $(BENCH) $(BENCHFLAGS)

tables: deps-bench ## measure all of docs/benchmark.md anew, in a quiet hour or two; goes on where it stopped; TABLES=--list says how long it takes
	$(RUNBENCH) all $(TABLES)

bench-phase1: ## measure how long 4, 16 and 48 machines need to load phase 1, and write docs/phase1.md's table
	@mkdir -p bin
	$(GO) build -o bin/ ./integration/bench ./seeder
	for n in 4 16 48; do $(SUDO) bin/bench phase1 --program bin/seeder --nodes $$n || exit 1; done
	bin/bench phase1 --docs docs/phase1.md

pictures: ## docs/pictures: the page, the chooser and the transfer of a real room of three machines
	@mkdir -p docs/pictures
	$(SUDO) env PATH="$$PATH" GOCACHE="$$($(GO) env GOCACHE)" GOMODCACHE="$$($(GO) env GOMODCACHE)" CGO_ENABLED=0 BOOTTORRENT_PICTURES="$(CURDIR)/docs/pictures" \
		$(GO) test -count=1 -timeout 30m -run '^TestThreeNodesBootAtOnce$$' ./integration

lint: ## gofmt, go vet, staticcheck
	@.ci/stages gofmt vet staticcheck

gofmt:
	@unformatted=$$(git ls-files '*.go' | xargs gofmt -l); if [ -n "$$unformatted" ]; then echo "gofmt these:"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck:
	$(GO) tool staticcheck ./...

fuzz: ## every fuzz target for ten seconds, and a list of those that failed; FUZZTIME=10m for longer
	@.ci/fuzz

deps: PACKAGES = $(PACKAGES_SEEDER) $(PACKAGES_MEDIA) $(PACKAGES_SB) $(PACKAGES_ARM) $(PACKAGES_ROOM) $(PACKAGES_TEST)
deps-demo: PACKAGES = $(PACKAGES_SEEDER) $(PACKAGES_ROOM)
deps-bench: PACKAGES = $(PACKAGES_BENCH)
deps deps-demo deps-bench:
	@missing=; for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
		command -v apt-get >/dev/null || { echo "install these packages by hand:$$missing"; exit 1; }; \
		echo "installing:$$missing"; \
		$(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; fi

clean: ## what make has built; caches outside this folder stay
	rm -rf bin demo-site dist
