//! sudoers(5) as read by sudo's own parser: the JSON of cvtsudoers(1), in which includes, escapes and quotes are
//! resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::program;

use super::{GRANTING_OPTIONS, harmless_group_plugin};

/// cvtsudoers is part of sudo since 1.8.23. On hosts where sudo-rs is `sudo`, Ubuntu adds a suffix to sudo's
/// programs.
const PROGRAMS: [&str; 7] = [
    "/usr/bin/cvtsudoers",
    "/usr/sbin/cvtsudoers",
    "/bin/cvtsudoers",
    "/sbin/cvtsudoers",
    "/usr/local/bin/cvtsudoers",
    "/usr/local/sbin/cvtsudoers",
    "/usr/bin/cvtsudoers.ws",
];
const DEADLINE: Duration = Duration::from_secs(10);

/// What sudo's parser found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Export {
    /// Users and groups, lower case.
    pub names: BTreeSet<String>,
    /// Netgroups that may contain users.
    pub netgroups: BTreeSet<String>,
    /// Whether a group plugin is set, which can make any user a member.
    pub has_group_plugin: bool,
    /// Uses of aliases, by their key in the export.
    aliases: BTreeMap<String, BTreeSet<String>>,
}

/// The export of the file `real`, or the reason why it is incomplete.
pub(super) fn export(real: &Path) -> Option<Result<Export, (Export, String)>> {
    let program = program::find(&PROGRAMS)?;
    // Without `-c`, the host's cvtsudoers.conf could filter the output. With `-i` and `-f`, all versions use the
    // same formats.
    let arguments = ["-c", "/dev/null", "-i", "sudoers", "-f", "json", "-o", "-"].map(Path::new);
    let said = match program::run(&program, &[&arguments[..], &[real]].concat(), DEADLINE) {
        Ok(said) => said,
        Err(why) => return Some(Err((Export::default(), why))),
    };
    let text = String::from_utf8_lossy(&said.stdout);
    let complaint =
        String::from_utf8_lossy(&said.stderr).lines().next().unwrap_or_default().trim().to_owned();
    // The export of an empty file is empty.
    let found = if text.trim().is_empty() { Ok(Export::default()) } else { parse(&text) };
    Some(match found {
        // Since 1.9.3 sudo skips a line with a syntax error and warns.
        Ok(found) if said.success && complaint.is_empty() => Ok(found),
        Ok(found) => Err((found, complaint)),
        Err(cause) => Err((Export::default(), format!("its output is not JSON: {cause}"))),
    })
}

fn parse(text: &str) -> Result<Export, serde_json::Error> {
    let value: Value = serde_json::from_str(text)?;
    let mut found = Export::default();
    found.walk(&value);
    // Any word in capitals is exported as an alias, but sudo treats it as a user if no such alias is defined.
    for (used, defined) in [("useralias", "User_Aliases"), ("runasalias", "Runas_Aliases")] {
        let is_defined =
            |name: &String| value.get(defined).is_some_and(|aliases| aliases.get(name).is_some());
        let aliases = found.aliases.remove(used).unwrap_or_default();
        aliases.iter().filter(|name| !is_defined(name)).for_each(|name| found.name(name));
    }
    Ok(found)
}

impl Export {
    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.walk(value)),
            Value::Object(fields) => fields.iter().for_each(|(key, value)| self.field(key, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn field(&mut self, key: &str, value: &Value) {
        match (key, value) {
            // Hosts and commands are not names, and a netgroup among them is a netgroup of hosts.
            ("Host_List" | "Host_Aliases" | "Commands" | "Command_Aliases", _) => {}
            ("username" | "usergroup" | "nonunixgroup", Value::String(name)) => self.name(name),
            ("useralias" | "runasalias", Value::String(name)) => {
                self.aliases.entry(key.to_owned()).or_default().insert(name.clone());
            }
            ("netgroup", Value::String(name)) => {
                self.netgroups.insert(name.clone());
            }
            ("group_plugin", Value::String(plugin)) => {
                self.has_group_plugin |= !harmless_group_plugin(plugin);
            }
            (option, Value::String(name)) if GRANTING_OPTIONS.contains(&option) => self.name(name),
            (_, value) => self.walk(value),
        }
    }

    fn name(&mut self, name: &str) {
        // An empty run-as list is exported as a user without a name.
        if !name.is_empty() && name != "ALL" {
            self.names.insert(name.to_ascii_lowercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_everywhere_in_the_export() {
        let text = r#"{
            "Defaults": [
                { "Binding": [{ "username": "ann" }], "Options": [{ "authenticate": false }] },
                { "Options": [{ "exempt_group": "Ops" }, { "badpass_message": "nobody" }, { "group_plugin": "x.so" }] }
            ],
            "User_Aliases": { "OPS": [{ "username": "ben" }, { "netgroup": "people" }] },
            "Host_Aliases": { "WEB": [{ "hostname": "web1" }, { "netgroup": "hosts" }] },
            "User_Specs": [{
                "User_List": [{ "useralias": "OPS" }, { "useralias": "HAL" }, { "username": "Cara", "negated": true }, { "usergroup": "dom users" }, { "userid": 1000 }],
                "Host_List": [{ "hostname": "ALL" }, { "netgroup": "hosts" }],
                "Cmnd_Specs": [{
                    "runasusers": [{ "username": "" }, { "username": "eva" }],
                    "runasgroups": [{ "usergroup": "fun" }],
                    "Commands": [{ "command": "ALL" }, { "command": "/bin/ls gina" }]
                }]
            }]
        }"#;
        let found = parse(text).unwrap();
        let names: Vec<_> = found.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["ann", "ben", "cara", "dom users", "eva", "fun", "hal", "ops"]);
        assert_eq!(found.netgroups, BTreeSet::from(["people".to_owned()]));
        assert!(found.has_group_plugin);
    }
}
