//! The names in sudoers(5). sudo's own cvtsudoers(1) provides them if possible; otherwise the scan in this crate
//! does, which also tells in which file each name is.

mod conf;
mod export;
mod lex;
mod netgroup;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tree::Tree;
use crate::{Kind, Unresolved, Use, Uses, nsswitch};

use self::export::Export;
use self::scan::Scan;

/// Where sudo and sudo-rs look. Files also count if sudo is not installed: it may be installed later.
const FILES: [&str; 5] =
    ["/etc/sudoers", "/etc/sudoers-rs", "/usr/etc/sudoers", "/usr/local/etc/sudoers", "/etc/opt/sudoers"];
/// The directory that the packaged /etc/sudoers includes; images have files there before sudo is installed.
const DIRECTORY: &str = "/etc/sudoers.d";
/// Defaults in sudoers(5) whose value is a user or a group.
const GRANTING_OPTIONS: [&str; 5] =
    ["exempt_group", "runas_default", "timestampowner", "iolog_user", "iolog_group"];

/// Reads the files that sudo below `root` would read.
pub fn read(root: &Path) -> Uses {
    read_with(Tree(root), export::export)
}

/// Like [`read`], without sudo's own parser.
pub fn scan(root: &Path) -> Uses {
    read_with(Tree(root), |_| None)
}

/// Exports a file with sudo's parser.
type Exporter = fn(&Path) -> Option<Result<Export, (Export, String)>>;

fn read_with(tree: Tree<'_>, exporter: Exporter) -> Uses {
    let mut uses = Uses::default();
    let mut files: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
    for file in conf::sudoers_files(tree, &mut uses).into_iter().map(PathBuf::from) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    for file in files {
        read_file(tree, &file, exporter, &mut uses);
    }
    if !tree.exists(Path::new("/etc/sudoers")) {
        let mut scan = Scan::default();
        scan.read_directory(tree, Path::new(DIRECTORY));
        add_scan(tree, scan, &mut uses);
    }
    other_services(tree, &mut uses);
    uses
}

fn read_file(tree: Tree<'_>, file: &Path, exporter: Exporter, uses: &mut Uses) {
    let mut scan = Scan::default();
    if !scan.read(tree, file) && scan.unresolved.is_empty() {
        return;
    }
    // cvtsudoers cannot use a different root: an absolute include would be the host's file.
    let is_exportable = tree.is_host() || !scan.is_absolute;
    let export = tree.real(file).ok().filter(|_| is_exportable).and_then(|real| exporter(&real));
    match export {
        Some(Ok(export)) => add_export(tree, file, &export, &scan, uses),
        Some(Err((export, complaint))) => {
            // sudo may have skipped a line that it will accept after another line is corrected.
            add_export(tree, file, &export, &scan, uses);
            add_scan(tree, scan.with_complaint(&complaint), uses);
        }
        None => add_scan(tree, scan, uses),
    }
}

fn add_scan(tree: Tree<'_>, scan: Scan, uses: &mut Uses) {
    for (name, files) in &scan.names {
        files.iter().for_each(|file| uses.add(name, rule(file)));
    }
    add_netgroups(tree, &scan.netgroups, uses);
    uses.unresolved.extend(scan.unresolved);
}

fn add_export(tree: Tree<'_>, file: &Path, export: &Export, scan: &Scan, uses: &mut Uses) {
    let file = BTreeSet::from([file.display().to_string()]);
    for name in &export.names {
        // The export does not say which of the included files contains a name.
        let files = scan.names.get(name).unwrap_or(&file);
        files.iter().for_each(|file| uses.add(name, rule(file)));
    }
    let places = |name: &String| scan.netgroups.get(name).unwrap_or(&file).clone();
    add_netgroups(tree, &export.netgroups.iter().map(|name| (name.clone(), places(name))).collect(), uses);
    if export.has_group_plugin {
        for place in file {
            let why = "it sets group_plugin, which can make anyone a member of a group in a rule".to_owned();
            uses.unresolved.insert(Unresolved { kind: Kind::Sudo, place, why });
        }
    }
}

/// Adds a netgroup in a rule, with the users of all netgroups.
fn add_netgroups(tree: Tree<'_>, netgroups: &BTreeMap<String, BTreeSet<String>>, uses: &mut Uses) {
    if netgroups.is_empty() {
        return;
    }
    match netgroup::users(tree) {
        Ok(users) => {
            for place in netgroups.values().flatten() {
                let what = "in a netgroup, and netgroups are in a sudo rule".to_owned();
                let used = Use { kind: Kind::Netgroup, what, place: place.clone() };
                users.iter().for_each(|user| uses.add(user, used.clone()));
            }
        }
        Err(why) => {
            for (name, places) in netgroups {
                for place in places {
                    let why = format!("a rule names the netgroup '{name}': {why}");
                    uses.unresolved.insert(Unresolved { kind: Kind::Sudo, place: place.clone(), why });
                }
            }
        }
    }
}

fn rule(file: &str) -> Use {
    Use { kind: Kind::Sudo, what: "in a sudo rule".to_owned(), place: file.to_owned() }
}

/// The `sudoers` line of nsswitch.conf, sudoers.ldap(5). Without it, sudo reads only files.
fn other_services(tree: Tree<'_>, uses: &mut Uses) {
    let mut cannot = |why: String| {
        let place = "/etc/nsswitch.conf".to_owned();
        uses.unresolved.insert(Unresolved { kind: Kind::Sudo, place, why });
    };
    let (sudoers, passwd) = match (nsswitch::sudoers(tree), nsswitch::services(tree, "passwd")) {
        (Ok(sudoers), Ok(passwd)) => (sudoers.unwrap_or_default(), passwd.unwrap_or_default()),
        (Err(cause), _) | (_, Err(cause)) => return cannot(cause.to_string()),
    };
    for service in sudoers {
        let is_known = match service.as_str() {
            "files" => true,
            // sssd's sudo responder answers only for users that sssd itself knows, and asking `sss` on
            // the passwd line finds their names. Red Hat's default file names it even if sssd is not
            // installed.
            "sss" => passwd.contains(&service) || !tree.has_library("libsss_sudo.so"),
            _ => false,
        };
        if !is_known {
            cannot(format!("sudo takes rules from '{service}', which nss-iam cannot read"));
        }
    }
}

/// system_group.so asks getgrnam(3), like sudo without a plugin; any other plugin may have members that nothing
/// else knows.
fn harmless_group_plugin(plugin: &str) -> bool {
    plugin.split_whitespace().next().and_then(|path| path.rsplit('/').next()) == Some("system_group.so")
}
