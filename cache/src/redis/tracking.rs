//! Client-side caching: `CLIENT TRACKING ON BCAST PREFIX …` on a RESP3 connection
//! of its own (redis.io/docs: "Client-side caching"). Redis pushes the name of each
//! changed key, including changes by this process.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, PushInfo, PushKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use crate::redis::{
    address::Address,
    connection::{check_error, with_deadline},
    error::RedisError,
};

/// Timeout for connecting, and for each command.
const DEADLINE: Duration = Duration::from_millis(500);
/// Interval of pings: a connection that fails silently delivers no invalidations,
/// so the copies would be outdated for at most this long.
const PING_INTERVAL: Duration = Duration::from_millis(500);
/// Delay between attempts to connect.
const RECONNECT_DELAY: Duration = Duration::from_millis(250);

/// Receives invalidation pushes. Called on the connection's own task, so the
/// methods must be quick.
pub trait InvalidationListener: Send + Sync + 'static {
    /// Tracking of this many prefixes started: every change is reported from now on.
    fn tracking_started(&self, prefixes: usize);
    /// Tracking was lost: changes are no longer reported.
    fn tracking_lost(&self);
    /// A key changed; `key` includes the prefix.
    fn key_changed(&self, key: &str);
    /// Any key may have changed.
    fn all_changed(&self);
}

/// Reports every change under these prefixes to `listener`, until it is dropped.
/// Connects again when the prefixes change, and not at all while there are none. Runs on
/// the calling runtime.
pub fn track(
    address: &Address,
    mut prefixes: watch::Receiver<Vec<String>>,
    listener: &Arc<impl InvalidationListener>,
) {
    let (client, name) = (address.resp3_client(), format!("{}-tracking", address.client_name()));
    let listener = Arc::downgrade(listener);
    tokio::spawn(async move {
        // The sender ends with the listener.
        while prefixes.wait_for(|prefixes| !prefixes.is_empty()).await.is_ok() {
            let (wanted, broken) = (prefixes.borrow_and_update().clone(), Arc::new(Notify::new()));
            match connect((&client, &name), &wanted, &listener, &broken).await {
                Ok(connection) => {
                    if let Some(listener) = listener.upgrade() {
                        listener.tracking_started(wanted.len());
                    }
                    tokio::select! {
                        () = monitor(connection, &listener, &broken) => (),
                        _ = prefixes.changed() => continue,
                    }
                    if let Some(listener) = listener.upgrade() {
                        listener.tracking_lost();
                    }
                }
                Err(error) => log::debug!("client tracking: {error}"),
            }
            sleep(RECONNECT_DELAY).await;
        }
    });
}

async fn connect(
    (client, client_name): (&redis::Client, &str),
    prefixes: &[String],
    listener: &Weak<impl InvalidationListener>,
    broken: &Arc<Notify>,
) -> Result<MultiplexedConnection, RedisError> {
    let (target, broken) = (Weak::clone(listener), Arc::clone(broken));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(DEADLINE))
        .set_response_timeout(Some(DEADLINE))
        .set_push_sender(move |push: PushInfo| {
            dispatch(push, &target, &broken);
            Ok::<_, ()>(())
        });
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    let mut connection = with_deadline(Instant::now() + DEADLINE * 2, connecting).await?;
    let mut name = redis::cmd("CLIENT");
    name.arg("SETNAME").arg(client_name);
    let _ = with_deadline(Instant::now() + DEADLINE, connection.req_packed_command(&name)).await;
    let mut tracking = redis::cmd("CLIENT");
    tracking.arg("TRACKING").arg("ON").arg("BCAST");
    for prefix in prefixes {
        tracking.arg("PREFIX").arg(prefix);
    }
    with_deadline(Instant::now() + DEADLINE, connection.req_packed_command(&tracking))
        .await
        .and_then(check_error)?;
    Ok(connection)
}

fn dispatch(push: PushInfo, listener: &Weak<impl InvalidationListener>, broken: &Notify) {
    let Some(listener) = listener.upgrade() else { return };
    match (push.kind, push.data.into_iter().next()) {
        (PushKind::Invalidate, Some(Value::Array(keys))) => {
            for key in keys {
                if let Value::BulkString(name) = key {
                    listener.key_changed(&String::from_utf8_lossy(&name));
                }
            }
        }
        // FLUSHALL and FLUSHDB name no key.
        (PushKind::Invalidate, _) => listener.all_changed(),
        (PushKind::Disconnection, _) => broken.notify_one(),
        _ => (),
    }
}

/// Returns when the connection has failed.
async fn monitor(
    mut connection: MultiplexedConnection,
    listener: &Weak<impl InvalidationListener>,
    broken: &Notify,
) {
    while listener.strong_count() > 0 {
        if timeout(PING_INTERVAL, broken.notified()).await.is_ok() {
            return;
        }
        let ping = redis::cmd("PING");
        if with_deadline(Instant::now() + DEADLINE, connection.req_packed_command(&ping))
            .await
            .is_err()
        {
            return;
        }
    }
}
