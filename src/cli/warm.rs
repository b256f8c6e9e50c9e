//! `hitrate warm` — fills the cache from the database.

use hitrate_cache::CachePolicy;

use super::{
    progress::Progress,
    tools::{ToolError, Tools},
};
use crate::config::Config;

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
    let policy = CachePolicy::DEFAULT.ttl(config.profile_ttl);
    let mut progress = Progress::new(tools.db.count_profiles().await?);
    let (mut last, mut filled) = (String::new(), 0);
    loop {
        let page = tools.db.profiles_after(&last, batch).await?;
        let Some(end) = page.last() else { break };
        last.clone_from(&end.value.user_id);
        filled += tools.cache.put_all(&page, &policy).await? as u64;
        progress.add(page.len() as u64);
    }
    progress.finish();
    Ok(filled)
}
