//! `hitrate invalidate` — drops cached copies by key, tag or pattern.

use clap::Args;
use hitrate_cache::{ScanProgress, trace::Trace};

use super::tools::{ToolError, Tools};
use crate::{
    config::Config,
    demo::invalidation::{self, InvalidTarget, InvalidationTarget},
};

/// The copies to invalidate: exactly one of these options.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TargetArgs {
    /// Key of one copy, such as profile:123
    #[arg(long)]
    key: Option<String>,
    /// Tag of a group of copies: profile or product
    #[arg(long)]
    tag: Option<String>,
    /// Pattern of keys, such as 'profile:user-*'
    #[arg(long)]
    pattern: Option<String>,
}

impl TargetArgs {
    fn parse(&self) -> Result<InvalidationTarget, InvalidTarget> {
        match (&self.key, &self.tag, &self.pattern) {
            (Some(key), _, _) => InvalidationTarget::key(key),
            (_, Some(tag), _) => InvalidationTarget::tag(tag),
            (_, _, pattern) => InvalidationTarget::pattern(pattern.as_deref().unwrap_or_default()),
        }
    }
}

pub async fn run(config: &Config, target: &TargetArgs, dry_run: bool) -> Result<(), ToolError> {
    let target = target.parse().map_err(|error| ToolError::Message(error.to_string()))?;
    let tools = Tools::open(config).await?;
    let message = invalidate(config, &tools, &target, dry_run).await;
    tools.close().await;
    println!("{}", message?);
    Ok(())
}

async fn invalidate(
    config: &Config,
    tools: &Tools,
    target: &InvalidationTarget,
    dry_run: bool,
) -> Result<String, ToolError> {
    tools.await_redis().await?;
    let policy = tools.policy.ttl(config.profile_ttl);
    let progress = |scan: ScanProgress| {
        if scan.scans.is_multiple_of(100) {
            println!("Progress: {} copies found in {} batches", scan.found, scan.scans);
        }
    };
    let trace = Trace::disabled();
    let result = invalidation::run(
        (&tools.profiles, &tools.products),
        target,
        dry_run,
        &policy,
        &trace,
        progress,
    )
    .await?;
    Ok(result.message())
}
