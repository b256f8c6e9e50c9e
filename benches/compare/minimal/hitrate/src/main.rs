//! The smallest program with hitrate-cache.

use std::{convert::Infallible, error::Error, fmt, sync::Arc};

use hitrate_cache::{
    Cache, CachePolicy, Cached, Engine, Key, Namespace, OriginError, Versioned,
    redis::{Address, Health, Store},
    trace::Trace,
};
use serde::{Deserialize, Serialize};

const USER: Namespace = Namespace::new("user");

#[derive(Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

impl Cached for User {
    fn key(&self) -> Key<Self> {
        Key::of(USER, &self.id.to_string())
    }
}

#[derive(Debug)]
struct Never(Infallible);

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl Error for Never {}
impl OriginError for Never {}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = Address::parse("redis://127.0.0.1:6379")?;
    let store = Store::open(&address, "app:", &Arc::new(Health::default()));
    let cache = Cache::new(store, Arc::new(Engine::new("app:", &[USER], Arc::new(()))));
    let load = || async {
        let value = User { id: 7, name: "Ada".to_owned() };
        Ok::<_, Never>(Some(Versioned { value, version: 1 }))
    };
    let key = Key::of(USER, "7");
    let lookup = cache.fetch(&key, &CachePolicy::DEFAULT, &Trace::disabled(), load).await?;
    println!("{}", lookup.value.map_or_else(String::new, |user| user.name.clone()));
    Ok(())
}
