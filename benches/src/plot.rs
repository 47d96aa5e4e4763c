//! A figure as an SVG: lines, both axes on a logarithmic scale.

use std::fmt::Write;

use crate::figure::Figure;
use crate::peer::Peer;

const WIDTH: f64 = 740.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 540.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 346.0;

/// Both backgrounds have enough contrast to each colour.
const STYLE: &str = "text{font:13px sans-serif;fill:#24292f}.title{font-size:16px;font-weight:bold}\
    .back{fill:#fff}.grid{stroke:#d0d7de;stroke-width:1}.end{text-anchor:end}.middle{text-anchor:middle}\
    @media (prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117}.grid{stroke:#30363d}}";

const fn colour(peer: Peer) -> &'static str {
    match peer {
        Peer::Files => "#8c8c8c",
        Peer::Cache => "#2f81d6",
        Peer::Extrausers => "#b07d00",
        Peer::Sssd => "#a45ad1",
        Peer::Reference => "#1f9a83",
        Peer::NssIam => "#e0452f",
    }
}

/// A dash pattern for each peer, for readers who cannot distinguish the colours; ours is solid and thick.
const fn dash(peer: Peer) -> &'static str {
    match peer {
        Peer::Files => "9 4",
        Peer::Cache => "2 3",
        Peer::Extrausers => "9 3 2 3",
        Peer::Sssd => "5 3",
        Peer::Reference => "2 6",
        Peer::NssIam => "none",
    }
}

/// A logarithmic axis: from which to which power of ten, and where these are drawn.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        self.from + share * (self.to - self.from)
    }
}

/// A line.
#[derive(Debug)]
pub struct Series<'a> {
    /// In the legend.
    pub title: &'a str,
    /// On both backgrounds.
    pub colour: &'a str,
    /// Of SVG's `stroke-dasharray`.
    pub dash: &'a str,
    /// It is drawn thick.
    pub is_ours: bool,
    /// In order of `x`.
    pub points: Vec<Point>,
}

/// A point of a line. No value is 0.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Otherwise it is computed, and drawn hollow.
    pub is_measured: bool,
}

/// What the axes mean.
#[derive(Debug)]
pub struct Axes<'a> {
    /// What is shown upwards, and its unit.
    pub title: &'a str,
    /// What is shown to the right.
    pub x: &'a str,
}

/// The whole file.
#[must_use]
pub fn svg(figure: &Figure) -> String {
    let points = |peer: Peer| {
        let cells = figure
            .cells
            .iter()
            .filter_map(move |(size, cells)| Some((*size as f64, cells.get(&peer)?.value().ok()?)))
            .map(|(x, y)| Point { x, y, is_measured: true });
        cells.collect::<Vec<_>>()
    };
    let series = Peer::ALL.into_iter().map(|peer| Series {
        title: peer.title(),
        colour: colour(peer),
        dash: dash(peer),
        is_ours: peer == Peer::NssIam,
        points: points(peer),
    });
    let series: Vec<Series<'_>> = series.filter(|series| !series.points.is_empty()).collect();
    lines(&Axes { title: &format!("{} ({})", figure.title, figure.unit), x: "users" }, &series)
}

/// Lines, each with its title beside it.
#[must_use]
pub fn lines(axes: &Axes<'_>, series: &[Series<'_>]) -> String {
    let all: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.y).collect();
    let least = all.iter().copied().fold(f64::INFINITY, f64::min).log10();
    let most = all.iter().copied().fold(0.0, f64::max).log10();
    let y = Scale { low: least.floor(), high: most.ceil().max(least.floor() + 1.0), from: BOTTOM, to: TOP };
    let mut sizes: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let (first, last) = (sizes[0].log10(), sizes[sizes.len() - 1].log10());
    let x = Scale { low: first, high: last.max(first + 1.0), from: LEFT + 16.0, to: RIGHT - 16.0 };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" aria-label=\"{0}\">\n<style>{STYLE}</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"28\">{0}</text>\n",
        axes.title
    );
    grid(&mut out, &x, &y, &sizes, axes.x);
    for Series { colour, dash, is_ours, points, .. } in series {
        let line: Vec<_> =
            points.iter().map(|point| format!("{:.1},{:.1}", x.place(point.x), y.place(point.y))).collect();
        let width = width(*is_ours);
        writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dash}\"/>",
            line.join(" ")
        )
        .unwrap();
        for point in points {
            let (x, y, radius) = (x.place(point.x), y.place(point.y), width + 1.5);
            let drawn = if point.is_measured {
                format!("fill=\"{colour}\"")
            } else {
                format!("class=\"back\" stroke=\"{colour}\" stroke-width=\"1.8\"")
            };
            writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" {drawn}/>").unwrap();
        }
    }
    // The legend is in the order of the lines' right ends, from the top.
    let mut drawn: Vec<&Series<'_>> = series.iter().collect();
    drawn.sort_by(|a, b| b.points[b.points.len() - 1].y.total_cmp(&a.points[a.points.len() - 1].y));
    for (at, series) in drawn.iter().enumerate() {
        legend(&mut out, series, 70.0 + 24.0 * at as f64);
    }
    out.push_str("</svg>\n");
    out
}

const fn width(is_ours: bool) -> f64 {
    if is_ours { 3.0 } else { 1.8 }
}

fn grid(out: &mut String, x: &Scale, y: &Scale, sizes: &[f64], title: &str) {
    for power in y.low as i32..=y.high as i32 {
        let value = 10_f64.powi(power);
        let at = y.place(value);
        writeln!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>")
            .unwrap();
        let label = short(value);
        writeln!(out, "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{label}</text>", LEFT - 8.0, at + 4.0)
            .unwrap();
    }
    for size in sizes {
        let at = x.place(*size);
        writeln!(out, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>")
            .unwrap();
        writeln!(out, "<text class=\"middle\" x=\"{at:.1}\" y=\"{}\">{}</text>", BOTTOM + 20.0, short(*size))
            .unwrap();
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    writeln!(out, "<text class=\"middle\" x=\"{middle}\" y=\"{}\">{title}</text>", BOTTOM + 40.0).unwrap();
}

fn legend(out: &mut String, series: &Series<'_>, at: f64) {
    let (from, to) = (RIGHT + 14.0, RIGHT + 44.0);
    let Series { title, colour, dash, .. } = series;
    let width = width(series.is_ours);
    writeln!(
        out,
        "<line x1=\"{from}\" x2=\"{to}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\" \
         stroke-dasharray=\"{dash}\"/>\n<text x=\"{1}\" y=\"{at:.1}\">{title}</text>",
        at - 4.5,
        to + 8.0
    )
    .unwrap();
}

/// 0.1, 10, 1k, 50k, 1M.
fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{}M", value / 1e6),
        1e3.. => format!("{}k", value / 1e3),
        _ => format!("{value}"),
    }
}
