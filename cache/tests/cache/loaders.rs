//! Origins that are bound once, their errors, and retries.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hitrate_cache::{Error, Origin, Source};

use crate::{
    cell::{Down, plain},
    world::World,
};

/// Fails the first times.
struct Flaky {
    failures: u64,
    is_transient: bool,
    loads: Arc<AtomicU64>,
}

impl Origin<u64, u64> for Flaky {
    type Loaded = u64;
    type Error = io::Error;

    async fn load(&self, key: u64) -> io::Result<u64> {
        match self.loads.fetch_add(1, Ordering::SeqCst) < self.failures {
            true => Err(io::ErrorKind::ResourceBusy.into()),
            false => Ok(key * 10),
        }
    }

    fn is_transient(&self, error: &io::Error) -> bool {
        self.is_transient && error.kind() == io::ErrorKind::ResourceBusy
    }
}

/// The result of one lookup, and the number of loads.
async fn lookup(failures: u64, is_transient: bool) -> (Result<u64, io::ErrorKind>, u64) {
    let world = World::new();
    let loads = Arc::<AtomicU64>::default();
    let origin = Flaky { failures, is_transient, loads: Arc::clone(&loads) };
    let loader = world.cache().await.namespace::<u64>("cell", plain()).loader(origin);
    let result = match loader.get(7).await {
        Ok(value) => Ok(*value.unwrap()),
        Err(error) => Err(error.origin::<io::Error>().unwrap().kind()),
    };
    (result, loads.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_transient_error_is_retried_and_a_lasting_one_is_not() {
    assert_eq!(lookup(0, true).await, (Ok(70), 1));
    assert_eq!(lookup(1, true).await, (Ok(70), 2));
    let (result, loads) = lookup(9, true).await;
    assert_eq!(result, Err(io::ErrorKind::ResourceBusy));
    assert!((2..=3).contains(&loads), "{loads}: three, unless the time was up");
    assert_eq!(lookup(1, false).await, (Err(io::ErrorKind::ResourceBusy), 1));
}

#[tokio::test]
async fn a_closure_of_the_key_is_an_origin() {
    let world = World::new();
    let cells = world.cache().await.namespace::<u64>("cell", plain());
    let loader = cells.loader(|key: (u64, &'static str)| async move {
        Ok::<_, Down>((key.1 == "known").then_some(key.0))
    });
    assert_eq!(loader.get((7, "known")).await.unwrap().as_deref(), Some(&7));
    assert_eq!(loader.get((7, "unknown")).await.unwrap(), None);
    assert_eq!(loader.clone().lookup((7, "known")).await.unwrap().source, Source::Cache);
    assert_eq!(cells.peek((7, "known")).await.unwrap().value.as_deref(), Some(&7));
}

/// The error keeps its type, its text and its causes, for all callers that share it.
#[tokio::test]
async fn the_error_of_the_origin_comes_back() {
    #[derive(Debug, thiserror::Error)]
    #[error("no row")]
    struct NoRow(#[source] Down);

    let world = World::new();
    let cells = world.cache().await.namespace::<u64>("cell", plain());
    let failing = || {
        cells.get(7, async {
            tokio::task::yield_now().await;
            Err::<u64, _>(NoRow(Down))
        })
    };
    let (one, other) = tokio::join!(failing(), failing());
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert!(error.origin::<NoRow>().is_some() && error.origin::<Down>().is_none());
        assert_eq!(error.to_string(), "no row");
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.downcast_ref(), Some(&Down));
    }
    let text = cells.get(7, async { Err::<u64, _>("only a text") }).await.unwrap_err();
    assert!(matches!(&text, Error::Origin(_)) && text.to_string() == "only a text");
    assert!(Error::TimedOut.origin::<Down>().is_none());
}
