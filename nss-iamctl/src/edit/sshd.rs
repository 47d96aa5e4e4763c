//! sshd: plans its files, checks that they are in effect, and reloads the daemon.
//!
//! `config` and `drop_in` plan from the files' text alone. The effective settings come from `sshd -T`, because only
//! sshd can evaluate its Match blocks. `sshd -t` sees neither an unknown token nor an Include within a Match.

pub(crate) mod authentication;
pub(crate) mod config;
mod daemon;
pub(crate) mod drop_in;
pub(crate) mod effective;
pub(crate) mod key_files;
mod limits;
pub(crate) mod obstacle;
pub(crate) mod refusal;
pub(crate) mod reload;
pub(crate) mod user_ca;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use ::config::Config;
use cache::snapshot::{Cache, User};
use message::Message;

use crate::edit::file::{Edit, Kind};
use crate::host::accounts::{self, Account, account};
use crate::host::{Host, Output, files, paths, services, vendor};
use crate::say::error::Error;
use crate::say::show::some;
use authentication::Authentication;
use config::Files;
use drop_in::{OutOfForce, Version};
use effective::{Effective, allow, trusted_ca};
use key_files::KeyFiles;
use obstacle::obstacle;

/// A name that no user has, so that no Match by user or group applies, except one for all users.
const NOBODY: &str = "nss-iam-nobody";
/// The connection to evaluate Match criteria with; documentation addresses (RFC 5737).
const CONNECTION: &str = "host=client.example,addr=203.0.113.1,laddr=192.0.2.1,lport=22";
/// How many local users are checked; each one costs a run of sshd.
const LOCALS: usize = 5;

/// An installed sshd.
pub(crate) struct Sshd<'a> {
    host: &'a Host,
    program: String,
    pub version: Version,
}

impl<'a> Sshd<'a> {
    /// `None` if sshd is not installed.
    ///
    /// # Errors
    /// When its version cannot be determined.
    pub(crate) fn find(host: &'a Host) -> Result<Option<Self>, Error> {
        let Some(program) = host.find("sshd") else { return Ok(None) };
        let output = host.run(&[&program, "-V"])?;
        let version = Version::parse(&output.stderr).or_else(|| Version::parse(&output.stdout));
        let version =
            version.ok_or_else(|| Error::other(format!("cannot determine the version of '{program}'")))?;
        Ok(Some(Self { host, program, version }))
    }

    /// Checks that it would start with its configuration.
    ///
    /// # Errors
    /// What it complains about.
    pub(crate) fn test(&self) -> Result<(), Error> {
        let output = self.run(&["-t"])?;
        if output.success() {
            return Ok(());
        }
        Err(Error::configuration(format!("sshd refuses its configuration: {}", output.complaint())))
    }

    /// The effective settings for a user, who need not exist.
    ///
    /// # Errors
    /// What it complains about.
    pub(crate) fn settings(&self, user: &str) -> Result<Effective, Error> {
        let output = self.run(&["-T", "-C", &format!("user={user},{CONNECTION}")])?;
        if output.success() {
            return Ok(Effective::parse(&output.stdout));
        }
        let why = output.complaint();
        Err(Error::configuration(format!("cannot read sshd's settings for user '{user}': {why}"))
            .hint(format!("{} -T -C user={user},{CONNECTION}", self.program)))
    }

    /// sshd requires a directory in /run, which is missing before its first start or if a socket starts it.
    fn run(&self, words: &[&str]) -> Result<Output, Error> {
        let line: Vec<&str> = std::iter::once(self.program.as_str()).chain(words.iter().copied()).collect();
        let output = self.host.run(&line)?;
        let missing = output
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix("Missing privilege separation directory: "));
        let Some(directory) = missing.map(|directory| self.host.path(directory.trim())) else {
            return Ok(output);
        };
        std::fs::create_dir(&directory).map_err(|cause| Error::io("make", &directory, &cause))?;
        let output = self.host.run(&line);
        // If sshd was started in the meantime, the directory is in use, and is like the one that sshd's service creates.
        let _ = std::fs::remove_dir(&directory);
        output
    }
}

/// The edits for sshd, and notes for the administrator.
pub(crate) struct Plan {
    pub edits: Vec<Edit>,
    pub notes: Vec<Message>,
}

/// Plans the drop-in, and the change to the main file that it needs to be in effect.
///
/// # Errors
/// When sshd refuses its current configuration, or its settings would never let an nss-iam user log in.
pub(crate) fn plan(sshd: &Sshd<'_>, config: &Config) -> Result<Plan, Error> {
    let (host, group) = (sshd.host, config.users.common_group.as_str());
    let authentication = Authentication::of(config, sshd.version.arguments());
    let settings = sshd.settings(NOBODY)?;
    let files = KeyFiles::of(host, settings.get("revokedkeys"), authentication.user_ca, &[]);
    if let Some(obstacle) = obstacle(&settings, &files, &[group], &authentication) {
        return Err(Error::configuration(obstacle));
    }
    let allow = allow(&settings, group);
    if let Some(why) = authentication.user_ca.map(|file| user_ca::unusable(host, file)).transpose()?.flatten()
    {
        return Err(Error::configuration(why));
    }
    let text = drop_in::text(group, &authentication, &allow);
    let mut notes = overridden(&settings, &allow);
    notes.extend(refused(&settings, &files, &authentication)?);
    notes.extend(certificates(&settings, &authentication));
    notes.extend((!authentication.by_key()).then(|| without_keys(&settings, &daemon::command_line(host))));
    if settings.get("usepam") == "no" {
        notes.push("sshd has 'UsePAM no', so no home directories are created for nss-iam users".into());
    }
    let before = files::read(&host.path(config::MAIN))?;
    let read = vendor::read(host, config::MAIN)?;
    let bare = Kind::Block.without_ours(Path::new(config::MAIN), read.as_deref())?;
    let (drop_in_text, main) = if sshd.version.has_include() {
        (
            Some(text.clone().into_bytes()),
            included(host, bare.as_deref().unwrap_or_default(), &text, &mut notes)?,
        )
    } else {
        (None, Some(drop_in::main_with_blocks(bare.as_deref().unwrap_or_default(), &text)))
    };
    let after = main.or(before.as_ref().and(bare));
    let edits = [
        (drop_in::PATH, Kind::Whole, files::read(&host.path(drop_in::PATH))?, drop_in_text),
        (config::MAIN, Kind::Block, before, after),
    ];
    let edits = edits.into_iter().filter(|(_, _, before, after)| before != after).map(
        |(path, kind, before, after)| {
            let mode = if path == config::MAIN { 0o600 } else { 0o644 };
            Edit { path: path.into(), kind, before, after, mode }
        },
    );
    Ok(Plan { edits: edits.collect(), notes })
}

/// The main file with an Include at its top, if the drop-in would not be in effect without it.
fn included(
    host: &Host,
    bare: &[u8],
    text: &str,
    notes: &mut Vec<Message>,
) -> Result<Option<Vec<u8>>, Error> {
    let planned = BTreeMap::from([
        (config::MAIN.to_owned(), String::from_utf8_lossy(bare).into_owned()),
        (drop_in::PATH.to_owned(), text.to_owned()),
    ]);
    let Some(OutOfForce { why, .. }) = drop_in::out_of_force(&View { host, planned }) else {
        return Ok(None);
    };
    notes.push(format!("{why}: an Include is therefore added at the top of '{}'", config::MAIN).into());
    Ok(Some(drop_in::main_with_include(bare)))
}

/// Whether sshd would accept no certificate, although these are to let users in.
///
/// # Errors
/// When nothing else lets them in.
fn refused(
    settings: &Effective,
    files: &KeyFiles,
    authentication: &Authentication<'_>,
) -> Result<Option<Message>, Error> {
    let why = authentication.user_ca.and_then(|_| refusal::of_certificates(settings, files));
    let Some(why) = why else { return Ok(None) };
    let what = format!("sshd would accept no certificate: {}", why.what());
    let why = Message::new(what).with_hint(why.hint().unwrap_or_default());
    if authentication.keys { Ok(Some(why)) } else { Err(Error::configuration(why)) }
}

/// What sshd's own CAs mean for nss-iam users.
fn certificates(settings: &Effective, authentication: &Authentication<'_>) -> Option<Message> {
    let theirs = trusted_ca(settings)?;
    match authentication.user_ca {
        Some(ours) if ours == theirs => None,
        Some(ours) => Some(
            format!(
                "'TrustedUserCAKeys {theirs}' is overridden for nss-iam users by 'TrustedUserCAKeys {ours}'"
            )
            .into(),
        ),
        None => {
            let what = format!("sshd has 'TrustedUserCAKeys {theirs}': {}", effective::OTHER_CERTIFICATES);
            Some(
                Message::new(what)
                    .with_hint(format!("so that they do: nss-iamctl enable --user-ca {theirs}")),
            )
        }
    }
}

/// What authenticates nss-iam users instead of our keys, as far as sshd's files and the daemon that is running say.
fn without_keys(settings: &Effective, command_line: &str) -> Message {
    let what = "sshd does not ask nss-iam for the keys of nss-iam users";
    match effective::authenticated_by(settings, command_line).as_slice() {
        [] => Message::new(format!("{what}, and its files have no AuthorizedKeysCommand and no TrustedUserCAKeys"))
            .with_hint(
                "set up what authenticates them, unless it is a daemon of its own or an option on sshd's command line; or \
                 nss-iamctl enable --keys",
            ),
        others => Message::new(format!("{what}: {} authenticates them", some(others))),
    }
}

fn overridden(settings: &Effective, allow: &effective::Allow) -> Vec<Message> {
    let mut notes = Vec::new();
    if !allow.users.is_empty() {
        let (theirs, ours) = (settings.list("allowusers").join(" "), allow.users.join(" "));
        notes.push(
            format!("'AllowUsers {theirs}' is overridden for nss-iam users by 'AllowUsers {ours}'").into(),
        );
    }
    let users = settings.list("allowusers");
    if allow.users.is_empty() && !users.is_empty() && !users.contains(&"*") {
        notes.push(format!("'AllowUsers {}' stays in effect for nss-iam users", users.join(" ")).into());
    }
    if allow.groups {
        let theirs = settings.list("allowgroups").join(" ");
        notes.push(
            format!("'AllowGroups {theirs}' is overridden for nss-iam users by 'AllowGroups *'").into(),
        );
    }
    let methods = settings.list("authenticationmethods");
    if !methods.is_empty() && methods != ["any"] {
        notes.push(
            format!("'AuthenticationMethods {}' stays in effect for nss-iam users", methods.join(" ")).into(),
        );
    }
    notes
}

/// The host's files with the planned edits applied.
struct View<'a> {
    host: &'a Host,
    planned: BTreeMap<String, String>,
}

impl Files for View<'_> {
    fn text(&self, path: &Path) -> Option<String> {
        let planned = path.to_str().and_then(|path| self.planned.get(path)).cloned();
        planned.or_else(|| files::read_lossy(&self.host.path_of(path)).ok().flatten())
    }

    fn names(&self, directory: &Path) -> Vec<OsString> {
        let mut names = files::names(&self.host.path_of(directory)).unwrap_or_default();
        let planned = self.planned.keys().map(Path::new).filter(|path| path.parent() == Some(directory));
        names.extend(planned.filter_map(Path::file_name).map(OsString::from));
        names.sort();
        names.dedup();
        names
    }
}

/// The settings of local users, which must not change.
pub(crate) struct Baseline(Vec<(String, Effective)>);

/// Reads the settings of root and a few local users, before anything is changed.
///
/// # Errors
/// When sshd does not report them.
pub(crate) fn baseline(sshd: &Sshd<'_>) -> Result<Baseline, Error> {
    let users = people(sshd.host)?.into_iter().map(|user| user.name).take(LOCALS);
    let settings = users.map(|user| sshd.settings(&user).map(|settings| (user, settings)));
    Ok(Baseline(settings.collect::<Result<_, _>>()?))
}

/// Checks sshd's settings: unchanged for local users, those of the drop-in for an active nss-iam user. A disabled user
/// must not resolve by name, so there are no settings to check. Returns notes for the administrator.
///
/// # Errors
/// What is wrong.
pub(crate) fn check(sshd: &Sshd<'_>, baseline: &Baseline, config: &Config) -> Result<Vec<Message>, Error> {
    let group = &config.users.common_group;
    sshd.test()?;
    for (user, before) in &baseline.0 {
        let differ = before.differing(&sshd.settings(user)?);
        if !differ.is_empty() {
            return Err(Error::configuration(format!(
                "sshd would treat local user '{user}' differently than before: {}",
                differ.join(", ")
            ))
            .hint(format!(
                "check whether '{user}' is a member of '{group}' or '{}' in /etc/group",
                policy::DISABLED_GROUP
            )));
        }
    }
    let Some(cache) = cached(sshd.host) else {
        // 'enable' refreshes then, and checks the settings for the users who came.
        if services::are_usable(sshd.host) {
            return Ok(Vec::new());
        }
        let what =
            "there is no nss-iam user in the cache yet, so sshd's settings for them could not be checked";
        return Ok(vec![Message::new(what).with_hint("nss-iamctl refresh, then nss-iamctl doctor")]);
    };
    let mut notes = Vec::new();
    for forward_only in [false, true] {
        let is_one = |user: &&User| user.active && user.is_forward_only() == forward_only;
        if let Some(user) = cache.users.iter().find(is_one) {
            notes.extend(check_active(sshd, user, config)?);
        }
    }
    if let Some(user) = cache.users.iter().find(|user| !user.active) {
        resolves(sshd.host, user, &user.uid.to_string())?;
        is_nameless(sshd.host, user)?;
    }
    Ok(notes)
}

/// Checks sshd's settings for one user.
fn check_active(sshd: &Sshd<'_>, user: &User, config: &Config) -> Result<Vec<Message>, Error> {
    resolves(sshd.host, user, user.name.as_str())?;
    let authentication = Authentication::of(config, sshd.version.arguments());
    let mut groups = vec![config.users.common_group.as_str()];
    groups.extend(user.is_forward_only().then_some(policy::FORWARD_ONLY_GROUP));
    let user = user.name.as_str();
    let settings = sshd.settings(user)?;
    if let Some(why) = effective::active_differs(&settings, user, &groups, &authentication) {
        let message = format!("sshd does not treat '{user}' as an nss-iam user: {why}");
        return Err(
            Error::configuration(message).hint(format!("check that 'id {user}' shows {}", some(&groups)))
        );
    }
    if let Some(why) = effective::permits_more(&settings, &groups) {
        let message = format!("sshd would let '{user}' do more than forward connections: {why}");
        return Err(Error::configuration(message).hint(format!("sshd -T -C user={user}")));
    }
    let mut notes = Vec::new();
    let files = KeyFiles::of(sshd.host, settings.get("revokedkeys"), trusted_ca(&settings), &[]);
    if let Some(obstacle) = obstacle(&settings, &files, &groups, &authentication) {
        let what = format!("user '{user}' cannot log in: {}", obstacle.what());
        notes.push(Message::new(what).with_hint(obstacle.hint().unwrap_or_default()));
    }
    if let Some(pattern) = effective::denied(&settings, user) {
        notes.push(format!("'DenyUsers {pattern}' stays in effect, and names user '{user}'").into());
    }
    Ok(notes)
}

/// The published users; `None` if there are none.
fn cached(host: &Host) -> Option<Cache> {
    Cache::read(&host.path(paths::CACHE)).ok().filter(|cache| !cache.users.is_empty())
}

/// Checks that glibc finds the user by `key`, the name or the uid.
fn resolves(host: &Host, user: &User, key: &str) -> Result<(), Error> {
    if host.run(&["getent", "passwd", key])?.success() {
        return Ok(());
    }
    Err(Error::other(format!("glibc does not find user '{}', who is in the cache", user.name))
        .hint("check that libnss_iam.so.2 is in the directory of the system's libraries, and belongs to this release"))
}

/// Checks that no login, job or unit finds a user who left or is locked. Another user may have the name.
fn is_nameless(host: &Host, user: &User) -> Result<(), Error> {
    let name = user.name.as_str();
    let output = host.run(&["getent", "passwd", name])?;
    let found = account(output.stdout.as_bytes());
    if !output.success() || found.is_none_or(|found| found.uid != user.uid.get()) {
        return Ok(());
    }
    Err(Error::other(format!("glibc finds user '{name}' by name, although the user is disabled"))
        .hint("check that libnss_iam.so.2 belongs to this release; if nscd is running: nscd -i passwd && nscd -i group"))
}

/// Root, and the local users who have a shell.
///
/// # Errors
/// When /etc/passwd cannot be read.
pub(crate) fn people(host: &Host) -> Result<Vec<Account>, Error> {
    let is_person = |user: &Account| {
        let shell = !user.shell.ends_with("/nologin") && !user.shell.ends_with("/false");
        shell && (user.uid == 0 || (1000..65534).contains(&user.uid))
    };
    Ok(accounts::local(host)?.into_iter().filter(is_person).collect())
}
