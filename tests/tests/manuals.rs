//! The manual pages describe what the programs do: arguments, flags, keys, defaults and exit statuses, in both
//! directions. The reference is the output of `--help` and the shipped configuration.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use tests::{artefact, repository, text};

/// Each program, and its page.
const PROGRAMS: [(&str, &str); 3] = [
    ("cache-refresher", "nss-iam-cache-refresher.8"),
    ("keys-cmd", "nss-iam-keys-cmd.8"),
    ("nss-iamctl", "nss-iamctl.8"),
];
const CONFIG: &str = "nss-iam.toml.5";
const OTHERS: [&str; 3] = ["libnss_iam.8", "nss-iam.7", CONFIG];

/// The help of a program or of one of its commands.
#[derive(Debug, Default)]
struct Help {
    /// Long flags, and whether a value follows.
    flags: BTreeMap<String, bool>,
    /// `USER` of `<USER>`.
    arguments: BTreeSet<String>,
    /// Possible values of an argument or a flag, if it is a choice, and defaults.
    values: BTreeSet<String>,
    statuses: BTreeSet<u32>,
    commands: Vec<String>,
}

impl Help {
    fn of(program: &str, words: &[&str]) -> Self {
        let output = Command::new(artefact(program)).args(words).arg("--help").output().unwrap();
        assert!(output.status.success(), "{program} {words:?} --help");
        Self::parse(text(&output.stdout))
    }

    fn parse(printed: &str) -> Self {
        let mut help = Self::default();
        let mut block = "";
        for line in printed.lines() {
            if line.ends_with(':') && !line.starts_with(' ') {
                block = line;
            }
            let mut words = line.split_whitespace().peekable();
            if line.to_ascii_lowercase().starts_with("usage:") {
                help.arguments.extend(words.filter_map(placeholder));
            } else if line.trim_start().starts_with('-') {
                while let Some(word) = words.next_if(|word| word.starts_with('-')) {
                    if let Some(flag) = word.strip_prefix("--") {
                        let value = words.peek().is_some_and(|next| next.starts_with('<'));
                        help.flags.insert(flag.to_owned(), value);
                    } else if word == "-" {
                        help.values.extend(words.next().map(|value| value.trim_end_matches(':').to_owned()));
                    }
                }
            } else if block == "Commands:" && line.starts_with("  ") {
                help.commands.extend(words.next().filter(|word| *word != "help").map(str::to_owned));
            } else if let Some(default) = line.trim().strip_prefix("[default: ") {
                help.values.insert(default.trim_end_matches(']').to_owned());
            }
        }
        for paragraph in printed.to_ascii_lowercase().split("\n\n") {
            let told = paragraph.split_once("exit status").map_or("", |(_, told)| told);
            let numbers =
                told.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| word.parse::<u32>().ok());
            help.statuses.extend(numbers);
        }
        help
    }

    /// The program itself under the empty name, and each command that has no subcommands.
    fn all(program: &str) -> BTreeMap<String, Self> {
        let mut all = BTreeMap::new();
        let mut open = vec![String::new()];
        while let Some(name) = open.pop() {
            let mut help = Self::of(program, &name.split_whitespace().collect::<Vec<_>>());
            // Flags of the program itself.
            if !name.is_empty() {
                help.flags.retain(|flag, _| !["help", "color"].contains(&flag.as_str()));
            }
            open.extend(help.commands.iter().map(|word| format!("{name} {word}").trim().to_owned()));
            if name.is_empty() || help.commands.is_empty() {
                all.insert(name, help);
            }
        }
        all
    }
}

/// `FINGERPRINT` of `[FINGERPRINT]]`.
fn placeholder(word: &str) -> Option<String> {
    let name = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_one = name.len() > 1 && name != "OPTIONS" && name.bytes().all(|byte| byte.is_ascii_uppercase());
    is_one.then(|| name.to_owned())
}

/// The source of a page, line by line, each with its heading.
struct Page {
    name: &'static str,
    lines: Vec<(String, String)>,
    /// Of `.Ss`.
    subsections: Vec<String>,
}

impl Page {
    fn read(name: &'static str) -> Self {
        let source = fs::read_to_string(repository().join("man").join(name)).unwrap();
        let mut page = Self { name, lines: Vec::new(), subsections: Vec::new() };
        let mut heading = String::new();
        for line in source.lines() {
            let line = line.replace("\\-", "-").replace("\\(dq", "\"").replace("\\&", "");
            if let Some(title) = line.strip_prefix(".Sh ").or_else(|| line.strip_prefix(".Ss ")) {
                title.clone_into(&mut heading);
                page.subsections.extend(line.starts_with(".Ss").then(|| title.to_owned()));
            } else {
                page.lines.push((heading.clone(), line));
            }
        }
        page
    }

    /// The lines about a command; for the program itself, all lines that are not about a command.
    fn on<'a>(&'a self, command: &str, commands: &BTreeMap<String, Help>) -> Vec<&'a str> {
        let is_on = |heading: &str| {
            let mut names = titled(heading);
            if command.is_empty() {
                !names.any(|name| commands.contains_key(name))
            } else {
                names.any(|name| name == command)
            }
        };
        self.lines.iter().filter(|(heading, _)| is_on(heading)).map(|(_, line)| line.as_str()).collect()
    }
}

/// One heading may cover several commands.
fn titled(heading: &str) -> impl Iterator<Item = &str> {
    heading.split(", ")
}

/// The words of a line, including macros.
fn words(line: &str) -> Vec<&str> {
    line.trim_start_matches('.').split_whitespace().collect()
}

/// The words after the macro `name` on a line.
fn after<'a>(line: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let words = words(line);
    let at: Vec<usize> = (1..words.len()).filter(|at| words[at - 1] == name).collect();
    at.into_iter().map(move |at| words[at])
}

fn listed_flags(lines: &[&str]) -> BTreeMap<String, bool> {
    let items = lines.iter().filter(|line| line.starts_with(".It Fl"));
    items
        .flat_map(|line| {
            let value = after(line, "Ar").next().is_some();
            after(line, "Fl")
                .filter_map(|flag| flag.strip_prefix('-'))
                .map(move |flag| (flag.to_owned(), value))
        })
        .collect()
}

#[test]
fn each_command_and_flag_of_the_help_is_in_the_page_and_no_other() {
    for (program, page) in PROGRAMS {
        let (commands, page) = (Help::all(program), Page::read(page));
        if commands.len() > 1 {
            let described: BTreeSet<&str> = page.subsections.iter().flat_map(|title| titled(title)).collect();
            let there: BTreeSet<&str> =
                commands.keys().map(String::as_str).filter(|name| !name.is_empty()).collect();
            assert_eq!(described, there, "commands of {program}");
        }
        for (command, help) in &commands {
            let lines = page.on(command, &commands);
            assert_eq!(listed_flags(&lines), help.flags, "flags of '{program} {command}'");
            for argument in &help.arguments {
                let told = lines.iter().any(|line| after(line, "Ar").any(|name| name == argument));
                assert!(told, "'{program} {command}': nothing about {argument}");
            }
            for value in &help.values {
                let told = |line: &&str| line.starts_with('.') && words(line).contains(&value.as_str());
                assert!(lines.iter().any(told), "'{program} {command}': nothing about {value}");
            }
        }
    }
}

#[test]
fn exit_statuses_equal_those_of_the_help() {
    for (program, page) in PROGRAMS {
        let (commands, page) = (Help::all(program), Page::read(page));
        assert!(!commands[""].statuses.is_empty(), "{program} --help tells no exit status");
        for (command, help) in &commands {
            let listed: BTreeSet<u32> = page
                .on(command, &commands)
                .iter()
                .filter_map(|line| line.strip_prefix(".It ")?.parse().ok())
                .collect();
            assert_eq!(listed, help.statuses, "exit statuses of '{program} {command}'");
        }
    }
}

/// Programs and their commands, by the names that pages use.
struct Programs(BTreeMap<&'static str, BTreeMap<String, Help>>);

impl Programs {
    fn named(word: &str) -> Option<&'static str> {
        let name = word.rsplit('/').next().unwrap_or(word);
        let known = |(program, page): &&(&'static str, &str)| {
            name == *program || page.strip_suffix(".8") == Some(name)
        };
        PROGRAMS.iter().find(known).map(|(program, _)| *program)
    }

    /// The command that begins here.
    fn command<'a>(&'a self, program: &str, words: &[&str]) -> Option<&'a str> {
        let begins = |name: &&String| {
            let name: Vec<&str> = name.split_whitespace().collect();
            !name.is_empty() && words.starts_with(&name)
        };
        self.0[program].keys().find(begins).map(String::as_str)
    }

    /// Checks what one line mentions. `program` and `commands` are the ones that it is about, unless it names
    /// others.
    fn check<'a>(&'a self, line: &str, mut program: Option<&'static str>, mut commands: Vec<&'a str>) {
        let typed = line.starts_with("# ") || line.starts_with("$ ");
        if typed {
            program = None;
        }
        let words = words(line);
        for (at, word) in words.iter().enumerate() {
            let before = if at > 0 { words[at - 1] } else { "" };
            if let Some(named) = Self::named(word).filter(|_| before != "Xr") {
                program = Some(named);
                let rest = match words.get(at + 1..) {
                    Some(["Cm", rest @ ..]) => rest,
                    Some(rest @ [first, ..]) if typed && named == "nss-iamctl" && !first.starts_with('-') => {
                        rest
                    }
                    _ => continue,
                };
                let command = self.command(named, rest);
                commands = vec![command.unwrap_or_else(|| panic!("no such command: {line}"))];
            }
            let flag = if before == "Fl" { word.strip_prefix('-') } else { word.strip_prefix("--") };
            let Some(flag) = flag.filter(|flag| !flag.is_empty()) else { continue };
            if typed && program.is_none() {
                continue;
            }
            let all = &self.0[program.unwrap_or_else(|| panic!("whose flag? {line}"))];
            let about = |name: &String| commands.is_empty() || commands.contains(&name.as_str());
            let known = all.iter().any(|(name, help)| about(name) && help.flags.contains_key(flag));
            assert!(known, "no such flag: {line}");
        }
    }
}

#[test]
fn every_command_or_flag_that_a_page_mentions_exists() {
    let programs = Programs(PROGRAMS.iter().map(|(program, _)| (*program, Help::all(program))).collect());
    let pages = PROGRAMS.iter().map(|(program, page)| (Some(*program), *page));
    for (program, page) in pages.chain(OTHERS.iter().map(|page| (None, *page))) {
        for (heading, line) in &Page::read(page).lines {
            let commands = program.map_or(Vec::new(), |program| {
                titled(heading).filter(|name| programs.0[program].contains_key(*name)).collect()
            });
            programs.check(line, program, commands);
        }
    }
}

/// (section, key) -> default; none: not set.
type Keys = BTreeMap<(String, String), Option<String>>;

/// Sections whose keys are the administrator's names.
const MAPS: [&str; 3] = ["[local_groups]", "[names.allow]", "[ids]"];

/// The shipped file shows each key. An example that is not the default is in a paragraph that says so.
fn shipped() -> (BTreeSet<String>, Keys) {
    let (mut sections, mut keys) = (BTreeSet::from(["Top level".to_owned()]), Keys::new());
    let (mut section, mut example) = ("Top level", false);
    let source = fs::read_to_string(repository().join("config/config.toml")).unwrap();
    for line in source.lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        if line.is_empty() {
            example = false;
        } else if bare.starts_with('[') {
            section = bare;
            sections.insert(section.to_owned());
        } else if line.starts_with("# Example") {
            example = true;
        } else if let Some((key, value)) =
            bare.split_once(" = ").filter(|_| !bare.starts_with(' ') && !MAPS.contains(&section))
        {
            keys.insert((section.to_owned(), key.to_owned()), (!example).then(|| value.to_owned()));
        }
    }
    (sections, keys)
}

#[test]
fn each_key_of_the_shipped_configuration_is_in_the_page_with_its_default_and_no_other() {
    let page = Page::read(CONFIG);
    let (sections, keys) = shipped();
    assert!(keys.len() > 30, "{keys:?}");
    assert_eq!(page.subsections.iter().cloned().collect::<BTreeSet<_>>(), sections);
    let mut described = Keys::new();
    for (section, line) in page.lines.iter().filter(|(section, _)| sections.contains(section)) {
        let Some(item) = line.strip_prefix(".It Ic ") else { continue };
        let (names, default) = match item.split_once(" No = ") {
            Some((names, default)) => (names, Some(default.to_owned())),
            None => (item, None),
        };
        for key in names.split(" , ") {
            let twice = described.insert((section.clone(), key.to_owned()), default.clone());
            assert_eq!(twice, None, "{section} {key} is there twice");
        }
    }
    assert_eq!(described, keys);
}

#[test]
fn the_pages_refer_to_each_other_and_groff_reports_nothing() {
    let directory = repository().join("man");
    let there: BTreeSet<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let known = PROGRAMS.iter().map(|(_, page)| *page).chain(OTHERS);
    assert_eq!(there, known.clone().map(str::to_owned).collect());
    for page in known.map(Page::read) {
        let name = page.name;
        let (title, section) = name.rsplit_once('.').unwrap();
        let heading = format!(".Dt {} {section}", title.to_ascii_uppercase());
        assert!(page.lines.iter().any(|(_, line)| *line == heading), "{name} lacks '{heading}'");
        for (_, line) in page.lines.iter().filter(|(_, line)| line.starts_with(".Xr ")) {
            let words = words(line);
            let referred = format!("{}.{}", words[1], words[2]);
            let ours = words[1].starts_with("nss-iam") || words[1].starts_with("libnss_iam");
            assert!(!ours || there.contains(&referred), "{name} refers to {referred}");
        }
        let groff =
            Command::new("groff").args(["-mdoc", "-ww", "-z", "-Tutf8"]).arg(directory.join(name)).output();
        let groff = groff.unwrap();
        assert!(groff.status.success() && groff.stderr.is_empty(), "{name}: {}", text(&groff.stderr));
    }
}
