//! What `enable` writes into its own file of config.d, and the configuration that comes out. The package's config.toml stays
//! as it is, so that an upgrade can replace it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use config::Config;
use message::Message;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};

use crate::cli::Enable;
use crate::edit::file::{Edit, Kind};
use crate::host::Host;
use crate::say::error::Error;
use crate::say::show::some;

/// Where the package's file is.
pub(crate) const PATH: &str = "/etc/nss-iam/config.toml";
/// The file of `enable`. It is applied after config.toml, and before other files whose name is later.
pub(crate) const OURS: &str = "/etc/nss-iam/config.d/10-enable.toml";
/// What config.toml contains if it has to be created.
const SHIPPED: &str = include_str!("../../../config/config.toml");
const HEADER: &str = "# Written by 'nss-iamctl enable', and removed by 'nss-iamctl disable'. It replaces values of config.toml; files\n\
                      # whose name is later replace values of this one. Put other settings elsewhere.\n";

type Texts = Vec<(PathBuf, String)>;

/// The edits, notes about them, and the configuration before and after.
pub(crate) struct Settings {
    pub edits: Vec<Edit>,
    pub notes: Vec<Message>,
    pub before: Config,
    pub config: Config,
}

/// Plans the file of `enable`.
///
/// # Errors
/// When the files cannot be read, or the result is not a valid configuration, or a value would not take effect.
pub(crate) fn plan(host: &Host, args: &Enable) -> Result<Settings, Error> {
    let current = texts(host)?;
    let before = Config::parse(&current)?;
    let wanted = Wanted::of(args, &before)?;
    let [main, ours] = [PATH, OURS].map(|path| host.path(path));
    let old = current.iter().find(|(path, _)| *path == ours).map(|(_, text)| text.clone());
    let new = match wanted.is_empty() {
        true => old.clone(),
        false => Some(wanted.written(old.as_deref().unwrap_or_default()).map_err(|cause| {
            Error::configuration(format!("'{}' is not valid TOML: {}", ours.display(), cause.message()))
        })?),
    };
    let planned = with(current.clone(), ours.clone(), new.clone());
    let config = Config::parse(&planned).map_err(|refused| match refused {
        // The file was valid, and has not been written: what is wrong was typed just now.
        config::Error::Wrong { path, what, hint, .. } if path == ours => {
            Error::configuration(what).hint(hint)
        }
        refused => refused.into(),
    })?;
    wanted.takes_effect(&planned)?;
    let mut edits = Vec::new();
    let mut edit = |path: &str, kind, before: Option<String>, after: Option<String>| {
        let [before, after] = [before, after].map(|text| text.map(String::into_bytes));
        edits.push(Edit { path: path.into(), kind, before, after, mode: 0o644 });
    };
    if !main.exists() {
        edit(PATH, Kind::Theirs, None, Some(SHIPPED.to_owned()));
    }
    if old != new {
        edit(OURS, Kind::Whole, old, new);
    }
    Ok(Settings { edits, notes: wanted.replaced(&current)?, before, config })
}

/// The current configuration; missing keys have their defaults.
///
/// # Errors
/// When the files cannot be read, or are not a valid configuration.
pub(crate) fn load(host: &Host) -> Result<Config, Error> {
    Ok(Config::parse(&texts(host)?)?)
}

/// As the refresher reads them; but if config.toml is missing, as if it were empty.
fn texts(host: &Host) -> Result<Texts, Error> {
    let main = host.path(PATH);
    match Config::texts(&main) {
        Err(config::Error::Read { path, cause, .. })
            if path == main && cause.kind() == ErrorKind::NotFound =>
        {
            let main = vec![(main.clone(), String::new())].into_iter();
            Ok(main.chain(Config::drop_ins(&host.path(PATH))?).collect())
        }
        texts => Ok(texts?),
    }
}

/// The texts with another one for this file of config.d.
fn with(mut texts: Texts, path: PathBuf, text: Option<String>) -> Texts {
    texts.retain(|(other, _)| *other != path);
    if let Some(text) = text {
        // The first is config.toml, whatever its name.
        let at = texts.iter().skip(1).filter(|(other, _)| *other < path).count();
        texts.insert(texts.len().min(1 + at), (path, text));
    }
    texts
}

/// The values that the command line asks for and that the configuration does not have yet.
struct Wanted(Vec<Setting>);

struct Setting {
    /// None: the top level.
    section: Option<&'static str>,
    key: String,
    value: Value,
}

impl Setting {
    fn path(&self) -> Vec<&str> {
        self.section.into_iter().chain([self.key.as_str()]).collect()
    }
}

impl Wanted {
    /// # Errors
    /// When a group is to be removed that is not configured.
    fn of(args: &Enable, config: &Config) -> Result<Self, Error> {
        let mut wanted = Vec::new();
        let mut set = |section, key: &str, value: Value| {
            wanted.push(Setting { section, key: key.to_owned(), value });
        };
        let list = |values: &[String]| Value::from(Array::from_iter(values));
        let (groups, shell_groups) = groups(args, config)?;
        for (key, new, now) in
            [("groups", &groups, &config.groups), ("shell_groups", &shell_groups, &config.shell_groups)]
        {
            if new != now {
                set(None, key, list(new));
            }
        }
        if let Some(role) = args.role.as_ref().filter(|role| config.aws.role.as_ref() != Some(*role)) {
            set(Some("aws"), "role", role.into());
        }
        if (args.forward_only || args.no_forward_only) && args.forward_only != config.users.forward_only {
            set(Some("users"), "forward_only", args.forward_only.into());
        }
        if (args.no_keys || args.keys) && args.keys != config.keys.sshd {
            set(Some("keys"), "sshd", args.keys.into());
        }
        let instance_connect = args.instance_connect;
        if (instance_connect || args.no_instance_connect) && instance_connect != config.keys.instance_connect
        {
            set(Some("keys"), "instance_connect", instance_connect.into());
        }
        let user_ca = args.no_user_ca.then(String::new).or_else(|| args.user_ca.clone());
        if let Some(file) = user_ca.filter(|file| *file != config.keys.user_ca.clone().unwrap_or_default()) {
            set(Some("keys"), "user_ca", file.into());
        }
        let tags: Vec<String> = config.tags.uses.iter().map(|usage| usage.word().to_owned()).collect();
        for (section, key, now, more) in [
            ("tags", "use", &tags, &args.use_tags),
            ("names", "exclude", &config.names.exclude, &args.exclude),
        ] {
            let new = more.iter().fold(now.clone(), |list, new| with_entry(list, new));
            if new != *now {
                set(Some(section), key, list(&new));
            }
        }
        let mut local_groups: BTreeMap<&String, Vec<String>> = BTreeMap::new();
        for (group, local) in &args.local_groups {
            let now = local_groups.remove(group).or_else(|| config.local_groups.get(group).cloned());
            local_groups.insert(group, with_entry(now.unwrap_or_default(), local));
        }
        for (group, locals) in local_groups {
            if config.local_groups.get(group) != Some(&locals) {
                set(Some("local_groups"), group, list(&locals));
            }
        }
        Ok(Self(wanted))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of our file with these values, everything else as it was.
    fn written(&self, text: &str) -> Result<String, toml_edit::TomlError> {
        let mut document: DocumentMut = text.strip_prefix(HEADER).unwrap_or(text).parse()?;
        for setting in &self.0 {
            set(document.as_table_mut(), setting);
        }
        Ok(format!("{HEADER}{document}"))
    }

    /// # Errors
    /// When a later file has another value, with what to write there.
    fn takes_effect(&self, planned: &Texts) -> Result<(), Error> {
        for setting in &self.0 {
            let (key, value) = (setting.path(), setting.value.to_string());
            let Some(path) = Config::set_by(planned, &key)? else { continue };
            if !path.ends_with(OURS.trim_start_matches('/')) {
                let key = key.join(".");
                let what =
                    format!("'{key}' is overridden by '{}', so 'enable' cannot set it", path.display());
                return Err(
                    Error::configuration(what).hint(format!("set it there: {key} = {}", value.trim()))
                );
            }
        }
        Ok(())
    }

    /// A note about each value of an earlier file that no longer counts.
    fn replaced(&self, current: &Texts) -> Result<Vec<Message>, Error> {
        let mut notes = Vec::new();
        for key in self.0.iter().map(Setting::path) {
            let Some(path) = Config::set_by(current, &key)? else { continue };
            if !path.ends_with(OURS.trim_start_matches('/')) {
                let (key, path) = (key.join("."), path.display());
                let what = format!("'{key}' in '{path}' no longer has an effect: '{OURS}' replaces it");
                notes.push(Message::new(what).with_hint(format!("remove '{key}' from '{path}'")));
            }
        }
        Ok(notes)
    }
}

/// The groups, and those whose members may run commands.
///
/// # Errors
/// When a group is to be removed that is not configured.
fn groups(args: &Enable, config: &Config) -> Result<(Vec<String>, Vec<String>), Error> {
    let mut groups = args
        .groups
        .iter()
        .chain(&args.shell_groups)
        .fold(config.groups.clone(), |list, new| with_entry(list, new));
    let mut shell_groups =
        args.shell_groups.iter().fold(config.shell_groups.clone(), |list, new| with_entry(list, new));
    for group in &args.remove_groups {
        let before = groups.len();
        groups.retain(|other| !group.eq_ignore_ascii_case(other));
        shell_groups.retain(|other| !group.eq_ignore_ascii_case(other));
        if groups.len() == before {
            let what = format!("'--remove-group {group}': this group is not configured");
            return Err(Error::configuration(what).hint(match groups.as_slice() {
                [] => "'groups' is empty".to_owned(),
                groups => format!("'groups' has {}", some(groups)),
            }));
        }
    }
    Ok((groups, shell_groups))
}

/// The list with one more entry, unless it is there already; the configuration refuses entries that differ only in case.
fn with_entry(mut list: Vec<String>, new: &str) -> Vec<String> {
    if !list.iter().any(|entry| entry.eq_ignore_ascii_case(new)) {
        list.push(new.to_owned());
    }
    list
}

/// Sets a key of the root or of a section. A value that is replaced keeps the comment next to it.
fn set(root: &mut Table, setting: &Setting) {
    let table: Option<&mut dyn TableLike> = match setting.section {
        Some(name) => root.entry(name).or_insert(Item::Table(Table::new())).as_table_like_mut(),
        None => Some(root),
    };
    // If the section is not a table, the check of the configuration reports that.
    let Some(table) = table else { return };
    let mut new = setting.value.clone();
    match table.get_mut(&setting.key) {
        Some(Item::Value(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        _ => {
            table.insert(&setting.key, Item::Value(new));
        }
    }
}
