//! Where `iam` goes among the services of a line.

use message::Message;

use super::line::{Database, Entry, SERVICE, Token, because, pairs};

/// Services for the users of this host: nothing may come before them.
const LOCAL: [&str; 2] = ["files", "compat"];
/// Services that read other files of this host.
const OTHER_FILES: [&str; 6] = ["altfiles", "cache", "db", "extrausers", "tcb", "usrfiles"];
/// Services that synthesize users, and so come last.
const LAST: [&str; 2] = ["systemd", "mymachines"];
const MERGE: &str = "[SUCCESS=merge]";
const CONTINUE: &str = "[SUCCESS=continue]";

/// Where `iam` comes among directories: services whose users are not of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// A name that both have is the directory's.
    After,
    /// It is the nss-iam user's, and lookups of nss-iam users do not ask the directory.
    Before,
}

/// Whether the users of this service are neither in files of this host nor made up by it. There is no list of directories:
/// sss, ldap, winbind, and any that is not known here.
fn is_directory(name: &str) -> bool {
    name != SERVICE && ![&LOCAL[..], &OTHER_FILES, &LAST].iter().any(|names| names.contains(&name))
}

impl<'a> Entry<'a> {
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

fn put(line: &str, at: usize, words: &str) -> String {
    let mut line = line.to_owned();
    line.insert_str(at, words);
    line
}
