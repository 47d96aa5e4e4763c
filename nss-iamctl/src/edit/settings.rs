//! What `enable` writes into config.toml: a pure function over its text, and the configuration that comes out.

use std::ffi::OsString;
use std::path::PathBuf;

use config::Config;
use toml_edit::{Array, DocumentMut, Item, Table, value};

use crate::host::Host;
use crate::host::files;
use crate::say::error::Error;

/// Where the file is.
pub(crate) const PATH: &str = "/etc/nss-iam/config.toml";
const DROP_INS: &str = "/etc/nss-iam/config.d";
/// The file that is written if there is none.
const SHIPPED: &str = include_str!("../../../config/config.toml");

/// The text of config.toml with these groups and this role, everything else as it was.
///
/// # Errors
/// When the text is not valid TOML.
pub(crate) fn edit(
    text: &str,
    groups: &[String],
    role: Option<&str>,
) -> Result<String, toml_edit::TomlError> {
    let mut text = text.to_owned();
    if !groups.is_empty() {
        text = set(&text, None, "groups", value(Array::from_iter(groups)))?;
    }
    if let Some(role) = role {
        text = set(&text, Some("aws"), "role", value(role))?;
    }
    Ok(text)
}

/// The value of a key whose list gets one more entry. A list in a later file replaces the whole list, so the remedies that
/// name such a key show all of it.
pub(crate) fn longer_list<'a>(entries: impl IntoIterator<Item = &'a str>, new: &'a str) -> String {
    let old: Vec<&str> = entries.into_iter().filter(|entry| *entry != new).collect();
    Array::from_iter(old.into_iter().chain([new])).to_string()
}

fn set(text: &str, section: Option<&str>, key: &str, new: Item) -> Result<String, toml_edit::TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let table: &mut Table = document.as_table_mut();
    let table = match section {
        Some(name) => table.entry(name).or_insert(Item::Table(Table::new())).as_table_like_mut(),
        None => Some(table as &mut dyn toml_edit::TableLike),
    };
    let Some(table) = table else {
        // The key exists but is not a table. The check of the configuration reports that.
        return Ok(text.to_owned());
    };
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            let Ok(mut fresh) = new.into_value() else { return Ok(text.to_owned()) };
            if old.to_string().trim() == fresh.to_string().trim() {
                return Ok(text.to_owned());
            }
            *fresh.decor_mut() = old.decor().clone();
            *old = fresh;
        }
        _ => {
            if let Some(written) = below_its_comment(text, section, key, &new) {
                return Ok(written);
            }
            table.insert(key, new);
        }
    }
    Ok(document.to_string())
}

/// The shipped file contains each key as a comment; the value goes on the line after it.
fn below_its_comment(text: &str, section: Option<&str>, key: &str, new: &Item) -> Option<String> {
    let mut current = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let bare = line.trim();
        if let Some(header) = bare.strip_prefix('[') {
            current = header.split(']').next();
        }
        let commented = bare.strip_prefix('#').map(str::trim_start).and_then(|rest| rest.strip_prefix(key));
        let is_key = commented.is_some_and(|rest| rest.trim_start().starts_with('='));
        if current == section && is_key && line.ends_with('\n') {
            let (head, tail) = text.split_at_checked(at)?;
            return Some(format!("{head}{key} = {}\n{tail}", new.to_string().trim()));
        }
    }
    None
}

/// config.toml before and after the change, and the configuration of all files together.
pub(crate) struct Settings {
    pub before: Option<String>,
    pub after: String,
    pub config: Config,
}

/// Plans the new config.toml.
///
/// # Errors
/// When the files cannot be read, or the result is not a valid configuration.
pub(crate) fn plan(host: &Host, groups: &[String], role: Option<&str>) -> Result<Settings, Error> {
    let path = host.path(PATH);
    let before = files::read_utf8(&path)?;
    let after = edit(before.as_deref().unwrap_or(SHIPPED), groups, role).map_err(|cause| {
        Error::configuration(format!("'{}' is not valid TOML: {}", path.display(), cause.message()))
    })?;
    let config = Config::parse(&texts(host, after.clone())?)?;
    Ok(Settings { before, after, config })
}

/// The current configuration; missing keys have their defaults.
///
/// # Errors
/// When the files cannot be read, or are not a valid configuration.
pub(crate) fn load(host: &Host) -> Result<Config, Error> {
    let main = files::read_utf8(&host.path(PATH))?.unwrap_or_default();
    Ok(Config::parse(&texts(host, main)?)?)
}

fn texts(host: &Host, main: String) -> Result<Vec<(PathBuf, String)>, Error> {
    let mut texts = vec![(host.path(PATH), main)];
    let directory = host.path(DROP_INS);
    // As the refresher reads it (config/src/load.rs).
    let is_read = |name: &OsString| {
        let name = name.as_encoded_bytes();
        name.ends_with(b".toml") && !name.starts_with(b".")
    };
    for name in files::names(&directory)?.into_iter().filter(is_read) {
        let path = directory.join(name);
        if let Some(text) = files::read_utf8(&path)? {
            texts.push((path, text));
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn config(text: &str) -> Config {
        Config::parse(&[(PathBuf::from("config.toml"), text.to_owned())]).unwrap()
    }

    #[test]
    fn the_shipped_file_keeps_every_comment_and_gets_the_keys_where_they_are_explained() {
        let text = edit(SHIPPED, &strings(&["Ops", "Dev"]), Some("Lookup")).unwrap();
        let config = config(&text);
        assert_eq!((config.groups, config.aws.role.as_deref()), (strings(&["Ops", "Dev"]), Some("Lookup")));
        let added: Vec<&str> = text.lines().filter(|line| !SHIPPED.lines().any(|old| old == *line)).collect();
        assert_eq!(added, ["groups = [\"Ops\", \"Dev\"]", "role = \"Lookup\""]);
        let before = text.lines().take_while(|line| !line.starts_with("groups")).last().unwrap();
        assert!(before.starts_with("#groups"), "{before}");
        assert_eq!(
            edit(&text, &strings(&["Ops", "Dev"]), Some("Lookup")).unwrap(),
            text,
            "twice changes nothing"
        );
    }

    #[test]
    fn a_key_that_is_set_is_set_anew_in_its_place() {
        let text =
            "# mine\ngroups = [\n  \"Old\", # gone\n] # why\n[aws]\nrole = \"old\" # because\n[users]\n";
        let edited = edit(text, &strings(&["New"]), Some("new")).unwrap();
        assert_eq!(edited, "# mine\ngroups = [\"New\"] # why\n[aws]\nrole = \"new\" # because\n[users]\n");
    }

    #[test]
    fn a_bare_file_gets_what_it_lacks() {
        for text in ["", "[users]\nshell = \"/bin/sh\"\n", "[[account]]\nname = \"b\"\n#role = \"x\"\n"] {
            let config = config(&edit(text, &strings(&["G"]), Some("R")).unwrap());
            assert_eq!((config.groups, config.aws.role.as_deref()), (strings(&["G"]), Some("R")), "{text}");
        }
    }

    #[test]
    fn a_longer_list_has_the_entries_that_were_there() {
        for (entries, wanted) in [
            (&[][..], r#"["sudo"]"#),
            (&["ldap", "sss"], r#"["ldap", "sss", "sudo"]"#),
            (&["sudo", "sss"], r#"["sss", "sudo"]"#),
        ] {
            assert_eq!(longer_list(entries.iter().copied(), "sudo"), wanted);
        }
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        assert_eq!(edit("a = 1  # odd\n", &[], None).unwrap(), "a = 1  # odd\n");
    }

    #[test]
    fn a_name_that_iam_cannot_have_is_refused_with_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::this_directory(directory.path());
        let refused = plan(&host, &strings(&["no such\"group"]), None).err().unwrap();
        assert_eq!(refused.status(), crate::say::error::CONFIGURATION);
        assert!(refused.to_string().contains("config.toml' line"), "{refused}");
    }
}
