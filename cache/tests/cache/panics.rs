//! Panics in loads, writes and observers. Those of codecs are in `codecs`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use hitrate_cache::{Cache, Error, Fill, Invalidated, LookedUp, Observer, OnWrite};
use tokio::sync::oneshot;

use crate::{
    cell::{Cell, Down, plain},
    world::{PREFIX, SOON, World, named, within},
};

async fn panicking() -> Result<u64, Down> {
    tokio::task::yield_now().await;
    panic!("this origin panics on purpose")
}

#[tokio::test]
async fn a_panic_in_a_load_ends_it_for_all_callers_and_leaves_no_lease() {
    let world = World::new();
    let cache = world.cache().await;
    let cells = cache.namespace::<u64>("cell", plain().lease(Some(Duration::from_secs(60))));
    for round in 0..3 {
        let found = join_all((0..5).map(|_| cells.get(round, panicking()))).await;
        assert!(found.iter().all(|it| matches!(it, Err(Error::Aborted))), "{found:?}");
        let no_lease = || world.redis.command(&["KEYS", "*lease*"]).is_empty();
        within(SOON, no_lease).await;
        assert_eq!(cells.get(round, Cell::new(1).load()).await.unwrap(), Some(Arc::new(1)));
    }
    assert_eq!(cache.health().queued_loads, 0);
}

/// Without single-flight the load runs in the caller's task, which panics with it.
#[tokio::test]
async fn a_panic_in_the_callers_task_leaves_no_lease() {
    let world = World::new();
    let cache = world.cache().await;
    let policy = named("lease").lease(Some(Duration::from_secs(60)));
    let cells = cache.namespace::<u64>("cell", policy);
    let caller = {
        let cells = cells.clone();
        tokio::spawn(async move { cells.get(1, panicking()).await })
    };
    assert!(caller.await.unwrap_err().is_panic());
    within(SOON, || world.redis.command(&["KEYS", "*lease*"]).is_empty()).await;
}

#[tokio::test]
async fn a_panic_in_a_write_drops_the_copy() {
    let world = World::new();
    let cache = world.cache().await;
    for on_write in [OnWrite::Drop, OnWrite::Store] {
        let cells = cache.namespace::<u64>("cell", plain().on_write(on_write));
        let cell = Cell::new(1);
        cells.get("a", cell.load()).await.unwrap();
        let commits = cell.write(2);
        let write = async move {
            let _ = commits.await;
            panicking().await
        };
        assert!(matches!(cells.write("a", write).await, Err(Error::Aborted)));
        assert_eq!(cells.get("a", cell.load()).await.unwrap(), Some(Arc::new(2)));
    }
}

/// Panics at each event, when it is told to.
#[derive(Default)]
struct Clumsy(AtomicBool);

impl Clumsy {
    fn act(&self) {
        assert!(!self.0.load(Ordering::SeqCst), "this observer panics on purpose");
    }
}

impl Observer for Clumsy {
    fn looked_up(&self, _: &LookedUp<'_>) {
        self.act();
    }

    fn load_started(&self, _: &'static str) {
        self.act();
    }

    fn load_rejected(&self, _: &'static str) {
        self.act();
    }

    fn entry_rejected(&self, _: &'static str) {
        self.act();
    }

    fn entry_replaced(&self, _: &'static str, _: &'static str) {
        self.act();
    }

    fn invalidated(&self, _: &'static str, _: &Invalidated) {
        self.act();
    }
}

#[tokio::test]
async fn a_panic_in_an_observer_changes_no_result() {
    let world = World::new();
    let observer = Arc::new(Clumsy::default());
    let builder = Cache::builder(&world.redis.url()).prefix(PREFIX).max_entry_bytes(300);
    let builder = builder.shared_observer(Arc::clone(&observer) as _).max_loads(1, 0);
    let cache = builder.build().unwrap();
    cache.ready(SOON).await.unwrap();
    let cells = cache.namespace::<String>("cell", plain().on_write(OnWrite::Store));
    let text = |bytes| async move { Ok::<_, Down>("x".repeat(bytes)) };
    cells.get("a", text(1)).await.unwrap();
    world.redis.command(&["SET", "test:cell:c", "x"]);
    observer.0.store(true, Ordering::SeqCst);
    assert_eq!(cells.get("a", text(1)).await.unwrap(), Some(Arc::new("x".to_owned())));
    assert_eq!(cells.lookup("b", text(999)).await.unwrap().fill, Fill::TooLarge);
    assert!(matches!(cells.lookup("c", text(1)).await.unwrap().fill, Fill::Stored(_)));
    cells.write("a", text(999)).await.unwrap();
    assert!(cells.peek("a").await.is_none(), "the old copy is dropped");
    assert_eq!(cells.invalidate("c").await, Invalidated::Dropped);
    assert_eq!(cells.invalidate_all().await, Invalidated::Dropped);
    assert_eq!(cache.invalidate_tag("t").await, Invalidated::Dropped);
    let (begun, begins) = oneshot::channel();
    let (ends, ended) = oneshot::channel::<()>();
    let slow = async move {
        begun.send(()).unwrap();
        ended.await.unwrap();
        Ok::<_, Down>(String::new())
    };
    let first = {
        let cells = cells.clone();
        tokio::spawn(async move { cells.get("d", slow).await })
    };
    begins.await.unwrap();
    let second = cells.get("e", text(1)).await;
    assert!(matches!(second, Err(Error::Overloaded)), "{second:?}");
    ends.send(()).unwrap();
    assert!(first.await.unwrap().is_ok());
}
