//! The choice of a caching policy and of a simulated delay, in forms and queries.

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Unexpected},
};

use crate::{
    demo::policy::Policy,
    input::OnOff,
    web::{form_view::Choice, state::WorkerState},
};

/// A policy, parsed from its name.
#[derive(Debug, Clone, Copy)]
pub struct PolicyName(pub Policy);

impl<'de> Deserialize<'de> for PolicyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let unknown = |_| D::Error::invalid_value(Unexpected::Str(&name), &&*Policy::names());
        name.parse().map(Self).map_err(unknown)
    }
}

/// All policies, as options of a select.
pub fn choices() -> impl Iterator<Item = Choice> {
    Policy::ALL.into_iter().map(|policy| Choice::of(policy.name, policy.name))
}

/// Simulated database delays in milliseconds, as options of a select; the chosen one is
/// added if it is none of them.
pub fn delays(offered: &[u32], chosen: Option<u32>) -> impl Iterator<Item = Choice> {
    let other = chosen.filter(|ms| !offered.contains(ms));
    offered.iter().copied().chain(other).map(|ms| Choice::of(ms.to_string(), delay(ms.into())))
}

/// A delay as `none`, `50 ms` or `2 s`.
pub fn delay(ms: u64) -> String {
    match ms {
        0 => "none".to_owned(),
        ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{ms} ms"),
    }
}

/// The requested policy, or the configured one; bypassed with `cache=off`.
pub fn chosen(app: &WorkerState, policy: Option<PolicyName>, cache: Option<OnOff>) -> Policy {
    let policy = policy.map_or(app.shared.policy, |it| it.0);
    match cache {
        Some(OnOff::Off) => policy.bypassing(),
        _ => policy,
    }
}
