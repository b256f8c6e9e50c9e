//! `hitrate warm` — fills the cache from the database.

use hitrate_cache::trace::Trace;

use super::{
    progress::Progress,
    tools::{ToolError, Tools},
};
use crate::{config::Config, demo::policy::Policy};

/// Share of the TTL by which it is shortened at random.
const JITTER: f64 = 0.1;

pub async fn run(config: &Config, batch: u32) -> Result<(), ToolError> {
    let tools = Tools::open(config).await?;
    let filled = fill(config, &tools, batch).await;
    tools.close().await;
    println!("{} profiles are in the cache", filled?);
    Ok(())
}

/// Reads and stores one batch at a time, so that memory holds only one.
async fn fill(config: &Config, tools: &Tools, batch: u32) -> Result<u64, ToolError> {
    tools.await_redis().await?;
    let mut policy = Policy::DEFAULT.ttl(config.profile_ttl);
    // So that copies stored together don't expire together.
    policy.cache = policy.cache.jitter(JITTER);
    let profiles = tools.profiles.namespace(&policy, &Trace::disabled());
    let mut progress = Progress::new(tools.db.count_profiles().await?);
    let (mut last, mut filled) = (String::new(), 0);
    loop {
        let page = tools.db.profiles_after(&last, batch).await?;
        let Some(end) = page.last() else { break };
        last.clone_from(&end.value.user_id);
        progress.add(page.len() as u64);
        let with_id = page.into_iter().map(|row| (row.value.user_id.clone(), row));
        filled += profiles.put_all(with_id).await? as u64;
    }
    progress.finish();
    Ok(filled)
}
