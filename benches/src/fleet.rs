//! What it costs to keep the users of many hosts: ways to do it, and how a cell of the table follows from what was measured.

pub mod cycle;
pub mod relay;
pub mod report;
pub mod usage;

use std::collections::BTreeMap;

/// Hosts of the table.
pub const HOSTS: [usize; 4] = [1, 20, 100, 10_000];
/// Users of the table.
pub const USERS: [usize; 3] = [100, 1000, 5000];
/// Hosts of which the worst delay is told.
pub const OBSERVED: usize = 20;

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;

/// How the users get to the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// `benches/fleet/useradd-users`, every hour.
    Script,
    /// import_users.sh of widdix/aws-ec2-ssh, every 10 minutes, as its installer sets it up.
    AwsEc2Ssh,
    /// nss-iam with IAM as the source, by the timer, every 5 minutes.
    Direct,
    /// nss-iam with a publisher and S3.
    Relay,
}

impl Way {
    /// All, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Script, Self::AwsEc2Ssh, Self::Direct, Self::Relay];

    /// For people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Script => "useradd script",
            Self::AwsEc2Ssh => "aws-ec2-ssh",
            Self::Direct => "direct",
            Self::Relay => "relay",
        }
    }

    /// Seconds between two runs on a host.
    #[must_use]
    pub const fn period(self) -> f64 {
        match self {
            Self::Script => HOUR,
            Self::AwsEc2Ssh => 600.0,
            Self::Direct => 300.0,
            Self::Relay => 10.0,
        }
    }
}

/// One run on each of some hosts at the same time, which found nothing new. Sums over all hosts but for the time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cycle {
    /// Requests to IAM and STS.
    pub iam: f64,
    /// Seconds of processor time.
    pub cpu: f64,
    /// Bytes written to the disk.
    pub bytes: f64,
    /// Seconds that it took, on the slowest host.
    pub seconds: f64,
}

/// A publisher and hosts that read what it publishes. Per second, of the whole fleet.
#[derive(Debug, Clone, Default)]
pub struct Relayed {
    /// Requests of the publisher to IAM and STS.
    pub iam: f64,
    /// Requests of the publisher to S3.
    pub publisher_s3: f64,
    /// Requests of all hosts to S3.
    pub hosts_s3: f64,
    /// Seconds of processor time of the publisher.
    pub publisher_cpu: f64,
    /// Seconds of processor time of all hosts while nothing changes.
    pub cpu: f64,
    /// Bytes that all hosts write while nothing changes.
    pub bytes: f64,
    /// The same of one change on one host.
    pub change: Cycle,
    /// Of one run of the apply half on one host that only confirms.
    pub confirmation: Cycle,
    /// Seconds after each removal until each host has it in force.
    pub delays: Vec<f64>,
}

/// How often in a day one user joins or leaves.
pub const CHANGES: f64 = 24.0;
/// How often in a day a host confirms what is published.
pub const CONFIRMATIONS: f64 = 4.0 * 24.0;

/// A cell of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Whether so many hosts with so many users were run; otherwise it is computed.
    pub measured: bool,
    /// Requests to IAM and STS in an hour, of all hosts.
    pub iam: f64,
    /// Requests to S3 in an hour, of all hosts.
    pub s3: f64,
    /// Seconds of processor time of a host in a day.
    pub cpu: f64,
    /// Bytes that a host writes in a day.
    pub bytes: f64,
    /// Seconds until a removal is in force: the median of [`OBSERVED`] hosts, and the last of them.
    pub delay: (f64, f64),
}

/// Everything that was measured, by hosts and users.
#[derive(Debug, Default)]
pub struct Measured {
    /// Of the ways that run again and again.
    pub cycles: BTreeMap<Way, BTreeMap<(usize, usize), Cycle>>,
    /// Of the relay.
    pub relayed: BTreeMap<(usize, usize), Relayed>,
    /// Peak memory of the halves in bytes, by what they did: fetch, apply.
    pub memory: Vec<(String, Cycle, f64, f64)>,
}

impl Measured {
    /// The cell of so many hosts and users, if this way was measured.
    #[must_use]
    pub fn cell(&self, way: Way, hosts: usize, users: usize) -> Option<Cell> {
        if way == Way::Relay { self.relay(hosts, users) } else { self.runs(way, hosts, users) }
    }

    fn runs(&self, way: Way, hosts: usize, users: usize) -> Option<Cell> {
        let cycles = self.cycles.get(&way)?;
        let (measured, count, cycle) = match cycles.get(&(hosts, users)) {
            Some(cycle) => (true, hosts, *cycle),
            None => (false, 1, of_one_host(cycles, users)?),
        };
        let seconds = of_one_host(cycles, users)?.seconds;
        let (each, period) = (1.0 / count as f64, way.period().max(seconds));
        Some(Cell {
            measured,
            iam: cycle.iam * each * hosts as f64 * HOUR / period,
            s3: 0.0,
            cpu: cycle.cpu * each * DAY / period,
            bytes: cycle.bytes * each * DAY / period,
            delay: waiting(period, seconds),
        })
    }

    fn relay(&self, hosts: usize, users: usize) -> Option<Cell> {
        let (from, measured) = match self.relayed.get(&(hosts, users)) {
            Some(relayed) => (relayed, Some(hosts)),
            None => (self.relayed.get(&(OBSERVED, users))?, None),
        };
        let count = measured.unwrap_or(OBSERVED) as f64;
        let each = hosts as f64 / count;
        let observed = self.relayed.get(&(OBSERVED, users))?;
        let mut delays = observed.delays.clone();
        delays.sort_by(f64::total_cmp);
        let applied = |of: fn(&Cycle) -> f64| {
            of(&observed.change) * CHANGES + of(&observed.confirmation) * CONFIRMATIONS
        };
        Some(Cell {
            measured: measured.is_some(),
            iam: from.iam * HOUR,
            s3: (from.publisher_s3 + from.hosts_s3 * each) * HOUR,
            cpu: from.cpu / count * DAY + applied(|cycle| cycle.cpu),
            bytes: from.bytes / count * DAY + applied(|cycle| cycle.bytes),
            delay: (*delays.get(delays.len() / 2)?, *delays.last()?),
        })
    }
}

/// A run on one host: measured, or along the line through the two measured numbers of users that are nearest.
fn of_one_host(cycles: &BTreeMap<(usize, usize), Cycle>, users: usize) -> Option<Cycle> {
    let alone: Vec<(usize, &Cycle)> = cycles
        .iter()
        .filter(|((hosts, _), _)| *hosts == 1)
        .map(|((_, users), cycle)| (*users, cycle))
        .collect();
    if let Some((_, cycle)) = alone.iter().find(|(measured, _)| *measured == users) {
        return Some(**cycle);
    }
    let [.., (few, less), (many, more)] = alone.as_slice() else { return None };
    let share = (users as f64 - *few as f64) / (*many as f64 - *few as f64);
    let line = |of: fn(&Cycle) -> f64| of(less) + share * (of(more) - of(less));
    // The group comes in pages of 100.
    let pages = |users: usize| users.div_ceil(100) as f64;
    let calls = |cycle: &Cycle, users: usize| cycle.iam - pages(users);
    let iam = calls(less, *few) + share * (calls(more, *many) - calls(less, *few)) + pages(users);
    Some(Cycle {
        iam,
        cpu: line(|cycle| cycle.cpu),
        bytes: line(|cycle| cycle.bytes),
        seconds: line(|cycle| cycle.seconds),
    })
}

/// Runs begin at any time, independently on each host: what [`OBSERVED`] hosts can expect.
fn waiting(period: f64, run: f64) -> (f64, f64) {
    let hosts = OBSERVED as f64;
    (period / 2.0 + run, period * hosts / (hosts + 1.0) + run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_not_measured_lies_on_a_line() {
        let cycle = |users: usize| Cycle {
            iam: 1.0 + 2.0 * users as f64,
            cpu: users as f64,
            bytes: 0.0,
            seconds: 1.0 + users as f64,
        };
        let cycles = [25, 100].map(|users| ((1, users), cycle(users))).into();
        let computed = of_one_host(&cycles, 1000).unwrap();
        assert_eq!((computed.iam, computed.cpu, computed.seconds), (2010.0, 1000.0, 1001.0));
        let measured = Measured { cycles: [(Way::Script, cycles)].into(), ..Measured::default() };
        let cell = measured.cell(Way::Script, 100, 1000).unwrap();
        assert_eq!((cell.measured, cell.iam, cell.cpu), (false, 201_000.0, 24_000.0));
        assert_eq!(cell.delay.0, 1800.0 + 1001.0);
        assert!(measured.cell(Way::Script, 1, 100).unwrap().measured);
        assert_eq!(measured.cell(Way::Relay, 1, 100), None);
    }

    #[test]
    fn hosts_of_a_relay_add_requests_to_s3_and_none_to_iam() {
        let relayed = Relayed {
            iam: 1.0,
            publisher_s3: 0.05,
            hosts_s3: 2.0,
            delays: vec![30.0, 10.0, 20.0],
            ..Relayed::default()
        };
        let measured = Measured { relayed: [((20, 100), relayed)].into(), ..Measured::default() };
        let cell = measured.cell(Way::Relay, 10_000, 100).unwrap();
        assert_eq!((cell.iam, cell.s3), (3600.0, 180.0 + 3_600_000.0));
        assert_eq!((cell.measured, cell.delay), (false, (20.0, 30.0)));
    }
}
