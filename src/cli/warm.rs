//! `hitrate warm` — the cache filled before anybody asks.

use hitrate_cache::CachePolicy;

use super::{
    progress::Progress,
    tools::{ToolError, Tools},
};
use crate::config::Config;

pub async fn run(config: &Config, batch: u32) -> Result<(), ToolError> {
    let tools = Tools::open(config).await?;
    let outcome = fill(config, &tools, batch).await;
    tools.close().await;
    println!("{} profiles are in the cache", outcome?);
    Ok(())
}

/// One page of the database is one pipeline, so memory holds one batch.
async fn fill(config: &Config, tools: &Tools, batch: u32) -> Result<u64, ToolError> {
    tools.redis().await?;
    let policy = CachePolicy::DEFAULT.ttl(config.profile_ttl);
    let mut progress = Progress::of(tools.db.count_profiles().await?);
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
