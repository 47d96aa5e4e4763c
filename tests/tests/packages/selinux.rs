//! The SELinux modules, built into Debian's reference policy. The policy is queried, because no kernel here enforces
//! one; `make test-vm` boots one that does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{Machine, text};

use crate::support::tree;

const POLICY: &str = "/etc/selinux/default/policy/policy.*";
const CONTEXTS: &str = "/etc/selinux/default/contexts/files/file_contexts";
/// What glibc does with a cache.
const READING: [&str; 4] = ["getattr", "open", "read", "map"];

/// The trees of the release that the policy is for, with their programs.
const TREES: [&str; 5] = ["directory", "debian12", "login", "rpm", "selinux"];

/// getpwnam(3), getgrnam(3), getgrouplist(3), initgroups(3), and their like, which may also end in `_r`.
const LOOKUPS: [&str; 8] =
    ["getpwnam", "getpwuid", "getpwent", "getgrnam", "getgrgid", "getgrent", "getgrouplist", "initgroups"];

/// Libraries that look up users in some functions only, and the beginnings of those functions' names. They were derived
/// from the calls in the libraries' disassembly. Of all other libraries that look up users, every function counts.
const PARTS: [(&str, &[&str]); 3] = [
    ("libaudit.so.", &["audit_rule_fieldpair_data"]),
    ("libselinux.so.", &["getseuser"]),
    (
        "libsystemd-shared-",
        &[
            "get_group_creds",
            "get_home_dir",
            "get_shell",
            "get_user_creds",
            "gid_to_name",
            "groupdb_",
            "membershipdb_",
            "nss_",
            "uid_to_name",
            "userdb_",
        ],
    ),
];

/// Domains whose programs look up users, and why they need not read the cache.
const EXEMPT: [(&str, &str); 1] =
    [("httpd_gpg_t", "may not read nsswitch.conf(5), without which glibc asks `files` alone")];

/// The tree of the policy, after the modules were loaded.
struct Policy {
    machine: Machine,
    /// The types of each attribute.
    attributes: BTreeMap<String, BTreeSet<String>>,
}

impl Policy {
    fn load() -> Option<Self> {
        let machine = Machine::enter_tree("selinux")?;
        let mut policy = Self { machine, attributes: BTreeMap::new() };
        let config = tests::repository().join("config");
        let modules = "/usr/share/selinux/packages";
        policy.run(&format!("mkdir -p {modules} && cp {}/*.cil {modules}", config.display()));
        policy.script("load");
        let mut attribute = String::new();
        for line in policy.run(&format!("seinfo -a -x {POLICY}")).lines().map(str::trim) {
            match line.strip_prefix("attribute ") {
                Some(name) => name.trim_end_matches(';').clone_into(&mut attribute),
                None => drop(policy.attributes.entry(attribute.clone()).or_default().insert(line.to_owned())),
            }
        }
        Some(policy)
    }

    /// What the packages run, on a host where SELinux is off.
    fn script(&self, what: &str) {
        self.run(&format!("{} {what}", tests::repository().join("config/selinux").display()));
    }

    fn run(&self, line: &str) -> String {
        let ran = self.machine.run(&["sh", "-c", line]);
        assert!(ran.status.success(), "{line}: {}{}", text(&ran.stderr), text(&ran.stdout));
        text(&ran.stdout).to_owned()
    }

    /// The rules about files that `sesearch` finds with these options, as pairs of a domain and the type of a file. Rules
    /// that a boolean switches are among them only if `switched`.
    fn rules(&self, options: &str, permissions: &[&str], switched: bool) -> BTreeSet<(String, String)> {
        let types = |name: &str| {
            self.attributes.get(name).cloned().unwrap_or_else(|| BTreeSet::from([name.to_owned()]))
        };
        let mut pairs = BTreeSet::new();
        // allow SOURCE TARGET:file { PERMISSION PERMISSION }; [ BOOLEAN ]:True
        for line in self.run(&format!("sesearch -A -c file {options} {POLICY}")).lines() {
            let (rule, boolean) = line.split_once(';').unwrap();
            let (subjects, granted) = rule.split_once(":file ").unwrap();
            let granted: Vec<_> = granted.split_whitespace().collect();
            if !permissions.iter().all(|one| granted.contains(one)) || (!switched && !boolean.is_empty()) {
                continue;
            }
            let (source, target) = subjects.strip_prefix("allow ").unwrap().split_once(' ').unwrap();
            let targets = types(target);
            for source in types(source) {
                pairs.extend(targets.iter().map(|target| (source.clone(), target.clone())));
            }
        }
        pairs
    }

    /// The type with which the policy labels each path.
    fn labels(&self, paths: &BTreeSet<String>) -> BTreeMap<String, String> {
        let paths: Vec<_> = paths.iter().map(|path| format!("'{path}'")).collect();
        let found = self.run(&format!("matchpathcon -f {CONTEXTS} {}", paths.join(" ")));
        let pair = |line: &str| {
            let (path, context) = line.split_once('\t').unwrap();
            Some((path.to_owned(), context.split(':').nth(2)?.to_owned()))
        };
        found.lines().filter_map(pair).collect()
    }
}

/// What readelf(1) says about a program or library.
#[derive(Default)]
struct Binary {
    name: String,
    libraries: Vec<String>,
    imports: Vec<String>,
}

/// The programs and libraries of the trees, by their paths below a root. Where trees have the same path, this is the file of
/// the first.
fn files() -> BTreeMap<PathBuf, PathBuf> {
    let mut files = BTreeMap::new();
    for root in TREES.map(|name| tests::target().join("trees").join(name)) {
        for directory in ["usr/bin", "usr/sbin", "usr/lib", "usr/libexec"].map(Path::new) {
            let below = root.join(directory);
            for path in if below.is_dir() { tree(&below) } else { Vec::new() } {
                let file = below.join(&path);
                files.entry(directory.join(path)).or_insert(file);
            }
        }
    }
    // Without modules of gconv, Perl, Python and the like.
    let library = |path: &Path| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"lib"));
    files.retain(|path, file| (is_program(path) || library(path)) && is_elf(file));
    files
}

fn binaries() -> BTreeMap<String, Binary> {
    let files = files();
    let paths: BTreeMap<_, _> = files.iter().map(|(path, file)| (file.display().to_string(), path)).collect();
    let mut found = BTreeMap::<String, Binary>::new();
    // Its exit status is not zero if one of the many files is damaged.
    let mut readelf = Command::new("readelf");
    readelf.args(["--wide", "--dynamic", "--dyn-syms"]).args(files.values());
    let read = readelf.output().unwrap();
    let mut binary = &mut Binary::default();
    for line in String::from_utf8_lossy(&read.stdout).lines() {
        let in_brackets = || line.split(['[', ']']).nth(1).unwrap_or_default().to_owned();
        let mut words = line.split_whitespace();
        if let Some(file) = line.strip_prefix("File: ") {
            binary = found.entry(format!("/{}", paths[file].display())).or_default();
        } else if line.contains("(NEEDED)") {
            binary.libraries.push(in_brackets());
        } else if line.contains("(SONAME)") {
            binary.name = in_brackets();
        } else if words.nth(6) == Some("UND") {
            // getpwnam@GLIBC_2.2.5 (3)
            let symbol = words.next().and_then(|symbol| symbol.split('@').next());
            binary.imports.extend(symbol.map(str::to_owned));
        }
    }
    found
}

fn is_program(path: &Path) -> bool {
    !path.as_os_str().to_string_lossy().contains(".so")
}

fn is_elf(file: &Path) -> bool {
    let mut start = [0; 4];
    let regular = fs::symlink_metadata(file).is_ok_and(|about| about.is_file());
    regular && File::open(file).unwrap().read(&mut start).unwrap() == 4 && start == *b"\x7fELF"
}

/// The programs that import a function that looks up users, or are linked to a library that does.
fn looking_up() -> BTreeSet<String> {
    let binaries = binaries();
    let looks_up = |binary: &Binary| {
        binary.imports.iter().any(|name| LOOKUPS.contains(&name.strip_suffix("_r").unwrap_or(name)))
    };
    let libraries: BTreeSet<_> =
        binaries.values().filter(|binary| looks_up(binary)).map(|binary| &binary.name).collect();
    let through = |binary: &Binary, library: &String| {
        let part = PARTS.iter().find(|(name, _)| library.starts_with(name));
        let used = |functions: &[&str]| {
            binary.imports.iter().any(|name| functions.iter().any(|start| name.starts_with(start)))
        };
        libraries.contains(library) && part.is_none_or(|(_, functions)| used(functions))
    };
    let counts =
        |binary: &Binary| looks_up(binary) || binary.libraries.iter().any(|name| through(binary, name));
    let programs = binaries.iter().filter(|(path, _)| is_program(Path::new(path)));
    programs.filter(|(_, binary)| counts(binary)).map(|(path, _)| path.clone()).collect()
}

/// Derived from the programs of the trees and the policy: the domains that a program which looks up users enters when it is
/// run. A program whose label is no domain's entrypoint is run in the domain that runs it.
#[test]
fn every_domain_whose_programs_look_up_users_may_read_the_cache() {
    if !tests::is_root() {
        return;
    }
    let programs = looking_up();
    let policy = Policy::load().unwrap();
    let mut domains = BTreeMap::<String, BTreeSet<&str>>::new();
    let entered = policy.rules("-p entrypoint", &["entrypoint"], true);
    let labels = policy.labels(&programs);
    for (path, label) in &labels {
        for (domain, _) in entered.iter().filter(|(_, target)| target == label) {
            domains.entry(domain.clone()).or_default().insert(path);
        }
    }
    let readers: BTreeSet<_> =
        policy.rules("-t nss_iam_cache_t", &READING, false).into_iter().map(|(domain, _)| domain).collect();
    println!("{} programs, {} domains, {} readers", programs.len(), domains.len(), readers.len());
    // Found by an import, by a library, by a function of libsystemd-shared, and by /bin/sh.
    for known in ["sshd_t", "chkpwd_t", "systemd_user_runtime_dir_t", "guest_t"] {
        assert!(domains.contains_key(known), "{known} is not among {:?}", domains.keys());
    }
    for (exempt, reason) in EXEMPT {
        assert!(domains.remove(exempt).is_some() && !readers.contains(exempt), "not so: {exempt} {reason}");
    }
    let missing: Vec<_> = domains
        .iter()
        .filter(|(domain, _)| !readers.contains(*domain))
        .map(|(domain, programs)| {
            format!("{domain}, of {:?} and {} others", programs.first(), programs.len() - 1)
        })
        .collect();
    assert!(missing.is_empty(), "add to config/nss-iam.cil: {missing:#?}");
}

#[test]
fn the_selinux_module_lets_programs_that_look_up_users_read_and_map_the_cache() {
    let Some(policy) = Policy::load() else { return };
    let run = |line: &str| policy.run(line);
    for domain in [
        "sshd_t",
        "crond_t",
        "system_dbusd_t",
        "systemd_logind_t",
        "systemd_user_runtime_dir_t",
        "quota_t",
        "guest_t",
        "user_systemd_t",
    ] {
        let rules = run(&format!("sesearch -A -s {domain} -t nss_iam_cache_t -c file {POLICY}"));
        for permission in READING {
            assert!(
                rules.split_whitespace().any(|word| word == permission),
                "{domain}: {permission}: {rules}"
            );
        }
    }
    let others = run(&format!("sesearch -A -s ping_t -t nss_iam_cache_t -c file -p write {POLICY}"));
    assert_eq!(others.trim(), "");
    let label = |path: &str| run(&format!("matchpathcon -n -f {CONTEXTS} {path}"));
    assert_eq!(label("/var/lib/nss-iam/cache.db").trim(), "system_u:object_r:nss_iam_cache_t:s0");
    for run in ["/run", "/var/run"] {
        assert_eq!(label(&format!("{run}/nss-iam-imds.nft")).trim(), "system_u:object_r:nss_iam_imds_t:s0");
    }
    assert_eq!(label("/usr/sbin/mkhomedir_helper").trim(), "system_u:object_r:nss_iam_mkhomedir_exec_t:s0");
    assert!(!label("/var/lib/nss-iam-fetch/listing.json").contains("nss_iam"));

    // The types of Fedora's policy that Debian's lacks: nss-iam-homes.service is in the first one.
    run(
        "printf '(type %s)' unconfined_service_t oddjob_mkhomedir_t oddjob_mkhomedir_exec_t >/tmp/fedora.cil",
    );
    run("semodule -n -i /tmp/fedora.cil");
    let entered = run(&format!("sesearch -T -s unconfined_service_t {POLICY}"));
    assert_eq!(
        entered.trim(),
        "type_transition unconfined_service_t oddjob_mkhomedir_exec_t:process oddjob_mkhomedir_t;"
    );

    policy.script("remove");
    assert!(!run("semodule -l").contains("nss-iam"));
    assert!(!label("/var/lib/nss-iam/cache.db").contains("nss_iam"));
    // Nor does it fail where there is no policy.
    run("mv /etc/selinux/config /etc/selinux/config.old");
    policy.script("load");
    policy.script("remove");
}
