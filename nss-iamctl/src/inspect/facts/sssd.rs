//! Which domains of sssd.conf(5) ask their server about ids that are those of nss-iam.

use std::collections::BTreeMap;
use std::fs;

use crate::host::Host;
use crate::host::files;

const MAIN: &str = "/etc/sssd/sssd.conf";
const MORE: &str = "/etc/sssd/conf.d";

/// The domains without a `max_id` below the ids of nss-iam. `None` if there is no file that can be read.
pub(crate) fn unlimited(host: &Host) -> Option<Vec<String>> {
    let more = files::names(&host.path(MORE)).unwrap_or_default();
    let mut more: Vec<String> =
        more.iter().map(|name| format!("{MORE}/{}", name.to_string_lossy())).collect();
    // Others are ignored, and a later one wins.
    more.retain(|path| path.ends_with(".conf") && !path.starts_with(&format!("{MORE}/.")));
    more.sort();
    let read = |path: &String| fs::read(host.path(path)).ok();
    let texts: Vec<Vec<u8>> = [MAIN.to_owned()].iter().chain(&more).filter_map(read).collect();
    if texts.is_empty() {
        return None;
    }
    let mut limits: BTreeMap<String, u64> = BTreeMap::new();
    for text in texts {
        limits_in(&String::from_utf8_lossy(&text), &mut limits);
    }
    let is_unlimited = |limit: u64| limit == 0 || limit >= u64::from(policy::id::FIRST);
    Some(limits.into_iter().filter(|(_, limit)| is_unlimited(*limit)).map(|(name, _)| name).collect())
}

/// Domain -> `max_id`; 0 means no limit.
fn limits_in(text: &str, limits: &mut BTreeMap<String, u64>) {
    let mut domain = None;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            // A subdomain, [domain/a/b], has no limit of its own.
            domain = section.strip_prefix("domain/").filter(|name| !name.contains('/')).map(str::to_owned);
            limits.extend(
                domain
                    .iter()
                    .filter(|name| !limits.contains_key(*name))
                    .map(|name| (name.clone(), 0))
                    .collect::<Vec<_>>(),
            );
        } else if let (Some(domain), Some((key, value))) = (&domain, line.split_once('='))
            && key.trim() == "max_id"
        {
            limits.insert(domain.clone(), value.trim().parse().unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_that_are_asked_about_our_ids_are_found() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::this_directory(root.path());
        assert_eq!(unlimited(&host), None);
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let main = "[sssd]\nmax_id = 1\n[domain/a]\nmax_id = 1879048191\n[domain/b]\n#max_id = 5\n[domain/c]\n max_id=1879048192\n\
                    [domain/a/x]\nmax_id = 0\n[domain/d]\nmax_id = 0\n";
        write("etc/sssd/sssd.conf", main);
        assert_eq!(unlimited(&host).unwrap(), ["b", "c", "d"]);
        write("etc/sssd/conf.d/10.conf", "[domain/b]\nmax_id = 60000\n[domain/c]\nid_provider = ldap\n");
        write("etc/sssd/conf.d/off", "[domain/d]\nmax_id = 60000\n");
        assert_eq!(unlimited(&host).unwrap(), ["c", "d"]);
    }
}
