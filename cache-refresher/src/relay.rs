//! What the fetch half says to its parent, one JSON text a line: messages and progress. The parent prints them; the child
//! has neither a terminal nor a log. It is not trusted: its texts are limited in length and cannot move the cursor.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use log::{Level, Log, Metadata, Record};
use serde::{Deserialize, Serialize};

use crate::fetch::Progress as _;
use crate::progress::Bar;

/// The longest line, in bytes; what follows is another line.
const LONGEST_LINE: u64 = 16 << 10;

/// All messages of one run, in bytes. The rest is not shown.
const LONGEST_RUN: usize = 1 << 20;

/// How long to wait for the last words when the child has ended: a program that it started may hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Said {
    /// A level of `log`, and the message.
    Log(String, String),
    /// This many steps were added.
    More(usize),
    /// One step is done.
    Done,
}

static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Whether this process says what it has to say to a parent.
pub(crate) fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// From now on.
pub(crate) fn become_child() {
    IS_CHILD.store(true, Ordering::Relaxed);
}

impl Said {
    /// If nobody listens there is nobody to tell.
    pub(crate) fn say(&self) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            let _ = io::stderr().write_all(&line);
        }
    }
}

/// The child's logger.
pub(crate) struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        crate::logger::is_ours(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            Said::Log(record.level().as_str().to_owned(), record.args().to_string()).say();
        }
    }

    fn flush(&self) {}
}

/// A thread that prints what the child says.
pub(crate) struct Relay(Receiver<()>);

/// Begins to listen.
pub(crate) fn start(stderr: impl Read + Send + 'static) -> Relay {
    let (ended, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let mut shown = Shown::default();
        listen(stderr, |said| shown.show(said));
        drop(shown);
        // Nobody waits for it any more, or somebody does.
        let _ = ended.send(());
    });
    Relay(wait)
}

impl Relay {
    /// The child has ended.
    pub(crate) fn end(self) {
        let _ = self.0.recv_timeout(LAST_WORDS);
    }
}

/// Reads to the end whatever comes: a child that writes into a full pipe would wait.
fn listen(stderr: impl Read, mut take: impl FnMut(Said)) {
    let mut reader = BufReader::new(stderr);
    let mut left = LONGEST_RUN;
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let (level, text) = match serde_json::from_slice(&line) {
            Ok(Said::Log(level, text)) => (level, text),
            Ok(progress) => {
                take(progress);
                continue;
            }
            // A panic, or the C library's last words.
            Err(_) => {
                let text = String::from_utf8_lossy(&line).into_owned();
                ("WARN".to_owned(), format!("the fetch half: {}", text.trim_end()))
            }
        };
        if left == 0 {
            continue;
        }
        left = left.saturating_sub(text.len());
        take(Said::Log(level, text));
        if left == 0 {
            take(Said::Log("WARN".to_owned(), "the fetch half says more than is shown".to_owned()));
        }
    }
}

/// Printed so far.
#[derive(Default)]
struct Shown {
    bar: Option<Bar>,
}

impl Shown {
    fn show(&mut self, said: Said) {
        match said {
            Said::Log(level, text) => {
                let level = Level::from_str(&level).unwrap_or(Level::Warn);
                let print = || log::log!(level, "{}", printable(&text));
                match &self.bar {
                    Some(bar) => bar.above(print),
                    None => print(),
                }
            }
            Said::More(steps) => self.bar.get_or_insert_with(Bar::start).more(steps),
            Said::Done => self.bar.get_or_insert_with(Bar::start).done(),
        }
    }
}

/// New lines stay: the one before a hint is among them.
fn printable(text: &str) -> String {
    text.split('\n').map(message::printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(bytes: &[u8]) -> Vec<Said> {
        let mut heard = Vec::new();
        listen(bytes, |said| heard.push(said));
        heard
    }

    fn warning(text: &str) -> Said {
        Said::Log("WARN".to_owned(), text.to_owned())
    }

    #[test]
    fn what_is_said_is_heard() {
        let said = || [Said::Log("ERROR".to_owned(), "a\nhint: b".to_owned()), Said::More(2), Said::Done];
        let lines: Vec<_> = said().iter().map(|said| serde_json::to_string(said).unwrap()).collect();
        assert_eq!(heard(lines.join("\n").as_bytes()), said());
    }

    #[test]
    fn words_of_a_panic_are_a_warning() {
        assert_eq!(heard(b"thread panicked\n"), [warning("the fetch half: thread panicked")]);
        assert_eq!(heard(b"\xff\n\n"), [warning("the fetch half: \u{fffd}"), warning("the fetch half: ")]);
        assert_eq!(heard(b"{\"log\":[\"ERROR\""), [warning("the fetch half: {\"log\":[\"ERROR\"")]);
    }

    #[test]
    fn a_child_can_neither_move_the_cursor_nor_fill_the_log() {
        assert_eq!(
            printable("\u{1b}[2J\rno\u{9b}\u{202e}\u{7f}\u{fffd}"),
            "\\u{1b}[2J\\u{d}no\\u{9b}\\u{202e}\\u{7f}\\u{fffd}"
        );
        assert_eq!(printable("größe: [\"…\"]\nhint: x"), "größe: [\"…\"]\nhint: x");
        for flood in [b"x\n".repeat(200_000), b"x".repeat(4 << 20)] {
            let heard = heard(&flood);
            assert_eq!(heard.last().unwrap(), &warning("the fetch half says more than is shown"));
            let bytes: usize =
                heard.iter().map(|said| if let Said::Log(_, text) = said { text.len() } else { 0 }).sum();
            assert!(bytes < 2 * LONGEST_RUN, "{bytes}");
        }
    }
}
