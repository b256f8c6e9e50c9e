//! `hitrate lookup` — looks up one profile and prints the tutorial's two lines.

use std::io::{self, Write};

use hitrate_cache::trace::Trace;
use tokio::task::spawn_blocking;

use super::tools::{ToolError, Tools};
use crate::{
    config::Config,
    demo::{model::UserId, profiles},
};

pub async fn run(config: &Config, id: Option<String>) -> Result<(), ToolError> {
    let id = match id {
        Some(id) => id,
        // Reading standard input blocks, so it runs on a separate thread.
        None => {
            spawn_blocking(prompt)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
                .map_err(|error| ToolError::Message(format!("the id could not be read: {error}")))?
        }
    };
    let id: UserId = id.trim().parse().map_err(|error| ToolError::Message(format!("{error}")))?;
    let tools = Tools::open(config).await?;
    // Without Redis, the lookup reads the database, and its message says so.
    let _ = tools.await_redis().await;
    let result = show(config, &tools, &id).await;
    tools.close().await;
    result
}

fn prompt() -> io::Result<String> {
    print!("Enter user-id: ");
    io::stdout().flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}

async fn show(config: &Config, tools: &Tools, id: &UserId) -> Result<(), ToolError> {
    let policy = tools.policy.ttl(config.profile_ttl);
    let (delay, trace) = (config.database_delay, Trace::disabled());
    let lookup = tools.profiles.find(id, &policy, delay, &trace).await?;
    println!("{}", profiles::message(id, &lookup));
    match lookup.value {
        Some(profile) => {
            println!("Fetched user profile: {profile}");
            Ok(())
        }
        None => Err(ToolError::Message(format!("no profile has the id {id}"))),
    }
}
