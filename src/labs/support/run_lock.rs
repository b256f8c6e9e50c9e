//! Measurements take turns: two at once would measure each other. Each has a
//! thread and a runtime of its own, so that nobody who looks at a page waits
//! behind it, and goes on to its end even when nobody waits for it any more.

use std::{sync::Arc, thread};

use tokio::{
    runtime::Builder,
    sync::{Mutex, oneshot},
};

/// Who may measure in this process. Clones share the turn.
#[derive(Clone, Default)]
pub struct RunLock(Arc<Mutex<()>>);

/// Why nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunLockError {
    /// Something else is.
    #[error("something else is being measured")]
    Busy,
    /// There is no thread to be had, or it panicked.
    #[error("the measurement broke off")]
    Aborted,
}

impl RunLock {
    /// Runs `work` on a thread of this name, which has nothing else to do, if
    /// nothing else is being measured.
    pub async fn run<T, F>(
        &self,
        name: &str,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, RunLockError>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        let turn = Arc::clone(&self.0).try_lock_owned().map_err(|_| RunLockError::Busy)?;
        let (tell, told) = oneshot::channel();
        let work = move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let done = runtime.map(|runtime| runtime.block_on(work()));
            // Whoever hears of the end may start the next one.
            drop(turn);
            if let Ok(done) = done {
                let _ = tell.send(done);
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        thread.map_err(|_| RunLockError::Aborted)?;
        told.await.map_err(|_| RunLockError::Aborted)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn one_runs_at_a_time_and_the_next_after_it() {
        let run_lock = RunLock::default();
        let long = timeout(Duration::from_millis(50), run_lock.run("long", pending::<()>));
        assert!(long.await.is_err(), "it goes on without us");
        assert_eq!(run_lock.run("other", async || 1).await, Err(RunLockError::Busy));
        let run_lock = RunLock::default();
        assert_eq!(run_lock.run("one", async || 1).await, Ok(1));
        assert_eq!(run_lock.run("next", async || 2).await, Ok(2));
    }

    #[tokio::test]
    async fn one_that_panics_gives_its_turn_back() {
        let run_lock = RunLock::default();
        let panics = run_lock.run("panics", async || panic!("on purpose"));
        assert_eq!(panics.await, Err::<(), _>(RunLockError::Aborted));
        assert_eq!(run_lock.run("next", async || 2).await, Ok(2));
    }
}
