//! The choice of a caching policy in forms and queries.

use hitrate_cache::CachePolicy;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Unexpected},
};

use crate::{
    input::OnOff,
    web::{form_view::Choice, state::WorkerState},
};

/// A policy, parsed from its name.
#[derive(Debug, Clone, Copy)]
pub struct PolicyName(pub CachePolicy);

impl<'de> Deserialize<'de> for PolicyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let unknown = |_| D::Error::invalid_value(Unexpected::Str(&name), &&*CachePolicy::names());
        name.parse().map(Self).map_err(unknown)
    }
}

/// Options of a select: the configured default first, then all policies.
pub fn choices(chosen: Option<&str>, configured: &str) -> Vec<Choice> {
    let first = Choice {
        value: String::new(),
        label: format!("default ({configured})"),
        chosen: chosen.is_none(),
    };
    let others = CachePolicy::ALL.into_iter().map(|policy| Choice {
        value: policy.name.to_owned(),
        label: policy.name.to_owned(),
        chosen: chosen == Some(policy.name),
    });
    std::iter::once(first).chain(others).collect()
}

/// The requested policy, or the configured one; bypassed with `cache=off`.
pub fn chosen(app: &WorkerState, policy: Option<PolicyName>, cache: Option<OnOff>) -> CachePolicy {
    let policy = policy.map_or(app.shared.policy, |it| it.0);
    match cache {
        Some(OnOff::Off) => policy.bypassing(),
        _ => policy,
    }
}
