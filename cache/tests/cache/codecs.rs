//! Codecs of one's own, and values that look like what the scripts look for.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use hitrate_cache::{BoxError, Codec, Effect, Fill, Json, Observer, OnWrite, Source};

use crate::{
    cell::{Down, plain},
    world::{PREFIX, SOON, World, within},
};

/// Stores bytes as they are.
#[derive(Clone)]
struct Raw;

impl Codec<Vec<u8>> for Raw {
    const ID: &'static str = "raw";

    fn encode(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend(value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, BoxError> {
        Ok(bytes.to_vec())
    }
}

/// Values that contain what stands at the start of a tombstone, of a pending copy, of an
/// entry, and what ends the header.
const LOOKALIKES: [&[u8]; 9] = [
    br#""gone":true}"#,
    br#"{"version":9,"gone":true}"#,
    br#","gone":true,"at":9007199254740991}"#,
    br#""pending":9"#,
    br#"{"version":9,"pending":9,"ttl":1,"#,
    br#"{"version":0,"at":9007199254740991,"#,
    b"\n",
    b"\n\n{\"version\":9007199254740991,\"gone\":true}\n",
    b"\x00\xff\x80\r\n",
];

#[tokio::test]
async fn values_that_look_like_parts_of_an_entry_are_values() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let policy = plain().on_write(OnWrite::Store);
    let [here, there] =
        [here, there].map(|cache| cache.namespace::<Vec<u8>>("raw", policy).codec(Raw));
    for (n, value) in LOOKALIKES.iter().enumerate() {
        let load = async { Ok::<_, Down>(value.to_vec()) };
        here.get(n, load).await.unwrap();
        let found = there.peek(n).await.unwrap();
        assert_eq!(found.value.as_deref().map(Vec::as_slice), Some(*value));
        // And as the ones to be replaced.
        let next = LOOKALIKES[(n + 1) % LOOKALIKES.len()];
        let written = there.write(n, async { Ok::<_, Down>(next.to_vec()) }).await.unwrap();
        assert!(matches!(written.effect, Effect::Stored | Effect::Invalidated(true)));
        let found = here.get(n, async { Ok::<_, Down>(next.to_vec()) }).await.unwrap();
        assert_eq!(found.as_deref().map(Vec::as_slice), Some(next));
        let _ = here.invalidate(n).await;
        assert!(there.peek(n).await.is_none());
    }
}

/// What a codec does.
const WORKS: u32 = 0;
const FAILS: u32 = 1;
const PANICS: u32 = 2;

/// A codec that fails or panics on demand, in one direction.
#[derive(Clone, Default)]
struct Moody {
    encode: Arc<AtomicU32>,
    decode: Arc<AtomicU32>,
}

fn mood(mood: &AtomicU32) -> Result<(), BoxError> {
    match mood.load(Ordering::SeqCst) {
        WORKS => Ok(()),
        FAILS => Err("it fails on purpose".into()),
        _ => panic!("this codec panics on purpose"),
    }
}

impl Codec<u64> for Moody {
    const ID: &'static str = "moody";

    fn encode(&self, value: &u64, out: &mut Vec<u8>) -> Result<(), BoxError> {
        mood(&self.encode)?;
        out.extend(value.to_le_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, BoxError> {
        mood(&self.decode)?;
        Ok(u64::from_le_bytes(bytes.try_into()?))
    }
}

#[tokio::test]
async fn a_value_that_is_not_encoded_is_returned_and_not_cached() {
    let world = World::new();
    let cache = world.cache().await;
    let (codec, policy) = (Moody::default(), plain().on_write(OnWrite::Store));
    let cells = cache.namespace::<u64>("moody", policy).codec(codec.clone());
    let row = |value: u64| async move { Ok::<_, Down>(value) };
    for trouble in [FAILS, PANICS] {
        codec.encode.store(WORKS, Ordering::SeqCst);
        cells.get("a", row(1)).await.unwrap();
        codec.encode.store(trouble, Ordering::SeqCst);
        let written = cells.write("a", row(2)).await.unwrap();
        assert_eq!(written.effect, Effect::Invalidated(true), "the old copy is dropped");
        let found = cells.lookup("a", row(2)).await.unwrap();
        assert_eq!((found.value, found.fill), (Some(Arc::new(2)), Fill::NotCached));
        assert_eq!(cells.put_all([("b", 1)]).await, Ok(0));
        let _ = cells.invalidate("a").await;
        assert!(world.redis.command(&["KEYS", "*lease*"]).is_empty());
    }
}

#[derive(Default)]
struct Replaced(Mutex<Vec<&'static str>>);

impl Observer for Replaced {
    fn entry_replaced(&self, namespace: &'static str, what: &'static str) {
        assert_eq!(namespace, "moody");
        self.0.lock().unwrap().push(what);
    }
}

#[tokio::test]
async fn a_value_that_is_not_decoded_is_loaded_and_replaced() {
    let world = World::new();
    let observer = Arc::new(Replaced::default());
    let builder = hitrate_cache::Cache::builder(&world.redis.url()).prefix(PREFIX);
    let cache = builder.shared_observer(Arc::clone(&observer) as _).build().unwrap();
    cache.ready(SOON).await.unwrap();
    let codec = Moody::default();
    let cells = cache.namespace::<u64>("moody", plain()).codec(codec.clone());
    let row = |value: u64| async move { Ok::<_, Down>(value) };
    for trouble in [FAILS, PANICS] {
        cells.get("a", row(1)).await.unwrap();
        // By another process, as this one remembers what it has decoded.
        let there = world.cache().await;
        let others = there.namespace::<u64>("moody", plain()).codec(codec.clone());
        codec.decode.store(trouble, Ordering::SeqCst);
        let found = others.lookup("a", row(2)).await.unwrap();
        codec.decode.store(WORKS, Ordering::SeqCst);
        assert_eq!((found.value, found.source), (Some(Arc::new(2)), Source::Database));
        assert!(matches!(found.fill, Fill::Stored(_)), "{:?}", found.fill);
        assert_eq!(cells.peek("a").await.unwrap().value, Some(Arc::new(2)));
        let _ = cells.invalidate("a").await;
    }
    world.redis.command(&["SET", "test:moody:b", "not an entry"]);
    cells.get("b", row(3)).await.unwrap();
    world.redis.command(&["SET", "test:moody:b", r#"{"version":9007199254740993,"ttl":1}"#]);
    cells.get("b", row(3)).await.unwrap();
    world.redis.command(&["RPUSH", "test:moody:c", "x"]);
    cells.get("c", row(3)).await.unwrap();
    for id in ["b", "c"] {
        assert_eq!(cells.peek(id).await.unwrap().value, Some(Arc::new(3)));
    }
    within(SOON, || observer.0.lock().unwrap().len() == 3).await;
    let expected =
        ["an entry that can't be decoded", "a version out of range", "a value of another type"];
    assert_eq!(*observer.0.lock().unwrap(), expected);
}

/// Two releases with different schemas share Redis during a deployment, and a slow reader
/// of one has a row that the other has since written.
#[tokio::test]
async fn a_slow_reader_does_not_replace_the_tombstone_of_a_corrupt_entry() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let old = here.namespace::<u64>("cell", plain().lease(None));
    let new = there.namespace::<u64>("cell", plain()).codec(Json::schema(2));
    let row = |value: u64| async move { Ok::<_, Down>(value) };
    new.get("a", row(1)).await.unwrap();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let (ends, ended) = tokio::sync::oneshot::channel::<()>();
    let slow = async move {
        begun.send(()).unwrap();
        ended.await.unwrap();
        Ok::<_, Down>(1_u64)
    };
    let reading = {
        let old = old.clone();
        tokio::spawn(async move { old.lookup("a", slow).await.unwrap() })
    };
    begins.await.unwrap();
    new.write("a", row(2)).await.unwrap();
    ends.send(()).unwrap();
    assert_eq!(reading.await.unwrap().fill, Fill::Superseded);
    assert_eq!(old.get("a", row(2)).await.unwrap().as_deref(), Some(&2));
    // And each replaces what it can't read.
    assert_eq!(new.lookup("a", row(2)).await.unwrap().source, Source::Database);
    assert_eq!(new.lookup("a", row(2)).await.unwrap().source, Source::Cache);
}
