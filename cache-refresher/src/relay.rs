//! Prints what a fetch half that is a child of this process reports. The child is not trusted: its texts are limited in
//! length and cannot move the cursor.

use std::io::{BufRead, BufReader, Read};
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use log::Level;

use crate::child_report::Said;
use crate::fetch::Progress as _;
use crate::progress::Bar;

/// The longest line, in bytes. The rest is treated as another line.
const LONGEST_LINE: u64 = 16 << 10;

/// All messages of one run, in bytes. The rest is not shown.
const LONGEST_RUN: usize = 1 << 20;

/// How long to wait for the end of the pipe after the child has ended: a program that it started may hold it open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A thread that prints what the child reports.
pub(crate) struct Relay(Receiver<()>);

/// Starts that thread.
pub(crate) fn start(stderr: impl Read + Send + 'static) -> Relay {
    let (ended, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let mut shown = Shown::default();
        listen(stderr, |said| shown.show(said));
        drop(shown);
        // Fails if the parent no longer waits, which is no error.
        let _ = ended.send(());
    });
    Relay(wait)
}

impl Relay {
    /// Waits until everything is printed. To be called when the child has ended.
    pub(crate) fn end(self) {
        let _ = self.0.recv_timeout(LAST_WORDS);
    }
}

/// Reads to the end, whatever comes: a child that writes into a full pipe would hang.
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
            // A panic, or a message of the C library.
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

/// The progress bar, if there is one so far.
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
            Said::Repeats(text) => {
                self.bar.get_or_insert_with(Bar::start).repeats(&message::printable(&text))
            }
        }
    }
}

/// Keeps newlines, since a hint is on a line of its own.
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
        let said = || {
            let (log, repeats) = ("a\nhint: b".to_owned(), "b: c, try 2 of 10".to_owned());
            [Said::Log("ERROR".to_owned(), log), Said::More(2), Said::Repeats(repeats), Said::Done]
        };
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
