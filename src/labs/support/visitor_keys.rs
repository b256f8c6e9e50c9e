//! A visitor's own keys: whoever plays here has copies that nobody else sees,
//! and that end by themselves.

use std::time::Duration;

use hitrate_cache::{
    Key,
    redis::{Command, Store},
};

use crate::{demo::keys, token::Token};

/// How long the keys of a demo stay after the last act.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of the digest that names a visitor: enough that no two have one.
const NAME: usize = 8;

/// Someone who plays, as keys name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitorId(String);

/// One demo of one visitor. Its keys share a hash tag, so that in a cluster
/// they live on one node and a command may take several of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VisitorKeys {
    tag: String,
}

impl VisitorId {
    /// Whoever has this token.
    pub fn of(token: &Token) -> Self {
        Self(token.digest(NAME))
    }

    /// One of their demos.
    pub fn keys(&self, slug: &str) -> VisitorKeys {
        VisitorKeys { tag: format!("{}:{slug}", self.0) }
    }
}

impl VisitorKeys {
    /// The key that the documents call `name`.
    pub fn key(&self, name: &str) -> Key<()> {
        keys::demo(&self.tag, name)
    }

    /// Gives the keys of these names another day.
    pub fn keep<'a>(
        &self,
        store: &Store,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Vec<Command> {
        let expire = |name| store.on("EXPIRE", &self.key(name)).arg(KEPT.as_secs());
        names.into_iter().map(expire).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_demo_share_a_hash_tag_and_visitors_share_nothing() {
        let (one, other) = (VisitorId::of(&Token::random()), VisitorId::of(&Token::random()));
        let tag = |key: Key<()>| key.as_str().split_once('}').unwrap().0.to_owned();
        let demo = one.keys("sets");
        assert_eq!(tag(demo.key("post:1")), tag(demo.key("post:2")));
        assert_ne!(tag(demo.key("post:1")), tag(one.keys("lists").key("post:1")));
        assert_ne!(tag(demo.key("post:1")), tag(other.keys("sets").key("post:1")));
        assert!(demo.key("post:1").as_str().ends_with("}:post:1"));
    }
}
