//! No import of nss-iamctl runs upwards, no command imports another, and no files import each other in a ring. Fixtures
//! and tests may import anything.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// How things are said, the command line, the host, what is edited on it, what is found out about it, and the commands:
/// each may import itself and those before it. `main.rs` is above all of them.
const LAYERS: [&str; 6] = ["say", "cli", "host", "edit", "inspect", "commands"];

/// The words of a module's path, `commands adopt plan`.
type Module = Vec<String>;

fn module(path: &str) -> Module {
    path.split("::").map(str::to_owned).collect()
}

/// A file's code, without its tests and comments.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut in_tests = false;
    for line in text.lines() {
        in_tests |= line.starts_with("mod tests {");
        if !in_tests && !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
        in_tests &= line != "}";
    }
    code
}

/// The paths in the code, one for each item in braces: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(code: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut paths = Vec::new();
    // What is in front of each brace that is open: nothing, unless the brace belongs to a path.
    let mut outer: Vec<String> = Vec::new();
    let mut rest = code;
    while let Some(end) = rest.find(|c| !is_word(c)) {
        let path = format!("{}{}", outer.last().map_or("", String::as_str), &rest[..end]);
        match rest[end..].chars().next().unwrap() {
            '{' if rest[..end].ends_with("::") => outer.push(path),
            '{' => outer.push(String::new()),
            separator => {
                // Between a comma and the word after it is an empty one.
                if end > 0 {
                    paths.push(path);
                }
                if separator == '}' {
                    outer.pop();
                }
            }
        }
        rest = &rest[end..][1..];
    }
    paths.retain(|path| path.contains("::"));
    paths
}

/// What the code of `module` imports or names by a path from the crate, from a module above, or from one of `children`.
fn imports(module: &[String], children: &[&str], code: &str) -> Vec<Module> {
    let paths = paths(code);
    let resolved = paths.iter().filter_map(|path| {
        let mut words = path.split("::").peekable();
        let mut from = match words.next()? {
            "crate" => Vec::new(),
            "super" => module.split_last()?.1.to_vec(),
            child if children.contains(&child) => [module, &[child.to_owned()]].concat(),
            _ => return None,
        };
        while words.next_if_eq(&"super").is_some() {
            from.pop();
        }
        Some(from.into_iter().chain(words.map(str::to_owned).filter(|word| !word.is_empty())).collect())
    });
    resolved.collect()
}

/// Why `module` may not import `import`.
fn refusal(module: &[String], import: &[String]) -> Option<String> {
    let layer =
        |module: &[String]| LAYERS.iter().position(|layer| module.first().is_some_and(|word| word == layer));
    let refused = |why: &str| Some(format!("{} imports {}: {why}", module.join("::"), import.join("::")));
    let (Some(own), Some(other)) = (layer(module), layer(import)) else {
        return refused("this test does not know the layer");
    };
    if other > own {
        return refused("that is above");
    }
    let command = |module: &[String]| module.get(1).cloned();
    if own == other && module.starts_with(&["commands".to_owned()]) && command(module) != command(import) {
        return refused("that is another command");
    }
    None
}

/// Every file below `directory` but fixtures, tests and `main.rs`, with its module.
fn files(directory: &Path, module: &[String], found: &mut Vec<(Module, PathBuf)>) {
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_stem().unwrap().to_str().unwrap().to_owned();
        if ["fixtures", "tests", "main"].contains(&name.as_str()) {
            continue;
        }
        let module = [module, &[name]].concat();
        if entry.is_dir() {
            files(&entry, &module, found);
        } else {
            found.push((module, entry));
        }
    }
}

/// The code of each file below `src` but fixtures and tests.
fn sources() -> BTreeMap<Module, String> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut found);
    found.into_iter().map(|(module, path)| (module, code(&fs::read_to_string(path).unwrap()))).collect()
}

/// The files that each file imports.
fn arrows(sources: &BTreeMap<Module, String>) -> BTreeMap<&Module, BTreeSet<&Module>> {
    let file = |import: &Module| {
        (1..=import.len())
            .rev()
            .find_map(|length| sources.get_key_value(&import[..length]))
            .map(|(file, _)| file)
    };
    let arrows = sources.iter().map(|(module, code)| {
        let is_child = |other: &&Module| other.split_last().is_some_and(|(_, parent)| parent == module);
        let children: Vec<&str> =
            sources.keys().filter(is_child).filter_map(|child| child.last()).map(String::as_str).collect();
        let imported = imports(module, &children, code);
        (module, imported.iter().filter_map(file).filter(|file| *file != module).collect())
    });
    arrows.collect()
}

/// The files from which imports lead back to themselves.
fn rings(sources: &BTreeMap<Module, String>) -> Vec<String> {
    let arrows = arrows(sources);
    let reached = |from: &Module| {
        let mut reached: BTreeSet<&Module> = BTreeSet::new();
        let mut next: Vec<&Module> = arrows[from].iter().copied().collect();
        while let Some(file) = next.pop() {
            if reached.insert(file) {
                next.extend(&arrows[file]);
            }
        }
        reached
    };
    arrows.keys().filter(|file| reached(file).contains(**file)).map(|file| file.join("::")).collect()
}

#[test]
fn no_files_import_each_other_in_a_ring() {
    let sources = sources();
    let count: usize = arrows(&sources).values().map(BTreeSet::len).sum();
    assert!(count > 300, "only {count} arrows were seen");
    assert_eq!(rings(&sources), [""; 0]);
}

#[test]
fn a_ring_would_be_seen() {
    let sources = |texts: &[(&str, &str)]| -> BTreeMap<Module, String> {
        texts.iter().map(|(path, text)| (module(path), code(text))).collect()
    };
    let step = ("edit::step", "use crate::edit::{\n    backup::Manifest,\n    pam,\n};\nfn f() {}\n");
    let ring = sources(&[step, ("edit::pam", "use crate::edit::step::Edit;\n"), ("edit::backup", "")]);
    assert_eq!(rings(&ring), ["edit::pam", "edit::step"]);
    let parent = ("edit::nsswitch", "mod line;\nuse line::Entry;\n");
    assert_eq!(
        rings(&sources(&[parent, ("edit::nsswitch::line", "use super::PATH;\n")])),
        ["edit::nsswitch", "edit::nsswitch::line"]
    );
    let straight = sources(&[
        step,
        parent,
        ("edit::pam", "use crate::edit::backup::Kind;\nmod tests {\n    use crate::edit::step;\n}\n"),
        ("edit::backup", "use crate::edit::nsswitch;\n"),
        ("edit::nsswitch::line", ""),
    ]);
    assert_eq!(rings(&straight), [""; 0]);
}

#[test]
fn no_import_runs_upwards_and_no_command_imports_another() {
    let sources = sources();
    for layer in LAYERS {
        assert!(sources.keys().any(|module| module.first().unwrap() == layer), "there is no '{layer}'");
    }
    let mut refused = Vec::new();
    let mut count = 0;
    for (module, code) in &sources {
        let imports = imports(module, &[], code);
        count += imports.len();
        refused.extend(imports.iter().filter_map(|import| refusal(module, import)));
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(count > 300, "only {count} imports were seen");
}

#[test]
fn what_is_refused_would_be_seen() {
    let refused = |from: &str, text: &str| -> Vec<String> {
        let from = module(from);
        imports(&from, &[], &code(text)).iter().filter_map(|import| refusal(&from, import)).collect()
    };
    for (from, text) in [
        ("edit::sshd", "use crate::inspect::facts::probe::uid_of;\n"),
        ("edit::sshd", "    crate::inspect::facts::probe::uid_of(line)\n"),
        ("host", "use crate::{\n    edit::block,\n};\n"),
        ("host::files", "use super::super::edit::block;\n"),
        ("say", "use super::host::Host;\n"),
        ("commands::disable", "use crate::commands::enable::{diff, print};\n"),
        ("commands::disable", "use super::enable::diff;\n"),
        ("commands::disable", "use super::{enable, restore};\n"),
        ("commands::adopt::plan", "use crate::fixtures::well;\n"),
    ] {
        assert!(!refused(from, text).is_empty(), "{from}: {text}");
    }
    for (from, text) in [
        ("edit::sshd", "use crate::edit::block;\nuse crate::host::{Host, files};\nuse crate::cli::Sudo;\n"),
        ("commands::adopt::plan", "use super::check::check;\nuse crate::inspect::facts::Facts;\n"),
        ("commands::adopt", "// use super::enable::diff;\nmod tests {\n    use crate::fixtures;\n}\n"),
        ("inspect::facts::sshd", "use super::Unit;\n"),
    ] {
        assert_eq!(refused(from, text), [""; 0], "{from}: {text}");
    }
}
