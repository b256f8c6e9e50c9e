//! An open connection to Redis, whoever drives it: hitrate itself, or the
//! library where more than a plain socket leads there.

use std::{
    io,
    time::{Duration, Instant},
};

use futures_util::future::select_ok;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, Pipeline, RedisConnectionInfo, RedisError, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout_at,
};

use crate::redis::{
    address::Address,
    error::Trouble,
    multiplexed::{Answered, Multiplexed},
};

/// Many share it, and their commands are on their way at the same time. Clones
/// are the same connection, which closes with the last of them.
#[derive(Clone)]
pub enum Connection {
    /// A TCP or unix socket.
    Plain(Multiplexed),
    /// TCP with TLS.
    Secured(Box<MultiplexedConnection>),
}

/// What came of a command.
pub struct Reply {
    /// What Redis said; an error of its own is a value like any other.
    pub value: Result<Value, Trouble>,
    pub sent: Instant,
    pub took: Duration,
}

impl Connection {
    /// Connects and says who we are, in `patience` at most. Driven on the runtime
    /// that calls this.
    pub async fn open(address: &Address, patience: Duration) -> Result<Self, Trouble> {
        let due = Instant::now() + patience;
        let opened = timeout_at(due.into(), connect(address, due)).await;
        let opened = opened.unwrap_or(Err(Trouble::Slow)).map_err(Trouble::before_any);
        opened.inspect_err(|trouble| log::debug!("connect: {trouble}"))
    }

    /// The same, on a way to this server that is open already.
    pub async fn over<S>(stream: S, address: &Address, patience: Duration) -> Result<Self, Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let due = Instant::now() + patience;
        greet(stream, address.info().redis_settings(), due).await.map_err(Trouble::before_any)
    }

    /// Asks one command, which has so much time.
    pub async fn one(&self, command: &Cmd, deadline: Duration) -> Reply {
        let (sent, due) = from_now(deadline);
        let answered = match self {
            Self::Plain(connection) => connection.one(command, due).await,
            // In a box, so that nobody else carries room for it.
            Self::Secured(connection) => Box::pin(secured_one(connection, command, due)).await,
        };
        Reply::to(sent, answered)
    }

    /// Asks several in one round trip, which has so much time. The value is an
    /// array of all replies.
    pub async fn many(&self, pipeline: &Pipeline, deadline: Duration) -> Reply {
        let (sent, due) = from_now(deadline);
        let answered = match self {
            Self::Plain(connection) => connection.many(pipeline, due).await,
            Self::Secured(connection) => Box::pin(secured_many(connection, pipeline, due)).await,
        };
        Reply::to(sent, answered)
    }
}

impl Reply {
    fn to(sent: Instant, (value, replied): Answered) -> Self {
        Self { value, sent, took: replied.saturating_duration_since(sent) }
    }
}

/// An error reply as what it means for hitrate.
pub fn unwrapped(value: Value) -> Result<Value, Trouble> {
    match value {
        Value::ServerError(error) => Err(Trouble::from_code(Some(error.code()))),
        value => Ok(value),
    }
}

/// Of a pipeline, one by one.
pub fn parts(value: Value) -> Result<Vec<Value>, Trouble> {
    match value {
        Value::Array(replies) => Ok(replies),
        _ => Err(Trouble::Other("another type of reply".to_owned())),
    }
}

fn from_now(deadline: Duration) -> (Instant, Instant) {
    let now = Instant::now();
    (now, now + deadline)
}

async fn secured_one(connection: &MultiplexedConnection, command: &Cmd, due: Instant) -> Answered {
    let value = in_time(due, connection.clone().req_packed_command(command)).await;
    (value, Instant::now())
}

async fn secured_many(
    connection: &MultiplexedConnection,
    pipeline: &Pipeline,
    due: Instant,
) -> Answered {
    if pipeline.is_empty() {
        return (Ok(Value::Array(Vec::new())), Instant::now());
    }
    let mut connection = connection.clone();
    let asked = connection.req_packed_commands(pipeline, 0, pipeline.len());
    let value = in_time(due, asked).await.map(Value::Array);
    (value, Instant::now())
}

/// What the library brings, but not past `due`.
pub async fn in_time<T>(
    due: Instant,
    reply: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Trouble> {
    match timeout_at(due.into(), reply).await {
        Ok(reply) => reply.map_err(|error| Trouble::from(&error)),
        Err(_) => Err(Trouble::Slow),
    }
}

async fn connect(address: &Address, due: Instant) -> Result<Connection, Trouble> {
    let (info, settings) = (address.info(), address.info().redis_settings());
    match info.addr() {
        ConnectionAddr::Unix(path) => greet(UnixStream::connect(path).await?, settings, due).await,
        ConnectionAddr::Tcp(host, port) => {
            let stream = reach(host, *port).await?;
            stream.set_nodelay(info.tcp_settings().nodelay())?;
            #[cfg(target_os = "linux")]
            redis::io::tcp::socket2::SockRef::from(&stream)
                .set_tcp_user_timeout(info.tcp_settings().user_timeout())?;
            greet(stream, settings, due).await
        }
        _ => secured(address).await,
    }
}

/// A host may have several addresses, and one of them may lead nowhere: the
/// first that answers is taken.
async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let connecting: Vec<_> =
        lookup_host((host, port)).await?.map(|it| Box::pin(TcpStream::connect(it))).collect();
    if connecting.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(select_ok(connecting).await?.0)
}

/// Logs in and chooses the database (redis.io/commands: AUTH, SELECT).
async fn greet<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    settings: &RedisConnectionInfo,
    due: Instant,
) -> Result<Connection, Trouble> {
    let (connection, driver) = Multiplexed::over(stream);
    tokio::spawn(driver);
    if let Some(password) = settings.password() {
        let mut auth = redis::cmd("AUTH");
        let (said, _) = connection.one(auth.arg(settings.username()).arg(password), due).await;
        unwrapped(said?).map_err(|_| Trouble::Denied)?;
    }
    if settings.db() != 0 {
        let (said, _) = connection.one(redis::cmd("SELECT").arg(settings.db()), due).await;
        unwrapped(said?)?;
    }
    Ok(Connection::Plain(connection))
}

/// TLS is the library's affair.
async fn secured(address: &Address) -> Result<Connection, Trouble> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(1_024);
    let client = address.client();
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    connected.map(|it| Connection::Secured(Box::new(it))).map_err(|error| Trouble::from(&error))
}
