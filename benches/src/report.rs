//! docs/benchmarks: the tables, the fastest peer in each case, and a plot for each table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::figure::{Figure, Verdict};
use crate::measure::{Effort, TRACED};
use crate::peer::Peer;
use crate::plot;
use crate::row::Row;

/// System calls by row and peer.
pub type Traced = Vec<(Row, BTreeMap<Peer, BTreeMap<String, usize>>)>;

/// Everything that one run found.
#[derive(Debug)]
pub struct Report {
    /// A description of the machine.
    pub machine: Vec<(&'static str, String)>,
    /// How many rounds were measured, and for how long.
    pub effort: Effort,
    /// One thread, warm.
    pub warm: Vec<Figure>,
    /// Several threads: the median of a lookup.
    pub threads: Vec<Figure>,
    /// Several threads: elapsed time for each lookup.
    pub clock: Vec<Figure>,
    /// Whole processes.
    pub cold: Vec<Figure>,
    /// Instructions of a cold lookup in an empty /etc/passwd.
    pub floor: f64,
    /// The number of users for which system calls were counted, and the calls.
    pub traced: (usize, Traced),
}

/// The known reason for a case in which nss-iam is not faster.
fn why(figure: &Figure, verdict: Verdict) -> &'static str {
    match (figure.slug.as_str(), verdict.best) {
        ("cold-instructions" | "cold-time", Peer::Files) => {
            "`files` is part of libc, so no module has to be found, mapped and linked; its cost grows with every line that it reads"
        }
        _ if 3 * verdict.ahead >= verdict.rounds => "the rounds disagree, so no difference is shown",
        _ => "the reason is not known",
    }
}

impl Report {
    /// Writes README.md, the plots and lookups.json.
    pub fn write(&self, directory: &Path) {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("README.md"), self.markdown()).unwrap();
        fs::write(directory.join("lookups.json"), self.json()).unwrap();
        for figure in self.warm.iter().chain(&self.cold) {
            fs::write(directory.join(format!("{}.svg", figure.slug)), plot::svg(figure)).unwrap();
        }
    }

    fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.warm.iter().chain(&self.threads).chain(&self.clock).chain(&self.cold)
    }

    fn json(&self) -> String {
        let traced = self.traced.1.iter().map(|(row, peers)| {
            let peers = peers.iter().map(|(peer, calls)| (peer.service().to_owned(), json!(calls)));
            (row.slug().to_owned(), peers.collect())
        });
        let machine: BTreeMap<_, _> = self.machine.iter().map(|(key, value)| (*key, value)).collect();
        let value = json!({
            "machine": machine,
            "figures": self.figures().map(Figure::json).collect::<Vec<_>>(),
            "empty_file_instructions": self.floor,
            "system_calls": {
                "lookups": TRACED,
                "users": self.traced.0,
                "rows": serde_json::Value::Object(traced.collect()),
            },
        });
        serde_json::to_string(&value).unwrap() + "\n"
    }

    /// README.md.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out =
            String::from("# Lookups compared with every peer\n\nWritten by `make bench`, in one run.\n\n");
        self.summary(&mut out);
        self.setting(&mut out);
        out.push_str("## Warm, one thread\n\nThe median time of a lookup.\n");
        for figure in &self.warm {
            write!(out, "\n### {} ({})\n\n", figure.title, figure.unit).unwrap();
            table(&mut out, &[figure], false);
            write!(out, "\n![{0}]({1}.svg)\n", figure.title, figure.slug).unwrap();
        }
        out.push_str(
            "\n## Warm, several threads: a lookup (µs)\n\nThe median time of a lookup, over all threads.\n\n",
        );
        table(&mut out, &self.threads.iter().collect::<Vec<_>>(), true);
        out.push_str(
            "\n## Warm, several threads: wall-clock time (µs)\n\nThe elapsed time, divided by the number of lookups of all \
             threads. It shows whether a peer makes threads wait for each other.\n\n",
        );
        table(&mut out, &self.clock.iter().collect::<Vec<_>>(), true);
        out.push_str("\n## Cold: `getent passwd NAME` as a process\n");
        for figure in &self.cold {
            write!(out, "\n### {} ({})\n\n", figure.title, figure.unit).unwrap();
            table(&mut out, &[figure], false);
            write!(out, "\n![{0}]({1}.svg)\n", figure.title, figure.slug).unwrap();
        }
        self.nearness(&mut out);
        self.system_calls(&mut out);
        out
    }

    fn summary(&self, out: &mut String) {
        let mut lost = Vec::new();
        let mut lines = 0;
        for figure in self.figures() {
            for size in figure.cells.keys() {
                lines += 1;
                match figure.verdict(*size) {
                    Some(verdict) if verdict.ratio > 1.0 => {}
                    Some(verdict) => lost.push(loss(figure, *size, verdict)),
                    None => lost.push(format!("{}, {size} users: nss-iam gave no answer", figure.title)),
                }
            }
        }
        writeln!(out, "nss-iam is faster than every peer in {} of {lines} cases.", lines - lost.len())
            .unwrap();
        if !lost.is_empty() {
            writeln!(out, "It is slower, or not clearly faster, in these cases:\n\n- {}", lost.join("\n- "))
                .unwrap();
        }
        out.push('\n');
    }

    fn setting(&self, out: &mut String) {
        out.push_str("## Setting\n\n| | |\n|---|---|\n");
        for (key, value) in &self.machine {
            writeln!(out, "| {key} | {value} |").unwrap();
        }
        let Effort { rounds, milliseconds } = self.effort;
        write!(
            out,
            "\nAll peers know the same N users: each has a private group, all are in one group, and each is in one of ten \
             teams. Every number is measured through glibc, with only that peer in nsswitch.conf, in a private copy of a \
             small Debian. The peers take turns: in each of {rounds} rounds, one fresh process per peer warms up, then does \
             lookups for {milliseconds} ms and checks each answer. A peer that has taken ten seconds for a case gets no \
             more rounds. A number is the median of the rounds, and the value of a round is a median too. The time to read \
             the clock (about 0.03 µs) is included in all of them. A ratio is the median of the rounds' ratios: the time of \
             the best other peer, divided by the time of nss-iam. Above 1, nss-iam is faster. Every round is in \
             [lookups.json](lookups.json).\n\n\
             *libnss-cache* has its index files. *sssd* answers from the memory cache of its files provider, with 100 and \
             1000 users only: with 5000, that provider was not ready after 77 s. *libnss + SQLite* is `tests/reference`: \
             the obvious module over our own cache. If a peer gives wrong answers, crashes or does not finish within ten \
             seconds, the table shows that instead of a number, and the peer is left out of the comparison. The processor \
             time of a cold process is the mean of 25 in each round.\n\n"
        )
        .unwrap();
    }

    fn nearness(&self, out: &mut String) {
        let figure = &self.cold[0];
        let Some(Ok(ours)) = figure.cells.values().next().map(|cells| cells[&Peer::NssIam].value()) else {
            return;
        };
        writeln!(
            out,
            "\nThe minimum is a lookup in an empty /etc/passwd: {} instructions. nss-iam needs {} more than that, to find, \
             map and link the module and to answer.",
            amount(self.floor),
            amount(ours - self.floor)
        )
        .unwrap();
    }

    fn system_calls(&self, out: &mut String) {
        let (size, rows) = &self.traced;
        write!(
            out,
            "\n## System calls of {TRACED} warm lookups ({size} users)\n\nCounted by strace, without the calls that glibc \
             itself makes: a `stat` of nsswitch.conf for each lookup, and an occasional check for nscd. nss-iam may call \
             `stat` and `madvise` once a second; under strace, lookups are slow.\n\n| |"
        )
        .unwrap();
        let peers: Vec<Peer> =
            rows.first().map(|(_, peers)| peers.keys().copied().collect()).unwrap_or_default();
        for peer in &peers {
            write!(out, " {} |", name(*peer)).unwrap();
        }
        write!(out, "\n|---|{}\n", "---|".repeat(peers.len())).unwrap();
        for (row, counts) in rows {
            write!(out, "| {} |", row.title()).unwrap();
            for calls in counts.values() {
                let calls: Vec<_> = calls.iter().map(|(call, count)| format!("{count} {call}")).collect();
                write!(out, " {} |", if calls.is_empty() { "none".into() } else { calls.join(", ") })
                    .unwrap();
            }
            out.push('\n');
        }
    }
}

/// `0.9 µs (4 %) more than files, faster in 2 of 7 rounds: why`.
fn loss(figure: &Figure, size: usize, verdict: Verdict) -> String {
    format!(
        "{}, {size} users: {} {} ({:.0} %) more than {}, faster in {} of {} rounds: {}",
        figure.title,
        amount(-verdict.lead),
        figure.unit,
        (verdict.ratio.recip() - 1.0) * 100.0,
        verdict.best.title(),
        verdict.ahead,
        verdict.rounds,
        why(figure, verdict)
    )
}

fn table(out: &mut String, figures: &[&Figure], titled: bool) {
    let peers: Vec<Peer> = Peer::ALL
        .into_iter()
        .filter(|peer| {
            figures.iter().any(|figure| figure.cells.values().any(|cells| cells.contains_key(peer)))
        })
        .collect();
    out.push_str(if titled { "| | N |" } else { "| N |" });
    for peer in &peers {
        write!(out, " {} |", name(*peer)).unwrap();
    }
    write!(out, " best other ÷ nss-iam |\n|{}", if titled { "---|" } else { "" }).unwrap();
    writeln!(out, "{}", "--:|".repeat(peers.len() + 2)).unwrap();
    for figure in figures {
        for (size, cells) in &figure.cells {
            if titled {
                write!(out, "| {} ", figure.title).unwrap();
            }
            write!(out, "| {size} |").unwrap();
            for peer in &peers {
                let value = cells.get(peer).map(|cell| cell.value().map_or_else(ToOwned::to_owned, amount));
                write!(out, " {} |", value.unwrap_or_else(|| "–".into())).unwrap();
            }
            let verdict = figure.verdict(*size).map(|v| format!("{:.2} ({})", v.ratio, v.best.title()));
            writeln!(out, " {} |", verdict.unwrap_or_else(|| "–".into())).unwrap();
        }
    }
}

fn name(peer: Peer) -> String {
    let title = peer.title();
    if peer == Peer::NssIam { format!("**{title}**") } else { title.to_owned() }
}

/// Only significant digits.
fn amount(value: f64) -> String {
    match value.abs() {
        100_000.0.. => format!("{:.0}k", value / 1000.0),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
