//! The child process: asks one service, and prints its answers on standard output.

use std::collections::BTreeSet;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist};

use super::glibc::{self, Functions, Module};
use super::services::{Databases, FILES};
use super::{FileGroup, Files, Line, Question};

/// The hidden word with which a program runs itself to ask a service; its arguments follow.
pub(super) const WORD: &str = "ask-service";

/// (gid_t)-1, which no group has: getgrouplist(3) puts the primary group into the list that it returns.
const NO_GROUP: Gid = Gid::from_raw(u32::MAX);

/// Asks a service if this program was run for that, else returns `None`. Every program that uses [`super::ask`]
/// must call this first. `words` are the program's name and its arguments.
pub fn serve(words: impl Iterator<Item = OsString>) -> Option<io::Result<()>> {
    let words: Vec<String> = words.skip(1).take(4).map(|word| word.to_string_lossy().into_owned()).collect();
    let (word, arguments) = words.split_first()?;
    (word == WORD).then(|| answer(arguments))
}

/// The work of the child; nobody reads its errors.
fn answer(arguments: &[String]) -> io::Result<()> {
    let [service, databases] = arguments else {
        return Err(io::Error::other("not to be run by hand"));
    };
    let mut json = Vec::new();
    io::stdin().lock().read_to_end(&mut json)?;
    let question: Question = serde_json::from_slice(&json).unwrap_or_default();
    let mut out = io::stdout().lock();
    // Prints line by line, so that the answers of a service that hangs later are not lost.
    let mut say = |line: Line| {
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        out.write_all(&text)?;
        out.flush()
    };
    if glibc::use_only(service) {
        // An empty question means everything, which only this service can be asked for.
        if service == FILES && question == Question::default() {
            say(files().map_or_else(Line::Failed, Line::Files))?;
        } else {
            ask(service, Databases::of_word(databases), &question, &mut say)?;
        }
    } else {
        say(Line::Failed("glibc refuses its name".to_owned()))?;
    }
    say(Line::End)
}

fn ask(
    service: &str,
    databases: Databases,
    question: &Question,
    say: &mut impl FnMut(Line) -> io::Result<()>,
) -> io::Result<()> {
    let module = match glibc::module(service) {
        Module::Loaded(module) => module,
        Module::Absent => return say(Line::Absent),
        Module::Broken(why) => return say(Line::Failed(why)),
    };
    // Names first: without an answer for a name nobody gets it, while ids are only a second check.
    for name in &question.names {
        let line = of_name(service, name, databases, &module);
        let failed = line.is_err();
        say(line.unwrap_or_else(|cause| Line::Failed(cause.desc().to_owned())))?;
        if failed {
            return Ok(());
        }
    }
    for &id in &question.ids {
        let line = of_id(id, databases);
        let failed = line.is_err();
        say(line.unwrap_or_else(|cause| Line::Failed(cause.desc().to_owned())))?;
        if failed {
            return Ok(());
        }
    }
    Ok(())
}

fn of_name(service: &str, name: &str, databases: Databases, module: &Functions) -> Result<Line, Errno> {
    let (mut uid, mut gid, mut groups) = (None, None, Vec::new());
    if databases.passwd {
        uid = User::from_name(name)?.map(|user| user.uid.as_raw());
    }
    if databases.group {
        gid = Group::from_name(name)?.map(|group| group.gid.as_raw());
        let c_name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let listed = getgrouplist(&c_name, NO_GROUP)?;
        // glibc does not distinguish "none" from "unknown".
        if listed.iter().all(|&gid| gid == NO_GROUP)
            && !is_idle(service)
            && let Some(cause) = module.no_groups(&c_name)
        {
            return Err(cause);
        }
        for gid in listed.into_iter().filter(|&gid| gid != NO_GROUP) {
            let group = Group::from_gid(gid)?;
            groups.push(group.map_or_else(|| gid.to_string(), |group| group.name));
        }
    }
    Ok(Line::Name { name: name.to_owned(), uid, gid, groups })
}

/// If systemd is not running, as in a container, its service still knows the users in /etc/userdb, but reports
/// memberships, for which it would ask other daemons, as unavailable.
fn is_idle(service: &str) -> bool {
    // sd_booted(3).
    service == "systemd" && !Path::new("/run/systemd/system").exists()
}

fn of_id(id: u32, databases: Databases) -> Result<Line, Errno> {
    let mut holder = None;
    if databases.passwd {
        holder = User::from_uid(Uid::from_raw(id))?.map(|user| user.name);
    }
    if databases.group && holder.is_none() {
        holder = Group::from_gid(Gid::from_raw(id))?.map(|group| group.name);
    }
    Ok(Line::Id { id, holder })
}

/// getpwent(3) does not distinguish an unreadable file from an empty one.
fn files() -> Result<Files, String> {
    let unreadable = |path, cause| format!("cannot read '{path}': {cause}");
    for path in ["/etc/passwd", "/etc/group"] {
        regular(path).map_err(|cause| unreadable(path, cause))?;
    }
    let mut files = Files::default();
    // Without the file, glibc has a built-in list.
    if !regular("/etc/shells").is_err_and(|cause| cause.kind() != io::ErrorKind::NotFound) {
        files.shells.extend(glibc::shells());
    }
    for (name, uid) in glibc::users() {
        files.users.entry(name).or_insert(uid);
    }
    for (name, gid, members) in glibc::groups() {
        let group = files.groups.entry(name).or_insert_with(|| FileGroup { gid, members: BTreeSet::new() });
        // initgroups(3) reads every line.
        group.members.extend(members);
    }
    let mut text = Vec::new();
    match regular("/etc/gshadow").and_then(|mut file| file.read_to_end(&mut text)) {
        Ok(_) => add_gshadow(&String::from_utf8_lossy(&text), &mut files),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        // A dry run by a user other than root, which assigns no names.
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied && !geteuid().is_root() => {}
        Err(cause) => return Err(unreadable("/etc/gshadow", cause)),
    }
    Ok(files)
}

/// Opens only a regular file: opening a FIFO would wait, also in glibc.
fn regular(path: &str) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// gshadow(5), for which glibc has no suitable function: gpasswd(1) lets the administrators of a group add
/// themselves to it.
fn add_gshadow(text: &str, files: &mut Files) {
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').map(str::trim).collect();
        let [group, _, administrators, members, ..] = fields.as_slice() else { continue };
        if let Some(group) = files.groups.get_mut(*group) {
            let names = administrators.split(',').chain(members.split(','));
            group.members.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_a_regular_file_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(regular(fifo.to_str().unwrap()).unwrap_err().to_string().contains("not a regular file"));
        assert!(regular(directory.path().to_str().unwrap()).is_err());
        assert_eq!(regular("/none").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn administrators_of_a_group_count_as_members() {
        let mut files = Files::default();
        for name in ["sudo", "adm"] {
            files.groups.insert(name.to_owned(), FileGroup::default());
        }
        add_gshadow("sudo:!:grace,dana:erik\nadm:*::\nodd\ngone:!:kate:\n", &mut files);
        let members: Vec<&str> = files.groups["sudo"].members.iter().map(String::as_str).collect();
        assert_eq!(members, ["dana", "erik", "grace"]);
        assert!(files.groups["adm"].members.is_empty());
    }
}
