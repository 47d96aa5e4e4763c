//! How text looks: colored and wrapped only where somebody reads it on a terminal.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use message::Message;

/// Below this width, wrapped text is harder to read than lines that the terminal breaks.
const NARROW: usize = 60;

/// The look of standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub colored: bool,
    /// Columns of the terminal, if it is one.
    pub width: Option<usize>,
}

/// What [`Look::set`] decided. Without it, and so in tests, text is plain.
static LOOK: OnceLock<Look> = OnceLock::new();

pub(crate) const HEADLINE: Style = Style::new().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const RED: Style = AnsiColor::Red.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

impl Look {
    /// Decides for this process. [`ColorChoice::Auto`] heeds NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM.
    pub(crate) fn set(choice: ColorChoice) {
        let out = std::io::stdout();
        let choice = if choice == ColorChoice::Auto { AutoStream::choice(&out) } else { choice };
        let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten();
        let width = size.map(|size| usize::from(size.ws_col));
        // It is set once, by `main`.
        let _ = LOOK.set(Self { colored: choice != ColorChoice::Never, width });
    }

    pub(crate) fn now() -> Self {
        LOOK.get().copied().unwrap_or_default()
    }

    /// `text` in this style.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.colored { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// What a message says is in this style; its hint is not.
    pub(crate) fn headline(self, style: Style, message: &Message) -> String {
        let text = message.to_string();
        let hint = text.strip_prefix(message.what()).unwrap_or_default();
        format!("{}{hint}", self.paint(style, &self.wrap(message.what(), 0)))
    }

    /// `text`, which begins in column `indent`, on lines that fit the terminal. Commands to copy must not be wrapped.
    pub(crate) fn wrap(self, text: &str, indent: usize) -> String {
        let Some(width) = self.width.filter(|width| *width >= NARROW) else { return text.to_owned() };
        let mut wrapped = String::with_capacity(text.len());
        let mut column = indent;
        for (number, word) in text.split(' ').enumerate() {
            if number > 0 && column + 1 + word.len() > width {
                wrapped.push('\n');
                wrapped.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            } else if number > 0 {
                wrapped.push(' ');
                column += 1;
            }
            wrapped.push_str(word);
            column += word.len();
        }
        wrapped
    }

    /// A unified diff, with the colors of git(1).
    pub(crate) fn diff(self, diff: Vec<u8>) -> Vec<u8> {
        if !self.colored {
            return diff;
        }
        let mut shown = Vec::with_capacity(diff.len());
        for line in diff.split_inclusive(|byte| *byte == b'\n') {
            let style = match line {
                [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => HEADLINE,
                [b'+', ..] => GREEN,
                [b'-', ..] => RED,
                [b'@', ..] => CYAN,
                _ => Style::new(),
            };
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            shown.extend(style.to_string().bytes());
            shown.extend(text);
            shown.extend(format!("{style:#}").bytes());
            shown.extend(line.get(text.len()..).unwrap_or_default());
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { colored: false, width: None };
    const COLORED: Look = Look { colored: true, width: None };

    #[test]
    fn without_a_terminal_every_byte_stays() {
        let text = "a ".repeat(100);
        assert_eq!((PLAIN.wrap(&text, 4), PLAIN.paint(HEADLINE, "x")), (text, "x".to_owned()));
        let diff = b"+\xff\x1b[2J\n".to_vec();
        assert_eq!(PLAIN.diff(diff.clone()), diff);
        assert_eq!(PLAIN, Look::now());
    }

    #[test]
    fn lines_fit_the_terminal_and_keep_their_indent() {
        let look = Look { colored: false, width: Some(60) };
        let text = look.wrap(&"word ".repeat(30), 16);
        let longest = text.lines().skip(1).map(str::len).max();
        assert!(longest.is_some_and(|longest| (50..=60).contains(&longest)), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with(&" ".repeat(16))), "{text}");
        assert_eq!(text.split_whitespace().count(), 30);
        let long = format!("a {} b", "x".repeat(80));
        assert_eq!(look.wrap(&long, 2), format!("a\n  {}\n  b", "x".repeat(80)));
        let narrow = Look { colored: false, width: Some(20) };
        assert_eq!(narrow.wrap(&long, 2), long);
    }

    #[test]
    fn colors_end_where_the_text_ends() {
        assert_eq!(COLORED.paint(YELLOW, "warn"), "\u{1b}[33mwarn\u{1b}[0m");
        let message = Message::new("a").with_hint("b");
        assert_eq!(COLORED.headline(HEADLINE, &message), "\u{1b}[1ma\u{1b}[0m\nhint: b");
        let diff = COLORED.diff(b"--- a\n+++ b\n@@ -1 +1 @@\n-x\n+\xff\n y\n+z".to_vec());
        let wanted: &[u8] = b"\x1b[1m--- a\x1b[0m\n\x1b[1m+++ b\x1b[0m\n\x1b[36m@@ -1 +1 @@\x1b[0m\n\
            \x1b[31m-x\x1b[0m\n\x1b[32m+\xff\x1b[0m\n y\n\x1b[32m+z\x1b[0m";
        assert_eq!(diff, wanted, "{}", String::from_utf8_lossy(&diff));
    }
}
