//! Single-flight: loads that are under way, by key, so that whoever misses the
//! same key meanwhile waits for the same answer.
//!
//! A load is a task of its own: a caller who leaves does not end it for the
//! others. When it fails, all who wait get that failure once and nothing is
//! kept; when it panics, its leader is dropped and tells them so.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::watch;

use crate::{error::FetchError, fetch::load_outcome::LoadOutcome};

/// What a load brought; nothing while it is under way.
type Answer<T> = Option<Result<LoadOutcome<T>, FetchError>>;

/// The loads under way in this process.
#[derive(Default)]
pub struct SingleFlight(Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>);

/// A place in a load that is under way.
pub struct Waiter<T> {
    answer: watch::Receiver<Answer<T>>,
    /// Which load it is; holding its sender itself would keep it from ending.
    flight: Weak<watch::Sender<Answer<T>>>,
}

/// The duty to load. Dropping it ends the flight, answered or not.
pub struct Leader<T: Send + Sync + 'static> {
    single_flight: Arc<SingleFlight>,
    name: String,
    answer: Arc<watch::Sender<Answer<T>>>,
}

impl SingleFlight {
    /// A waiter in the load of `name`, and the duty to load for the first.
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

    /// A load that nobody else boards.
    pub fn detached<T: Send + Sync + 'static>(self: &Arc<Self>) -> (Waiter<T>, Option<Leader<T>>) {
        let (single_flight, answer) = (Arc::clone(self), Arc::new(watch::Sender::new(None)));
        (Waiter::on(&answer), Some(Leader { single_flight, name: String::new(), answer }))
    }

    /// Nobody boards the load of `name` any more: what it brings may be older
    /// than a write just made. Those who are on it wait on.
    pub fn close(&self, name: &str) {
        self.in_flight().remove(name);
    }

    /// The same for all whose names begin with this word.
    pub fn close_all(&self, namespace: &str) {
        let is_other = |name: &str| name.split(':').next() != Some(namespace);
        self.in_flight().retain(|name, _| is_other(name));
    }

    /// Nobody boards this one load of `name` any more: it takes too long.
    /// Another that is under way by now is left as it is.
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
    pub async fn wait(&mut self) -> Result<LoadOutcome<T>, FetchError> {
        let answer = self.answer.wait_for(Option::is_some).await;
        answer.map_or(Err(FetchError::Aborted), |it| it.clone().unwrap_or(Err(FetchError::Aborted)))
    }
}

impl<T: Send + Sync + 'static> Leader<T> {
    /// Ends the flight with this answer.
    pub fn complete(self, answer: Result<LoadOutcome<T>, FetchError>) {
        self.close();
        self.answer.send_replace(Some(answer));
    }

    /// Nobody boards any more. Another flight of the same key may be under way.
    fn close(&self) {
        self.single_flight.close_if_same(&self.name, Arc::as_ptr(&self.answer).cast());
    }
}

impl<T: Send + Sync + 'static> Drop for Leader<T> {
    fn drop(&mut self) {
        self.close();
    }
}
