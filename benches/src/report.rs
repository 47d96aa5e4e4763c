//! docs/benchmarks: the tables, who is ahead in each line, and a plot beside each table.

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
    /// What the machine is.
    pub machine: Vec<(&'static str, String)>,
    /// How hard was measured.
    pub effort: Effort,
    /// One thread, warm.
    pub warm: Vec<Figure>,
    /// Several threads: the median of a lookup.
    pub threads: Vec<Figure>,
    /// Several threads: all lookups on the clock.
    pub clock: Vec<Figure>,
    /// Whole processes.
    pub cold: Vec<Figure>,
    /// Instructions of a cold lookup in an empty /etc/passwd.
    pub floor: f64,
    /// With how many users system calls were counted, and which there were.
    pub traced: (usize, Traced),
}

/// A reason that is known, for a line that we do not win.
fn why(figure: &Figure, verdict: Verdict) -> &'static str {
    match (figure.slug.as_str(), verdict.best) {
        ("cold-instructions" | "cold-time", Peer::Files) => {
            "`files` is part of libc: nothing has to be found, mapped and linked first; it pays with every line that it reads"
        }
        _ if 3 * verdict.ahead >= verdict.rounds => "the rounds disagree: no difference is shown",
        _ => "no reason is known",
    }
}

impl Report {
    /// Writes README.md, the plots and lookups.json.
    pub fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("README.md"), self.markdown()).unwrap();
        fs::write(folder.join("lookups.json"), self.json()).unwrap();
        for figure in self.warm.iter().chain(&self.cold) {
            fs::write(folder.join(format!("{}.svg", figure.slug)), plot::svg(figure)).unwrap();
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
            String::from("# Lookups, ours beside every peer\n\nWritten by `make bench`; one run.\n\n");
        self.summary(&mut out);
        self.setting(&mut out);
        out.push_str("## Warm, one thread\n\nWhat half of the lookups take no longer than.\n");
        for figure in &self.warm {
            write!(out, "\n### {} ({})\n\n", figure.title, figure.unit).unwrap();
            table(&mut out, &[figure], false);
            write!(out, "\n![{0}]({1}.svg)\n", figure.title, figure.slug).unwrap();
        }
        out.push_str("\n## Warm, several threads: a lookup (µs)\n\nWhat half of the lookups of all threads take no longer than.\n\n");
        table(&mut out, &self.threads.iter().collect::<Vec<_>>(), true);
        out.push_str(
            "\n## Warm, several threads: the clock (µs)\n\nTime on the clock, divided by the lookups of all threads in it: \
             a peer that makes threads wait for each other shows it here.\n\n",
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
        writeln!(out, "nss-iam is ahead of every peer in {} of {lines} lines.", lines - lost.len()).unwrap();
        if !lost.is_empty() {
            writeln!(out, "It is not ahead here:\n\n- {}", lost.join("\n- ")).unwrap();
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
            "\nAll peers know the same N users: a private group each, one group of all, ten teams. Every number comes \
             through glibc, with that peer alone in nsswitch.conf, in a private copy of a small Debian. The peers take \
             turns: {rounds} rounds, in each of them one fresh process a peer (no more after ten seconds), which warms up and then asks for \
             {milliseconds} ms, checking each answer. A number is the median of the rounds, what it shows of a round is \
             the median too, and the time that reading the clock takes (some 0.03 µs) is in all of them. A ratio is the \
             median of the rounds' ratios: what the best other peer takes, divided by what nss-iam takes. Above 1, \
             nss-iam is ahead. Every round is in [lookups.json](lookups.json).\n\n\
             *libnss-cache* has its index files. *sssd* answers from its files provider's memory cache, at 100 and 1000 \
             users: that provider was not ready after 77 s at 5000. *libnss + SQLite* is `tests/reference`: the obvious \
             module over our own cache. A peer with wrong answers, a crash or no end \
             within ten seconds says so in place of a number, and is not compared with. Processor time of a cold process is \
             the mean of 25 in each round.\n\n"
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
            "\nThe floor is a lookup in an empty /etc/passwd: {} instructions. nss-iam needs {} more than that: what \
             finding, mapping and linking a module costs, and the answer.",
            amount(self.floor),
            amount(ours - self.floor)
        )
        .unwrap();
    }

    fn system_calls(&self, out: &mut String) {
        let (size, rows) = &self.traced;
        write!(
            out,
            "\n## System calls of {TRACED} warm lookups ({size} users)\n\nCounted by strace; without what glibc calls \
             itself: a `stat` of nsswitch.conf for each lookup, and now and then a look for nscd. nss-iam may call `stat` \
             once a second, and strace makes a lookup slow.\n\n| |"
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

/// `0.9 µs (4 %) more than files, ahead in 2 of 7 rounds: why`.
fn loss(figure: &Figure, size: usize, verdict: Verdict) -> String {
    format!(
        "{}, {size} users: {} {} ({:.0} %) more than {}, ahead in {} of {} rounds: {}",
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

/// As many digits as mean something.
fn amount(value: f64) -> String {
    match value.abs() {
        100_000.0.. => format!("{:.0}k", value / 1000.0),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
