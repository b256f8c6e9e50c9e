//! The start: a namespace, a lookup, a write.

#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::{error::Error, io, time::Duration};

use hitrate_cache::{Cache, CachePolicy, test_util::TestRedis};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

/// Stands for a query of your database.
async fn find_user(id: u64) -> Result<Option<User>, io::Error> {
    Ok((id == 7).then(|| User { id, name: "Ada".to_owned() }))
}

/// Stands for an update of your database, which returns the new row.
async fn rename_user(id: u64, name: String) -> Result<Option<User>, io::Error> {
    Ok(Some(User { id, name }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = TestRedis::start()?;
    let cache = Cache::connect(&redis.url())?;
    let users = cache.namespace::<User>("user", CachePolicy::ttl(Duration::from_secs(300)));

    for _ in 0..2 {
        let lookup = users.lookup(7, find_user(7)).await?;
        println!("{} from {:?}", lookup.value.ok_or("no user")?.name, lookup.source);
    }
    let written = users.write(7, rename_user(7, "Grace".to_owned())).await?;
    println!("renamed to {}: {:?}", written.value.ok_or("no user")?.name, written.effect);

    let nobody = users.get(8, find_user(8)).await?;
    println!("user 8 exists: {}", nobody.is_some());
    println!("user 8 is known not to exist: {}", users.peek(8).await.is_some());
    Ok(())
}
