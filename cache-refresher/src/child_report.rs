//! What a fetch half that is a child reports to its parent: messages and progress, one JSON text a line. The child has
//! neither a terminal nor a log of its own.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// One line of the report.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Said {
    /// A level of `log`, and the message.
    Log(String, String),
    /// This many steps were added.
    More(usize),
    /// One step is done.
    Done,
    /// A request is repeated, in words.
    Repeats(String),
}

static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Whether this process is such a child, and reports to its parent.
pub(crate) fn is_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// From now on this process reports to its parent.
pub(crate) fn become_child() {
    IS_CHILD.store(true, Ordering::Relaxed);
}

impl Said {
    /// Writes it. An error is ignored: then nobody reads it.
    pub(crate) fn say(&self) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            let _ = io::stderr().write_all(&line);
        }
    }
}
