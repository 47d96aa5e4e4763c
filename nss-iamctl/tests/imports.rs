//! No import of nss-iamctl runs upwards, and no command imports another. Fixtures and tests may import anything.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

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

/// What the code of `module` imports or names by a path from the crate or from a module above.
fn imports(module: &[String], code: &str) -> Vec<Module> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    // A path ends where something comes that is no part of one: a blank, a bracket, a comma.
    let paths = code.split(|c: char| !is_word(c) && c != ':').filter(|path| path.contains("::"));
    let resolved = paths.filter_map(|path| {
        let mut words = path.split("::").peekable();
        let mut from = match words.next()? {
            "crate" => Vec::new(),
            "super" => module.split_last()?.1.to_vec(),
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
        return refused("write one line for each layer, of those that this test knows");
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

/// Every file below `folder` but fixtures and tests, with its module.
fn files(folder: &Path, module: &[String], found: &mut Vec<(Module, PathBuf)>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
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

#[test]
fn no_import_runs_upwards_and_no_command_imports_another() {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut found);
    for layer in LAYERS {
        assert!(found.iter().any(|(module, _)| module.first().unwrap() == layer), "there is no '{layer}'");
    }
    let mut refused = Vec::new();
    let mut count = 0;
    for (module, path) in &found {
        let imports = imports(module, &code(&fs::read_to_string(path).unwrap()));
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
        imports(&from, &code(text)).iter().filter_map(|import| refusal(&from, import)).collect()
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
        assert_eq!(refused(from, text).len(), 1, "{from}: {text}");
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
