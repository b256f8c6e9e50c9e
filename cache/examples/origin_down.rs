//! The origin fails, then Redis as well: answers go on for the grace period.

#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::{error::Error, future, io, time::Duration};

use hitrate_cache::{Cache, CachePolicy, Lookup, test_util::TestRedis};

async fn up() -> Result<String, io::Error> {
    Ok("Ada".to_owned())
}

async fn down() -> Result<String, io::Error> {
    Err(io::Error::other("the database is down"))
}

async fn hangs() -> Result<String, io::Error> {
    future::pending().await
}

fn show(case: &str, lookup: &Lookup<String>) {
    let name = lookup.value.as_deref().map_or("nobody", String::as_str);
    println!("{case}: {name} from {:?}, {:?}", lookup.source, lookup.fill);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut redis = TestRedis::start()?;
    let cache = Cache::connect(&redis.url())?;
    let policy = CachePolicy::ttl(Duration::from_millis(50)).grace(Duration::from_secs(600));
    let names = cache.namespace::<String>("name", policy);
    for id in [7, 8] {
        names.get(id, up()).await?;
    }

    tokio::time::sleep(policy.ttl).await;
    show("the origin fails", &names.lookup(7, down()).await?);
    // After the soft timeout of 100 ms; the load goes on in the background.
    show("the origin hangs", &names.lookup(8, hangs()).await?);

    redis.kill();
    // The first command finds out; from then on, none is sent until Redis is back.
    show("Redis is gone", &names.lookup(7, up()).await?);
    show("Redis is gone", &names.lookup(9, up()).await?);
    show("both are gone", &names.lookup(7, down()).await?);
    let error = names.lookup(10, down()).await.err().ok_or("10 is not cached")?;
    println!("both are gone: {:?}", error.origin::<io::Error>());
    Ok(())
}
