//! Ids of all kinds.

use hitrate_cache::{Cache, KeyPart, Namespace, Pattern};
use proptest::prelude::*;

use crate::{
    cell::{Cell, plain},
    world::World,
};

const TEXTS: [&str; 33] = [
    "",
    " ",
    "a",
    "A",
    "a:b",
    "a%3Ab",
    "a%253Ab",
    "*",
    "?",
    "[a]",
    "\\",
    "\\*",
    "{",
    "}",
    "{a}",
    "{}",
    "}{",
    "a\nb",
    "a\r\nb",
    "\0",
    "\"",
    "\\\"",
    "\u{e9}",
    "e\u{301}",
    "\u{1f980}",
    "user-1",
    "user-10",
    "-1",
    "1",
    "01",
    "test:cell:a",
    "\u{202e}",
    "\n",
];

fn texts() -> Vec<String> {
    let long = ["x", "y", "{", "\u{1f980}"].map(|text| text.repeat(10_240));
    TEXTS.map(str::to_owned).into_iter().chain(long).collect()
}

async fn store(cells: &Namespace<u64>, id: impl KeyPart, value: u64) {
    cells.get(id, Cell::new(value).load()).await.unwrap();
}

async fn peek(cells: &Namespace<u64>, id: impl KeyPart) -> Option<u64> {
    cells.peek(id).await.map(|found| *found.value.unwrap())
}

#[tokio::test]
async fn every_text_and_every_pair_has_a_key_of_its_own() {
    let world = World::new();
    let (here, there) = (world.cache().await, world.cache().await);
    let [here, there] = [here, there].map(|cache| cache.namespace::<u64>("cell", plain()));
    for (n, text) in (1..).zip(&texts()) {
        store(&here, text, n).await;
        store(&here, (text, "a"), 1_000 + n).await;
        store(&here, ("b", text), 2_000 + n).await;
    }
    for (n, text) in (1..).zip(&texts()) {
        assert_eq!(peek(&there, text).await, Some(n), "{text:.20?}");
        assert_eq!(peek(&there, (text, "a")).await, Some(1_000 + n), "({text:.20?}, \"a\")");
        assert_eq!(peek(&there, ("b", text)).await, Some(2_000 + n), "(\"b\", {text:.20?})");
        // Only this one is dropped.
        let _ = here.invalidate(text).await;
        assert_eq!(peek(&there, text).await, None);
    }
    assert_eq!(peek(&there, ("b", "*")).await, Some(2_008));
}

#[tokio::test]
async fn what_belongs_to_a_copy_has_the_whole_key_as_its_hash_tag() {
    let world = World::new();
    let cells = world.cache().await.namespace::<u64>("cell", plain());
    for id in ["{a}", "}", "a:{", "\u{e9}"] {
        let (key, cell) = (cells.full_key(id), Cell::new(1));
        cells.write(id, cell.write(1)).await.unwrap();
        let beside = world.redis.command(&["KEYS", "test:edited:*"]);
        assert_eq!(beside, format!("test:edited:{{{key}}}"));
        let tag = &beside[beside.find('{').unwrap() + 1..beside.find('}').unwrap()];
        assert_eq!(tag, key, "the hash tag ends at the first brace");
        world.redis.flush();
    }
}

/// The characters of a pattern that are special to Redis can't be given, and those of a
/// prefix are taken literally.
#[tokio::test]
async fn patterns_match_ids_literally() {
    let world = World::new();
    let builder = Cache::builder(&world.redis.url()).prefix("a*[b]\\?:");
    let cache = builder.build().unwrap();
    cache.ready(crate::world::SOON).await.unwrap();
    let cells = cache.namespace::<u64>("cell", plain());
    for id in ["user-1", "user-10", "User-1", "a:b", "[a]", "*", "{u}", "\u{e9}"] {
        store(&cells, id, 1).await;
    }
    store(&cells, ("a", "b"), 1).await;
    world.redis.command(&["SET", "aXXb\\x:cell:user-1", "of another program"]);
    for (pattern, found) in
        [("user-1", 1), ("user-?", 1), ("user-1*", 2), ("a:b", 1), ("*", 9), ("x*", 0)]
    {
        let pattern = Pattern::parse(pattern).unwrap();
        let scan = cells.invalidate_matching(&pattern, true, |_| ()).await.unwrap();
        assert_eq!(scan.found, found, "{}", pattern.as_str());
    }
    for refused in ["[ab]", "a\\*", "{", "%3A", "\u{e9}", "", " "] {
        assert_eq!(Pattern::parse(refused), None, "{refused}");
    }
}

#[test]
#[should_panic(expected = "reserved")]
fn a_namespace_can_not_have_a_name_that_the_cache_uses() {
    let _ = Cache::off().namespace::<u64>("edited", plain());
}

fn key(id: impl KeyPart) -> String {
    Cache::off().namespace::<u64>("cell", plain()).full_key(id)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn different_ids_have_different_keys(a in ".{0,6}", b in ".{0,6}", c in ".{0,6}", d in ".{0,6}") {
        prop_assert_eq!(a == c, key(&a) == key(&c));
        prop_assert_eq!((&a, &b) == (&c, &d), key((&a, &b)) == key((&c, &d)));
        prop_assert_ne!(key(&a), key((&c, &d)), "a text is no pair");
    }
}
