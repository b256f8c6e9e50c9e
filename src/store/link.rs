//! One connection to Redis that looks after itself.
//!
//! A request never waits for a reconnect. A task of the link's own connects,
//! pings once a second and whenever a command failed, and connects again; in
//! the meantime each command fails at once. So a dead Redis costs a request
//! nothing, a frozen one costs the first request the deadline and the others
//! nothing, and recovery needs no request at all.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{address::Address, health::Health, trouble::Trouble};

/// How long a command may take. A visitor waits for a frozen Redis at most
/// this long, once; a busy one on loopback answers a thousand times faster.
pub const DEADLINE: Duration = Duration::from_millis(250);
/// How long a large pipeline may take, with no visitor waiting.
pub const BULK_DEADLINE: Duration = Duration::from_secs(5);
/// How long connecting may take: in the background, so a distant server with TLS fits.
const CONNECT: Duration = Duration::from_secs(1);
/// How often an idle connection is tried, so that a silent death is noticed.
const TICK: Duration = Duration::from_secs(1);
/// Waits between attempts to connect. The last repeats: back within half a second.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
];
/// After a refused password: a server that counts failures should not be hammered.
const DENIED_PAUSE: Duration = Duration::from_millis(1500);

/// A multiplexed connection and the task that keeps it up.
pub struct Link {
    client: Client,
    health: Arc<Health>,
    state: watch::Sender<State>,
    doubt: Notify,
}

#[derive(Clone)]
enum State {
    Starting,
    Up(MultiplexedConnection),
    /// Something failed; the next ping decides.
    Doubtful(Trouble),
    Down(Trouble),
}

impl Link {
    /// Starts connecting, on the runtime that calls this; drives the
    /// connection there, too. Ends when the last user lets go of it.
    pub fn open(address: &Address, health: Arc<Health>) -> Arc<Self> {
        let link = Arc::new(Self {
            client: address.client(),
            health,
            state: watch::Sender::new(State::Starting),
            doubt: Notify::new(),
        });
        tokio::spawn(keep(Arc::downgrade(&link)));
        link
    }

    /// The connection, if it is up. Waits only for the very first attempt.
    pub async fn connection(&self) -> Result<MultiplexedConnection, Trouble> {
        if let Some(answer) = self.usable() {
            return answer;
        }
        let mut states = self.state.subscribe();
        let started = states.wait_for(|state| !matches!(state, State::Starting));
        let _ = timeout(DEADLINE, started).await;
        self.usable().unwrap_or(Err(Trouble::Away))
    }

    /// A command failed by `trouble`: nobody else shall run into it.
    pub fn suspect(&self, trouble: &Trouble) {
        if trouble.is_about_the_connection() {
            self.state.send_if_modified(|state| {
                let was_up = matches!(state, State::Up(_));
                if was_up {
                    *state = State::Doubtful(trouble.clone());
                }
                was_up
            });
            self.doubt.notify_one();
        }
    }

    fn usable(&self) -> Option<Result<MultiplexedConnection, Trouble>> {
        match &*self.state.borrow() {
            State::Up(connection) => Some(Ok(connection.clone())),
            State::Doubtful(trouble) | State::Down(trouble) => Some(Err(trouble.clone())),
            State::Starting => None,
        }
    }

    /// Connects, checks that the server answers, and pays what is owed.
    async fn connect(&self) -> Result<MultiplexedConnection, Trouble> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = in_time(CONNECT, connecting)
            .await
            .inspect_err(|error| log::debug!("connect: {error}"))?;
        ping(&mut connection).await?;
        self.pay(&mut connection).await?;
        Ok(connection)
    }

    /// Runs what is owed, before anyone can read what it is about.
    async fn pay(&self, connection: &mut MultiplexedConnection) -> Result<(), Trouble> {
        for (key, command) in self.health.owed() {
            let reply = in_time(CONNECT, connection.req_packed_command(&command)).await;
            match reply.and_then(unwrapped) {
                Ok(_) => self.health.paid(&key, &command),
                Err(trouble) if trouble.is_about_the_connection() => return Err(trouble),
                // It stays owed, and its key unused, until Redis takes it.
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn set(&self, state: State) {
        let was_down = matches!(*self.state.borrow(), State::Down(_));
        match &state {
            State::Down(trouble) if was_down => self.health.still_lost(trouble),
            State::Down(trouble) => self.health.lost(trouble),
            State::Up(_) if was_down => self.health.regained(),
            _ => (),
        }
        self.state.send_replace(state);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if matches!(*self.state.borrow(), State::Down(_)) {
            self.health.let_go();
        }
    }
}

/// The life of a link: connect, hold, and again.
async fn keep(link: Weak<Link>) {
    let mut attempts = 0;
    loop {
        let Some(held) = link.upgrade() else { return };
        let trouble = match held.connect().await {
            Ok(connection) => {
                attempts = 0;
                held.set(State::Up(connection.clone()));
                drop(held);
                hold(&link, connection).await
            }
            Err(trouble) => trouble,
        };
        let Some(held) = link.upgrade() else { return };
        let pause = pause(attempts, &trouble);
        held.set(State::Down(trouble));
        drop(held);
        sleep(pause).await;
        attempts += 1;
    }
}

/// Returns what went wrong, when something does.
async fn hold(link: &Weak<Link>, mut connection: MultiplexedConnection) -> Trouble {
    let Some(mut losses) = link.upgrade().map(|held| held.health.losses()) else {
        return Trouble::Away;
    };
    loop {
        let Some(held) = link.upgrade() else { return Trouble::Away };
        let doubted = tokio::select! {
            () = held.doubt.notified() => true,
            _ = losses.changed() => false,
            () = sleep(TICK) => false,
        };
        if let Err(trouble) = ping(&mut connection).await {
            return trouble;
        }
        if let Err(trouble) = held.pay(&mut connection).await {
            return trouble;
        }
        if doubted {
            held.set(State::Up(connection.clone()));
        }
    }
}

async fn ping(connection: &mut MultiplexedConnection) -> Result<(), Trouble> {
    let reply = in_time(DEADLINE, connection.req_packed_command(&redis::cmd("PING"))).await?;
    match unwrapped(reply) {
        // A Redis that can't save says so even to a ping, and still reads.
        Err(trouble) if !trouble.is_refused_write() => Err(trouble),
        _ => Ok(()),
    }
}

/// Waits for a reply, but not past `deadline`.
pub async fn in_time<T>(
    deadline: Duration,
    reply: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Trouble> {
    match timeout(deadline, reply).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Trouble::from(&error)),
        Err(_) => Err(Trouble::Slow),
    }
}

fn pause(attempts: usize, trouble: &Trouble) -> Duration {
    match trouble {
        Trouble::Denied => DENIED_PAUSE,
        _ => PAUSES[attempts.min(PAUSES.len() - 1)],
    }
}

/// One command over the connection of `link`, within the deadline.
pub async fn send(link: &Link, command: &Cmd) -> Result<Value, Trouble> {
    let mut connection = link.connection().await?;
    let reply = in_time(DEADLINE, connection.req_packed_command(command)).await;
    reply.and_then(unwrapped).inspect_err(|trouble| link.suspect(trouble))
}

/// Several commands in one round trip; each has its own reply.
pub async fn send_all(
    link: &Link,
    pipeline: &redis::Pipeline,
    count: usize,
    deadline: Duration,
) -> Result<Vec<Result<Value, Trouble>>, Trouble> {
    let mut connection = link.connection().await?;
    let replies = in_time(deadline, connection.req_packed_commands(pipeline, 0, count)).await;
    let replies = replies.inspect_err(|trouble| link.suspect(trouble))?;
    Ok(replies.into_iter().map(unwrapped).collect())
}

fn unwrapped(value: Value) -> Result<Value, Trouble> {
    match value {
        Value::ServerError(error) => Err(Trouble::from_code(Some(error.code()))),
        value => Ok(value),
    }
}
