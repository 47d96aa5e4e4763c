//! Which values the keys accept. Each function reads one value, or reports what is wrong and what would be right.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policy::id::{LAST, PINNED_FIRST};
use policy::reserved::is_entry;
use policy::{Field, Id, Name};

use crate::tree::Item;
use crate::{Error, GroupNames, Source};

type Read<T> = Result<T, Error>;

/// A century: any date plus this is still valid.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

pub(crate) fn some<T>(read: impl Fn(&Item) -> Read<T>) -> impl Fn(&Item) -> Read<Option<T>> {
    move |item| read(item).map(Some)
}

/// A list without repeated elements.
pub(crate) fn list<T>(read: impl Fn(&Item) -> Read<T>) -> impl Fn(&Item) -> Read<Vec<T>> {
    move |item| {
        let mut seen = Vec::new();
        let mut values = Vec::new();
        for element in item.array()? {
            let folded = element.text()?.to_ascii_lowercase();
            if seen.contains(&folded) {
                return Err(element.wrong("it is listed twice", "remove one of the two"));
            }
            seen.push(folded);
            values.push(read(element)?);
        }
        Ok(values)
    }
}

pub(crate) fn choice<T: Copy>(item: &Item, choices: &[(&str, T)]) -> Read<T> {
    let text = item.text()?;
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    Err(item.wrong("unknown value", &format!("choose from {}", names.join(", "))))
}

pub(crate) fn integer<T: TryFrom<i64>>(item: &Item, min: i64, max: i64) -> Read<T> {
    let n = item.integer()?;
    let value = if (min..=max).contains(&n) { T::try_from(n).ok() } else { None };
    value.ok_or_else(|| item.wrong("out of range", &format!("from {min} to {max}")))
}

/// A number above 0 with a unit.
pub(crate) fn duration(item: &Item) -> Read<Duration> {
    let hint =
        "a number above 0 and s, m, h or d, such as \"90s\", \"5m\", \"36h\", \"3d\"; at most \"36500d\"";
    parse_duration(item.text()?).ok_or_else(|| item.wrong("not a duration", hint))
}

/// `"0"`: none.
pub(crate) fn age(item: &Item) -> Read<Option<Duration>> {
    if item.text()? == "0" { Ok(None) } else { duration(item).map(Some) }
}

/// The longest time between two readings of the same: half of the age at which keys-cmd and doctor call keys old.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);

/// How often a source is read, or memberships.
pub(crate) fn every(item: &Item) -> Read<Option<Duration>> {
    let every = age(item)?;
    if every.is_some_and(|every| every > LONGEST_PAUSE) {
        return Err(item.wrong("too long for what was removed to stay", "at most \"30m\""));
    }
    Ok(every)
}

/// Twice this time is when keys that could not be read become an error, and no key may be too old to be offered before.
pub(crate) fn keys_every(item: &Item, max_age: Option<Duration>) -> Read<Option<Duration>> {
    let every = every(item)?;
    if every.zip(max_age).is_some_and(|(every, max_age)| every > max_age / 2) {
        let hint = "at most half of [keys] max_age";
        return Err(item.wrong("keys would be too old to be offered before they are read again", hint));
    }
    Ok(every)
}

/// 0: none. With fewer than 10, a refresh of one account could not find out who is a member.
pub(crate) fn calls(item: &Item) -> Read<Option<u32>> {
    if item.integer()? == 0 { Ok(None) } else { integer(item, 10, 1_000_000).map(Some) }
}

/// `90s`, `5m`, `36h`, `3d`: a number above 0 and a unit; at most `36500d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let units = [('s', 1), ('m', 60), ('h', 60 * 60), ('d', 24 * 60 * 60)];
    let (number, unit) = units.iter().find_map(|(c, unit)| Some((text.strip_suffix(*c)?, unit)))?;
    // `parse` alone would accept "+5".
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let time = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(*unit)?);
    (time > Duration::ZERO && time <= LONGEST).then_some(time)
}

fn text(item: &Item, right: impl FnOnce(&str) -> bool, why: &str, hint: &str) -> Read<String> {
    let text = item.text()?;
    if right(text) { Ok(text.to_owned()) } else { Err(item.wrong(why, hint)) }
}

/// Whether the text has `min` to `max` characters: ASCII letters, digits and `others`.
pub(crate) fn made_of(text: &str, others: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn printable(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

pub(crate) fn group(item: &Item, names: GroupNames) -> Read<String> {
    text(item, names.fits, &format!("not a valid name for {}", names.of), names.hint)
}

pub(crate) fn local_groups(item: &Item, names: GroupNames) -> Read<BTreeMap<String, Vec<String>>> {
    let mut groups = BTreeMap::new();
    for (name, locals) in item.table()? {
        if !(names.fits)(name) {
            let why = format!("its key is not a valid name for {}", names.of);
            return Err(locals.wrong(&why, "NAME = [\"sudo\"]"));
        }
        groups.insert(name.clone(), list(local_group)(locals)?);
    }
    Ok(groups)
}

/// Local groups may have any name that groupadd(8) or a package gave them, but not `root`: nobody gets gid 0.
fn local_group(item: &Item) -> Read<String> {
    let right = |name: &str| made_of(name, "._-$", 1, 32) && !name.starts_with('-') && name != "root";
    let hint = "up to 32 letters, digits and . _ - $; never \"root\"";
    text(item, right, "not a valid name for a local group", hint)
}

/// The rule for tags in instance metadata: EC2 User Guide, "View tags using instance metadata".
pub(crate) fn instance_tag(item: &Item) -> Read<String> {
    let right = |key: &str| made_of(key, "+-=.,_:@", 1, 128) && ![".", "..", "_index"].contains(&key);
    let hint = "1 to 128 letters, digits and + - = . , _ : @, such as \"nss-iam:groups\"";
    text(item, right, "not a tag that instance metadata can have", hint)
}

pub(crate) fn role(item: &Item) -> Read<String> {
    let hint = "a name such as \"IAMKeyLookup\", or \"arn:aws:iam::123456789012:role/IAMKeyLookup\"";
    text(item, is_role, "neither the name nor the ARN of a role", hint)
}

fn is_role(role: &str) -> bool {
    let path = match role.splitn(6, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "iam", "", account, resource] => {
            let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
            if !digits || !partition.starts_with("aws") || !made_of(partition, "-", 3, 32) {
                return false;
            }
            let Some(path) = resource.strip_prefix("role/") else {
                return false;
            };
            path
        }
        _ => role,
    };
    // IAM's limits: API reference, CreateRole: 64 for the name, 512 for the path.
    path.len() <= 512 && path.split('/').all(|part| made_of(part, "+=,.@_-", 1, 64))
}

/// The limits of external_id and session_name: STS API reference, AssumeRole.
pub(crate) fn external_id(item: &Item) -> Read<String> {
    let right = |id: &str| made_of(id, "_+=,.@:/-", 2, 1224);
    text(item, right, "not an external id", "2 to 1224 letters, digits and _ + = , . @ : / -")
}

/// The default may be written in full, as in the manual.
pub(crate) fn session_name(item: &Item) -> Read<Option<String>> {
    if item.text()? == "nss-iam@<instance-id>" {
        return Ok(None);
    }
    let right = |name: &str| made_of(name, "_+=,.@-", 2, 64);
    text(item, right, "not a session name", "2 to 64 letters, digits and _ + = , . @ -").map(Some)
}

pub(crate) fn region(item: &Item) -> Read<String> {
    let right = |region: &str| made_of(region, "-", 1, 32) && region.to_ascii_lowercase() == region;
    text(item, right, "not a region", "such as \"eu-west-1\"")
}

/// Identity Store API reference, "IdentityStoreId".
pub(crate) fn identity_store(item: &Item) -> Read<String> {
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_uuid = |id: &str| {
        let parts: Vec<&str> = id.split('-').collect();
        parts.len() == 5 && parts.iter().zip([8, 4, 4, 4, 12]).all(|(part, length)| is_hex(part, length))
    };
    let right = |id: &str| id.strip_prefix("d-").is_some_and(|digits| is_hex(digits, 10)) || is_uuid(id);
    let hint = "such as \"d-1234567890\": aws sso-admin list-instances shows it";
    text(item, right, "not the id of an identity store", hint)
}

pub(crate) fn http_url(item: &Item) -> Read<String> {
    let right = |url: &str| {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        rest.is_some_and(|rest| {
            !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic())
        })
    };
    text(item, right, "not an http or https URL", "such as \"https://host.example:8443\"")
}

pub(crate) fn no_proxy(item: &Item) -> Read<String> {
    let right = |hosts: &str| !hosts.is_empty() && printable(hosts);
    text(item, right, "not a list of hosts", "such as \"169.254.169.254,.internal.example\"")
}

pub(crate) fn absolute_path(item: &Item) -> Read<String> {
    text(item, is_absolute, "not an absolute path", "a path that begins with '/', without control characters")
}

/// Characters that have no meaning in sshd_config(5). Empty: none.
pub(crate) fn user_ca(item: &Item) -> Read<Option<String>> {
    let right = |path: &str| path.is_empty() || path.starts_with('/') && made_of(path, "/._+@-", 1, 1024);
    let hint = "a path that begins with '/', of letters, digits and / . _ + @ -, or \"\" for none";
    text(item, right, "not a path that sshd can be given", hint)
        .map(|path| Some(path).filter(|path| !path.is_empty()))
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') && !path.contains(char::is_control)
}

pub(crate) fn source(item: &Item) -> Read<Source> {
    Source::parse(item.text()?).map_err(|(why, hint)| item.wrong(why, hint))
}

/// Whether the text is valid in a field of passwd(5).
fn is_field(text: &str) -> bool {
    Field::new(text).is_ok()
}

/// A login or group name.
fn is_name(name: &str) -> bool {
    Name::new(name).is_ok()
}

pub(crate) fn shell(item: &Item) -> Read<String> {
    let right = |shell: &str| shell.starts_with('/') && is_field(shell) && !shell.contains(['{', '}']);
    let hint = "an absolute path in printable ASCII without ':', such as \"/bin/bash\"";
    text(item, right, "not a shell", hint)
}

pub(crate) fn gecos(item: &Item) -> Read<String> {
    let right = |gecos: &str| is_field(gecos) && !gecos.contains(['{', '}']);
    let hint = "printable ASCII without ':'; there are no {placeholders} here";
    text(item, right, "not valid in the comment field", hint)
}

pub(crate) fn home(item: &Item) -> Read<String> {
    let right =
        |home: &str| home.starts_with('/') && is_field(home) && !home.split('/').any(|part| part == "..");
    let hint = "an absolute path in printable ASCII without ':' and '..', such as \"/home/{name}\"";
    let home = text(item, right, "not a home directory", hint)?;
    if !policy::home::is_template(&home) {
        return Err(item.wrong("unknown {placeholder}", "use {name}, {uid}, {iam_name} or {account}"));
    }
    Ok(home)
}

pub(crate) fn common_group(item: &Item) -> Read<String> {
    let reserved = [policy::DISABLED_GROUP, policy::FORWARD_ONLY_GROUP];
    let right = |name: &str| is_name(name) && !reserved.contains(&name);
    let hint = "up to 32 of a-z 0-9 . _ @ -, the first a-z 0-9 _, not all digits; \"iam-disabled\" and \
                \"iam-forward-only\" are reserved";
    text(item, right, "not a valid name for a group", hint)
}

/// In lower case, because user names are in lower case when the domain is removed.
pub(crate) fn domain(item: &Item) -> Read<String> {
    let right = |domain: &str| made_of(domain, ".-", 1, 253);
    text(item, right, "not a domain", "without the '@', such as \"example.com\"")
        .map(|d| d.to_ascii_lowercase())
}

/// The name is part of home paths with `{account}`, so it must be safe in a path.
pub(crate) fn account_name(item: &Item) -> Read<String> {
    let right =
        |name: &str| made_of(name, "._-", 1, 64) && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    text(
        item,
        right,
        "not a valid name for an account",
        "up to 64 letters, digits and . _ -, the first a letter or digit",
    )
}

pub(crate) fn reserved_name(item: &Item) -> Read<String> {
    let hint = "up to 32 of a-z 0-9 . _ @ -; a '*' at the end matches anything";
    text(item, is_entry, "not a valid name for a user or group", hint)
}

/// A service of nsswitch.conf(5), or one of [`crate::PARTS`]. /etc/passwd can never be excluded.
pub(crate) fn part_of_host(item: &Item) -> Read<String> {
    let right = |part: &str| made_of(part, "_-", 1, 64) && part != "files";
    let hint =
        "a service of nsswitch.conf except \"files\", or \"sudo\", \"doas\", \"systemd-units\", \"sysusers\"";
    text(item, right, "not a part of the host that can be excluded", hint)
}

pub(crate) fn allowed_names(item: &Item, source: &Source) -> Read<BTreeMap<String, String>> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (iam_id, item) in item.table()? {
        if !made_of(iam_id, "_-", 1, 128) {
            return Err(item.wrong("its key is not a UserId or GroupId", "AIDAEXAMPLE = \"ana\""));
        }
        let hint = "up to 32 of a-z 0-9 . _ @ -, the first a-z 0-9 _, not all digits";
        let name = text(item, is_name, "not a valid name for a user or group", hint)?;
        if !taken.insert(name.clone()) {
            return Err(
                item.wrong("another entry of [names.allow] has it", "only one user or group can have a name")
            );
        }
        if names.insert(source.listed_id(iam_id), name).is_some() {
            return Err(item.wrong(TWICE.0, TWICE.1));
        }
    }
    Ok(names)
}

/// IAM's rule for tag keys, restricted to ASCII, with room for the rest of the key: API reference, Tag.
pub(crate) fn tag_prefix(item: &Item) -> Read<String> {
    let right = |prefix: &str| {
        made_of(prefix, " _.:/=+-@", 1, 100) && !prefix.to_ascii_lowercase().starts_with("aws:")
    };
    let hint = "1 to 100 letters, digits, spaces and _ . : / = + - @, not beginning with \"aws:\"";
    text(item, right, "not a prefix for tags", hint)
}

/// Of an id that is written in upper case and in lower case.
const TWICE: (&str, &str) =
    ("another entry is for the same UserId or GroupId, in upper or lower case", "remove one of them");

pub(crate) fn ids(item: &Item, source: &Source) -> Read<BTreeMap<String, u32>> {
    let mut ids: BTreeMap<String, u32> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (iam_id, item) in item.table()? {
        if !made_of(iam_id, "_-:.@", 1, 128) {
            return Err(item.wrong("its key is not a UserId or GroupId", "AIDAEXAMPLE = 1003"));
        }
        let id: u32 = integer(item, PINNED_FIRST.into(), LAST.into())?;
        if Id::pinned(id).is_err() {
            return Err(item.wrong("it means nobody", "use a different id"));
        }
        if !taken.insert(id) {
            return Err(item.wrong(
                "another entry of [ids] has it",
                "use a different id; users and groups share one range",
            ));
        }
        if ids.insert(source.listed_id(iam_id), id).is_some() {
            return Err(item.wrong(TWICE.0, TWICE.1));
        }
    }
    Ok(ids)
}

/// sshd(8), "AUTHORIZED_KEYS FILE FORMAT". Stricter than sshd, which takes the text after a blank as the key.
pub(crate) fn key_options(item: &Item) -> Read<String> {
    let right = |options: &str| options.is_empty() || (printable(options) && are_options(options));
    let hint = "NAME or NAME=\"VALUE\" in printable ASCII, joined by ',' without blanks; the names are those of sshd(8), except \
                cert-authority and principals";
    text(item, right, "not authorized_keys options", hint)
}

/// The options of sshd(8) up to OpenSSH 10. With one that it does not know, sshd refuses the key. `cert-authority` and
/// `principals` are missing: they would make every user's key one that signs certificates, and not one to log in with.
const KEY_OPTIONS: [&str; 20] = [
    "agent-forwarding",
    "command",
    "environment",
    "expiry-time",
    "from",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-X11-forwarding",
    "permitlisten",
    "permitopen",
    "port-forwarding",
    "pty",
    "restrict",
    "tunnel",
    "user-rc",
    "verify-required",
    "X11-forwarding",
];

fn are_options(mut rest: &str) -> bool {
    loop {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-');
        let name = rest.get(..rest.len() - after.len()).unwrap_or_default();
        if !KEY_OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return false;
        }
        rest = match after.strip_prefix("=\"").map(after_value) {
            Some(Some(tail)) => tail,
            Some(None) => return false,
            None => after,
        };
        if rest.is_empty() {
            return true;
        }
        let Some(next) = rest.strip_prefix(',') else {
            return false;
        };
        rest = next;
    }
}

/// The text after the closing quote. A quote after a backslash does not close, as in sshd's `opt_dequote`.
fn after_value(mut rest: &str) -> Option<&str> {
    loop {
        let (value, tail) = rest.split_once('"')?;
        rest = tail;
        if !value.ends_with('\\') {
            return Some(tail);
        }
    }
}
