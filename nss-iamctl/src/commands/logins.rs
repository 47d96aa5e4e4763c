//! `logins`: who logged in, with which key, from where, and when the session ended, from systemd's journal.

mod join;

use std::collections::BTreeSet;
use std::io::Write;

use policy::record;
use serde::Serialize;

use crate::cli;
use crate::host::paths::KEYS_USER;
use crate::host::published::Published;
use crate::host::{Host, accounts, files, processes};
use crate::say::error::Error;
use crate::say::finding::written;
use crate::say::show::{as_json, table, time};
use join::{Entry, Login, SESSION_ENDED};

/// sshd's programs: since OpenSSH 9.8, a second one serves connections.
const SSHD: [&str; 2] = ["sshd", "sshd-session"];

/// One row. What is not known is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    time: String,
    user: String,
    user_id: Option<String>,
    uid: Option<u32>,
    /// `publickey`.
    method: String,
    /// As sshd names it: `ED25519`, `RSA-CERT`.
    key_type: Option<String>,
    fingerprint: Option<String>,
    /// `iam:123456789012`, `ec2-instance-connect`, `certificate`; `None` if keys-cmd has no record of it.
    key_source: Option<String>,
    certificate: Option<Certificate>,
    /// Seconds since the user's keys were confirmed.
    age: Option<i64>,
    address: String,
    port: Option<u16>,
    /// sshd's process.
    pid: Option<i32>,
    /// Whether the session is still open.
    open: bool,
    ended: Option<String>,
}

/// Which certificate it is, as far as sshd tells keys-cmd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Certificate {
    /// A text: it has up to 64 bits, and a number of JSON up to 53.
    serial: Option<String>,
    /// The key ID: what the CA wrote, escaped.
    id: Option<String>,
    ca_fingerprint: Option<String>,
}

pub(crate) fn run(host: &Host, args: &cli::Logins, out: &mut dyn Write) -> Result<u8, Error> {
    let keys_user = accounts::local(host)?.into_iter().find(|user| user.name == KEYS_USER);
    // Without it, keys-cmd has never run.
    let keys_user = keys_user.map_or(u32::MAX, |user| user.uid);
    let entries: Vec<Entry> =
        journal(host, &args.since, keys_user)?.lines().filter_map(Entry::parse).collect();
    let ours = names(host);
    let is_shown = |login: &Login| match &args.user {
        Some(user) => login.user == *user || login.offer.as_ref().is_some_and(|offer| offer.user_id == *user),
        None => login.offer.is_some() || ours.contains(&login.user),
    };
    let logins = join::logins(&entries, keys_user).into_iter().filter(is_shown);
    let boot = files::read_lossy(&host.path("/proc/sys/kernel/random/boot_id"))?.unwrap_or_default();
    let boot = boot.trim().replace('-', "");
    let rows: Vec<Row> = logins.map(|login| Row::of(host, login, &boot)).collect();
    let text = if args.json { as_json(&rows)? } else { shown(&rows) };
    written(write!(out, "{text}"))?;
    Ok(crate::say::error::OK)
}

/// A certificate's text is the CA's, so it is behind everything else.
fn shown(rows: &[Row]) -> String {
    let [time, user, key, source, from, ended] = ["TIME", "USER", "KEY", "SOURCE", "FROM", "ENDED"];
    if rows.iter().all(|row| row.certificate.is_none()) {
        let cells: Vec<_> = rows.iter().map(Row::cells).collect();
        return table([time, user, key, source, from, ended], &cells);
    }
    let wider = |row: &Row| {
        let [time, user, key, source, from, ended] = row.cells();
        [time, user, key, source, from, ended, row.certificate()]
    };
    let cells: Vec<_> = rows.iter().map(wider).collect();
    table([time, user, key, source, from, ended, "CERTIFICATE"], &cells)
}

/// The entries of sshd, keys-cmd and logind. systemd itself vouches for the uid of who wrote an entry.
fn journal(host: &Host, since: &str, keys_user: u32) -> Result<String, Error> {
    if host.find("journalctl").is_none() {
        let what = "this host has no systemd journal";
        let hint = "the log files of sshd and keys-cmd (facility authpriv) say the same";
        return Err(Error::configuration(what).hint(hint));
    }
    let since = format!("--since={since}");
    let ids = [record::OFFERED, record::ALLOWED].map(|id| format!("MESSAGE_ID={id}"));
    let of_keys = [&[format!("_UID={keys_user}")], ids.as_slice()].concat();
    let of_sshd = SSHD.map(|program| format!("SYSLOG_IDENTIFIER={program}"));
    let of_logind = format!("MESSAGE_ID={SESSION_ENDED}");
    let mut words = vec!["journalctl", "-q", "--no-pager", "-o", "json", &since];
    for program in &of_sshd {
        words.extend(["_UID=0", program, "+"]);
    }
    words.extend(["_UID=0", &of_logind, "+"]);
    words.extend(of_keys.iter().map(String::as_str));
    let output = host.run(&words)?;
    if output.success() {
        return Ok(output.stdout);
    }
    Err(Error::other(format!("cannot read the journal: {}", output.complaint())))
}

/// The names that nss-iam users have, or had until they left.
fn names(host: &Host) -> BTreeSet<String> {
    let published = Published::read(host);
    let cached = published.cache.iter().flat_map(|cache| &cache.users).map(|user| user.name.to_string());
    let known =
        published.state.iter().flat_map(|state| state.users.values()).map(|user| user.name.to_string());
    cached.chain(known).collect()
}

impl Row {
    /// `boot` is the present boot's id.
    fn of(host: &Host, login: Login, boot: &str) -> Self {
        let seconds = |at: i64| time(at / 1_000_000);
        let some = |text: String| (!text.is_empty()).then_some(text);
        let pid = login.pid.parse().ok();
        let runs = |pid| SSHD.iter().any(|name| processes::is_called(host, pid, name).unwrap_or(false));
        let open = login.ended.is_none() && login.boot == boot && pid.is_some_and(runs);
        let offer = login.offer.unwrap_or_default();
        let certificate = |known: join::Certificate| Certificate {
            serial: some(known.serial),
            id: some(known.id),
            ca_fingerprint: some(known.ca),
        };
        Self {
            time: seconds(login.at),
            user: login.user,
            user_id: some(offer.user_id),
            uid: offer.uid,
            method: login.accepted.method,
            key_type: some(login.accepted.kind),
            fingerprint: some(login.accepted.fingerprint),
            key_source: some(offer.source),
            certificate: offer.certificate.map(certificate),
            age: offer.age,
            address: login.accepted.address,
            port: login.accepted.port.parse().ok(),
            pid,
            open,
            ended: login.ended.map(seconds),
        }
    }

    /// `7 'ana@example.com'`.
    fn certificate(&self) -> String {
        let Some(Certificate { serial: Some(serial), id, .. }) = &self.certificate else {
            return String::new();
        };
        format!("{serial} '{}'", id.as_deref().unwrap_or_default())
    }

    fn cells(&self) -> [String; 6] {
        let Self { time, user, method, fingerprint, key_source, address, open, ended, .. } = self;
        let otherwise = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_owned());
        let end = if *open { "open" } else { "unknown" };
        let [time, user, address] = [time, user, address].map(String::clone);
        [
            time,
            user,
            otherwise(fingerprint, method),
            otherwise(key_source, "-"),
            address,
            otherwise(ended, end),
        ]
    }
}
