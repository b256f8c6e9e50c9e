//! Single-flight: concurrent misses of one key share one load.
//!
//! A load runs in its own task, so a caller that is cancelled does not end it for
//! the others. If it fails, all its waiters get the error once and nothing is kept;
//! if it panics, its leader is dropped and they get [`Error::Aborted`].

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::watch;

use crate::{error::Error, fetch::load_outcome::LoadOutcome};

/// The answer of a load; `None` while it is in progress.
type Answer<T> = Option<Result<LoadOutcome<T>, Error>>;

/// The loads in progress in this process, by key.
#[derive(Default)]
pub struct SingleFlight(Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>);

/// Waits for the answer of a load.
pub struct Waiter<T> {
    answer: watch::Receiver<Answer<T>>,
    /// Identifies the load. Weak, as holding the sender would keep the channel
    /// open.
    flight: Weak<watch::Sender<Answer<T>>>,
}

/// The obligation to load. Dropping it ends the load, answered or not.
pub struct Leader<T: Send + Sync + 'static> {
    single_flight: Arc<SingleFlight>,
    name: String,
    answer: Arc<watch::Sender<Answer<T>>>,
}

impl SingleFlight {
    /// Joins the load of `name`, or starts one: then the caller is its leader.
    pub fn join<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        name: &str,
    ) -> (Waiter<T>, Option<Leader<T>>) {
        let mut in_flight = self.in_flight();
        let flight = in_flight.get(name).cloned();
        if let Some(Ok(answer)) = flight.map(Arc::downcast::<watch::Sender<Answer<T>>>) {
            return (Waiter::on(&answer), None);
        }
        let answer = Arc::new(watch::Sender::new(None));
        in_flight.insert(name.to_owned(), Arc::clone(&answer) as _);
        let waiter = Waiter::on(&answer);
        let leader = Leader { single_flight: Arc::clone(self), name: name.to_owned(), answer };
        (waiter, Some(leader))
    }

    /// Closes the load of `name` to new callers, as its value may be older than a
    /// write just made. Those already waiting continue.
    pub fn close(&self, name: &str) {
        self.in_flight().remove(name);
    }

    /// As [`Self::close`], for all keys of a namespace.
    pub fn close_all(&self, namespace: &str) {
        let is_other = |name: &str| name.split(':').next() != Some(namespace);
        self.in_flight().retain(|name, _| is_other(name));
    }

    /// Closes this load of `name` to new callers, as it takes too long. A newer
    /// load of the same key stays open.
    pub fn close_flight<T>(&self, name: &str, waiter: &Waiter<T>) {
        self.close_if_same(name, waiter.flight.as_ptr().cast());
    }

    fn close_if_same(&self, name: &str, flight: *const ()) {
        let mut in_flight = self.in_flight();
        if in_flight.get(name).is_some_and(|it| Arc::as_ptr(it).cast() == flight) {
            in_flight.remove(name);
        }
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<String, Arc<dyn Any + Send + Sync>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiter<T> {
    fn on(flight: &Arc<watch::Sender<Answer<T>>>) -> Self {
        Self { answer: flight.subscribe(), flight: Arc::downgrade(flight) }
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// Returns the load's error, or [`Error::Aborted`] if its leader was
    /// dropped.
    pub async fn wait(&mut self) -> Result<LoadOutcome<T>, Error> {
        let answer = self.answer.wait_for(Option::is_some).await;
        answer.map_or(Err(Error::Aborted), |it| it.clone().unwrap_or(Err(Error::Aborted)))
    }
}

impl<T: Send + Sync + 'static> Leader<T> {
    /// Completes the load with this answer.
    pub fn complete(self, answer: Result<LoadOutcome<T>, Error>) {
        self.close();
        self.answer.send_replace(Some(answer));
    }

    /// Closes this load to new callers. A newer load of the same key stays open.
    fn close(&self) {
        self.single_flight.close_if_same(&self.name, Arc::as_ptr(&self.answer).cast());
    }
}

impl<T: Send + Sync + 'static> Drop for Leader<T> {
    fn drop(&mut self) {
        self.close();
    }
}
