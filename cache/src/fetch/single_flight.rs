//! Single-flight: loads that are under way, by key, so that whoever misses the
//! same key meanwhile waits for the same answer.
//!
//! A load is a task of its own: a caller who leaves does not end it for the
//! others. When it fails, all who wait get that failure once and nothing is
//! kept; when it panics, its ticket is dropped and tells them so.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::watch;

use crate::{error::Failure, fetch::loaded::Loaded};

/// What a load brought; nothing while it is under way.
type Outcome<T> = Option<Result<Loaded<T>, Failure>>;

/// The loads under way in this process.
#[derive(Default)]
pub struct Flights(Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>);

/// A place in a load that is under way.
pub struct Seat<T> {
    outcome: watch::Receiver<Outcome<T>>,
    /// Which load it is; holding its sender itself would keep it from ending.
    flight: Weak<watch::Sender<Outcome<T>>>,
}

/// The duty to load. Dropping it ends the flight, answered or not.
pub struct Ticket<T: Send + Sync + 'static> {
    flights: Arc<Flights>,
    name: String,
    outcome: Arc<watch::Sender<Outcome<T>>>,
}

impl Flights {
    /// A seat in the load of `name`, and the duty to load for the first.
    pub fn board<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        name: &str,
    ) -> (Seat<T>, Option<Ticket<T>>) {
        let mut under_way = self.under_way();
        let flight = under_way.get(name).cloned();
        if let Some(Ok(outcome)) = flight.map(Arc::downcast::<watch::Sender<Outcome<T>>>) {
            return (Seat::on(&outcome), None);
        }
        let outcome = Arc::new(watch::Sender::new(None));
        under_way.insert(name.to_owned(), Arc::clone(&outcome) as _);
        let seat = Seat::on(&outcome);
        let ticket = Ticket { flights: Arc::clone(self), name: name.to_owned(), outcome };
        (seat, Some(ticket))
    }

    /// A load that nobody else boards.
    pub fn alone<T: Send + Sync + 'static>(self: &Arc<Self>) -> (Seat<T>, Option<Ticket<T>>) {
        let (flights, outcome) = (Arc::clone(self), Arc::new(watch::Sender::new(None)));
        (Seat::on(&outcome), Some(Ticket { flights, name: String::new(), outcome }))
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
    pub fn leave<T>(&self, name: &str, seat: &Seat<T>) {
        self.close_one(name, seat.flight.as_ptr().cast());
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

impl<T> Seat<T> {
    fn on(flight: &Arc<watch::Sender<Outcome<T>>>) -> Self {
        Self { outcome: flight.subscribe(), flight: Arc::downgrade(flight) }
    }

    /// Waits for the answer.
    pub async fn answer(&mut self) -> Result<Loaded<T>, Failure> {
        let landed = self.outcome.wait_for(Option::is_some).await;
        landed.map_or(Err(Failure::BrokeOff), |it| it.clone().unwrap_or(Err(Failure::BrokeOff)))
    }
}

impl<T: Send + Sync + 'static> Ticket<T> {
    /// Ends the flight with this answer.
    pub fn land(self, answer: Result<Loaded<T>, Failure>) {
        self.end();
        self.outcome.send_replace(Some(answer));
    }

    /// Nobody boards any more. Another flight of the same key may be under way.
    fn end(&self) {
        self.flights.close_one(&self.name, Arc::as_ptr(&self.outcome).cast());
    }
}

impl<T: Send + Sync + 'static> Drop for Ticket<T> {
    fn drop(&mut self) {
        self.end();
    }
}
