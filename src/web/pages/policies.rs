//! The choice of a policy, as pages that look something up offer it.

use hitrate_cache::CachePolicy;

use crate::web::{error::Result, form::Fields, state::WorkerState};

/// A line of a select.
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// Whether it is the present one.
    pub chosen: bool,
}

/// The policies, the configured one first: choosing nothing is that.
pub fn choices(chosen: Option<&str>, configured: &str) -> Vec<Choice> {
    let first = Choice {
        value: String::new(),
        label: format!("as set ({configured})"),
        chosen: chosen.is_none(),
    };
    let others = CachePolicy::ALL.into_iter().map(|policy| Choice {
        value: policy.name.to_owned(),
        label: policy.name.to_owned(),
        chosen: chosen == Some(policy.name),
    });
    std::iter::once(first).chain(others).collect()
}

/// What was asked for by `policy` and `cache`, else what is configured.
pub fn chosen(app: &WorkerState, fields: &Fields<'_>) -> Result<CachePolicy> {
    let policy = named(fields)?.unwrap_or(app.shared.policy);
    let bypass = fields.choice("cache", &[("on", false), ("off", true)])?.unwrap_or_default();
    Ok(if bypass { policy.bypassing() } else { policy })
}

/// The policy that was asked for, if one was.
pub fn named(fields: &Fields<'_>) -> Result<Option<CachePolicy>> {
    Ok(fields.optional("policy").map(str::parse).transpose()?)
}
