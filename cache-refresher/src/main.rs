//! cache-refresher: reads the source and publishes the cache. This file decides which half runs in this process.
#![forbid(unsafe_code)]

mod apply;
mod calls;
mod changes;
mod child_report;
mod cli;
mod directories;
mod exit;
mod fetch;
mod fetch_child;
mod handover;
mod homes;
mod known;
mod local;
mod lock;
mod logger;
mod memo;
mod names;
mod notify;
mod nscd;
mod plan;
mod poll;
mod progress;
mod publish;
mod recover;
mod relay;
mod renew;
mod replace;
mod report;
mod runner;
mod sessions;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};

use cli::{Cli, Half};

/// Of a fetch half that had to stay, as shells say it of SIGTERM. The unit starts it again, unless systemd itself has ended it.
const TERMINATED: u8 = 143;

fn main() -> ExitCode {
    // The parent may have blocked signals, and SIGTERM would then not end this program.
    let _ = SigSet::empty().thread_set_mask();
    if let Some(status) = ended_processes() {
        return status;
    }
    let served = claims::nss::serve(std::env::args_os()).or_else(|| directories::serve(std::env::args_os()));
    if let Some(done) = served {
        return ExitCode::from(if done.is_ok() { exit::OK } else { exit::OTHER });
    }
    let words = match command_line() {
        Ok(words) => words,
        Err(cause) => {
            let _ = writeln!(std::io::stderr(), "cannot run the fetch half: {cause}");
            return ExitCode::from(exit::OTHER);
        }
    };
    let cli = match Cli::parsed(words) {
        Ok(cli) => cli,
        Err(usage) => {
            // If it cannot be printed, nobody reads it.
            let _ = usage.print();
            return ExitCode::from(if usage.use_stderr() { exit::CONFIGURATION } else { exit::OK });
        }
    };
    #[expect(clippy::disallowed_methods, reason = "whether standard error is the journal, see sd-daemon(3)")]
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    if child_report::is_child() {
        logger::install_for_child();
    } else {
        logger::install(to_journal, cli.verbose);
    }
    let told = [Signal::SIGTERM, Signal::SIGINT];
    if cli.poll {
        // systemd takes SIGHUP for a regular end (systemd.service(5), `Restart=`). Others leave it to nohup(1).
        leave_when_told(told.into_iter().chain([Signal::SIGHUP]).collect(), TERMINATED);
    } else if cli.repeat.is_some() {
        leave_when_told(told.into_iter().collect(), exit::OK);
    }
    if cli.half == Some(Half::Publish) {
        return ExitCode::from(publish::run(&cli));
    }
    loop {
        let status = match cli.half {
            Some(Half::Fetch) if cli.poll => poll::fetch(&cli),
            Some(Half::Fetch) => runner::fetch(&cli),
            Some(Half::Apply) => runner::apply(&cli),
            Some(Half::Homes) => homes::create(),
            Some(Half::Publish) | None => runner::both(&cli),
        };
        match cli.repeat {
            Some(pause) => std::thread::sleep(pause),
            None => return ExitCode::from(status),
        }
    }
}

/// `fetch_child` runs this program again, for a fetch half without root privileges.
fn command_line() -> std::io::Result<Vec<OsString>> {
    let words: Vec<_> = std::env::args_os().collect();
    if words.get(1).is_none_or(|word| word != fetch_child::FETCH_CHILD) {
        return Ok(words);
    }
    let words = fetch_child::enter(words)?;
    child_report::become_child();
    Ok(words)
}

/// `sessions` runs this program again to send a signal.
fn ended_processes() -> Option<ExitCode> {
    let words: Vec<_> = std::env::args_os().skip(1).take(4).collect();
    match words.as_slice() {
        [word, uid, signal] if word == sessions::END_PROCESSES => {
            let done = sessions::end_processes(&uid.to_string_lossy(), &signal.to_string_lossy());
            Some(done.map_or_else(
                |cause| {
                    let _ = writeln!(std::io::stderr(), "cannot end processes: {cause}");
                    ExitCode::from(exit::OTHER)
                },
                |()| ExitCode::from(exit::OK),
            ))
        }
        _ => None,
    }
}

/// Needed as the first process of a container, which ignores SIGTERM by default (pid_namespaces(7)). It may end at any time:
/// files are replaced atomically.
fn leave_when_told(told: SigSet, status: u8) {
    if told.thread_block().is_ok() {
        #[expect(clippy::exit, reason = "the other thread may be waiting for AWS")]
        std::thread::spawn(move || told.wait().map(|_| std::process::exit(status.into())));
    }
}
