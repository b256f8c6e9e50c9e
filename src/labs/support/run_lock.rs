//! A lock that lets one measurement run at a time, because concurrent ones would distort
//! each other. Each runs on a thread and a runtime of its own, so that it does not delay
//! page requests, and it runs to completion even if the client disconnects.

use std::{sync::Arc, thread};

use tokio::{
    runtime::Builder,
    sync::{Mutex, oneshot},
};

/// The lock of this process. Clones share it.
#[derive(Clone, Default)]
pub struct RunLock(Arc<Mutex<()>>);

/// The error of starting or completing a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunLockError {
    /// Another measurement is running.
    #[error("another measurement is running")]
    Busy,
    /// The thread could not be started, or it panicked.
    #[error("the measurement was aborted")]
    Aborted,
}

impl RunLock {
    /// Runs `work` on a dedicated thread of this name, unless another measurement is
    /// running.
    pub async fn run<T, F>(
        &self,
        name: &str,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, RunLockError>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        let guard = Arc::clone(&self.0).try_lock_owned().map_err(|_| RunLockError::Busy)?;
        let (sender, receiver) = oneshot::channel();
        let work = move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let done = runtime.map(|runtime| runtime.block_on(work()));
            // Released before the result is sent, because its receiver may start the next
            // measurement.
            drop(guard);
            if let Ok(done) = done {
                let _ = sender.send(done);
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        thread.map_err(|_| RunLockError::Aborted)?;
        receiver.await.map_err(|_| RunLockError::Aborted)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn runs_are_exclusive() {
        let run_lock = RunLock::default();
        let long = timeout(Duration::from_millis(50), run_lock.run("long", pending::<()>));
        assert!(long.await.is_err(), "the run continues after the caller has given up");
        assert_eq!(run_lock.run("other", async || 1).await, Err(RunLockError::Busy));
        let run_lock = RunLock::default();
        assert_eq!(run_lock.run("one", async || 1).await, Ok(1));
        assert_eq!(run_lock.run("next", async || 2).await, Ok(2));
    }

    #[tokio::test]
    async fn a_panic_releases_the_lock() {
        let run_lock = RunLock::default();
        let panics = run_lock.run("panics", async || panic!("on purpose"));
        assert_eq!(panics.await, Err::<(), _>(RunLockError::Aborted));
        assert_eq!(run_lock.run("next", async || 2).await, Ok(2));
    }
}
