//! No two modules of cache-refresher import each other, neither directly nor in a ring. Tests may import anything.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

/// The words of a module's path, `fetch aws imds`; `main.rs` has none.
type Module = Vec<String>;

/// The code of every module.
type Sources = BTreeMap<Module, String>;

/// Which modules each module imports.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// Every file below `directory` but tests.
fn read(directory: &Path, module: &[String], sources: &mut Sources) {
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_stem().unwrap().to_str().unwrap().to_owned();
        let child = [module, std::slice::from_ref(&name)].concat();
        match name.as_str() {
            "tests" => {}
            _ if entry.is_dir() => read(&entry, &child, sources),
            "main" | "mod" => drop(sources.insert(module.to_owned(), fs::read_to_string(entry).unwrap())),
            _ => drop(sources.insert(child, fs::read_to_string(entry).unwrap())),
        }
    }
}

/// All paths in this code, those of a `use` with braces one by one; `prefix` is what stands before the braces.
fn paths(code: TokenStream, prefix: &[String], found: &mut Vec<Vec<String>>) {
    let mut tokens = code.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let word = match token {
            TokenTree::Group(group) => {
                paths(group.stream(), &[], found);
                continue;
            }
            TokenTree::Ident(word) => word.to_string(),
            TokenTree::Punct(_) | TokenTree::Literal(_) => continue,
        };
        if word == "as" && !prefix.is_empty() {
            tokens.next();
            continue;
        }
        if word == "mod" && tokens.next_if(|next| next.to_string() == "tests").is_some() {
            tokens.next();
            continue;
        }
        let mut path = [prefix, &[word]].concat();
        loop {
            let colons = tokens.next_if(|next| next.to_string() == ":");
            if colons.is_none() || tokens.next_if(|next| next.to_string() == ":").is_none() {
                break;
            }
            match tokens.next() {
                Some(TokenTree::Ident(word)) => path.push(word.to_string()),
                Some(TokenTree::Group(group)) => {
                    paths(group.stream(), &path, found);
                    path.clear();
                    break;
                }
                // `use super::*`
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => path.push("*".to_owned()),
                _ => break,
            }
        }
        if path.len() > 1 {
            found.push(path);
        }
    }
}

/// The module that a path leads to, and what remains of the path. `known` are modules that the file has a name for.
fn resolved<'a>(
    module: &[String],
    path: &'a [String],
    known: &BTreeMap<String, Module>,
    sources: &Sources,
) -> Option<(Module, &'a [String])> {
    let (first, mut rest) = path.split_first()?;
    let mut target = match first.as_str() {
        "crate" => Vec::new(),
        "self" => module.to_owned(),
        "super" => module.split_last()?.1.to_owned(),
        word => {
            let child = [module, &[word.to_owned()]].concat();
            sources.contains_key(&child).then_some(child).or_else(|| known.get(word).cloned())?
        }
    };
    while let Some((word, after)) = rest.split_first() {
        let child = [&target[..], std::slice::from_ref(word)].concat();
        match word.as_str() {
            "super" => drop(target.pop()),
            "self" => {}
            _ if sources.contains_key(&child) => target = child,
            _ => break,
        }
        rest = after;
    }
    Some((target, rest))
}

fn imports(sources: &Sources) -> Imports {
    let of = |(module, code): (&Module, &String)| {
        let mut all = Vec::new();
        paths(code.parse().unwrap(), &[], &mut all);
        let whole = all.iter().filter_map(|path| resolved(module, path, &BTreeMap::new(), sources));
        let named = whole.filter(|(_, rest)| rest.is_empty()).map(|(module, _)| module);
        let known = named.filter_map(|module| Some((module.last()?.clone(), module))).collect();
        let imported = all.iter().filter_map(|path| Some(resolved(module, path, &known, sources)?.0));
        (module.clone(), imported.filter(|imported| imported != module).collect())
    };
    sources.iter().map(of).collect()
}

/// Each ring that begins and ends with the first of its modules.
fn rings(imports: &Imports) -> Vec<String> {
    let name = |module: &Module| if module.is_empty() { "main".to_owned() } else { module.join("::") };
    let of = |first: &Module| -> Option<String> {
        let mut ways = VecDeque::from([vec![first]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            for next in imports.get(*way.last()?).into_iter().flatten().filter(|next| *next >= first) {
                let way = [&way[..], &[next]].concat();
                if next == first {
                    return Some(way.into_iter().map(name).collect::<Vec<_>>().join(" -> "));
                }
                if seen.insert(next) {
                    ways.push_back(way);
                }
            }
        }
        None
    };
    imports.keys().filter_map(of).collect()
}

#[test]
fn no_two_modules_import_each_other_in_a_ring() {
    let mut sources = Sources::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut sources);
    let imports = imports(&sources);
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(count > 150, "only {count} imports were seen");
    let rings = rings(&imports);
    assert!(rings.is_empty(), "modules that import each other:\n{}", rings.join("\n"));
}

#[test]
fn a_ring_would_be_seen() {
    let found = |[main, a, below, b]: [&str; 4]| {
        let module = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let sources =
            [(module(&[]), main), (module(&["a"]), a), (module(&["a", "x"]), below), (module(&["b"]), b)];
        rings(&imports(&sources.map(|(module, code)| (module, code.to_owned())).into()))
    };
    let main = "mod a; mod b; use a::A;";
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use crate::{b::B, a::x};", "fn f() { crate::a::f() }"),
        ("use super::b;", "use super::{a::{self as other}};"),
        ("fn f(b: crate::b::B) {}", "fn f() { if true { super::a::f() } }"),
    ] {
        assert_eq!(found([main, a, "", b]), ["a -> b -> a"], "{a} {b}");
    }
    assert_eq!(found([main, "mod x; use x::X;", "use super::A;", ""]), ["a -> a::x -> a"]);
    assert_eq!(found([main, "mod x; fn f() { x::f() }", "use super::*;", ""]), ["a -> a::x -> a"]);
    assert_eq!(
        found(["use crate::a; fn f() { a::x::f() }", "", "use crate::MAIN;", ""]),
        ["main -> a::x -> main"]
    );
    assert_eq!(found([main, "use crate::b;", "", "use crate::a::x;"]), [""; 0]);
    assert_eq!(
        found([main, "use crate::b;", "use crate::a::A;", "use crate::a::x::X;"]),
        ["a -> b -> a::x -> a"]
    );
    assert_eq!(found([main, "use crate::MAIN;", "", ""]), ["main -> a -> main"]);
    for b in [
        "use std::a::A; use other::{a, crate_a as a};",
        "// use crate::a;\n/// [`crate::a`]\nfn f() {}",
        "#[cfg(test)] mod tests { use crate::a; }",
        "fn f() { let a = \"crate::a\"; a.f() }",
    ] {
        assert_eq!(found([main, "mod x; use crate::b::B;", "", b]), [""; 0], "{b}");
    }
}
