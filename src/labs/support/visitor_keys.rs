//! Keys of the visitor's own: other visitors don't see them, and they expire.

use std::time::Duration;

use hitrate_cache::redis::{Client, Command, Key};

use crate::{demo::keys, token::Token};

/// TTL of a demo's keys, renewed by each action.
pub const KEY_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// Length of the digest that identifies a visitor, in bytes: 64 bits make collisions
/// unlikely.
const DIGEST_BYTES: usize = 8;

/// A visitor's id, as it appears in keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitorId(String);

/// One demo of one visitor. Its keys share a hash tag, so that a cluster keeps them on
/// one node and multi-key commands work.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VisitorKeys {
    tag: String,
}

impl VisitorId {
    /// The visitor with this token.
    pub fn of(token: &Token) -> Self {
        Self(token.digest(DIGEST_BYTES))
    }

    /// The keys of one of the visitor's demos.
    pub fn keys(&self, slug: &str) -> VisitorKeys {
        VisitorKeys { tag: format!("{}:{slug}", self.0) }
    }
}

impl VisitorKeys {
    /// The key that the tutorial calls `name`.
    pub fn key(&self, name: &str) -> Key<()> {
        keys::demo(&self.tag, name)
    }

    /// Commands that reset the TTL of these keys to [`KEY_TTL`].
    pub fn renewals<'a>(
        &self,
        store: &Client,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Vec<Command> {
        let expire = |name| store.on("EXPIRE", &self.key(name)).arg(KEY_TTL.as_secs());
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
