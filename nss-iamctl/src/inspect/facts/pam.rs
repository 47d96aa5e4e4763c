//! The account stage of PAM, pam.d(5): which modules decide whether a user may log in, and what each of them can do to it.

use std::collections::BTreeMap;
use std::fs;

use crate::host::Host;
use crate::host::{files, vendor};

/// Profiles of pam-auth-update(8).
const PROFILES: &str = "/usr/share/pam-configs";
/// A script.
const PROGRAM: &str = "/usr/sbin/pam-auth-update";
/// Services in which nss-iam users appear. cron has two names.
const SERVICES: [&str; 5] = ["sshd", "sudo", "cron", "crond", "su"];

/// The stacks, and the profiles from which pam-auth-update generates them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PamFacts {
    /// Of each service that has a file.
    pub stacks: Vec<(String, Vec<Entry>)>,
    /// Module -> the profile whose account part has it.
    pub profiles: BTreeMap<String, String>,
    /// Whether pam-auth-update can disable a profile without a dialog, as since Debian 12.
    pub disables: bool,
}

/// An entry of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Line(Line),
    Substack(Vec<Entry>),
}

/// `account CONTROL MODULE ARGUMENTS`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The file that has it.
    pub file: String,
    /// As it is written, with single spaces.
    pub control: String,
    /// Without directory and `.so`.
    pub module: String,
    pub arguments: Vec<String>,
}

pub(crate) fn gather(host: &Host) -> PamFacts {
    let stacks = SERVICES.iter().filter_map(|service| Some(((*service).to_owned(), stack(host, service)?)));
    let program = fs::read(host.path(PROGRAM)).unwrap_or_default();
    let disables = String::from_utf8_lossy(&program).contains("--disable");
    PamFacts { stacks: stacks.collect(), profiles: profiles(host), disables }
}

/// The account stage of a service; `None` if it has no file.
pub(crate) fn stack(host: &Host, service: &str) -> Option<Vec<Entry>> {
    read(host, service, &[])
}

/// `outer`: the files that include this one. None of them is read again.
fn read(host: &Host, name: &str, outer: &[String]) -> Option<Vec<Entry>> {
    let paths = match name.starts_with('/') {
        true => vec![name.to_owned()],
        false => vendor::places(&format!("/etc/pam.d/{name}")),
    };
    let text = |path: &String| Some((path.clone(), fs::read(host.path(path)).ok()?));
    let (path, text) = paths.iter().find_map(text).filter(|(path, _)| !outer.contains(path))?;
    let outer = [outer, std::slice::from_ref(&path)].concat();
    let mut entries = Vec::new();
    for line in String::from_utf8_lossy(&text).replace("\\\n", " ").lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(other) = line.strip_prefix("@include") {
            entries.extend(read(host, other.trim(), &outer).unwrap_or_default());
            continue;
        }
        let Some((kind, rest)) = line.split_once(char::is_whitespace) else { continue };
        // Behind '-', a module that is not installed is ignored.
        if !kind.trim_start_matches('-').eq_ignore_ascii_case("account") {
            continue;
        }
        let Some((control, rest)) = control(rest.trim_start()) else { continue };
        let mut words = rest.split_whitespace();
        let Some(what) = words.next() else { continue };
        match control.as_str() {
            "include" => entries.extend(read(host, what, &outer).unwrap_or_default()),
            "substack" => entries.push(Entry::Substack(read(host, what, &outer).unwrap_or_default())),
            _ => {
                let module = what.rsplit('/').next().unwrap_or(what).trim_end_matches(".so").to_owned();
                let arguments = words.map(str::to_owned).collect();
                entries.push(Entry::Line(Line { file: path.clone(), control, module, arguments }));
            }
        }
    }
    Some(entries)
}

/// The control field, and what follows it.
fn control(rest: &str) -> Option<(String, &str)> {
    let end = if rest.starts_with('[') { rest.find(']')? + 1 } else { rest.find(char::is_whitespace)? };
    let (control, rest) = rest.split_at_checked(end)?;
    Some((control.split_whitespace().collect::<Vec<_>>().join(" "), rest))
}

fn profiles(host: &Host) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for name in files::names(&host.path(PROFILES)).unwrap_or_default() {
        let path = format!("{PROFILES}/{}", name.to_string_lossy());
        let text = fs::read(host.path(&path)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let account = text.lines().skip_while(|line| *line != "Account:").skip(1);
        for line in account.take_while(|line| line.starts_with(char::is_whitespace)) {
            let module = line.split_whitespace().find_map(|word| word.strip_suffix(".so"));
            found.extend(module.map(|module| (module.to_owned(), path.clone())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn included_files_are_read_wherever_they_are() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "etc/pam.d/sshd",
            "account required pam_nologin.so # x\n@include common-account\nauth include none\n",
        );
        write(
            "etc/pam.d/common-account",
            "# account required pam_deny.so\naccount\t[success=1  default=ignore] \\\n pam_unix.so\n\
             -ACCOUNT requisite /lib/security/pam_sss.so quiet x\naccount substack vendor\naccount include common-account\n",
        );
        write(
            "usr/lib/pam.d/vendor",
            "account sufficient pam_localuser.so\naccount required\naccount [broken pam_x.so\n",
        );
        let line = |file: &str, control: &str, module: &str, arguments: &[&str]| {
            Entry::Line(Line {
                file: format!("/{file}"),
                control: control.to_owned(),
                module: module.to_owned(),
                arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            })
        };
        let stack = stack(&Host::this_directory(root.path()), "sshd").unwrap();
        let first = [
            line("etc/pam.d/sshd", "required", "pam_nologin", &[]),
            line("etc/pam.d/common-account", "[success=1 default=ignore]", "pam_unix", &[]),
            line("etc/pam.d/common-account", "requisite", "pam_sss", &["quiet", "x"]),
            Entry::Substack(vec![line("usr/lib/pam.d/vendor", "sufficient", "pam_localuser", &[])]),
        ];
        assert_eq!(stack, first, "a file does not include itself");
        assert_eq!(super::stack(&Host::this_directory(root.path()), "none"), None);
    }

    #[test]
    fn the_profile_of_a_module_is_the_one_whose_account_part_has_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("usr/share/pam-configs");
        fs::create_dir_all(&path).unwrap();
        fs::write(
            path.join("sss"),
            "Name: x\nAuth:\n\tpam_a.so\nAccount:\n\t[a=b]\tpam_sss.so\nSession:\n\tpam_b.so\n",
        )
        .unwrap();
        let found = gather(&Host::this_directory(root.path())).profiles;
        assert_eq!(found, [("pam_sss".to_owned(), "/usr/share/pam-configs/sss".to_owned())].into());
    }
}
