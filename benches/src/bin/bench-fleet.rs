//! `make bench-fleet`, `bench-fleet [--quick] [IMPORT_USERS]`: runs each way to keep the users of a fleet on hosts with networks of their own, against one emulator, and
//! writes the tables of docs/fleet.md and its plot. With `--quick` it only shows that it works: few hosts and users, what was
//! measured on standard output. IMPORT_USERS is import_users.sh of aws-ec2-ssh, which is left out without it.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program for a person at a terminal, and ends at the first surprise"
)]

use std::fs;
use std::time::Instant;

use benches::fleet::cycle::{self, Tools};
use benches::fleet::{Measured, OBSERVED, Way, relay, report};
use benches::machine::describe;
use tests::Machine;
use tests::fleet::Fleet;

/// What is run: for each number of users, the ways and on how many hosts. A relay is also run on one.
struct Effort {
    users: Vec<(usize, Vec<(Way, u8)>)>,
    /// Seconds for which a relay is watched.
    window: u64,
}

/// It takes an hour and a half. The script is left out where it would take longer than that alone: with 5000 users, and with 1000 on
/// all hosts. The relay comes first, while nobody has a reason to use the machine for something else: its delays depend on the load.
fn full() -> Effort {
    const ALL: u8 = OBSERVED as u8;
    let each = |ways: &[Way]| ways.iter().flat_map(|way| [(*way, 1), (*way, ALL)]).collect::<Vec<_>>();
    let relay = (Way::Relay, ALL);
    let users = vec![
        (100, [each(&[Way::AwsEc2Ssh, Way::Direct]), vec![relay]].concat()),
        (1000, [each(&[Way::AwsEc2Ssh, Way::Direct]), vec![relay]].concat()),
        (5000, vec![(Way::AwsEc2Ssh, 1), (Way::Direct, 1), relay]),
        (5000, vec![(Way::Direct, ALL)]),
        (100, each(&[Way::Script])),
        (1000, vec![(Way::Script, 1)]),
        (5000, vec![(Way::AwsEc2Ssh, ALL)]),
    ];
    // Five rounds of the publisher.
    Effort { users, window: 100 }
}

fn quick() -> Effort {
    let ways = [(Way::Script, 1), (Way::AwsEc2Ssh, 1), (Way::Direct, 2), (Way::Relay, 2)];
    Effort { users: vec![(5, ways.into())], window: 5 }
}

fn main() {
    let (flags, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word == "--quick");
    let is_quick = !flags.is_empty();
    let effort = if is_quick { quick() } else { full() };
    let started = Instant::now();
    let tools = Tools {
        aws: tests::repository().join(".venv/aws/bin").display().to_string(),
        import_users: words.into_iter().next(),
    };
    let setting = std::thread::spawn(|| Machine::enter().map(|machine| describe(&machine))).join();
    let Ok(Some(setting)) = setting else { panic!("the benchmark needs root") };
    let mut measured = Measured::default();
    for (users, ways) in effort.users {
        let (tools, window) = (tools.clone(), effort.window);
        // A network is a thread's own.
        let run = std::thread::spawn(move || of_users(users, &ways, &tools, window));
        let Ok(more) = run.join() else { panic!("the benchmark stops here") };
        more.cycles
            .into_iter()
            .for_each(|(way, cycles)| measured.cycles.entry(way).or_default().extend(cycles));
        measured.relayed.extend(more.relayed);
        measured.memory.extend(more.memory);
        eprintln!("{}", report::markdown(&measured, &setting));
    }
    if is_quick {
        println!("{measured:#?}");
    } else {
        let tables = report::markdown(&measured, &setting);
        println!("{tables}");
        write(&tables, &report::svg(&measured));
        println!("wrote docs/fleet.md and docs/fleet.svg in {:.0} s", started.elapsed().as_secs_f64());
    }
}

/// Everything with so many users, on one emulator.
fn of_users(users: usize, ways: &[(Way, u8)], tools: &Tools, window: u64) -> Measured {
    // On a disk: what is written to memory is not counted.
    let disk = tempfile::tempdir_in("/var/tmp").unwrap();
    let Some(fleet) = Fleet::start_on(Some(disk.path().to_owned())) else {
        panic!("the benchmark needs root")
    };
    let people = cycle::seed(&fleet, users);
    let (mut measured, mut next) = (Measured::default(), 1);
    for (way, hosts) in ways {
        if *way == Way::AwsEc2Ssh && tools.import_users.is_none() {
            continue;
        }
        eprintln!("{users} users, {hosts} hosts: {}", way.title());
        if *way == Way::Relay {
            let [alone, all] = relay::run(&fleet, next..next + hosts, &people, window);
            measured.relayed.insert((1, users), alone);
            measured.relayed.insert((usize::from(*hosts), users), all);
            continue;
        }
        let (found, memory) = cycle::run(&fleet, *way, next..next + hosts, &people, tools);
        next += hosts;
        measured.cycles.entry(*way).or_default().insert((usize::from(*hosts), users), found);
        if *hosts == 1 {
            for (what, (cycle, (fetch, apply))) in ["first", "second"].into_iter().zip(memory) {
                measured.memory.push((format!("{what}, {users} users"), cycle, fetch, apply));
            }
        }
    }
    measured
}

/// Replaces the generated part of docs/fleet.md, and the plot.
fn write(tables: &str, plot: &str) {
    let docs = tests::repository().join("docs");
    let page = fs::read_to_string(docs.join("fleet.md")).unwrap();
    let (before, rest) = page.split_once(report::BEGIN).unwrap();
    let (_, after) = rest.split_once(report::END).unwrap();
    let page = format!("{before}{}\n{tables}{}{after}", report::BEGIN, report::END);
    fs::write(docs.join("fleet.md"), page).unwrap();
    fs::write(docs.join("fleet.svg"), plot).unwrap();
}
