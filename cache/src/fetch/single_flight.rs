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

use crate::{error::FetchError, fetch::loaded::Loaded};

/// What a load brought; nothing while it is under way.
type Outcome<T> = Option<Result<Loaded<T>, FetchError>>;

/// The loads under way in this process.
#[derive(Default)]
pub struct SingleFlight(Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>);

/// A place in a load that is under way.
pub struct Waiter<T> {
    outcome: watch::Receiver<Outcome<T>>,
    /// Which load it is; holding its sender itself would keep it from ending.
    flight: Weak<watch::Sender<Outcome<T>>>,
}

/// The duty to load. Dropping it ends the flight, answered or not.
pub struct Leader<T: Send + Sync + 'static> {
    single_flight: Arc<SingleFlight>,
    name: String,
    outcome: Arc<watch::Sender<Outcome<T>>>,
}

impl SingleFlight {
    /// A waiter in the load of `name`, and the duty to load for the first.
    pub fn join<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        name: &str,
    ) -> (Waiter<T>, Option<Leader<T>>) {
        let mut under_way = self.under_way();
        let flight = under_way.get(name).cloned();
        if let Some(Ok(outcome)) = flight.map(Arc::downcast::<watch::Sender<Outcome<T>>>) {
            return (Waiter::on(&outcome), None);
        }
        let outcome = Arc::new(watch::Sender::new(None));
        under_way.insert(name.to_owned(), Arc::clone(&outcome) as _);
        let waiter = Waiter::on(&outcome);
        let leader = Leader { single_flight: Arc::clone(self), name: name.to_owned(), outcome };
        (waiter, Some(leader))
    }

    /// A load that nobody else boards.
    pub fn detached<T: Send + Sync + 'static>(self: &Arc<Self>) -> (Waiter<T>, Option<Leader<T>>) {
        let (single_flight, outcome) = (Arc::clone(self), Arc::new(watch::Sender::new(None)));
        (Waiter::on(&outcome), Some(Leader { single_flight, name: String::new(), outcome }))
    }

    /// Nobody boards the load of `name` any more: what it brings may be older
    /// than a write just made. Those who are on it wait on.
    pub fn close(&self, name: &str) {
        self.under_way().remove(name);
    }

    /// The same for all whose names begin with this word.
    pub fn close_all(&self, namespace: &str) {
        let is_other = |name: &str| name.split(':').next() != Some(namespace);
        self.under_way().retain(|name, _| is_other(name));
    }

    /// Nobody boards this one load of `name` any more: it takes too long.
    /// Another that is under way by now is left as it is.
    pub fn leave<T>(&self, name: &str, waiter: &Waiter<T>) {
        self.close_one(name, waiter.flight.as_ptr().cast());
    }

    fn close_one(&self, name: &str, flight: *const ()) {
        let mut under_way = self.under_way();
        if under_way.get(name).is_some_and(|it| Arc::as_ptr(it).cast() == flight) {
            under_way.remove(name);
        }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, Arc<dyn Any + Send + Sync>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiter<T> {
    fn on(flight: &Arc<watch::Sender<Outcome<T>>>) -> Self {
        Self { outcome: flight.subscribe(), flight: Arc::downgrade(flight) }
    }

    /// Waits for the answer.
    pub async fn answer(&mut self) -> Result<Loaded<T>, FetchError> {
        let landed = self.outcome.wait_for(Option::is_some).await;
        landed
            .map_or(Err(FetchError::BrokeOff), |it| it.clone().unwrap_or(Err(FetchError::BrokeOff)))
    }
}

impl<T: Send + Sync + 'static> Leader<T> {
    /// Ends the flight with this answer.
    pub fn complete(self, answer: Result<Loaded<T>, FetchError>) {
        self.end();
        self.outcome.send_replace(Some(answer));
    }

    /// Nobody boards any more. Another flight of the same key may be under way.
    fn end(&self) {
        self.single_flight.close_one(&self.name, Arc::as_ptr(&self.outcome).cast());
    }
}

impl<T: Send + Sync + 'static> Drop for Leader<T> {
    fn drop(&mut self) {
        self.end();
    }
}
