//! A table without a version column: a slow reader can't bring the old row back.

#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::{convert::Infallible, error::Error, time::Duration};

use hitrate_cache::{Cache, CachePolicy, test_util::TestRedis};
use tokio::sync::oneshot::{self, error::RecvError};

/// Stands for a query or an update that returns the name in the row.
async fn row(name: &str) -> Result<String, Infallible> {
    Ok(name.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = TestRedis::start()?;
    let policy = CachePolicy::ttl(Duration::from_secs(300));
    // Two processes, each with a connection.
    let (one, other) = (Cache::connect(&redis.url())?, Cache::connect(&redis.url())?);
    let (names, names_there) =
        (one.namespace::<String>("name", policy), other.namespace("name", policy));

    // The other process has read the row, and is slow to deliver it.
    let (has_read, was_read) = oneshot::channel();
    let (deliver, delivered) = oneshot::channel::<()>();
    let slow_query = async move {
        let row = "Ada".to_owned();
        let _ = has_read.send(());
        delivered.await?;
        Ok::<_, RecvError>(row)
    };
    let slow_reader = tokio::spawn(async move { names_there.lookup(7, slow_query).await });
    was_read.await?;

    // Meanwhile this process changes the row.
    names.write(7, row("Grace")).await?;

    let _ = deliver.send(());
    let slow = slow_reader.await??;
    println!("the slow reader gets {:?}, which is {:?}", slow.value, slow.fill);
    let next = names.lookup(7, row("Grace")).await?;
    println!("the next reader gets {:?} from {:?}", next.value, next.source);
    Ok(())
}
