//! The pages of docs/ name existing tests, columns, installed files, decisions and pages; messages and manuals name files
//! that a host has.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cache::schema::{CACHE, KEYS, KNOWN, STATE, Schema};
use tests::{literals, repository};

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|cause| panic!("{path}: {cause}"))
}

/// All files below a directory of the repository, or the file itself, without build results and hidden files.
fn files(below: &Path) -> Vec<PathBuf> {
    if below.is_file() {
        return vec![below.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let built = ["target", "dist", "debian/nss-iam"].iter().any(|built| entry.path().ends_with(built));
        if !name.starts_with('.') && !built {
            found.extend(files(&entry.path()));
        }
    }
    found.sort();
    found
}

fn with_ending(below: &Path, ending: &str) -> Vec<PathBuf> {
    files(below).into_iter().filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

/// The texts in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The cells of each row of a page's tables, without the headings.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = page.lines().collect();
    let is_rule = |at: usize| lines.get(at).is_some_and(|line| line.starts_with("|-"));
    let is_row = |at: &usize| lines[*at].starts_with('|') && !is_rule(*at) && !is_rule(*at + 1);
    let cells = |at: usize| lines[at].trim_matches('|').split('|').map(str::trim).collect();
    (0..lines.len()).filter(is_row).map(cells).collect()
}

/// The part of a page below one of its headings, up to the next one that is not deeper.
fn part<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no '{heading}'"));
    let level = heading.split(' ').next().unwrap().len();
    let next = (1..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level)))).min();
    &rest[..next.unwrap_or(rest.len())]
}

/// Names of the tests in a file of Rust.
fn tests_in(text: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut is_next = false;
    for line in text.lines().map(str::trim) {
        let name = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
        match name {
            Some(name) if is_next => drop(names.insert(name)),
            _ if line == "#[test]" => is_next = true,
            _ => {}
        }
        is_next &= name.is_none();
    }
    names
}

#[test]
fn each_invariant_names_tests_that_exist() {
    let page = read("docs/architecture.md");
    let invariants = rows(part(&page, "## Invariants"));
    assert!(invariants.len() > 20, "{}", invariants.len());
    for row in invariants {
        let [invariant, _, tests] = row[..] else { panic!("{row:?}") };
        let mut named = BTreeSet::new();
        let mut found = 0;
        for word in quoted(tests) {
            if word.contains('/') {
                let paths = with_ending(&repository().join(word), "rs");
                assert!(!paths.is_empty(), "{invariant}: nothing is in {word}");
                let texts: Vec<String> = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
                named = texts.iter().flat_map(|text| tests_in(text)).map(str::to_owned).collect();
            } else {
                assert!(named.contains(word), "{invariant}: there is no test {word}");
                found += 1;
            }
        }
        assert!(found > 0, "{invariant}: no test is named");
    }
}

#[test]
fn relative_links_lead_to_existing_files() {
    let mut links = 0;
    for page in with_ending(&repository(), "md") {
        let text = fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if path.contains("://") {
                continue;
            }
            let file = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(file.exists(), "{}: {target}", page.display());
            let named = |line: &str| {
                line.trim_start_matches('#').trim().to_lowercase().replace('`', "").replace(' ', "-")
            };
            let is_there = || fs::read_to_string(&file).unwrap().lines().any(|line| named(line) == anchor);
            assert!(anchor.is_empty() || is_there(), "{}: {target}", page.display());
            links += 1;
        }
    }
    assert!(links > 50, "{links}");
}

/// Tables in the form of `| column | type | ...`, one below the heading of each table's name.
fn columns_are_described(page: &str, schema: Schema) {
    let db = rusqlite::Connection::open_in_memory().unwrap();
    db.execute_batch(&schema.ddl()).unwrap();
    let all = |sql: &str| -> Vec<(String, String)> {
        let mut rows = db.prepare(sql).unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let tables = all("SELECT name, type FROM sqlite_schema WHERE type = 'table'");
    assert!(!tables.is_empty(), "{}", schema.name);
    for (table, _) in tables {
        let columns: Vec<String> = all(&format!("SELECT name, type FROM pragma_table_info('{table}')"))
            .iter()
            .map(|(name, kind)| format!("`{name}` {kind}"))
            .collect();
        let described: Vec<String> = rows(part(page, &format!("### `{table}`")))
            .iter()
            .map(|cells| format!("{} {}", cells[0], cells[1]))
            .collect();
        assert_eq!(described, columns, "{table} of {}", schema.name);
    }
}

#[test]
fn columns_are_those_of_the_schema() {
    let published = read("docs/reference/cache.md");
    columns_are_described(part(&published, "## Tables of cache.db"), CACHE);
    columns_are_described(part(&published, "## Tables of keys.db"), KEYS);
    let private = read("docs/reference/state.md");
    columns_are_described(part(&private, "## state.db"), STATE);
    columns_are_described(part(&private, "## known.db"), KNOWN);
}

/// The files that `make install` and its two companions install: path and mode.
fn installed() -> BTreeSet<(String, String)> {
    let makefile = read("Makefile");
    let mut installed = BTreeSet::new();
    for line in makefile.lines().filter(|line| line.contains("install -") && line.contains("$(DESTDIR)")) {
        let mode = line.split(" -m ").nth(1).unwrap().split(' ').next().unwrap();
        for path in line.split("$(DESTDIR)").skip(1).map(|rest| rest.split([' ', ';']).next().unwrap()) {
            let path = path.replace("$(LIBEXECDIR)", "/usr/libexec/nss-iam");
            let path = path.replace("$(LIBDIR)", "/usr/lib64");
            // It is renamed by the next line.
            let path = path.trim_end_matches(".new").to_owned();
            installed.insert((path, mode.to_owned()));
        }
    }
    installed
}

#[test]
fn installed_files_are_those_of_the_makefile() {
    let page = read("docs/reference/installed.md");
    let mut described = BTreeSet::new();
    let described_parts = ["## Files", "## Directories"].map(|heading| rows(part(&page, heading)));
    for row in described_parts.concat() {
        let paths = quoted(row[0]).into_iter().filter(|path| path.starts_with('/') && !path.contains('<'));
        let mode = row[1].split(' ').next().unwrap();
        described.extend(paths.map(|path| (path.trim_end_matches('/').to_owned(), mode.to_owned())));
    }
    // Created when the package is installed, and when the unit is started.
    for directory in ["/var/lib/nss-iam-fetch", "/var/lib/nss-iam-publish"] {
        assert!(described.remove(&(directory.to_owned(), "0700".to_owned())), "{directory}");
    }
    // One line of the Makefile for many files.
    let (groups, single): (BTreeSet<_>, BTreeSet<_>) =
        installed().into_iter().partition(|(path, _)| path.starts_with("$("));
    assert!(single.len() > 15, "{single:?}");
    assert_eq!(described, single);

    let groups: Vec<&str> = groups.iter().map(|(path, _)| path.as_str()).collect();
    let drop_in = "$(UNITDIR)/nftables.service.d/nss-iam.conf";
    let of_manuals = "$(MANDIR)/man$${page##*.}/$${page##*/}";
    assert_eq!(groups, [of_manuals, "$(UNITDIR)/$${unit##*/}", drop_in]);
    let units = part(&page, "## Units");
    let named: BTreeSet<&str> = rows(units).into_iter().flat_map(|row| quoted(row[0])).collect();
    let mut shipped: BTreeSet<String> = BTreeSet::from(["nftables.service.d/nss-iam.conf".to_owned()]);
    for ending in ["service", "timer", "path"] {
        let units = with_ending(&repository().join("systemd"), ending);
        shipped.extend(units.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()));
    }
    assert_eq!(named, shipped.iter().map(String::as_str).collect());
    for manual in files(&repository().join("man")) {
        let (title, number) = (manual.file_stem().unwrap(), manual.extension().unwrap());
        let shown = format!("{}({})", title.to_str().unwrap(), number.to_str().unwrap());
        assert!(page.contains(&shown), "{shown}");
    }
}

/// Texts that users see: literals of what is shipped, the help of its commands, manuals and configuration.
fn shown() -> Vec<(PathBuf, String)> {
    let mut shown = Vec::new();
    let sources =
        ["cache", "cache-refresher", "claims", "config", "forward-only", "keys-cmd", "listing", "message"];
    let sources = [&sources[..], &["nss-iam", "nss-iamctl", "policy", "reader", "status"]].concat();
    let sources: Vec<String> = sources.iter().map(|name| format!("{name}/src")).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    for path in literals::files(&sources, &[]) {
        let code = fs::read_to_string(&path).unwrap();
        let is_help = path.starts_with(repository().join("nss-iamctl/src/cli")) || path.ends_with("cli.rs");
        let help = code.lines().map(str::trim_start).filter(|line| is_help && line.starts_with("///"));
        shown.extend(help.map(|line| (path.clone(), line.to_owned())));
        shown.extend(literals::texts(&code).into_iter().map(|text| (path.clone(), text)));
    }
    let texts =
        [files(&repository().join("man")), with_ending(&repository().join("systemd"), "service")].concat();
    for path in texts
        .into_iter()
        .chain(["config/config.toml", "config/cloud-init.yaml"].map(|name| repository().join(name)))
    {
        let text = fs::read_to_string(&path).unwrap().replace("\\-", "-");
        shown.push((path, text));
    }
    shown
}

/// Words that look like paths, with what is before them.
fn paths(text: &str) -> Vec<&str> {
    let is_of_path = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    let words = text.split(|character| !is_of_path(character));
    words.map(|word| word.trim_end_matches(['.', '/', '-'])).filter(|word| word.contains('/')).collect()
}

/// A person who reads a message has the packages, and not the repository.
#[test]
fn no_message_and_no_manual_names_a_file_of_the_repository() {
    let is_of_repository = |word: &&str| !word.starts_with(['/', '.']) && repository().join(word).exists();
    let mut found = Vec::new();
    for (path, text) in shown() {
        found.extend(
            paths(&text)
                .into_iter()
                .filter(is_of_repository)
                .map(|word| format!("{}: {word}", path.display())),
        );
    }
    assert_eq!(found, [""; 0]);
    assert_eq!(paths("hint: docs/reference/listing.md, (/etc/x)."), ["docs/reference/listing.md", "/etc/x"]);
}

/// What its programs make on a host; and, last, the file that sshd is told and that must never exist.
const MADE: [&str; 31] = [
    "/etc/authselect/custom/nss-iam/nsswitch.conf",
    "/etc/nss-iam/config.d/10-enable.toml",
    "/etc/nss-iam/config.d/50-adopt.toml",
    "/etc/nss-iam/publish.key",
    "/etc/ssh/sshd_config.d/00-nss-iam.conf",
    "/etc/sudoers.d/nss-iam",
    "/run/nss-iam-imds",
    "/run/nss-iam-imds.nft",
    "/run/nss-iam-refresh",
    "/var/lib/nss-iam-fetch/calls.json",
    "/var/lib/nss-iam-fetch/confirmed",
    "/var/lib/nss-iam-fetch/due",
    "/var/lib/nss-iam-fetch/listing.etag",
    "/var/lib/nss-iam-fetch/listing.json",
    "/var/lib/nss-iam-fetch/listing.signed",
    "/var/lib/nss-iam-fetch/report.json",
    "/var/lib/nss-iam-fetch/reserve",
    "/var/lib/nss-iam-publish/calls.json",
    "/var/lib/nss-iam/backup/manifest.json",
    "/var/lib/nss-iam/cache.db",
    "/var/lib/nss-iam/confirmed",
    "/var/lib/nss-iam/in-memory",
    "/var/lib/nss-iam/keys.db",
    "/var/lib/nss-iam/known.db",
    "/var/lib/nss-iam/locked",
    "/var/lib/nss-iam/metrics.prom",
    "/var/lib/nss-iam/reserve",
    "/var/lib/nss-iam/state.db",
    "/var/lib/nss-iam/state.db.100",
    "/var/lib/nss-iam/status.json",
    "/usr/libexec/nss-iam/no-principals",
];

/// A drop-in whose name ends with the name of a user.
const FOR_A_USER: &str = "/etc/nss-iam/config.d/60-name";

#[test]
fn each_path_of_ours_in_a_message_or_a_manual_is_installed_or_made_by_a_program() {
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let pages = ["reference", "guide"].into_iter().flat_map(|part| {
        let pages = files(&repository().join("docs").join(part)).into_iter();
        pages.map(move |path| format!("/usr/share/doc/nss-iam/{part}/{}", name(path)))
    });
    let mut there: BTreeSet<String> = installed().into_iter().map(|(path, _)| path).chain(pages).collect();
    there.extend(MADE.iter().chain(&[FOR_A_USER]).map(ToString::to_string));
    let is_there =
        |word: &str| there.iter().any(|path| *path == word || path.starts_with(&format!("{word}/")));
    let mut unknown = BTreeSet::new();
    let mut named = BTreeSet::new();
    for (path, text) in shown() {
        let is_ours =
            |word: &&str| word.contains("nss-iam") && word.starts_with('/') && !word.starts_with("//");
        for word in paths(&text).into_iter().filter(is_ours) {
            named.insert(word.to_owned());
            if !is_there(word) {
                unknown.insert(format!("{word} in {}", path.display()));
            }
        }
    }
    assert_eq!(unknown, BTreeSet::new());
    let unused: Vec<_> = MADE.into_iter().filter(|path| !named.contains(*path)).collect();
    assert_eq!(unused, [""; 0], "no message and no manual names these");
}

#[test]
fn each_decision_is_in_the_index_once_under_its_number() {
    let index = read("docs/decisions/README.md");
    let mut listed: Vec<&str> = index.lines().filter(|line| line.starts_with("- [")).collect();
    listed.sort_unstable_by_key(|line| line.split(']').next().map(|head| (head.len(), head)));
    let pages = with_ending(&repository().join("docs/decisions"), "md");
    let pages: Vec<&str> = pages.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let pages: Vec<&str> = pages.into_iter().filter(|name| *name != "README.md").collect();
    assert!(pages.len() >= 30, "{pages:?}");
    assert_eq!(listed.len(), pages.len());
    for (number, (line, page)) in (1..).zip(listed.iter().zip(pages)) {
        assert!(line.starts_with(&format!("- [{number}]({page}): ")), "{page}: {line}");
        let title = read(&format!("docs/decisions/{page}"));
        assert!(title.starts_with(&format!("# {number}. ")), "{page} begins with its number");
    }
}
