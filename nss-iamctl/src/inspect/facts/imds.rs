//! What blocks nss-iam users from the instance metadata: `nss-iam-imds.service`, and its rules in the kernel.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::host::Host;
use crate::host::paths::IMDS;
use crate::inspect::facts::unit::Unit;

/// Both addresses of the metadata service of EC2.
pub(crate) const ADDRESSES: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];
/// Before every chain that changes the address of packets; see config/imds.nft.
const PRIORITY: i64 = -300;

/// Of an installed unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImdsFacts {
    pub unit: Unit,
    /// Whether the next boot starts it.
    pub enabled: bool,
    /// `None` if not read, because only root may.
    pub rules: Option<Result<Rules, Unseen>>,
}

/// Why the rules cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unseen {
    NoProgram,
    NoTable,
    /// What nft complained about.
    Failed(String),
}

/// Of the table `inet nss_iam`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Whether every packet that leaves a process passes the chain `output`.
    pub hooked: bool,
    /// The addresses whose packets that chain sends to the chain `guests`.
    pub addresses: Vec<String>,
    /// The uids that the chain `guests` refuses.
    pub refused: Vec<RangeInclusive<u32>>,
}

/// `None` if systemd is not running, or does not have the unit.
pub(crate) fn gather(host: &Host, root: bool) -> Option<ImdsFacts> {
    let unit = Unit::of(host, IMDS);
    if unit.load != "loaded" {
        return None;
    }
    let enabled = host.run(&["systemctl", "is-enabled", "--quiet", IMDS]).is_ok_and(|ran| ran.success());
    Some(ImdsFacts { unit, enabled, rules: root.then(|| rules(host)) })
}

fn rules(host: &Host) -> Result<Rules, Unseen> {
    host.find("nft").ok_or(Unseen::NoProgram)?;
    let listed = host.run(&["nft", "-j", "list", "table", "inet", "nss_iam"]);
    let listed = listed.map_err(|cause| Unseen::Failed(cause.message().what().to_owned()))?;
    match listed.success() {
        true => Rules::parse(&listed.stdout)
            .ok_or_else(|| Unseen::Failed("what nft prints is not understood".to_owned())),
        false if listed.stderr.contains("No such file or directory") => Err(Unseen::NoTable),
        false => Err(Unseen::Failed(listed.complaint())),
    }
}

impl Rules {
    /// Whether all of these uids are refused.
    pub(crate) fn refuse(&self, uids: &RangeInclusive<u32>) -> bool {
        self.refused.iter().any(|refused| refused.contains(uids.start()) && refused.contains(uids.end()))
    }

    /// Reads libnftables-json(5). Whatever differs from the shipped table counts as missing.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        let listed: Value = serde_json::from_str(json).ok()?;
        let mut rules = Self::default();
        let mut dormant = false;
        for object in listed.get("nftables")?.as_array()? {
            if let Some(flags) = object.pointer("/table/flags") {
                dormant |= flags.to_string().contains("dormant");
            } else if let Some(chain) = object.get("chain").filter(|chain| text(chain, "name") == "output") {
                let at =
                    (text(chain, "type"), text(chain, "hook"), chain.get("prio").and_then(Value::as_i64));
                rules.hooked = at == ("filter", "output", Some(PRIORITY));
            } else if let Some(rule) = object.get("rule") {
                rules.add(rule);
            }
        }
        rules.hooked &= !dormant;
        Some(rules)
    }

    fn add(&mut self, rule: &Value) -> Option<()> {
        let parts = rule.get("expr")?.as_array()?.iter().filter(|part| part.get("counter").is_none());
        let [condition, verdict] = parts.collect::<Vec<_>>().try_into().ok()?;
        let condition = condition.get("match").filter(|condition| text(condition, "op") == "==")?;
        let (left, right) = (condition.get("left")?, condition.get("right")?);
        match text(rule, "chain") {
            "output" if verdict.pointer("/jump/target").and_then(Value::as_str) == Some("guests") => {
                (left.pointer("/payload/field")?.as_str() == Some("daddr")).then_some(())?;
                self.addresses.push(right.as_str()?.to_owned());
            }
            "guests" if verdict.get("reject").is_some() => {
                (left.pointer("/meta/key")?.as_str() == Some("skuid")).then_some(())?;
                let uid = |value: &Value| value.as_u64().and_then(|uid| u32::try_from(uid).ok());
                let (first, last) = match right.get("range").and_then(Value::as_array).map(Vec::as_slice) {
                    Some([first, last]) => (uid(first)?, uid(last)?),
                    _ => (uid(right)?, uid(right)?),
                };
                self.refused.push(first..=last);
            }
            _ => {}
        }
        Some(())
    }
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nft 1.0.6 prints config/imds.nft with one pinned id.
    const LISTED: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "inet", "name": "nss_iam", "handle": 1}},
        {"chain": {"table": "nss_iam", "name": "output", "type": "filter", "hook": "output", "prio": -300, "policy": "accept"}},
        {"chain": {"table": "nss_iam", "name": "guests"}},
        {"rule": {"chain": "output", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}},
            "right": "169.254.169.254"}}, {"jump": {"target": "guests"}}]}},
        {"rule": {"chain": "output", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip6", "field": "daddr"}},
            "right": "fd00:ec2::254"}}, {"jump": {"target": "guests"}}]}},
        {"rule": {"chain": "guests", "expr": [{"match": {"op": "==", "left": {"meta": {"key": "skuid"}},
            "right": {"range": [1879048192, 2147352575]}}}, {"counter": {"packets": 1, "bytes": 29}}, {"reject": {"type": "icmpx"}}]}},
        {"rule": {"chain": "guests", "expr": [{"match": {"op": "==", "left": {"meta": {"key": "skuid"}},
            "right": 1005}}, {"counter": {"packets": 1, "bytes": 29}}, {"reject": null}]}}]}"#;

    #[test]
    fn what_nft_lists_is_understood() {
        let rules = Rules::parse(LISTED).unwrap();
        assert!(rules.hooked);
        assert_eq!(rules.addresses, ADDRESSES);
        assert_eq!(rules.refused, [0x7000_0000..=0x7ffd_ffff, 1005..=1005]);
        assert!(rules.refuse(&(0x7000_0000..=0x7000_0001)) && rules.refuse(&(1005..=1005)));
        assert!(!rules.refuse(&(1005..=1006)) && !rules.refuse(&(1000..=1000)));
        assert_eq!(Rules::parse("{}"), None);
        assert_eq!(Rules::parse("Error: JSON support not compiled-in"), None);
    }

    #[test]
    fn a_rule_that_was_changed_is_a_rule_that_is_missing() {
        let changed = |from: &str, to: &str| {
            assert!(LISTED.contains(from), "{from}");
            Rules::parse(&LISTED.replace(from, to)).unwrap()
        };
        assert!(!changed("\"prio\": -300", "\"prio\": 0").hooked);
        assert!(!changed("\"hook\": \"output\"", "\"hook\": \"input\"").hooked);
        assert!(!changed("\"handle\": 1", "\"flags\": \"dormant\"").hooked);
        assert!(!changed("\"handle\": 1", "\"flags\": [\"dormant\"]").hooked);
        assert_eq!(changed("\"jump\": {\"target\": \"guests\"}", "\"accept\": null").addresses.len(), 0);
        assert_eq!(changed("\"reject\": null", "\"accept\": null").refused.len(), 1);
        assert_eq!(changed("\"op\": \"==\"", "\"op\": \"!=\"").refused.len(), 0);
        assert_eq!(changed("skuid", "skgid").refused.len(), 0);
    }
}
