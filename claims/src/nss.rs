//! Asks each service of nsswitch.conf(5) except `iam`, one by one through glibc, who has a name or an id.
//!
//! Each service is asked in a separate process: glibc before 2.34 keeps using the first service that a process has
//! asked, a module that hangs or crashes affects nothing else, and it is clear which module it was.

mod child;
mod glibc;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::program;

use child::WORD;
pub use child::serve;
pub use services::{Databases, services};

/// How long a service may take for one name. sssd waits 6 s for its own back end (`ldap_search_timeout`).
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a service may take for all names. The remaining names are asked for at the next refresh.
const ALL: Duration = Duration::from_secs(240);

/// The names and ids to ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Each is asked for as a user, as a group, and as a member of groups.
    pub names: BTreeSet<String>,
    /// Each is asked for as a uid and as a gid.
    pub ids: BTreeSet<u32>,
}

/// The answer of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Name -> uid.
    pub users: BTreeMap<String, u32>,
    /// Name -> gid.
    pub groups: BTreeMap<String, u32>,
    /// Name -> names (or gids, if there is no name) of groups that have it as a member.
    pub memberships: BTreeMap<String, Vec<String>>,
    /// Id -> the user or group that has it.
    pub ids: BTreeMap<u32, String>,
    /// Everything that was answered, including that nobody has it.
    pub asked: Question,
    /// Why the remaining questions were not answered.
    pub failed: Option<String>,
    /// nsswitch.conf names the service, but its module is not on this host, so it knows nobody.
    pub absent: bool,
}

/// The answers of all services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers(pub BTreeMap<String, Answer>);

impl Answers {
    /// The service that has a user of this name, and the uid.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<(&str, u32)> {
        self.0.iter().find_map(|(service, answer)| Some((service.as_str(), *answer.users.get(name)?)))
    }

    /// The service that has a group of this name, and the gid.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<(&str, u32)> {
        self.0.iter().find_map(|(service, answer)| Some((service.as_str(), *answer.groups.get(name)?)))
    }

    /// A service that lists this name as a member of groups, and the groups; never an empty list.
    #[must_use]
    pub fn groups_of(&self, name: &str) -> Option<(&str, &[String])> {
        self.0
            .iter()
            .find_map(|(service, answer)| Some((service.as_str(), answer.memberships.get(name)?.as_slice())))
    }

    /// The service that has this uid or gid, and its name there.
    #[must_use]
    pub fn id(&self, id: u32) -> Option<(&str, &str)> {
        self.0.iter().find_map(|(service, answer)| Some((service.as_str(), answer.ids.get(&id)?.as_str())))
    }

    /// The first service that has not answered for this name, and the reason.
    #[must_use]
    pub fn missing(&self, name: &str) -> Option<(&str, &str)> {
        let unasked = |answer: &Answer| !answer.asked.names.contains(name);
        self.failures().find(|(service, _)| self.0.get(*service).is_some_and(unasked))
    }

    /// Whether every service has been asked for this name, and has answered.
    #[must_use]
    pub fn are_whole(&self, name: &str) -> bool {
        self.0.values().all(|answer| answer.asked.names.contains(name))
    }

    /// Services that could not be asked, and the reasons.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(service, answer)| Some((service.as_str(), answer.failed.as_deref()?)))
    }
}

/// All users and groups of `files`, as glibc reads /etc/passwd and /etc/group, and the login shells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Name -> uid; if there are two lines, the first counts.
    pub users: BTreeMap<String, u32>,
    /// Name -> group; if there are two lines, the first counts.
    pub groups: BTreeMap<String, FileGroup>,
    /// Valid login shells, as glibc reads /etc/shells.
    pub shells: BTreeSet<String>,
}

/// A group of /etc/group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileGroup {
    /// Its gid.
    pub gid: u32,
    /// Names of members, whether these users exist or not, including the administrators in gshadow(5).
    pub members: BTreeSet<String>,
}

/// The output of a child, one line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The answer for a name.
    Name { name: String, uid: Option<u32>, gid: Option<u32>, groups: Vec<String> },
    /// The answer for an id.
    Id { id: u32, holder: Option<String> },
    /// Everything of `files`.
    Files(Files),
    /// The module is not installed.
    Absent,
    /// The service cannot be asked.
    Failed(String),
    /// The end of the output.
    End,
}

/// Reads all of `files`, and the login shells.
///
/// # Errors
/// Why they could not be read.
pub fn files() -> Result<Files, String> {
    let mut found = Err("no answer".to_owned());
    converse(services::FILES, Databases::ALL, &Question::default(), |line| match line {
        Line::Files(files) => found = Ok(files),
        Line::Failed(why) => found = Err(why),
        _ => {}
    })?;
    found
}

/// Services that are being asked.
#[derive(Debug)]
pub struct Asking {
    services: BTreeMap<String, Databases>,
    answers: mpsc::Receiver<Answers>,
    arrived: Option<Answers>,
}

impl Asking {
    /// Starts to ask, see [`ask`].
    #[must_use]
    pub fn start(services: BTreeMap<String, Databases>, question: Question) -> Self {
        let (send, answers) = mpsc::channel();
        let asked = services.clone();
        std::thread::spawn(move || send.send(ask(&asked, &question)));
        Self { services, answers, arrived: None }
    }

    /// Waits for at most this time.
    pub fn is_done_within(&mut self, time: Duration) -> bool {
        if self.arrived.is_none() {
            self.arrived = self.answers.recv_timeout(time).ok();
        }
        self.arrived.is_some()
    }

    /// The answer before any service has answered.
    #[must_use]
    pub fn unanswered(&self) -> Answers {
        let answer = || Answer { failed: Some("it has not answered yet".to_owned()), ..Answer::default() };
        Answers(self.services.keys().map(|service| (service.clone(), answer())).collect())
    }

    /// Waits for all services, for each no longer than a service may take.
    #[must_use]
    pub fn answers(self) -> Answers {
        let unanswered = self.unanswered();
        self.arrived.or_else(|| self.answers.recv().ok()).unwrap_or(unanswered)
    }
}

/// Asks each of these services, see [`services()`].
#[must_use]
pub fn ask(services: &BTreeMap<String, Databases>, question: &Question) -> Answers {
    let answers = services.iter().map(|(service, &databases)| {
        let mut answer = Answer::default();
        let done = converse(service, databases, question, |line| answer.add(line));
        if let Err(why) = done {
            answer.failed.get_or_insert(why);
        }
        if answer.absent {
            answer.asked = question.clone();
        }
        (service.clone(), answer)
    });
    Answers(answers.collect())
}

impl Answer {
    fn add(&mut self, line: Line) {
        match line {
            Line::Name { name, uid, gid, groups } => {
                self.users.extend(uid.map(|uid| (name.clone(), uid)));
                self.groups.extend(gid.map(|gid| (name.clone(), gid)));
                if !groups.is_empty() {
                    self.memberships.insert(name.clone(), groups);
                }
                self.asked.names.insert(name);
            }
            Line::Id { id, holder } => {
                self.ids.extend(holder.map(|holder| (id, holder)));
                self.asked.ids.insert(id);
            }
            Line::Absent => self.absent = true,
            Line::Failed(why) => self.failed = Some(why),
            Line::Files(_) | Line::End => {}
        }
    }
}

/// Runs this program as a child that asks one service, see [`serve`].
fn converse(
    service: &str,
    databases: Databases,
    question: &Question,
    mut take: impl FnMut(Line),
) -> Result<(), String> {
    let mut child = program::again(&[WORD, service, databases.word()])
        .spawn()
        .map_err(|cause| format!("cannot run the process that asks it: {cause}"))?;
    let said = match (child.stdin.take(), child.stdout.take()) {
        (Some(mut stdin), Some(stdout)) => {
            let json = serde_json::to_vec(question).unwrap_or_default();
            // The child reads everything before it asks, so this never waits for a service. It reports
            // itself what it did not read.
            let _ = stdin.write_all(&json);
            drop(stdin);
            listen(stdout, &mut take)
        }
        _ => Err("the process that asks it has no pipes".to_owned()),
    };
    if said.is_err() {
        let _ = child.kill();
    }
    let ended = wait(child);
    said.map_err(|why| why + &ended)
}

fn listen(stdout: ChildStdout, take: &mut impl FnMut(Line)) -> Result<(), String> {
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            if line.is_err() || send.send(line).is_err() {
                break;
            }
        }
    });
    let end = Instant::now() + ALL;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let line = match lines.recv_timeout(PATIENCE.min(left)) {
            Ok(Ok(line)) => line,
            Err(mpsc::RecvTimeoutError::Timeout) if left.is_zero() => {
                return Err(format!("it did not answer everything within {} s", ALL.as_secs()));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(format!("no answer within {} s", PATIENCE.as_secs()));
            }
            Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err("the process that asks it ended early".to_owned());
            }
        };
        match serde_json::from_str(&line) {
            Ok(Line::End) => return Ok(()),
            Ok(line) => take(line),
            // A module may print to standard output.
            Err(_) => {}
        }
    }
}

fn wait(mut child: Child) -> String {
    match child.wait() {
        Ok(status) if status.success() => String::new(),
        Ok(status) => format!(" ({status})"),
        Err(cause) => format!(" ({cause})"),
    }
}
