//! A connection that many commands share, on their way at the same time.
//!
//! Commands of one turn of the event loop leave in one write, and their replies
//! come in few reads. A command costs no allocation of its own, no channel and
//! no timer: replies come in the order of the commands, so a queue says whose
//! each is, and one alarm, at most every [`DEADLINE`](crate::redis::supervisor::DEADLINE) in
//! the long run, looks for those that wait too long.

mod calls;
mod driver;

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Instant,
};

use redis::{Cmd, Pipeline};

use self::calls::Calls;
pub use self::{calls::Answered, driver::Driver};

/// The commands' end. Clones share the connection, which closes when the last
/// of them is gone and nobody waits for a reply.
#[derive(Clone)]
pub struct Multiplexed(Arc<Shared>);

/// What both ends hold.
pub struct Shared(Mutex<Calls>);

/// What will come of a call. Dropping it lets the command run, unheard.
pub struct Answer {
    shared: Arc<Shared>,
    /// None when it was taken.
    call: Option<usize>,
}

impl Multiplexed {
    /// Shares a connection that was opened.
    pub fn over<S>(stream: S) -> (Self, Driver<S>) {
        let shared = Arc::new(Shared(Mutex::default()));
        let driver = Driver::new(stream, Arc::downgrade(&shared));
        (Self(shared), driver)
    }

    /// Asks one command; whether or not somebody waits for it, it is sent.
    pub fn one(&self, command: &Cmd, due: Instant) -> Answer {
        debug_assert!(command.args_iter().len() > 0, "Redis does not answer an empty command");
        self.ask(None, due, |unsent| command.write_packed_command(unsent))
    }

    /// Asks several in one go. The answer is an array of all replies.
    pub fn many(&self, pipeline: &Pipeline, due: Instant) -> Answer {
        self.ask(Some(pipeline.len()), due, |unsent| {
            pipeline.cmd_iter().for_each(|command| command.write_packed_command(unsent));
        })
    }

    fn ask(&self, parts: Option<usize>, due: Instant, write: impl FnOnce(&mut Vec<u8>)) -> Answer {
        let call = self.0.calls().ask(parts, due, write);
        Answer { shared: Arc::clone(&self.0), call: Some(call) }
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The driver finds that nobody is left, and closes.
        self.calls().close();
    }
}

impl Future for Answer {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        let call = self.call.expect("an answer is taken once");
        let Some(answered) = self.shared.calls().take(call, cx.waker()) else {
            return Poll::Pending;
        };
        self.call = None;
        Poll::Ready(answered)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.shared.calls().let_go(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use redis::Value;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        task::{JoinHandle, yield_now},
        time::timeout,
    };

    use super::*;
    use crate::redis::error::Trouble;

    /// Far beyond what any of these takes.
    const LONG: Duration = Duration::from_secs(20);
    /// Soon over.
    const SHORT: Duration = Duration::from_millis(30);

    /// A connection, the other end of it, and the task in between.
    fn connected(room: usize) -> (Multiplexed, DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = duplex(room);
        let (connection, driver) = Multiplexed::over(ours);
        (connection, theirs, tokio::spawn(driver))
    }

    fn ask(connection: &Multiplexed, time: Duration) -> Answer {
        connection.one(&redis::cmd("PING"), Instant::now() + time)
    }

    async fn value(answer: Answer) -> Result<Value, Trouble> {
        timeout(LONG, answer).await.expect("every call is answered").0
    }

    #[tokio::test]
    async fn each_gets_the_reply_to_its_own_command() {
        let (connection, mut server, _driver) = connected(1024);
        let mut two = Pipeline::new();
        two.cmd("GET").arg("a").cmd("GET").arg("b");
        let (first, none) = (ask(&connection, LONG), Pipeline::new());
        let (both, last) = (connection.many(&two, Instant::now() + LONG), ask(&connection, LONG));
        let nothing = connection.many(&none, Instant::now() + LONG);
        server.write_all(b":1\r\n$1\r\na\r\n-ERR no\r\n:4\r\n").await.unwrap();
        assert_eq!(value(last).await, Ok(Value::Int(4)));
        assert_eq!(value(first).await, Ok(Value::Int(1)));
        assert_eq!(value(nothing).await, Ok(Value::Array(Vec::new())));
        let Ok(Value::Array(parts)) = value(both).await else { panic!("an array of two") };
        assert!(matches!(&parts[..], [Value::BulkString(a), Value::ServerError(_)] if a == b"a"));
    }

    #[tokio::test]
    async fn a_reply_that_nobody_waits_for_is_given_to_nobody_else() {
        let (connection, mut server, _driver) = connected(1024);
        let overdue = ask(&connection, SHORT);
        assert_eq!(value(overdue).await, Err(Trouble::Slow));
        drop(ask(&connection, LONG));
        let unheard = ask(&connection, SHORT);
        tokio::time::sleep(SHORT * 2).await;
        let last = ask(&connection, LONG);
        server.write_all(b":1\r\n:2\r\n:3\r\n:4\r\n").await.unwrap();
        assert_eq!(value(last).await, Ok(Value::Int(4)));
        assert_eq!(value(unheard).await, Err(Trouble::Slow));
        assert_eq!(connection.0.calls().len(), 0);
    }

    #[tokio::test]
    async fn every_deadline_is_kept_and_not_only_the_first() {
        let (connection, _server, _driver) = connected(1024);
        let asked = [SHORT * 2, SHORT, LONG].map(|time| ask(&connection, time));
        let [second, first, never] = asked;
        assert_eq!(value(first).await, Err(Trouble::Slow));
        assert_eq!(value(second).await, Err(Trouble::Slow));
        assert!(timeout(SHORT, never).await.is_err());
    }

    #[tokio::test]
    async fn a_short_deadline_is_kept_behind_a_long_one_and_a_full_socket() {
        let (connection, server, _driver) = connected(64);
        let long = redis::cmd("SET").arg("k").arg(vec![b'x'; 4096]).clone();
        let patient = connection.one(&long, Instant::now() + LONG);
        yield_now().await;
        let behind = ask(&connection, LONG);
        yield_now().await;
        let hasty = ask(&connection, SHORT);
        assert_eq!(value(hasty).await, Err(Trouble::Slow));
        drop(server);
        assert_eq!(value(patient).await, Err(Trouble::Lost));
        assert_eq!(value(behind).await, Err(Trouble::Lost));
    }

    #[tokio::test]
    async fn writing_more_than_the_way_holds_does_not_keep_from_reading() {
        let (connection, server, _driver) = connected(256);
        let (mut commands, mut replies) = tokio::io::split(server);
        // Replies while it still reads, as Redis does.
        tokio::spawn(async move {
            let mut read = [0; 100];
            while let Ok(1..) = commands.read(&mut read).await {}
        });
        tokio::spawn(async move {
            for n in 0..1_000 {
                replies.write_all(format!(":{n}\r\n").as_bytes()).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        let asked: Vec<_> = (0..1_000).map(|_| ask(&connection, LONG)).collect();
        for (n, answer) in asked.into_iter().enumerate() {
            assert_eq!(value(answer).await, Ok(Value::Int(n as i64)));
        }
    }

    #[tokio::test]
    async fn garbage_ends_the_connection_and_so_does_a_reply_to_nothing() {
        for bad in [b"HTTP/1.1 400\r\n".as_slice(), b":1\r\n:2\r\n"] {
            let (connection, mut server, driver) = connected(1024);
            let asked = ask(&connection, LONG);
            server.write_all(bad).await.unwrap();
            timeout(LONG, driver).await.unwrap().unwrap();
            assert!(matches!(value(asked).await, Err(Trouble::Lost) | Ok(Value::Int(1))));
            assert_eq!(value(ask(&connection, LONG)).await, Err(Trouble::Away));
        }
    }

    #[tokio::test]
    async fn what_was_answered_before_the_end_is_an_answer() {
        let (connection, mut server, driver) = connected(1024);
        let first = ask(&connection, LONG);
        yield_now().await;
        server.write_all(b":1\r\n").await.unwrap();
        // Its end can't be written to any more, while the reply is still to be read.
        drop(server);
        let second = ask(&connection, LONG);
        timeout(LONG, driver).await.unwrap().unwrap();
        assert_eq!(value(first).await, Ok(Value::Int(1)));
        assert_eq!(value(second).await, Err(Trouble::Lost));
    }

    #[tokio::test]
    async fn it_closes_when_the_last_user_is_gone_or_its_task() {
        let (connection, mut server, driver) = connected(1024);
        let (other, asked) = (connection.clone(), ask(&connection, LONG));
        drop((connection, other));
        server.write_all(b":1\r\n").await.unwrap();
        assert_eq!(value(asked).await, Ok(Value::Int(1)));
        timeout(LONG, driver).await.unwrap().unwrap();

        let (connection, _server, driver) = connected(1024);
        let asked = ask(&connection, LONG);
        driver.abort();
        assert_eq!(value(asked).await, Err(Trouble::Lost));
    }

    #[tokio::test]
    async fn what_is_under_way_is_bounded() {
        let (connection, _server, _driver) = connected(64);
        let asked: Vec<_> = (0..=calls::CALLS_MAX).map(|_| ask(&connection, LONG)).collect();
        let last = asked.into_iter().next_back().unwrap();
        assert_eq!(value(last).await, Err(Trouble::NotReady));
    }
}
