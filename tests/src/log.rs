//! A syslog daemon that stores messages, and lets a test wait for a line.

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Machine;

/// No program logs an empty line.
const END: &[u8] = b"";

/// Reads all the time: a daemon whose queue is full makes programs wait that log, including sshd.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Arc<(Mutex<Vec<String>>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    pub(crate) fn listen(machine: &Machine) -> Self {
        let socket = machine.syslog();
        let lines = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let shared = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            let mut datagram = vec![0; 1 << 16];
            while let Ok(length @ 1..) = socket.recv(&mut datagram) {
                let line = String::from_utf8_lossy(&datagram[..length]).trim_end().to_owned();
                shared.0.lock().unwrap().push(line);
                shared.1.notify_all();
            }
        });
        Self { lines, reader: Some(reader) }
    }

    /// Waits for a line that contains all of `words`.
    pub(crate) fn wait(&self, words: &[&str], patience: Duration) -> String {
        let fits = |line: &&String| words.iter().all(|word| line.contains(word));
        let (lines, more) = &*self.lines;
        let missing = |lines: &mut Vec<String>| !lines.iter().any(|line| fits(&line));
        let (lines, _) = more.wait_timeout_while(lines.lock().unwrap(), patience, missing).unwrap();
        let found = lines.iter().find(fits).cloned();
        drop(lines);
        found.unwrap_or_else(|| panic!("not in syslog: {words:?}"))
    }

    /// The last lines, for messages of tests.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lines.0.lock().unwrap();
        let last = lines.iter().skip(lines.len().saturating_sub(60));
        last.map(|line| format!("\n    {line}")).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let told = UnixDatagram::unbound().and_then(|socket| socket.send_to(END, "/dev/log"));
        if let (Ok(_), Some(reader)) = (told, self.reader.take()) {
            let _ = reader.join();
        }
    }
}
