//! Follows what changes in Redis: `CLIENT TRACKING ON BCAST PREFIX …` on a
//! RESP3 connection of its own (redis.io/docs: "Client-side caching"). Redis
//! then pushes the name of each key that changed, whoever changed it.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, PushInfo, PushKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::redis::{
    address::Address,
    connection::{check_error, in_time},
    error::RedisError,
};

/// How long connecting and each question may take.
const DEADLINE: Duration = Duration::from_millis(500);
/// How often the connection is tried: a silent one tells nothing, and what it
/// does not tell would be served for as long as that.
const TICK: Duration = Duration::from_millis(500);
/// Between attempts to connect.
const PAUSE: Duration = Duration::from_millis(250);

/// Who is told what changed. Called on the connection's own task: be quick.
pub trait Invalidations: Send + Sync + 'static {
    /// From now on every change is told.
    fn began(&self);
    /// From now on none is.
    fn lost(&self);
    /// This key changed, prefix and all.
    fn changed(&self, key: &str);
    /// Everything may have changed.
    fn all_changed(&self);
}

/// Tells `told` of every change under these prefixes, until it is dropped.
/// Runs on the calling runtime.
pub fn track(address: &Address, prefixes: Vec<String>, told: &Arc<impl Invalidations>) {
    let client = address.pushing_client();
    let told = Arc::downgrade(told);
    tokio::spawn(async move {
        while told.strong_count() > 0 {
            let broken = Arc::new(Notify::new());
            match connect(&client, &prefixes, &told, &broken).await {
                Ok(connection) => {
                    if let Some(told) = told.upgrade() {
                        told.began();
                    }
                    monitor(connection, &told, &broken).await;
                    if let Some(told) = told.upgrade() {
                        told.lost();
                    }
                }
                Err(error) => log::debug!("tracking: {error}"),
            }
            sleep(PAUSE).await;
        }
    });
}

async fn connect(
    client: &redis::Client,
    prefixes: &[String],
    told: &Weak<impl Invalidations>,
    broken: &Arc<Notify>,
) -> Result<MultiplexedConnection, RedisError> {
    let (listener, broken) = (Weak::clone(told), Arc::clone(broken));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(DEADLINE))
        .set_response_timeout(Some(DEADLINE))
        .set_push_sender(move |push: PushInfo| {
            hear(push, &listener, &broken);
            Ok::<_, ()>(())
        });
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    let mut connection = in_time(Instant::now() + DEADLINE * 2, connecting).await?;
    let mut name = redis::cmd("CLIENT");
    name.arg("SETNAME").arg("hitrate-tracking");
    let _ = in_time(Instant::now() + DEADLINE, connection.req_packed_command(&name)).await;
    let mut ask = redis::cmd("CLIENT");
    ask.arg("TRACKING").arg("ON").arg("BCAST");
    for prefix in prefixes {
        ask.arg("PREFIX").arg(prefix);
    }
    in_time(Instant::now() + DEADLINE, connection.req_packed_command(&ask))
        .await
        .and_then(check_error)?;
    Ok(connection)
}

fn hear(push: PushInfo, told: &Weak<impl Invalidations>, broken: &Notify) {
    let Some(told) = told.upgrade() else { return };
    match (push.kind, push.data.into_iter().next()) {
        (PushKind::Invalidate, Some(Value::Array(keys))) => {
            for key in keys {
                if let Value::BulkString(name) = key {
                    told.changed(&String::from_utf8_lossy(&name));
                }
            }
        }
        // FLUSHALL and FLUSHDB name no key.
        (PushKind::Invalidate, _) => told.all_changed(),
        (PushKind::Disconnection, _) => broken.notify_one(),
        _ => (),
    }
}

/// Returns when the connection is of no use any more.
async fn monitor(
    mut connection: MultiplexedConnection,
    told: &Weak<impl Invalidations>,
    broken: &Notify,
) {
    while told.strong_count() > 0 {
        if timeout(TICK, broken.notified()).await.is_ok() {
            return;
        }
        let ping = redis::cmd("PING");
        if in_time(Instant::now() + DEADLINE, connection.req_packed_command(&ping)).await.is_err() {
            return;
        }
    }
}
