//! Rules, dashboard and pages use the metrics that there are, and Prometheus' own programs read them.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::{is_root, repository, target};

const RULES: &str = "deploy/prometheus/nss-iam.rules.yml";
const DASHBOARD: &str = "deploy/grafana/nss-iam.json";
/// The text of a report with a value for each metric, as a test of `status` compares it.
const ALL: &str = "status/src/metrics/full.prom";

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|cause| panic!("{path}: {cause}"))
}

/// The names that are written.
fn written() -> BTreeSet<String> {
    let text = read(ALL);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

/// The names in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    words.filter(|word| word.starts_with("nss_iam_")).map(str::to_owned).collect()
}

/// The dashboard's queries, without its variables.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap().clone());
    let queries: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(queries.len() > 15, "{queries:?}");
    queries.iter().map(|query| query.replace("$__rate_interval", "15m").replace("$instance", ".*")).collect()
}

/// A program of the tree that `tests/trees.sh` makes.
fn program(name: &str) -> Option<PathBuf> {
    if !is_root() {
        return None;
    }
    let path = target().join("trees/prometheus/usr/bin").join(name);
    assert!(path.is_file(), "'{}' is missing\nhint: tests/trees.sh", path.display());
    Some(path)
}

/// Runs promtool, which must find nothing wrong.
fn promtool(words: &[&str], input: Stdio) -> Option<String> {
    let ran = Command::new(program("promtool")?)
        .args(words)
        .stdin(input)
        .current_dir(repository())
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(ran.status.success(), "{words:?}: {said}");
    Some(said)
}

#[test]
fn rules_and_dashboard_ask_only_for_metrics_that_are_written_and_leave_none_out() {
    let written = written();
    let mut asked = named(&queries().join("\n"));
    asked.extend(named(&read(RULES)));
    asked.extend(named(&read("docs/guide/metrics.md").replace("nss_iam_cache_t", "")));
    assert_eq!(asked.difference(&written).collect::<Vec<_>>(), [""; 0]);
    // What only tells apart or explains.
    let spare = [
        "nss_iam_account_complete",
        "nss_iam_account_users",
        "nss_iam_fetch_timestamp_seconds",
        "nss_iam_listing_generation",
    ];
    assert_eq!(written.difference(&asked).collect::<Vec<_>>(), spare);
}

#[test]
fn the_page_has_each_metric_with_type_and_labels_and_says_what_it_is() {
    let text = read(ALL);
    let mut rows = Vec::new();
    for name in written() {
        let start = format!("# TYPE {name} ");
        let kind = text.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        let series = text.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap_or_default();
        let labels = series.split_once('{').map_or("", |(_, labels)| labels).split("\",");
        let labels = labels.filter_map(|label| Some(format!("`{}`", label.split_once("=\"")?.0)));
        let labels: Vec<String> = labels.collect();
        rows.push(format!("| `{name}` | {kind} | {} ", labels.join(", ")));
    }
    let page = read("docs/reference/metrics.md");
    let described = page.lines().filter(|line| line.starts_with("| `nss_iam_"));
    let described = described.map(|line| line.trim_end_matches('|').rsplit_once("| ").unwrap());
    let (mut described, contents): (Vec<&str>, Vec<&str>) = described.unzip();
    rows.sort();
    described.sort_unstable();
    assert_eq!(described, rows);
    assert!(contents.iter().all(|content| content.ends_with(". ")), "{contents:?}");
}

#[test]
fn the_guide_has_each_alert_with_its_severity() {
    let rules = read(RULES);
    let alerts = rules.split("- alert: ").skip(1).map(|alert| {
        let severity = alert.split_once("severity: ").unwrap().1.lines().next().unwrap();
        (alert.lines().next().unwrap().to_owned(), severity.to_owned())
    });
    let page = read("docs/guide/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `NssIam"));
    let described = rows.map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        (cells[0].trim_matches(['|', ' ', '`']).to_owned(), cells[1].to_owned())
    });
    assert_eq!(described.collect::<Vec<_>>(), alerts.collect::<Vec<_>>());
}

#[test]
fn promtool_finds_nothing_wrong_with_rules_and_queries() {
    promtool(&["check", "rules", "--lint-fatal", RULES], Stdio::null());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("queries.yml");
    let rule = |(number, query): (usize, String)| {
        format!("      - record: query{number}\n        expr: {}\n", serde_json::to_string(&query).unwrap())
    };
    let rules: String = queries().into_iter().enumerate().map(rule).collect();
    fs::write(&file, format!("groups:\n  - name: dashboard\n    rules:\n{rules}")).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], Stdio::null());
}

#[test]
fn alerts_fire_when_they_should_and_not_otherwise() {
    promtool(&["test", "rules", "tests/prometheus/rules.yml"], Stdio::null());
}

/// As docs/guide/metrics.md says how metrics get to Prometheus.
#[test]
fn node_exporter_follows_a_link_to_the_metrics_and_promtool_finds_nothing_wrong_with_them() {
    let Some(exporter) = program("prometheus-node-exporter") else { return };
    let directory = tempfile::tempdir().unwrap();
    symlink(repository().join(ALL), directory.path().join("nss-iam.prom")).unwrap();
    let mut exporter = Command::new(exporter)
        .args(["--collector.disable-defaults", "--collector.textfile", "--web.listen-address=127.0.0.1:0"])
        .arg(format!("--collector.textfile.directory={}", directory.path().display()))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(exporter.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = said.find_map(|line| Some(line.split_once("address=127.0.0.1:")?.1.to_owned()));
    let shown = address.map(|port| {
        let mut answer = ureq::get(format!("http://127.0.0.1:{port}/metrics")).call().unwrap();
        answer.body_mut().read_to_string().unwrap()
    });
    exporter.kill().unwrap();
    exporter.wait().unwrap();
    let shown = shown.unwrap();
    assert!(shown.contains("node_textfile_scrape_error 0\n"), "{shown}");
    let names: BTreeSet<String> = named(&shown).into_iter().filter(|name| written().contains(name)).collect();
    assert_eq!(names, written());
    assert!(shown.contains("nss_iam_users{state=\"active\"} 412\n"), "{shown}");
    let ours: String =
        shown.lines().filter(|line| line.contains("nss_iam_")).map(|line| format!("{line}\n")).collect();
    let file = directory.path().join("shown");
    fs::write(&file, ours).unwrap();
    assert_eq!(promtool(&["check", "metrics"], File::open(file).unwrap().into()).as_deref(), Some(""));
}
