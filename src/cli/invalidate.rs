//! `hitrate invalidate` — copies dropped by key, tag or pattern.

use clap::Args;
use hitrate_cache::{ScanProgress, trace::Trace};

use super::tools::{ToolError, Tools};
use crate::{
    config::Config,
    demo::invalidation::{self, InvalidTarget, InvalidationTarget},
};

/// What shall be invalidated: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Named {
    /// One copy, such as profile:123
    #[arg(long)]
    key: Option<String>,
    /// Every copy of a kind: profile or product
    #[arg(long)]
    tag: Option<String>,
    /// Every copy whose key matches, such as 'profile:user-*'
    #[arg(long)]
    pattern: Option<String>,
}

impl Named {
    fn what(&self) -> Result<InvalidationTarget, InvalidTarget> {
        match (&self.key, &self.tag, &self.pattern) {
            (Some(key), _, _) => InvalidationTarget::key(key),
            (_, Some(tag), _) => InvalidationTarget::tag(tag),
            (_, _, pattern) => InvalidationTarget::pattern(pattern.as_deref().unwrap_or_default()),
        }
    }
}

pub async fn run(config: &Config, named: &Named, dry_run: bool) -> Result<(), ToolError> {
    let what = named.what().map_err(|error| ToolError::Told(error.to_string()))?;
    let tools = Tools::open(config).await?;
    let outcome = invalidate(config, &tools, &what, dry_run).await;
    tools.close().await;
    println!("{}", outcome?);
    Ok(())
}

async fn invalidate(
    config: &Config,
    tools: &Tools,
    what: &InvalidationTarget,
    dry_run: bool,
) -> Result<String, ToolError> {
    tools.redis().await?;
    let policy = tools.policy.ttl(config.profile_ttl);
    let progress = |sweep: ScanProgress| {
        if sweep.scans.is_multiple_of(100) {
            println!("Progress: {} copies found in {} batches", sweep.found, sweep.scans);
        }
    };
    let trace = Trace::disabled();
    let outcome = invalidation::run(&tools.cache, what, dry_run, &policy, &trace, progress).await?;
    Ok(outcome.message())
}
