use futures_util::future::join_all;
use hitrate_cache::Fill;

use crate::world::{World, default};

#[tokio::test]
async fn made_up_ids_do_not_fill_redis() {
    let world = World::new();
    let (cache, policy) = (world.cache().await, default());
    let mut not_cached = 0;
    for hundred in 0..30 {
        let ids: Vec<_> = (0..100).map(|n| format!("unknown-{hundred}-{n}")).collect();
        for found in join_all(ids.iter().map(|id| world.fetch(&cache, id, &policy))).await {
            not_cached += u32::from(found.unwrap().fill == Fill::NotCached);
        }
    }
    assert_eq!(world.redis.command(&["DBSIZE"]), "1001", "and the tag");
    assert_eq!(not_cached, 2_000, "answered nevertheless");
}
