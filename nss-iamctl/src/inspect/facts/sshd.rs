//! The state of sshd: whether it would start, what its files contain, and when the running daemon last read them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use message::Message;

use crate::edit::sshd::config::{self, Files};
use crate::edit::sshd::drop_in::OutOfForce;
use crate::edit::sshd::{Sshd, drop_in, reload};
use crate::host::Host;
use crate::host::files;

/// Of an installed sshd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SshdFacts {
    /// What `sshd -t` complains about.
    pub refused: Option<Message>,
    /// The arguments of keys-cmd that this version supports.
    pub arguments: String,
    /// Whether our drop-in, or our block in the main file, exists.
    pub ours: bool,
    /// Whether only root can read its files, and this is not root.
    pub hidden: bool,
    /// Why the drop-in is not in effect, judging by the text of the files.
    pub out_of_force: Option<OutOfForce>,
    /// Whether no daemon is running. Root only, because others may not see its process.
    pub stopped: bool,
    /// When the running daemon last read its files, seconds since 1970: it then rewrites its pid file.
    pub loaded: Option<i64>,
    /// The file that was changed last, and when.
    pub changed: Option<(String, i64)>,
}

/// `None` if sshd is not installed.
pub(crate) fn gather(host: &Host) -> Option<SshdFacts> {
    let (version, test) = match Sshd::find(host) {
        Ok(Some(sshd)) => (sshd.version, sshd.test()),
        Ok(None) => return None,
        Err(cause) => return Some(SshdFacts { refused: Some(cause.into()), ..SshdFacts::default() }),
    };
    let main = config::main(&Here(host));
    let block = |path: &str| {
        Here(host).text(Path::new(path)).is_some_and(|text| text.contains(crate::edit::block::BEGIN))
    };
    let drop_in = host.exists(drop_in::PATH);
    let directory = Path::new("/etc/ssh/sshd_config.d");
    let denied =
        |cause: Option<io::Error>| cause.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied);
    let mut read = vec![PathBuf::from(&main)];
    read.extend(Here(host).names(directory).into_iter().map(|name| directory.join(name)));
    Some(SshdFacts {
        // Without root it cannot read the host keys.
        refused: test.err().filter(|_| rustix::process::geteuid().is_root()).map(Message::from),
        arguments: version.arguments().to_owned(),
        ours: drop_in || block(&main),
        hidden: denied(fs::read_dir(host.path_of(directory)).err())
            || denied(fs::File::open(host.path(&main)).err()),
        out_of_force: if drop_in { drop_in::out_of_force(&Here(host)) } else { None },
        stopped: rustix::process::geteuid().is_root() && !reload::runs(host),
        loaded: ["/run/sshd.pid", "/var/run/sshd.pid"]
            .iter()
            .find_map(|path| modified(host, Path::new(path))),
        changed: read
            .into_iter()
            .filter_map(|path| Some((modified(host, &path)?, path)))
            .max()
            .map(|(at, path)| (path.display().to_string(), at)),
    })
}

fn modified(host: &Host, path: &Path) -> Option<i64> {
    let at = fs::metadata(host.path_of(path)).ok()?.modified().ok()?;
    i64::try_from(at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// The files as they are.
struct Here<'a>(&'a Host);

impl Files for Here<'_> {
    fn text(&self, path: &Path) -> Option<String> {
        files::read_lossy(&self.0.path_of(path)).ok().flatten()
    }

    fn names(&self, directory: &Path) -> Vec<OsString> {
        files::names(&self.0.path_of(directory)).unwrap_or_default()
    }
}
