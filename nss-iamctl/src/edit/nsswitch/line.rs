//! One line of nsswitch.conf(5), as glibc reads it: its services with their actions, and where `iam` goes among them.

use message::Message;

/// The service, after which glibc looks for `libnss_iam.so.2`.
const SERVICE: &str = "iam";
/// Services for the users of this host: nothing may come before them.
const LOCAL: [&str; 2] = ["files", "compat"];
/// Services that read other files of this host.
const OTHER_FILES: [&str; 4] = ["altfiles", "cache", "db", "extrausers"];
/// Services that synthesize users, and so come last.
const LAST: [&str; 2] = ["systemd", "mymachines"];
const MERGE: &str = "[SUCCESS=merge]";
const CONTINUE: &str = "[SUCCESS=continue]";

/// Other databases of glibc (nss_database.c). Since 2.33, glibc ignores the whole file if one of their lines has an error.
const OTHERS: [&str; 13] = [
    "aliases",
    "ethers",
    "group_compat",
    "gshadow",
    "hosts",
    "netgroup",
    "networks",
    "passwd_compat",
    "protocols",
    "publickey",
    "rpc",
    "services",
    "shadow_compat",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Passwd,
    Group,
    Shadow,
    Initgroups,
    /// Never changed.
    Other,
}

impl Database {
    fn of(name: &str) -> Option<Self> {
        match name {
            "passwd" => Some(Self::Passwd),
            "group" => Some(Self::Group),
            "shadow" => Some(Self::Shadow),
            "initgroups" => Some(Self::Initgroups),
            name => OTHERS.contains(&name).then_some(Self::Other),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Passwd => "passwd",
            Self::Group => "group",
            Self::Shadow => "shadow",
            Self::Initgroups => "initgroups",
            Self::Other => "",
        }
    }
}

/// Where `iam` comes among directories: services whose users are not of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// A name that both have is the directory's.
    After,
    /// It is the nss-iam user's, and lookups of nss-iam users do not ask the directory.
    Before,
}

/// A line of one of the four databases.
pub(super) struct Entry<'a> {
    pub(super) database: Database,
    pub(super) tokens: Vec<Token<'a>>,
}

/// A service, an action in brackets, or a condition in braces, with its position in the line, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Token<'a> {
    fn is_action(&self) -> bool {
        self.text.starts_with('[')
    }

    fn is_braces(&self) -> bool {
        self.text.starts_with('{')
    }

    /// The services that it stands for: in authselect's `{if "feature":sss files|files sss}`, there are several.
    fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let alternatives = self.text.split_once(':').map_or(self.text, |(_, alternatives)| alternatives);
        alternatives.split(|c| is_blank(c) || "{|}".contains(c)).filter(|name| !name.is_empty())
    }
}

/// Whether the users of this service are neither in files of this host nor made up by it. There is no list of directories:
/// sss, ldap, winbind, and any that is not known here.
fn is_directory(name: &str) -> bool {
    name != SERVICE && ![&LOCAL[..], &OTHER_FILES, &LAST].iter().any(|names| names.contains(&name))
}

/// One character for each byte. Only ASCII matters here, and all other bytes must be preserved.
pub(super) fn chars(text: &[u8]) -> String {
    text.iter().copied().map(char::from).collect()
}

pub(super) fn bytes(text: &str) -> Vec<u8> {
    text.chars().filter_map(|c| u8::try_from(c).ok()).collect()
}

/// Why a line is left as it is.
fn because<T>(why: &str, hint: &str) -> Result<T, Message> {
    Err(Message::new(String::from_utf8_lossy(&bytes(why))).with_hint(hint))
}

impl<'a> Entry<'a> {
    /// `None` for other databases, comments, and lines that glibc does not read.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let read = read(line);
        let start = read.len() - read.trim_start_matches(is_blank).len();
        let (name, _) = read.get(start..)?.split_once(|c: char| c == ':' || is_blank(c))?;
        let database = Database::of(name)?;
        // Current versions of glibc read '#' as a service; `iam` goes before it.
        let body = read.split('#').next()?;
        let from = start + name.len() + 1;
        // Spaces are allowed before the colon.
        let from = body.len() - body.get(from..)?.trim_start_matches(|c| c == ':' || is_blank(c)).len();
        Some(Self { database, tokens: tokens(body, from) })
    }

    /// # Errors
    /// When glibc ignores a part of the line.
    pub(super) fn check(&self, line: &str) -> Result<(), Message> {
        let read = read(line);
        let is_template = read.contains('{');
        if self.database == Database::Other && (is_template || !line.ends_with('\n')) {
            return Ok(());
        }
        let from = read.find(':').map_or(0, |at| at + 1);
        let (ours, comment) =
            read.split_at_checked(read.find('#').unwrap_or(read.len())).unwrap_or((read, ""));
        if self.database != Database::Other
            && !comment.is_empty()
            && !ours.ends_with(|c| c == ':' || is_blank(c))
        {
            let what = "glibc since 2.33 takes '#' for a part of the word before it";
            return because(what, "put the comment on a separate line");
        }
        // Including what follows '#'.
        let tokens = tokens(read, from);
        for (index, token) in tokens.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|index| tokens.get(index));
            if token.is_action() && before.is_none_or(Token::is_action) {
                if self.database == Database::Other {
                    return Ok(());
                }
                let why = format!("glibc stops reading at '{}', which follows no service", token.text);
                return because(&why, "put all actions of a service into one pair of brackets");
            }
            if token.is_braces() && !token.text.ends_with('}') {
                return because("'{' without '}'", "correct the line");
            }
            if token.is_action() && pairs(token.text).is_none() {
                let why = match token.text.ends_with(']') {
                    true => format!("'{}' is not an action", token.text),
                    false => "'[' without ']'".to_owned(),
                };
                return because(&why, "correct the line: it makes glibc ignore the whole file");
            }
        }
        Ok(())
    }

    pub(super) fn asks_iam(&self) -> bool {
        self.tokens.iter().any(|token| token.text == SERVICE)
    }

    /// Services and actions, separated by single spaces.
    pub(super) fn words(&self) -> String {
        let words: Vec<&str> = self.tokens.iter().flat_map(|token| token.text.split(is_blank)).collect();
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The directories that are asked before `iam`, and those that are asked after it.
    pub(super) fn directories(&self) -> (Vec<&'a str>, Vec<&'a str>) {
        let iam = self.tokens.iter().position(|token| token.text == SERVICE).unwrap_or(self.tokens.len());
        let (before, after) = self.tokens.split_at_checked(iam).unwrap_or((&self.tokens, &[]));
        let names = |tokens: &[Token<'a>]| {
            let services = tokens.iter().filter(|token| !token.is_action());
            services.flat_map(Token::names).filter(|name| is_directory(name)).collect()
        };
        (names(before), names(after))
    }

    /// For a `group` line with `iam`: an `initgroups` line with which all services are asked, as glibc does without such a
    /// line, except that none is asked after `iam` has found the user. `None` for a template.
    pub(super) fn for_initgroups(&self) -> Option<String> {
        let words = self.services().into_iter().map(|service| {
            let pairs = service.actions.iter().filter_map(|action| pairs(action.text)).flatten();
            let others = pairs.filter(|(meant, status, _)| !(*meant && status == "success"));
            let mut actions: Vec<String> = others
                .map(|(meant, status, action)| {
                    format!("{}{}={action}", if meant { "" } else { "!" }, status.to_ascii_uppercase())
                })
                .collect();
            if service.name.text != SERVICE {
                actions.push("SUCCESS=continue".to_owned());
            }
            let actions =
                if actions.is_empty() { String::new() } else { format!(" [{}]", actions.join(" ")) };
            (!service.name.is_braces()).then(|| format!("{}{actions}", service.name.text))
        });
        words.collect::<Option<Vec<_>>>().map(|words| words.join(" "))
    }

    pub(super) fn with_iam(&self, line: &str, order: Order) -> Result<String, Message> {
        let (Some(first), services) = (self.tokens.first(), self.services()) else {
            return because("it names no service", "write 'files' there");
        };
        if self.database == Database::Initgroups {
            // First, because here the first success ends the search: an nss-iam user who is also in a group in /etc/group
            // would lose all other groups. `continue` adds the groups in /etc/group. For other users, `iam` finds nothing.
            return Ok(put(line, first.start, &format!("{SERVICE} {CONTINUE} ")));
        }
        let services = match order {
            Order::After => &services[..],
            Order::Before => without_directories(&services)?,
        };
        let after = place(services)?;
        let before = services.get(..=after.service).unwrap_or_default();
        let merged = match (self.database, before.iter().rev().find(|service| !service.name.is_braces())) {
            (Database::Group, Some(service)) => service.on_success(),
            _ => Some(String::new()),
        };
        let words = match merged.as_deref() {
            None => format!("{MERGE} {SERVICE}"),
            // Merges with the next service, as before. `without_iam` recognizes this form.
            Some("merge") => format!("{SERVICE} {MERGE}"),
            Some(_) => SERVICE.to_owned(),
        };
        // If the next word follows without a space, as braces in a template do, ours needs one after it.
        let sticks = self.tokens.iter().any(|token| token.start == after.end && !token.is_action());
        Ok(put(line, after.end, &if sticks { format!("{words} ") } else { format!(" {words}") }))
    }

    pub(super) fn without_iam(&self, line: &str) -> String {
        let mut line = line.to_owned();
        let at = |index: usize| self.tokens.get(index);
        for (index, token) in self.tokens.iter().enumerate().rev().filter(|(_, token)| token.text == SERVICE)
        {
            let is =
                |index: Option<usize>, action| index.and_then(at).is_some_and(|token| token.text == action);
            let (mut first, mut last) = (index, index);
            match self.database {
                Database::Group if is(Some(index + 1), MERGE) => last += 1,
                Database::Group if is(index.checked_sub(1), MERGE) => first -= 1,
                Database::Initgroups if is(Some(index + 1), CONTINUE) => last += 1,
                _ => {}
            }
            // Otherwise its action would follow another action or nothing, where glibc stops reading.
            let is_action = |index: Option<usize>| index.and_then(at).is_some_and(Token::is_action);
            if is_action(Some(last + 1)) && (first == 0 || is_action(first.checked_sub(1))) {
                last += 1;
            }
            let end = at(last).map_or(token.end, |token| token.end);
            let start = at(first).map_or(token.start, |token| token.start);
            let range = match (first.checked_sub(1).and_then(at), at(last + 1)) {
                (Some(previous), _) if previous.end < start => previous.end..end,
                (_, Some(next)) => start..next.start,
                (_, None) => start..end,
            };
            line.replace_range(range, "");
        }
        line
    }

    fn services(&self) -> Vec<Service<'a>> {
        let mut services: Vec<Service<'a>> = Vec::new();
        for token in &self.tokens {
            match services.last_mut() {
                Some(service) if token.is_action() => service.actions.push(*token),
                // An action before the first service: glibc asks no service then, and `check` refuses it.
                None if token.is_action() => {}
                _ => services.push(Service { name: *token, actions: Vec::new() }),
            }
        }
        services
    }
}

/// A service with the actions after it.
struct Service<'a> {
    name: Token<'a>,
    actions: Vec<Token<'a>>,
}

impl Service<'_> {
    fn end(&self) -> usize {
        self.actions.last().map_or(self.name.end, |action| action.end)
    }

    /// The action for a status; the last one counts.
    fn on(&self, asked: &str) -> Option<String> {
        let pairs = self.actions.iter().filter_map(|action| pairs(action.text)).flatten();
        let mut set = pairs.filter(|(meant, status, _)| *meant == (status == asked));
        set.next_back().map(|(_, _, action)| action)
    }

    fn on_success(&self) -> Option<String> {
        self.on("success")
    }

    fn ends_the_search(&self) -> bool {
        self.on("notfound").is_some_and(|action| action == "return")
    }

    fn is_local(&self) -> bool {
        LOCAL.contains(&self.name.text)
    }

    fn is_directory(&self) -> bool {
        self.name.names().any(is_directory)
    }

    fn has_files(&self) -> bool {
        self.name.names().any(|name| LOCAL.contains(&name) || OTHER_FILES.contains(&name))
    }
}

/// After which service, and where in the line.
struct Place {
    service: usize,
    end: usize,
}

/// The services before the first directory, which must include all that read files of this host.
fn without_directories<'s, 'a>(services: &'s [Service<'a>]) -> Result<&'s [Service<'a>], Message> {
    let first = services.iter().position(Service::is_directory).unwrap_or(services.len());
    let (before, rest) = services.split_at_checked(first).unwrap_or((services, &[]));
    match (rest.first(), rest.iter().find(|service| service.has_files())) {
        (Some(directory), Some(local)) => because(
            &format!(
                "'iam' cannot come before '{}', because local accounts must win, and '{}' comes after that",
                directory.name.text, local.name.text
            ),
            "put 'files' first",
        ),
        _ => Ok(before),
    }
}

/// After the last service that has its own users, unless an earlier one ends the search if it finds no user.
fn place(services: &[Service<'_>]) -> Result<Place, Message> {
    let last = services.iter().rposition(|service| !LAST.contains(&service.name.text));
    let Some(last) = last else {
        return because(
            "'iam' must come after 'files', which is missing",
            "add 'files' as the first service",
        );
    };
    let upto = services.get(..=last).unwrap_or_default();
    let Some((index, ending)) = upto.iter().enumerate().find(|(_, service)| service.ends_the_search()) else {
        let end = services.get(last).map_or(0, Service::end);
        return Ok(Place { service: last, end });
    };
    let words: Vec<&str> = ending.actions.iter().map(|action| action.text).collect();
    if ending.is_local() && ending.on_success().is_none() {
        // Before the action of 'files', which then applies to `iam`: 'files' either finds a user or does not.
        return Ok(Place { service: index, end: ending.name.end });
    }
    match upto.get(..index).unwrap_or_default() {
        [before @ .., nearest] if before.iter().any(Service::is_local) || nearest.is_local() => {
            Ok(Place { service: index - 1, end: nearest.end() })
        }
        _ => because(
            &format!("'{} {}' ends the search before 'iam' is asked", ending.name.text, words.join(" ")),
            "put 'files' first, or remove the action",
        ),
    }
}

/// The comment of a line, whose words current versions of glibc read as services, after a space.
pub(super) fn comment(line: &str) -> String {
    let comment = read(line).split_once('#').map(|(_, comment)| comment.trim_end_matches(is_blank));
    comment.map_or_else(String::new, |comment| format!(" #{comment}"))
}

/// glibc's strings end at a NUL.
fn read(line: &str) -> &str {
    line.split(['\n', '\0']).next().unwrap_or_default()
}

fn tokens(body: &str, from: usize) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = from;
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len() - rest.trim_start_matches(is_blank).len();
        if blank > 0 {
            at += blank;
            continue;
        }
        // Conditions of authselect that apply to the whole line come last.
        if rest.starts_with("{exclude") || rest.starts_with("{include") {
            break;
        }
        let upto = |end: char| rest.find(end).map(|at| at + 1);
        let length = match rest.chars().next() {
            Some('[') => upto(']'),
            Some('{') => upto('}'),
            _ => rest.find(|c: char| is_blank(c) || c == '[' || c == '{'),
        };
        let length = length.unwrap_or(rest.len());
        tokens.push(Token { text: rest.get(..length).unwrap_or_default(), start: at, end: at + length });
        at += length;
    }
    tokens
}

/// `[STATUS=ACTION ...]` in lower case, and whether the status itself or all others are meant. `None` if glibc does not know
/// the action.
fn pairs(action: &str) -> Option<Vec<(bool, String, String)>> {
    let mut rest = action.strip_prefix('[')?.strip_suffix(']')?.trim_start_matches(is_blank);
    let mut pairs = Vec::new();
    while !rest.is_empty() || pairs.is_empty() {
        let (meant, behind) = rest.strip_prefix('!').map_or((true, rest), |behind| (false, behind));
        let (status, behind) = word(behind);
        let (action, behind) = word(behind.strip_prefix('=')?.trim_start_matches(is_blank));
        let is_known = ["success", "unavail", "notfound", "tryagain"].contains(&status.as_str())
            && ["return", "continue", "merge"].contains(&action.as_str());
        pairs.push(is_known.then_some((meant, status, action))?);
        rest = behind;
    }
    Some(pairs)
}

/// The first word in lower case, and what follows it and the spaces after it.
fn word(text: &str) -> (String, &str) {
    let length = text.find(|c: char| is_blank(c) || c == '=').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(length).unwrap_or((text, ""));
    (word.to_ascii_lowercase(), rest.trim_start_matches(is_blank))
}

/// isspace(3) in the C locale.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

fn put(line: &str, at: usize, words: &str) -> String {
    let mut line = line.to_owned();
    line.insert_str(at, words);
    line
}
