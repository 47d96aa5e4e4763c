//! The numbers of all peers at all sizes, and which peer is fastest.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::peer::Peer;

/// A table, and a plot.
#[derive(Debug)]
pub struct Figure {
    /// In file names.
    pub slug: String,
    /// For people.
    pub title: String,
    /// Of all numbers; less is better.
    pub unit: &'static str,
    /// By number of users.
    pub cells: BTreeMap<usize, BTreeMap<Peer, Cell>>,
}

/// The result of a peer in each round, or its failure.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    rounds: Vec<f64>,
    failed: Option<String>,
}

/// Our module compared with the best of the others.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    /// The best of the others.
    pub best: Peer,
    /// Its time divided by ours: the median of the ratios in each round.
    pub ratio: f64,
    /// Its time minus ours: the median of the differences in each round.
    pub lead: f64,
    /// The number of rounds in which ours was faster.
    pub ahead: usize,
    /// The number of rounds.
    pub rounds: usize,
}

impl Cell {
    /// Adds a round. A failure in one of them is a failure.
    pub fn push(&mut self, round: Result<f64, String>) {
        match round {
            Ok(value) => self.rounds.push(value),
            Err(failed) => self.failed = Some(failed),
        }
    }

    /// The median of all rounds.
    ///
    /// # Errors
    /// The failure of a round.
    pub fn value(&self) -> Result<f64, &str> {
        self.failed.as_deref().map_or_else(|| Ok(median(self.rounds.clone())), Err)
    }

    fn json(&self) -> Value {
        let rounds: Vec<f64> = self.rounds.iter().map(|value| (value * 1000.0).round() / 1000.0).collect();
        json!({"rounds": rounds, "failed": self.failed})
    }
}

impl Figure {
    /// Without numbers yet.
    #[must_use]
    pub fn new(slug: impl Into<String>, title: impl Into<String>, unit: &'static str) -> Self {
        Self { slug: slug.into(), title: title.into(), unit, cells: BTreeMap::new() }
    }

    /// Ours against the best of the others at this size.
    #[must_use]
    pub fn verdict(&self, size: usize) -> Option<Verdict> {
        let cells = self.cells.get(&size)?;
        let ours = cells.get(&Peer::NssIam)?;
        ours.value().ok()?;
        let others = cells.iter().filter(|(peer, _)| **peer != Peer::NssIam);
        let (best, cell, _) = others
            .filter_map(|(peer, cell)| Some((*peer, cell, cell.value().ok()?)))
            .min_by(|(.., a), (.., b)| a.total_cmp(b))?;
        let rounds: Vec<(f64, f64)> = cell.rounds.iter().copied().zip(ours.rounds.iter().copied()).collect();
        let of_rounds = |number: fn(&(f64, f64)) -> f64| median(rounds.iter().map(number).collect());
        Some(Verdict {
            best,
            ratio: of_rounds(|(theirs, ours)| theirs / ours),
            lead: of_rounds(|(theirs, ours)| theirs - ours),
            ahead: rounds.iter().filter(|(theirs, ours)| theirs > ours).count(),
            rounds: rounds.len(),
        })
    }

    /// Every round.
    #[must_use]
    pub fn json(&self) -> Value {
        let sizes = self.cells.iter().map(|(size, cells)| {
            let cells = cells.iter().map(|(peer, cell)| (peer.service().to_owned(), cell.json()));
            (size.to_string(), Value::Object(cells.collect()))
        });
        let sizes: serde_json::Map<_, _> = sizes.collect();
        json!({"slug": self.slug, "title": self.title, "unit": self.unit, "users": sizes})
    }
}

/// The middle one; of an even number, the upper of the two.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(rounds: &[f64]) -> Cell {
        Cell { rounds: rounds.to_vec(), failed: None }
    }

    #[test]
    fn the_ratio_is_that_of_rounds_and_not_of_medians() {
        let mut figure = Figure::new("", "", "µs");
        // The machine got slower from round to round: ours took twice as long in each of them.
        let cells = [(Peer::Files, cell(&[1.0, 3.0, 9.0])), (Peer::NssIam, cell(&[2.0, 6.0, 18.0]))];
        figure.cells.insert(1, cells.into());
        let verdict = figure.verdict(1).unwrap();
        assert_eq!((verdict.best, verdict.ratio, verdict.lead), (Peer::Files, 0.5, -3.0));
    }

    #[test]
    fn a_peer_that_fails_in_one_round_is_not_the_best() {
        let mut figure = Figure::new("", "", "µs");
        let mut crashed = cell(&[0.1]);
        crashed.push(Err("crashed".into()));
        let cells = [(Peer::Files, cell(&[3.0])), (Peer::Extrausers, crashed), (Peer::NssIam, cell(&[1.0]))];
        figure.cells.insert(1, cells.into());
        assert_eq!(figure.verdict(1).unwrap().best, Peer::Files);
    }
}
