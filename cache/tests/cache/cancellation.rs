//! Callers that are cancelled at any point.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use hitrate_cache::{CachePolicy, Namespace, OnWrite};
use tokio::time::sleep;

use crate::{
    cell::{Cell, plain},
    timing::BUSY,
    world::{SOON, World, named, within},
};

/// Polls a future so many times at most, whenever it can go on, then drops it.
async fn polled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

const TICK: Duration = Duration::from_millis(3);

/// The policies: every load in a task of its own, and in the caller's task.
fn policies() -> [CachePolicy; 3] {
    [plain(), plain().near(Duration::from_secs(9)), named("lease")]
}

async fn no_lease_is_left(world: &World) {
    let end = std::time::Instant::now() + SOON * BUSY;
    while !world.redis.command(&["KEYS", "*lease*"]).is_empty() {
        assert!(std::time::Instant::now() < end, "a lease is left");
        sleep(TICK).await;
    }
}

#[tokio::test]
async fn a_lookup_leaves_no_lease_and_its_load_goes_on() {
    let world = World::new();
    let cache = world.cache().await;
    for (n, policy) in policies().into_iter().enumerate() {
        let cells = cache.namespace::<u64>("cell", policy);
        for polls in 0.. {
            let (id, cell) = ((n, polls), Cell::new(1));
            let ended = polled(polls, cells.get(id, cell.slow_load(TICK, TICK))).await;
            if policy.lease == Some(Duration::from_secs(1)) && n < 2 && cell.loads() > 0 {
                is_stored(&cells, id).await;
            }
            no_lease_is_left(&world).await;
            let after = cells.get(id, cell.load()).await.unwrap();
            assert_eq!(after.as_deref(), Some(&1), "after {polls} polls");
            if ended.is_some() {
                assert!(polls > 2, "only {polls} polls");
                break;
            }
        }
    }
}

async fn is_stored(cells: &Namespace<u64>, id: (usize, usize)) {
    let end = std::time::Instant::now() + SOON * BUSY;
    while cells.peek(id).await.is_none() {
        assert!(std::time::Instant::now() < end, "the load should have gone on");
        sleep(TICK).await;
    }
}

#[tokio::test]
async fn a_write_that_began_is_finished_and_outdates_the_copy() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    for (n, on_write) in [OnWrite::Drop, OnWrite::Store].into_iter().enumerate() {
        let cells = here.namespace::<u64>("cell", plain().on_write(on_write));
        let others = there.namespace::<u64>("cell", plain());
        for polls in 0.. {
            let (id, cell) = ((n, polls), Cell::new(1));
            cells.get(id, cell.load()).await.unwrap();
            let ended = polled(polls, cells.write(id, cell.slow_write(2, TICK, TICK))).await;
            if polls > 0 {
                within(SOON, || cell.value() == Some(2)).await;
                is_read(&others, id, &cell).await;
            } else {
                assert_eq!(cell.value(), Some(1), "it was never polled");
            }
            if ended.is_some() {
                break;
            }
        }
    }
}

/// Waits until a reader gets what the cell has.
async fn is_read(cells: &Namespace<u64>, id: (usize, usize), cell: &Cell) {
    let end = std::time::Instant::now() + SOON * BUSY;
    while cells.get(id, cell.load()).await.unwrap() != cell.value().map(Arc::new) {
        assert!(std::time::Instant::now() < end, "the copy should be outdated by now");
        sleep(TICK).await;
    }
}

#[tokio::test]
async fn an_invalidation_that_began_is_finished_here_and_elsewhere() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let policy = plain().with_ttl(Duration::from_millis(300));
    let [cells, others] = [&here, &there].map(|cache| cache.namespace::<u64>("cell", policy));
    for way in 0..3_usize {
        for polls in 0.. {
            let (id, cell) = ((way, polls), Cell::new(1));
            cells.get(id, cell.load()).await.unwrap();
            cell.set(2);
            let ended = match way {
                0 => polled(polls, cells.invalidate(id)).await,
                1 => polled(polls, cells.invalidate_all()).await,
                _ => polled(polls, here.invalidate_tag("t")).await,
            };
            if polls > 0 && way < 2 {
                is_read(&others, id, &cell).await;
                is_read(&cells, id, &cell).await;
            }
            if ended.is_some() {
                break;
            }
        }
    }
}
