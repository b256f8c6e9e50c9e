//! A user of Redis with only the commands that the cache needs.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{Cache, Effect, Invalidated, Loaded, OnWrite, Pattern, RedisStatus, Source};

use crate::{
    cell::{Cell, Down, plain},
    world::{PREFIX, SOON, World, within},
};

/// What the user may do. Scripts need the permissions of the commands that they call.
const COMMANDS: [&str; 16] = [
    "+ping",
    "+time",
    "+get",
    "+mget",
    "+set",
    "+del",
    "+unlink",
    "+pexpire",
    "+pttl",
    "+strlen",
    "+scan",
    "+evalsha",
    "+eval",
    "+client|setname",
    "+client|tracking",
    "+hello",
];

#[tokio::test]
async fn a_user_with_these_commands_and_keys_can_do_everything() {
    let mut rules = vec!["--user", "app", "on", ">secret", "~test:*", "resetchannels"];
    rules.extend(COMMANDS);
    let world = World::on(hitrate_cache::test_util::TestRedis::with_args(&rules).unwrap());
    let url = format!("redis+unix://{}?user=app&pass=secret", world.redis.socket().display());
    let cache = Cache::builder(&url).prefix(PREFIX).build().unwrap();
    cache.ready(SOON).await.unwrap();
    let policy = plain().near(Duration::from_secs(9)).on_write(OnWrite::Store);
    let cells = cache.namespace::<u64>("cell", policy);
    within(SOON, || cache.health().is_tracking).await;
    let tagged = || async { Ok::<_, Down>(Loaded::new(Some(1)).tag("t")) };
    cells.get("a", tagged()).await.unwrap();
    while cells.lookup("a", tagged()).await.unwrap().source != Source::Memory {}
    assert_eq!(cells.write("b", Cell::new(1).write(2)).await.unwrap().effect, Effect::Stored);
    assert_eq!(cells.peek("b").await.unwrap().value, Some(Arc::new(2)));
    assert_eq!(cells.put_all([("c", 3)]).await, Ok(1));
    let all = Pattern::parse("*").unwrap();
    let scan = cells.invalidate_matching(&all, false, |_| ()).await.unwrap();
    assert_eq!(scan.dropped, 3);
    assert_eq!(cells.invalidate("a").await, Invalidated::Nothing);
    assert_eq!(cells.invalidate_all().await, Invalidated::Dropped);
    assert_eq!(cache.invalidate_tag("t").await, Invalidated::Dropped);
    assert_eq!(cache.health().redis, RedisStatus::Up, "nothing was denied");
}
