//! Users and groups of sysusers.d(5): systemd-sysusers(8) uses an existing account as its own.

use std::path::Path;

use crate::tree::Tree;
use crate::{Kind, Unresolved, Use, Uses};

const DIRECTORIES: [&str; 5] = [
    "/etc/sysusers.d",
    "/run/sysusers.d",
    "/usr/local/lib/sysusers.d",
    "/usr/lib/sysusers.d",
    "/lib/sysusers.d",
];

/// Reads all files below `root`, including those that a file of the same name in another directory overrides at
/// present.
pub fn read(root: &Path) -> Uses {
    let tree = Tree(root);
    let mut uses = Uses::default();
    let mut seen = Vec::new();
    for directory in DIRECTORIES.map(Path::new) {
        // /lib may be a link to /usr/lib.
        let Ok(real) = tree.canonical(directory) else { continue };
        if seen.contains(&real) {
            continue;
        }
        seen.push(real);
        match tree.list(directory) {
            Ok(entries) => entries
                .iter()
                .filter(|entry| entry.name.ends_with(".conf") && !tree.is_masked(&entry.path))
                .for_each(|entry| file(tree, &entry.path, &mut uses)),
            Err(cause) => cannot(&mut uses, directory, cause.to_string()),
        }
    }
    uses
}

fn file(tree: Tree<'_>, path: &Path, uses: &mut Uses) {
    match tree.read(path) {
        Ok(text) => lines(&text.unwrap_or_default(), path, uses),
        Err(cause) => cannot(uses, path, cause.to_string()),
    }
}

fn cannot(uses: &mut Uses, path: &Path, why: String) {
    uses.unresolved.insert(Unresolved { kind: Kind::Sysusers, place: path.display().to_string(), why });
}

fn lines(text: &str, path: &Path, uses: &mut Uses) {
    for (number, line) in (1..).zip(text.lines()) {
        let fields = fields(line);
        let Some(kind) = fields.first().filter(|kind| !kind.starts_with('#')) else { continue };
        let (name, id) = (fields.get(1).map(String::as_str), fields.get(2).map(String::as_str));
        // The first letter is the type, the rest modifies it: `u!` exists since version 257.
        let names = match kind.chars().next() {
            Some('u') => vec![("a system user", name), ("a system user's group", id.and_then(primary_group))],
            Some('g') => vec![("a system group", name)],
            Some('m') => vec![("a member of a system group", name), ("a system group", id)],
            // A range of ids, or a type that systemd-sysusers refuses.
            _ => continue,
        };
        for (what, name) in names {
            let Some(name) = name else { continue };
            let place = path.display().to_string();
            match plain(name) {
                Some(name) => uses.add(&name, Use { kind: Kind::Sysusers, what: what.to_owned(), place }),
                None => cannot(uses, path, format!("line {number} has the specifiers '{name}'")),
            }
        }
    }
}

/// The group in `UID:GROUP`, unless it is a number.
fn primary_group(id: &str) -> Option<&str> {
    let (_, group) = id.split_once(':')?;
    let is_id = group.is_empty() || group.bytes().all(|byte| byte.is_ascii_digit());
    (!is_id && group != "-").then_some(group)
}

/// A name without specifiers except `%%`, sysusers.d(5).
fn plain(name: &str) -> Option<String> {
    let plain = name.replace("%%", "\0");
    (!plain.contains('%')).then(|| plain.replace('\0', "%"))
}

/// The fields of a line, which may be quoted and escaped as in a shell: extract_many_words() with EXTRACT_UNQUOTE.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                field.get_or_insert_default();
            }
            ('\\', _) => field.get_or_insert_default().extend(chars.next()),
            (c, None) if c.is_whitespace() => fields.extend(field.take()),
            (c, _) => field.get_or_insert_default().push(c),
        }
    }
    fields.extend(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Checked with `systemd-sysusers --dry-run` of version 257.
    const TABLE: &[(&str, &[&str], bool)] = &[
        ("u  _apt 100 \"APT\" -", &["_apt"], true),
        ("g kvm -\ng\ttty\t5", &["kvm", "tty"], true),
        ("u! sealed -", &["sealed"], true),
        ("m bob disk", &["bob", "disk"], true),
        ("r - 500-900", &[], true),
        ("# u ann\n#u ben\n\n   # u cara", &[], true),
        ("  u ann -", &["ann"], true),
        ("u \"ann\" -\nu 'ben' -\nu ca\\ra -", &["ann", "ben", "cara"], true),
        ("u ann 100:ops\nu ben 100:200\nu cara -:-", &["ann", "ben", "cara", "ops"], true),
        ("u ann 100 \"eva\" /home/fay /bin/gus", &["ann"], true),
        ("u ANN -", &["ann"], true),
        ("u a%%b -", &["a%b"], true),
        ("u app-%b -", &[], false),
        ("u", &[], true),
        ("u ann -\r\nu ben -\r\n", &["ann", "ben"], true),
    ];

    #[test]
    fn types_that_name_a_user_or_group() {
        for (text, names, is_resolved) in TABLE {
            let mut uses = Uses::default();
            lines(text, Path::new("/x"), &mut uses);
            assert_eq!(uses.names.keys().map(String::as_str).collect::<Vec<_>>(), *names, "{text}");
            assert_eq!(uses.unresolved.is_empty(), *is_resolved, "{text}");
        }
    }

    #[test]
    fn all_directories_count_and_a_mask_is_ignored() {
        let root = tempfile::tempdir().unwrap();
        for (directory, name) in
            [("etc", "ann"), ("run", "ben"), ("usr/lib", "cara"), ("usr/local/lib", "dora")]
        {
            let directory = root.path().join(directory).join("sysusers.d");
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("a.conf"), format!("u {name} -\n")).unwrap();
            fs::write(directory.join("a.conf.old"), "u eva -\n").unwrap();
            std::os::unix::fs::symlink("/dev/null", directory.join("b.conf")).unwrap();
        }
        let uses = read(root.path());
        assert_eq!(uses.names.keys().collect::<Vec<_>>(), ["ann", "ben", "cara", "dora"]);
        assert_eq!(
            uses.names["ann"].first().unwrap().to_string(),
            "a system user ('/etc/sysusers.d/a.conf')"
        );
        assert!(uses.unresolved.is_empty());
    }
}
