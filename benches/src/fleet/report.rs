//! The tables of docs/fleet.md, and the plot.

use std::fmt::Write;

use super::{CHANGES, CONFIRMATIONS, Cell, HOSTS, Measured, OBSERVED, USERS, Way};
use crate::plot::{self, Axes, Point, Series};

/// The generated part of docs/fleet.md is between these lines.
pub const BEGIN: &str = "<!-- make bench-fleet writes from here -->";
/// See [`BEGIN`].
pub const END: &str = "<!-- to here -->";
/// The users of the plot.
const PLOTTED: usize = 1000;

/// The tables.
#[must_use]
pub fn markdown(measured: &Measured, setting: &[(&'static str, String)]) -> String {
    let ways: Vec<Way> =
        Way::ALL.into_iter().filter(|way| measured.cell(*way, 1, USERS[0]).is_some()).collect();
    let mut out = String::from("Numbers in *italics* are computed, the others measured.\n");
    let mut calls = |title: &str, of: fn(&Cell) -> f64| {
        write!(out, "\n### {title}\n\n| hosts | users |").unwrap();
        ways.iter().for_each(|way| write!(out, " {} |", way.title()).unwrap());
        out += &format!("\n|--:|--:|{}\n", "--:|".repeat(ways.len()));
        for (hosts, users) in HOSTS.into_iter().flat_map(|hosts| USERS.map(|users| (hosts, users))) {
            write!(out, "| {hosts} | {users} |").unwrap();
            for way in &ways {
                let cell = measured.cell(*way, hosts, users);
                write!(
                    out,
                    " {} |",
                    cell.map_or_else(|| "–".to_owned(), |cell| shown(of(&cell), cell.measured))
                )
                .unwrap();
            }
            out.push('\n');
        }
    };
    calls("Requests to IAM and STS in an hour, of all hosts", |cell| cell.iam);
    calls("Requests to S3 in an hour, of all hosts", |cell| cell.s3);
    out += &of_hosts(measured, &ways);
    out += &publisher(measured);
    out += &memory(measured);
    out += "\n### Setting\n\n| | |\n|---|---|\n";
    setting.iter().for_each(|(what, value)| writeln!(out, "| {what} | {value} |").unwrap());
    out
}

/// What does not depend on the number of hosts.
fn of_hosts(measured: &Measured, ways: &[Way]) -> String {
    let mut out = format!(
        "\n### A host in a day, and how long a removal takes\n\n| users | way | processor, s | written, MB | \
         removal, median | the last of {OBSERVED} hosts |\n|--:|---|--:|--:|--:|--:|\n"
    );
    for (users, way) in USERS.into_iter().flat_map(|users| ways.iter().map(move |way| (users, *way))) {
        let Some(cell) = measured.cell(way, OBSERVED, users).or_else(|| measured.cell(way, 1, users)) else {
            continue;
        };
        let alone = measured.cell(way, 1, users).is_some_and(|cell| cell.measured);
        // Of runs, one host says the same; of the relay, a day is put together. How long a host waits for its next run is
        // computed, and not for the relay.
        let is_relay = way == Way::Relay;
        let (is_measured, waited) = (!is_relay && (cell.measured || alone), is_relay && cell.measured);
        writeln!(
            out,
            "| {users} | {} | {} | {} | {} s | {} s |",
            way.title(),
            shown(cell.cpu, is_measured),
            shown(cell.bytes / 1e6, is_measured),
            shown(cell.delay.0, waited),
            shown(cell.delay.1, waited)
        )
        .unwrap();
    }
    writeln!(
        out,
        "\nA day of the relay has {CHANGES} changes, of one user each, and {CONFIRMATIONS} runs of the apply half that only confirm."
    )
    .unwrap();
    out
}

fn publisher(measured: &Measured) -> String {
    let mut out = String::from(
        "\n### The publisher\n\n| users | requests to IAM and STS in an hour | to S3 | processor in a day, s |\n|--:|--:|--:|--:|\n",
    );
    for users in USERS {
        let Some(relayed) = measured.relayed.get(&(OBSERVED, users)) else { continue };
        let hourly = |each: f64| shown(each * 3600.0, true);
        writeln!(
            out,
            "| {users} | {} | {} | {} |",
            hourly(relayed.iam),
            hourly(relayed.publisher_s3),
            shown(relayed.publisher_cpu * 86_400.0, true)
        )
        .unwrap();
    }
    out
}

fn memory(measured: &Measured) -> String {
    let mut out = String::from(
        "\n### Refreshes without a publisher\n\nPeak memory of the two halves, on one host.\n\n| refresh | requests to IAM and STS | \
         time, s | fetch, MiB | apply, MiB |\n|---|--:|--:|--:|--:|\n",
    );
    for (what, cycle, fetch, apply) in &measured.memory {
        // Of a run that ended before it was looked at, nothing is known, and little of one that had just begun.
        let mib = |bytes: f64| match bytes / f64::from(1 << 20) {
            mib @ 1.0.. => shown(mib, true),
            _ => "–".to_owned(),
        };
        let (iam, seconds) = (shown(cycle.iam, true), shown(cycle.seconds, true));
        writeln!(out, "| {what} | {iam} | {seconds} | {} | {} |", mib(*fetch), mib(*apply)).unwrap();
    }
    out
}

/// Three digits that count, and thousands apart.
fn shown(value: f64, measured: bool) -> String {
    let text = match value {
        0.0 => "0".to_owned(),
        ..1.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => {
            let digits = format!("{value:.0}");
            let groups: Vec<&str> = digits
                .as_bytes()
                .rchunks(3)
                .rev()
                .map(|group| std::str::from_utf8(group).unwrap_or_default())
                .collect();
            groups.join("\u{a0}")
        }
    };
    if measured { text } else { format!("*{text}*") }
}

/// Requests to IAM, by hosts.
#[must_use]
pub fn svg(measured: &Measured) -> String {
    let colours = ["#8c8c8c", "#b07d00", "#2f81d6", "#e0452f"];
    let dashes = ["9 4", "5 3", "9 3 2 3", "none"];
    let series =
        Way::ALL.into_iter().zip(colours.into_iter().zip(dashes)).filter_map(|(way, (colour, dash))| {
            let point = |hosts: usize| {
                let cell = measured.cell(way, hosts, PLOTTED)?;
                Some(Point { x: hosts as f64, y: cell.iam, is_measured: cell.measured })
            };
            let points: Vec<Point> = HOSTS.into_iter().filter_map(point).collect();
            let is_ours = way == Way::Relay;
            (!points.is_empty()).then_some(Series { title: way.title(), colour, dash, is_ours, points })
        });
    let title = format!("Requests to IAM and STS in an hour, {PLOTTED} users (hollow: computed)");
    plot::lines(&Axes { title: &title, x: "hosts" }, &series.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable_and_computed_ones_can_be_told() {
        assert_eq!(
            [0.0, 0.024, 9.96, 1234.5, 3_600_000.0].map(|value| shown(value, true)),
            ["0", "0.02", "10.0", "1\u{a0}234", "3\u{a0}600\u{a0}000"]
        );
        assert_eq!(shown(2.0, false), "*2.0*");
    }
}
