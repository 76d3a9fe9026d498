# What people type. Every target does its own set-up: see scripts/setup.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
# Where AWS's packages put the command, and where scripts call it.
HOME_OF_BINARY := /opt/aws/mountpoint-s3/bin
TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET)/release/mount-s3
IT := $(CARGO) test --release --locked -p mount --test it --

.PHONY: help
help: ## Print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 20

.PHONY: setup
setup: ## Install what building and testing need, or say what is missing
	@scripts/setup

.PHONY: build
build: ## Build the release binary
	$(CARGO) build --release --locked -p mount

.PHONY: demo
demo: setup build ## Mount a bucket of JARs, run a class from it, say what it cost
	@scripts/demo $(BINARY)

.PHONY: lint
lint: setup ## Formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

.PHONY: test
test: lint ## Lints, then all tests (needs root and /dev/fuse)
	$(CARGO) test --release --locked --workspace

# What is skipped is about passthrough itself; without it there is a test of the same for that.
.PHONY: test-masked
test-masked: setup ## The mount's tests as if the kernel had none of its newer features
	MASK_KERNEL_FEATURES=passthrough,resend,readdirplus,large-requests $(IT) \
		--skip complete_objects_are_read_mapped_sent_and_run_without_the_daemon

.PHONY: test-stores
test-stores: setup ## Two S3 servers more: builds MinIO and Versity S3 Gateway with Go, takes minutes
	$(CARGO) test --release --locked -p s3 --test it -- --ignored --nocapture minio versitygw
	$(IT) --ignored --nocapture minio versitygw

.PHONY: pjdfstest
pjdfstest: setup $(if $(MOUNT_S3),,build) ## POSIX, name by name: what of pjdfstest applies has to pass (PJDFSTEST_ARGS=--all)
	@scripts/pjdfstest $(or $(MOUNT_S3),$(BINARY)) $(TARGET)/tools/pjdfstest $(PJDFSTEST_ARGS)

.PHONY: test-spark-jars
test-spark-jars: setup ## The real JARs of Spark 3.5.3 (a download of 317 MB from PyPI)
	@scripts/spark-jars $(TARGET)/tools/spark
	SPARK_JARS=$(abspath $(TARGET)/tools/spark/jars) $(IT) --ignored --nocapture the_real_spark_jars

.PHONY: spark
spark: setup $(if $(MOUNT_S3),,build) ## Spark 3.5.3 with its JARs from a mount: requests and times (SPARK_ARGS=--with-spark)
	@scripts/spark-setup $(TARGET)/tools/spark
	@scripts/spark --tools $(TARGET)/tools/spark --json $(TARGET)/spark.json $(SPARK_ARGS) \
		$(or $(MOUNT_S3),$(BINARY))

.PHONY: spark-write
spark-write: setup $(if $(MOUNT_S3),,build) ## Spark 3.5.3 writes data sets into mounts: what works, and its requests
	@scripts/spark-setup $(TARGET)/tools/spark
	@scripts/spark-write --tools $(TARGET)/tools/spark $(or $(MOUNT_S3),$(BINARY))

.PHONY: e2e-k8s
e2e-k8s: setup $(if $(MOUNT_S3),,build) ## A real Kubernetes with the Spark operator: the guide, executed (E2E_ARGS="--only NAME --keep")
	@python3 -m e2e.k8s $(E2E_ARGS)

.PHONY: e2e-k8s-interrupt
e2e-k8s-interrupt: setup $(if $(MOUNT_S3),,build) ## Clusters that are ended by Ctrl-C, a signal, kill -9: nothing is left of them
	@python3 -m e2e.k8s interrupt

.PHONY: e2e-k8s-clean
e2e-k8s-clean: ## Take away what a run of e2e-k8s left that did not get to its end
	@python3 -m e2e.k8s clean

.PHONY: test-faults
test-faults: setup ## 20,000 checked reads under 5 % of every fault
	$(IT) --ignored --nocapture twenty_thousand

.PHONY: test-model
test-model: setup ## Random programs against the reference model: 20,000 in memory, 300 on real mounts
	$(CARGO) test --release --locked -p fs --test it -- --ignored --nocapture ten_thousand_programs
	$(IT) --ignored --nocapture three_hundred_programs

.PHONY: test-power
test-power: setup ## 200 power cuts under the cache, on ext4 and XFS
	$(IT) --ignored --nocapture a_hundred_power_cuts

.PHONY: test-kills
test-kills: setup ## 200 kills of mounts that upload, with a cache and without
	$(IT) --ignored --nocapture two_hundred_kills

.PHONY: test-cache-long
test-cache-long: setup ## The cache at full size: 200 processes read 252 JARs
	$(IT) --ignored --nocapture cache_long

.PHONY: deny
deny: ## Licences, advisories, sources of all dependencies (installs cargo-deny)
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	$(CARGO) deny --workspace check bans licenses sources

.PHONY: bench
bench: setup build ## Measure reading against a plain S3 client
	$(CARGO) xtask bench read

# Everything in the archive is as old as the last commit, so that the same sources make the same bytes.
IMAGE := $(TARGET)/image/mount-s3.tar
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.PHONY: image
image: setup build ## Make a container image, an OCI archive, without a container daemon
	@SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) scripts/image $(BINARY) $(IMAGE)

.PHONY: image-shell
image-shell: setup build ## The same with a shell in it, for the guide's own DaemonSet
	@command -v busybox >/dev/null || apt-get install -y --no-install-recommends busybox-static </dev/null || \
		{ echo 'a static busybox is missing: on Debian and Ubuntu it is the package busybox-static' >&2; exit 1; }
	@SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) scripts/image --shell "$$(command -v busybox)" \
		$(BINARY) $(IMAGE:.tar=-shell.tar)

.PHONY: test-image
test-image: image image-shell ## Look at the image and run it as a container would
	@scripts/test-image $(IMAGE) $(BINARY) $(IMAGE:.tar=-shell.tar)

.PHONY: packages
packages: setup build ## Pack the binary as .deb and .rpm (builds cargo-deb and cargo-generate-rpm once)
	@scripts/packages $(BINARY) $(TARGET)

.PHONY: test-packages
test-packages: packages ## Install, run, reboot and remove the packages on small Debians; user data too
	@scripts/test-packages $(BINARY) $(TARGET)/packages $(TARGET)/tools/debian-root

.PHONY: check-deploy
check-deploy: ## Everything under deploy/ against schemas, shellcheck and planted errors
	@scripts/check-deploy
	@scripts/check-deploy --self-test

.PHONY: install
install: ## Install the binary (DESTDIR, PREFIX); build first: make build
	@test -x $(BINARY) || { echo 'build first: make build'; exit 1; }
	install -D -m 0755 $(BINARY) $(DESTDIR)$(HOME_OF_BINARY)/mount-s3
	install -d $(DESTDIR)$(PREFIX)/bin
	ln -sfn $(HOME_OF_BINARY)/mount-s3 $(DESTDIR)$(PREFIX)/bin/mount-s3

.PHONY: uninstall
uninstall: ## Remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/mount-s3 $(DESTDIR)$(HOME_OF_BINARY)/mount-s3
	-rmdir -p --ignore-fail-on-non-empty $(DESTDIR)$(HOME_OF_BINARY)
