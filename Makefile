# Everything that is built, tested and installed. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

CARGO ?= cargo
# Cargo.toml is the only file that states the version. Packages carry the date of the commit or, in an archive without git, the
# date of that file, so that a commit always gives the same packages.
VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml)
DATE := $(shell git log -1 --format=%ct 2>/dev/null || stat --format=%Y Cargo.toml)
DESTDIR ?=
# What is built for: this machine, or another one, such as 'make deb rpm TRIPLE=aarch64-unknown-linux-gnu'. For 32-bit
# programs on x86_64 there is only the module.
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
TRIPLE ?= $(HOST)
CPU := $(firstword $(subst -, ,$(TRIPLE)))
MODULE32 := $(if $(filter x86_64-%,$(TRIPLE)),i686-unknown-linux-gnu)
CROSS := $(if $(filter-out $(HOST),$(TRIPLE)),$(CPU)-linux-gnu-)
# Debian's multiarch directory, or lib64 on rpm distributions.
MULTIARCH := $(shell $(CROSS)gcc -print-multiarch 2>/dev/null)
LIBDIR ?= /usr/lib$(if $(MULTIARCH),/$(MULTIARCH),64)
LIBEXECDIR ?= /usr/libexec/nss-iam
UNITDIR ?= /usr/lib/systemd/system
MANDIR ?= /usr/share/man
TARGET := $(or $(CARGO_TARGET_DIR),target)
VENV := .venv/installed
ZIG := .venv/released
LINT := .venv/linted
AWSCLI := .venv/aws/installed
DENY_VERSION := 0.20.2
# What is shipped runs with glibc 2.17 and later: the oldest version that Rust's standard library supports.
GLIBC := 2.17
MODULE := $(TARGET)/$(if $(CROSS),$(TRIPLE)/)module/libnss_iam.so
RELEASED := $(TARGET)/$(TRIPLE)/release
COMPLETIONS := $(RELEASED)/completions
DENY := $(TARGET)/tools/cargo-deny-$(DENY_VERSION)

.PHONY: help setup trees build module modules programs release demo picture metrics-picture test test-vm test-vm-next test-arm test-all bench bench-fleet lint \
	install install-module install-debian install-rpm debian/changelog deb rpm clean

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 10

setup: ## Install missing packages that building and testing need
	@tests/setup.sh $(if $(CROSS),$(TRIPLE))

$(VENV): tests/emulator/requirements.txt | setup
	python3 -m venv --clear .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(ZIG): tests/packages/requirements.txt $(VENV)
	.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(LINT): tests/lint/requirements.txt $(VENV)
	.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(AWSCLI): benches/fleet/requirements.txt $(VENV)
	python3 -m venv --clear .venv/aws
	.venv/aws/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

# Not optimised: that halves the build time, and it runs for only two seconds.
$(DENY)/bin/cargo-deny: | setup
	$(CARGO) install --quiet --locked --debug --root $(DENY) cargo-deny@$(DENY_VERSION)

# Small Debian systems: tests use them as the lower layer of an overlay.
trees: setup
	@tests/trees.sh

# Including the tests: they need more features of some dependencies, which would otherwise be built twice.
build: setup ## Build everything, for tests and the demo
	$(CARGO) build --workspace --all-targets --locked

# Only one crate type: with a second one, cargo would leave out link-time optimisation, which the proof that nothing panics
# needs. The module has nothing to initialise, so it is linked without start files, which would be four more symbols for the
# loader to look up. It needs no symbol newer than GLIBC above, whichever linker is used; a test checks this. On aarch64, the
# atomic operations of the compiler's library would find out at loading what the processor can do.
module: setup ## Build the NSS module as it is shipped
	$(if $(CROSS),CARGO_TARGET_$(shell echo $(TRIPLE) | tr a-z- A-Z_)_LINKER=$(CROSS)gcc )$(CARGO) rustc \
		--profile module --locked -p nss-iam --lib --crate-type cdylib $(if $(CROSS),--target $(TRIPLE) )-- \
		-C link-arg=-nostartfiles $(if $(filter aarch64,$(CPU)),-C target-feature=-outline-atomics)

# What x86_64 can build: for each of these, tests check what the linker proves, the size and the imports.
modules: module ## Build the NSS module for every architecture
	$(if $(MODULE32),$(MAKE) module TRIPLE=$(MODULE32) && $(MAKE) module TRIPLE=aarch64-unknown-linux-gnu)

release: module $(if $(filter-out i686,$(CPU)),programs) ## Build what is shipped

# A packager's flags are meant for the module's compiler, not for zig, and a new SOURCE_DATE_EPOCH must not rebuild everything.
UNFLAGGED := unset CC CXX CFLAGS CXXFLAGS CPPFLAGS LDFLAGS SOURCE_DATE_EPOCH

# Programs of another architecture do not run here: the completions come from one of this.
programs: setup $(ZIG)
	export PATH="$(CURDIR)/.venv/bin:$$PATH"; $(UNFLAGGED); \
	$(CARGO) zigbuild --release --locked --target $(TRIPLE).$(GLIBC) -p keys-cmd -p forward-only -p cache-refresher -p nss-iamctl
	docs/third-party.py $(TRIPLE) >$(RELEASED)/THIRD-PARTY
	mkdir -p $(COMPLETIONS)
	$(UNFLAGGED); for shell in bash zsh fish; do \
		$(if $(CROSS),$(CARGO) run --quiet --locked -p nss-iamctl --,$(RELEASED)/nss-iamctl) completions $$shell \
			>$(COMPLETIONS)/$$shell; \
	done

demo: build $(VENV) ## Run the main job on an IAM emulator, step by step
	@tests/trees.sh login
	$(TARGET)/debug/demo

picture: build $(VENV) ## Draw the picture of the demo in the README (docs/demo.svg)
	@tests/trees.sh login
	.venv/bin/pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	$(TARGET)/debug/demo | .venv/bin/python docs/demo-picture.py >$(TARGET)/demo.svg
	mv $(TARGET)/demo.svg docs/demo.svg

metrics-picture: build $(VENV) ## Draw the picture of the dashboard in the guide (docs/guide/metrics.svg); takes 8 minutes
	@tests/trees.sh prometheus
	$(TARGET)/debug/metrics-run >$(TARGET)/metrics-run.json
	docs/metrics-picture.py $(TARGET)/trees/prometheus/usr/bin <$(TARGET)/metrics-run.json >$(TARGET)/metrics.svg
	mv $(TARGET)/metrics.svg docs/guide/metrics.svg

# The trees are made beside the builds: they wait for the network, and the builds for one crate or one linker.
# Most tests wait, for a daemon or a deadline, so twice as many run as there are processors. cargo prints one summary for each
# test program; the last line adds them up.
test: setup ## Run all tests
	@setsid $(MAKE) trees & trees=$$!; trap 'kill -- -$$trees 2>/dev/null || :' EXIT; \
	$(MAKE) build modules deb rpm $(VENV) lint; \
	wait $$trees
	@set +e; RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))} \
	$(CARGO) test --workspace --locked --lib --bins --tests --no-fail-fast 2>&1 | tee $(TARGET)/test.log; \
	status=$${PIPESTATUS[0]}; \
	awk '/^skipped: /{s++} /^test result:/{p+=$$4; f+=$$6} \
	     END {printf "%d passed, %d failed, %d skipped\n", p-s, f, s; exit !(p-s)}' $(TARGET)/test.log && exit $$status

test-vm: build deb ## Run the tests on virtual machines, with SELinux and AppArmor in force (not part of 'make test')
	@tests/trees.sh qemu vm12
	$(CARGO) test --locked -p tests --test vm

test-vm-next: build deb ## Run the same tests on the next Debian, 13 (not part of 'make test-all')
	@tests/trees.sh qemu vm13
	GUEST=vm13 $(CARGO) test --locked -p tests --test vm

# Emulated, and so not part of 'make test': the readers' unit tests, without those that repeat one check very often and without
# loom's, which see no processor; then the package on a whole system. Natively, but as rarely needed: the same for 32 bits, on
# x86_64.
ARM := aarch64-unknown-linux-gnu
I686 := i686-unknown-linux-gnu
READERS := -p cache -p keys-cmd -p nss-iam -p reader --lib --bins --tests
OFTEN := $(addprefix --skip ,weakened:: files:: values:: fifty_thousand changed_ every_answer_)

test-arm: setup ## Run the tests for aarch64, emulated, and for 32-bit programs (not part of 'make test')
	tests/setup.sh $(ARM)
	$(if $(MODULE32),tests/setup.sh $(I686))
	@tests/trees.sh qemu-arm arm64-kernel arm64
	$(MAKE) deb rpm TRIPLE=$(ARM)
	$(if $(MODULE32),CC_i686_unknown_linux_gnu=i686-linux-gnu-gcc CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=i686-linux-gnu-gcc \
	CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUNNER='/usr/i686-linux-gnu/lib/ld-linux.so.2 --library-path /usr/i686-linux-gnu/lib' \
	$(CARGO) test --locked --target $(I686) $(READERS) -- --skip weakened::)
	CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='$(abspath $(TARGET))/trees/qemu-arm/usr/bin/qemu-aarch64-static -L /usr/aarch64-linux-gnu' \
	$(CARGO) test --locked --target $(ARM) $(READERS) -- $(OFTEN)
	$(CARGO) test --locked -p tests --test aarch64

test-all: test ## Run all tests, also those on emulated machines, and power cuts at many more writes (more than an hour)
	CUTS=1000 $(CARGO) test --locked -p tests --test crash
	$(MAKE) $(if $(MODULE32),test-vm) test-arm

bench: module $(VENV) ## Compare lookups with every peer (written to docs/benchmarks), and refresh and keys-cmd with the minimum
	@tests/trees.sh bench
	$(CARGO) build --release --workspace --locked
	$(TARGET)/release/bench-lookups
	$(TARGET)/release/bench-refresh

# import_users.sh of github.com/widdix/aws-ec2-ssh, which is not part of this repository. Without it, that way is left out.
IMPORT_USERS ?=

bench-fleet: module $(VENV) $(AWSCLI) ## Compare ways to keep the users of many hosts (written to docs/fleet.md); an hour and a half
	$(CARGO) build --release --workspace --locked
	$(TARGET)/release/bench-fleet $(abspath $(IMPORT_USERS))

lint: setup $(LINT) $(DENY)/bin/cargo-deny ## Check formatting, clippy, dependencies (deny.toml), the workflow, the issue forms and Terraform
	@if $(CARGO) clippy --version >/dev/null 2>&1 && $(CARGO) fmt --version >/dev/null 2>&1; then \
		$(CARGO) fmt --all --check && $(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings && \
		$(CARGO) clippy -p tests --test vm --test aarch64 --locked --quiet -- -D warnings; \
	else \
		echo "lint skipped: this toolchain has no clippy or rustfmt (rustup component add clippy rustfmt)"; \
	fi
	$(DENY)/bin/cargo-deny --locked check --hide-inclusion-graph licenses bans sources
	.venv/bin/actionlint -shellcheck= -pyflakes= .github/workflows/*.yml
	.venv/bin/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml
	.venv/bin/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	.venv/bin/python tests/terraform/validate.py deploy/terraform/*

# Renamed, because any program may load it at any time.
install-module:
	install -D -m 0644 $(MODULE) $(DESTDIR)$(LIBDIR)/libnss_iam.so.2.new
	mv -f $(DESTDIR)$(LIBDIR)/libnss_iam.so.2.new $(DESTDIR)$(LIBDIR)/libnss_iam.so.2

install: install-module ## Install what was built by 'make release' below DESTDIR
	install -D -m 0755 $(RELEASED)/keys-cmd $(DESTDIR)$(LIBEXECDIR)/keys-cmd
	install -D -m 0755 $(RELEASED)/forward-only $(DESTDIR)$(LIBEXECDIR)/forward-only
	install -D -m 0755 $(RELEASED)/cache-refresher $(DESTDIR)$(LIBEXECDIR)/cache-refresher
	install -D -m 0755 $(RELEASED)/nss-iamctl $(DESTDIR)/usr/sbin/nss-iamctl
	install -D -m 0644 config/config.toml $(DESTDIR)/etc/nss-iam/config.toml
	install -D -m 0755 systemd/imds $(DESTDIR)$(LIBEXECDIR)/imds
	install -D -m 0755 config/selinux $(DESTDIR)$(LIBEXECDIR)/selinux
	install -D -m 0644 config/nss-iam.cil $(DESTDIR)/usr/share/selinux/packages/nss-iam.cil
	install -D -m 0644 config/imds.nft $(DESTDIR)/usr/share/nss-iam/imds.nft
	for unit in systemd/*.service systemd/*.timer systemd/*.path; do install -D -m 0644 $$unit $(DESTDIR)$(UNITDIR)/$${unit##*/}; done
	install -D -m 0644 systemd/nss-iam.nftables $(DESTDIR)$(UNITDIR)/nftables.service.d/nss-iam.conf
	install -D -m 0644 config/iam-policy.json $(DESTDIR)/usr/share/nss-iam/iam-policy.json
	install -D -m 0644 config/identity-center-policy.json $(DESTDIR)/usr/share/nss-iam/identity-center-policy.json
	install -D -m 0644 config/cloud-init.yaml $(DESTDIR)/usr/share/nss-iam/cloud-init.yaml
	install -D -m 0644 deploy/prometheus/nss-iam.rules.yml $(DESTDIR)/usr/share/nss-iam/prometheus-rules.yml
	install -D -m 0644 deploy/grafana/nss-iam.json $(DESTDIR)/usr/share/nss-iam/grafana.json
	install -d -m 0755 $(DESTDIR)/etc/nss-iam/config.d $(DESTDIR)/var/lib/nss-iam
	install -D -m 0644 systemd/nss-iam.sysusers $(DESTDIR)/usr/lib/sysusers.d/nss-iam.conf
	install -D -m 0644 systemd/nss-iam.preset $(DESTDIR)/usr/lib/systemd/system-preset/90-nss-iam.preset
	install -D -m 0644 systemd/nss-iam.tmpfiles $(DESTDIR)/usr/lib/tmpfiles.d/nss-iam.conf
	install -D -m 0644 $(COMPLETIONS)/bash $(DESTDIR)/usr/share/bash-completion/completions/nss-iamctl
	install -D -m 0644 $(COMPLETIONS)/fish $(DESTDIR)/usr/share/fish/vendor_completions.d/nss-iamctl.fish
	for page in man/*; do install -D -m 0644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done

# Files that only one kind of distribution has a place for.
install-debian:
	install -D -m 0644 $(COMPLETIONS)/zsh $(DESTDIR)/usr/share/zsh/vendor-completions/_nss-iamctl
	install -D -m 0644 config/pam-mkhomedir $(DESTDIR)/usr/share/pam-configs/nss-iam-mkhomedir
	install -D -m 0644 config/nss-iam-mkhomedir.cil $(DESTDIR)/usr/share/selinux/packages/nss-iam-mkhomedir.cil
	install -D -m 0644 config/apparmor-nameservice $(DESTDIR)/etc/apparmor.d/abstractions/nameservice.d/nss-iam
	install -D -m 0644 $(RELEASED)/THIRD-PARTY $(DESTDIR)/usr/share/doc/nss-iam/THIRD-PARTY

install-rpm:
	install -D -m 0644 $(COMPLETIONS)/zsh $(DESTDIR)/usr/share/zsh/site-functions/_nss-iamctl
	install -D -m 0644 $(RELEASED)/THIRD-PARTY $(DESTDIR)/usr/share/licenses/nss-iam/THIRD-PARTY
	install -D -m 0644 LICENSE $(DESTDIR)/usr/share/licenses/nss-iam/LICENSE

# dpkg takes the version and the date from here.
debian/changelog:
	printf 'nss-iam (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' \
		'$(VERSION)' "$$(sed -n 's/^Maintainer: //p' debian/control)" "$$(date --utc --rfc-email --date=@$(DATE))" >$@

# Packages of other architectures stay in dist.
DEB_x86_64 := amd64
DEB_aarch64 := arm64
DEB_i686 := i386
DEB := $(DEB_$(CPU))

deb: release debian/changelog ## Build dist/nss-iam_*.deb, and on x86_64 the module for 32-bit programs, dist/libnss-iam_*.deb
	tests/setup.sh packages
	mkdir -p dist
	rm -f dist/*_$(DEB).deb dist/*_$(DEB).buildinfo dist/*_$(DEB).changes
	DEB_BUILD_OPTIONS=nocheck dpkg-buildpackage --host-arch=$(DEB) --build=binary --no-sign --buildinfo-option=-udist --changes-option=-udist \
		--buildinfo-file=dist/nss-iam_$(DEB).buildinfo --changes-file=dist/nss-iam_$(DEB).changes
	lintian --fail-on error,warning --info dist/nss-iam_$(DEB).changes
	$(if $(MODULE32),$(MAKE) deb TRIPLE=$(MODULE32))

rpm: release ## Build dist/nss-iam-*.rpm, and on x86_64 the module for 32-bit programs, dist/libnss-iam-*.rpm
	tests/setup.sh packages
	mkdir -p dist
	rm -f dist/*.$(CPU).rpm
	SOURCE_DATE_EPOCH=$(DATE) \
	rpmbuild -bb --build-in-place --target $(CPU) \
		--define '_topdir $(abspath $(TARGET))/rpm' --define '_rpmdir $(CURDIR)/dist' \
		--define '_version $(VERSION)' --define '_date $(shell LC_ALL=C date --utc --date=@$(DATE) '+%a %b %d %Y')' \
		--define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
		rpm/$(if $(filter i686,$(CPU)),lib)nss-iam.spec
	rpmlint --config rpm/rpmlint.toml dist/*.$(CPU).rpm
	$(if $(MODULE32),$(MAKE) rpm TRIPLE=$(MODULE32))

clean: ## Remove everything that was built
	rm -rf $(TARGET) dist .venv debian/changelog
