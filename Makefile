# Everything that is built, tested and installed. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

CARGO ?= cargo
DESTDIR ?=
# Debian's multiarch folder, or the lib64 of the rpm distributions.
MULTIARCH := $(shell gcc -print-multiarch 2>/dev/null)
LIBDIR ?= /usr/lib$(if $(MULTIARCH),/$(MULTIARCH),64)
LIBEXECDIR ?= /usr/libexec/nss-iam
TARGET := $(or $(CARGO_TARGET_DIR),target)
VENV := .venv/installed

.PHONY: help setup build release demo test bench lint install clean

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 10

setup: ## Install what building and testing need, as far as it is missing
	@tests/setup.sh

$(VENV): tests/emulator/requirements.txt | setup
	python3 -m venv --clear .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

build: setup ## Build everything, for tests and the demo
	$(CARGO) build --workspace --locked

release: setup ## Build what is shipped
	$(CARGO) build --release --locked -p nss-iam -p keys-cmd -p cache-refresher

demo: build $(VENV) ## The main job on an IAM emulator, step by step
	$(TARGET)/debug/demo

# cargo ends with the summary of the last test program; the last line adds all of them up.
test: build $(VENV) lint ## All tests
	@set +e; $(CARGO) test --workspace --locked --lib --bins --tests --no-fail-fast 2>&1 | tee $(TARGET)/test.log; \
	status=$${PIPESTATUS[0]}; \
	awk '/^skipped: /{s++} /^test result:/{p+=$$4; f+=$$6} \
	     END {printf "%d passed, %d failed, %d skipped\n", p-s, f, s; exit !(p-s)}' $(TARGET)/test.log && exit $$status

bench: setup $(VENV) ## Refresh and keys-cmd beside their floors
	$(CARGO) build --release --workspace --locked
	$(TARGET)/release/bench-refresh

lint: setup
	@if $(CARGO) clippy --version >/dev/null 2>&1 && $(CARGO) fmt --version >/dev/null 2>&1; then \
		$(CARGO) fmt --all --check && $(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings; \
	else \
		echo "lint left out: this toolchain has no clippy or rustfmt (rustup component add clippy rustfmt)"; \
	fi

install: ## Install what was built by 'make release' below DESTDIR
	install -D -m 0644 $(TARGET)/release/libnss_iam.so $(DESTDIR)$(LIBDIR)/libnss_iam.so.2
	install -D -m 0755 $(TARGET)/release/keys-cmd $(DESTDIR)$(LIBEXECDIR)/keys-cmd
	install -D -m 0755 $(TARGET)/release/cache-refresher $(DESTDIR)$(LIBEXECDIR)/cache-refresher
	install -D -m 0644 config/config.toml $(DESTDIR)/etc/nss-iam/config.toml
	install -D -m 0755 systemd/imds $(DESTDIR)$(LIBEXECDIR)/imds
	install -D -m 0644 config/imds.nft $(DESTDIR)/usr/share/nss-iam/imds.nft
	install -D -m 0644 systemd/nss-iam-imds.service $(DESTDIR)/usr/lib/systemd/system/nss-iam-imds.service
	install -d -m 0755 $(DESTDIR)/etc/nss-iam/config.d $(DESTDIR)/var/lib/nss-iam
	install -D -m 0644 systemd/nss-iam.sysusers $(DESTDIR)/usr/lib/sysusers.d/nss-iam.conf
	install -D -m 0644 systemd/nss-iam.tmpfiles $(DESTDIR)/usr/lib/tmpfiles.d/nss-iam.conf

clean: ## Remove what was built
	rm -rf $(TARGET) dist .venv
