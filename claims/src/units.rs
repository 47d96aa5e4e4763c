//! Users and groups of installed systemd units: anything that runs as an existing account with this name takes it
//! over. All files count, including overridden ones: they take effect after `systemctl revert`, `unmask` or an
//! upgrade.

mod file;
mod name;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tree::{Entry, Tree};
use crate::{Kind, Unresolved, Use, Uses};

use self::file::{File, Role};
use self::name::Name;

/// `systemd-analyze unit-paths` of the system manager, systemd.unit(5).
const DIRECTORIES: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];
/// Services that dbus-daemon(1) starts itself as their `User=`.
const BUS_DIRECTORIES: [&str; 5] = [
    "/etc/dbus-1/system-services",
    "/run/dbus-1/system-services",
    "/usr/local/share/dbus-1/system-services",
    "/usr/share/dbus-1/system-services",
    "/lib/dbus-1/system-services",
];
/// Links of running units, named `invocation:UNIT`; they show instances without a file.
const RUNNING: &str = "/run/systemd/units";

/// Reads all units below `root`.
pub fn read(root: &Path) -> Uses {
    let tree = Tree(root);
    let mut found = Units { directories: directories(tree), ..Units::default() };
    for directory in DIRECTORIES.map(Path::new) {
        // /lib may be a link to /usr/lib.
        let Ok(real) = tree.canonical(directory) else { continue };
        if found.seen.insert(real) {
            found.directory(tree, directory);
        }
    }
    if let Ok(running) = tree.list(Path::new(RUNNING)) {
        running
            .iter()
            .filter_map(|entry| entry.name.strip_prefix("invocation:"))
            .for_each(|unit| found.unit(unit));
    }
    let mut uses = found.uses();
    bus_services(tree, &mut uses);
    uses
}

fn directories(tree: Tree<'_>) -> BTreeSet<PathBuf> {
    DIRECTORIES.iter().filter_map(|directory| tree.canonical(Path::new(directory)).ok()).collect()
}

/// Whether a word is the name of a unit.
fn is_unit(word: &str) -> bool {
    Name::parse(word).is_some()
}

/// All files, by the unit name to which their settings belong.
#[derive(Debug, Default)]
struct Units {
    directories: BTreeSet<PathBuf>,
    seen: BTreeSet<PathBuf>,
    /// A unit, or the unit that a drop-in directory belongs to -> files.
    layers: BTreeMap<String, Vec<File>>,
    /// Names of units and instances.
    units: BTreeSet<String>,
    /// Alias -> unit.
    aliases: BTreeMap<String, String>,
    unresolved: BTreeSet<Unresolved>,
}

impl Units {
    fn directory(&mut self, tree: Tree<'_>, directory: &Path) {
        match tree.list(directory) {
            Ok(entries) => entries.iter().for_each(|entry| self.entry(tree, entry)),
            Err(cause) => self.cannot(directory, cause.to_string()),
        }
    }

    fn entry(&mut self, tree: Tree<'_>, entry: &Entry) {
        let name = entry.name.as_str();
        if is_unit(name) && !entry.is_dir {
            self.unit(name);
            if !entry.is_link || !self.alias(tree, entry) {
                self.file(tree, name, &entry.path);
            }
        } else if let Some(base) = name.strip_suffix(".d") {
            let Ok(files) =
                tree.list(&entry.path).map_err(|cause| self.cannot(&entry.path, cause.to_string()))
            else {
                return;
            };
            for file in files.iter().filter(|file| file.name.ends_with(".conf")) {
                self.file(tree, base, &file.path);
            }
            self.unit(base);
        } else if [".wants", ".requires", ".upholds"].iter().any(|end| name.ends_with(end)) {
            let links = tree.list(&entry.path).unwrap_or_default();
            links.iter().for_each(|link| self.unit(&link.name));
        }
    }

    /// Whether a link needs no further reading: an alias of a unit that is read anyway, a mask, or a broken
    /// link.
    fn alias(&mut self, tree: Tree<'_>, entry: &Entry) -> bool {
        // A mask (a link to /dev/null) hides the unit's file in another directory, which is read there.
        let Ok(target) = tree.canonical(&entry.path) else { return true };
        let Some(name) = target.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            return true;
        };
        let is_read = target.parent().is_some_and(|parent| self.directories.contains(parent));
        if is_read && name != entry.name {
            self.aliases.insert(entry.name.clone(), name);
        }
        is_read || tree.is_masked(&entry.path)
    }

    fn file(&mut self, tree: Tree<'_>, base: &str, path: &Path) {
        match tree.read(path) {
            Ok(Some(text)) => {
                let file = File::parse(path.display().to_string(), &text);
                file.mentions.iter().for_each(|unit| self.unit(unit));
                if let (Some(instance), Some(name)) = (&file.default_instance, Name::parse(base)) {
                    self.unit(&format!("{}@{instance}.{}", name.prefix, name.kind));
                }
                if file.is_dynamic || file.resets_user || !file.values.is_empty() {
                    self.layers.entry(base.to_owned()).or_default().push(file);
                }
            }
            // A drop-in that is a broken link.
            Ok(None) => {}
            Err(_) if tree.is_masked(path) => {}
            Err(cause) => self.cannot(path, cause.to_string()),
        }
    }

    /// Records a unit, and the service of the same name that it starts.
    fn unit(&mut self, unit: &str) {
        let Some(name) = Name::parse(unit) else { return };
        if matches!(name.kind, "timer" | "path" | "socket")
            && let Some(stem) = unit.strip_suffix(name.kind)
        {
            self.units.insert(format!("{stem}service"));
        }
        self.units.insert(unit.to_owned());
    }

    fn cannot(&mut self, path: &Path, why: String) {
        let place = path.display().to_string();
        self.unresolved.insert(Unresolved { kind: Kind::Unit, place, why });
    }

    fn uses(self) -> Uses {
        let mut uses = Uses { unresolved: self.unresolved.clone(), ..Uses::default() };
        for (base, file) in
            self.layers.iter().flat_map(|(base, files)| files.iter().map(move |file| (base, file)))
        {
            for (role, value) in file.values.iter().filter(|(_, value)| !value.contains('%')) {
                add(&mut uses, value, *role, base, file);
            }
        }
        let units: BTreeSet<&str> = self.units.iter().map(String::as_str).collect();
        for unit in self.with_passed_instances(&units) {
            if let Some(name) = Name::parse(&unit) {
                self.unit_uses(name, &mut uses);
            }
        }
        uses
    }

    /// The units, plus those that a template names as `foo@%i.service`, for each known instance.
    fn with_passed_instances(&self, units: &BTreeSet<&str>) -> BTreeSet<String> {
        let names = || units.iter().filter_map(|unit| Name::parse(unit));
        let mut all: BTreeSet<String> = units.iter().map(|unit| (*unit).to_owned()).collect();
        for open in names().filter(|name| name.instance.is_some_and(|instance| instance.contains('%'))) {
            all.remove(open.full);
            let instances =
                names().filter_map(|name| name.instance).filter(|instance| !instance.contains('%'));
            all.extend(instances.map(|instance| format!("{}@{instance}.{}", open.prefix, open.kind)));
        }
        all
    }

    /// Adds uses that depend on the name of the unit: specifiers, and the user of `DynamicUser=`.
    fn unit_uses(&self, name: Name<'_>, uses: &mut Uses) {
        let target = self.aliases.get(name.full).and_then(|target| Name::parse(target));
        let bases: BTreeSet<String> =
            [Some(name), target].into_iter().flatten().flat_map(Name::layers).collect();
        let files = || bases.iter().filter_map(|base| self.layers.get(base)).flatten();
        if let Some(dynamic) = files().find(|file| file.is_dynamic)
            && (!files().any(File::sets_user) || files().any(|file| file.resets_user))
        {
            for user in name.dynamic_users() {
                let what = format!("the dynamic user of '{}'", name.full);
                uses.add(&user, Use { kind: Kind::Unit, what, place: dynamic.place.clone() });
            }
        }
        if name.is_template() {
            return;
        }
        for file in files() {
            for (role, value) in file.values.iter().filter(|(_, value)| value.contains('%')) {
                match name.expand(value) {
                    Ok(value) => add(uses, &value, *role, name.full, file),
                    Err(specifier) => {
                        let why =
                            format!("{} of '{}' has the specifier '%{specifier}'", role.noun(), name.full);
                        let place = file.place.clone();
                        uses.unresolved.insert(Unresolved { kind: Kind::Unit, place, why });
                    }
                }
            }
        }
    }
}

/// `base` is a unit, or a type of units as in 'service.d'.
fn add(uses: &mut Uses, value: &str, role: Role, base: &str, file: &File) {
    // A number is an id.
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return;
    }
    let of = if base.contains('.') { format!("'{base}'") } else { format!("every {base}") };
    let what = format!("{} of {of}", role.noun());
    uses.add(value, Use { kind: Kind::Unit, what, place: file.place.clone() });
}

fn bus_services(tree: Tree<'_>, uses: &mut Uses) {
    for directory in BUS_DIRECTORIES.map(Path::new) {
        let entries = tree.list(directory).unwrap_or_default();
        for entry in entries.iter().filter(|entry| entry.name.ends_with(".service")) {
            match tree.read(&entry.path) {
                Ok(text) => {
                    let file = File::parse(entry.path.display().to_string(), &text.unwrap_or_default());
                    for (role, value) in &file.values {
                        add(uses, value, *role, &entry.name, &file);
                    }
                }
                Err(cause) => {
                    let place = entry.path.display().to_string();
                    uses.unresolved.insert(Unresolved { kind: Kind::Unit, place, why: cause.to_string() });
                }
            }
        }
    }
}
