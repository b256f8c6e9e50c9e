//! A cached type, for the unit tests.

use serde::{Deserialize, Serialize};

use crate::namespace::{Cached, Key, Namespace};

pub const PROFILE: Namespace = Namespace::new("profile");
pub const PRODUCT: Namespace = Namespace::new("product");

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub user_id: String,
    pub name: String,
    pub email: String,
    pub age: u32,
}

impl Cached for Profile {
    fn key(&self) -> Key<Self> {
        profile(&self.user_id)
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub id: u32,
}

impl Cached for Product {
    fn key(&self) -> Key<Self> {
        Key::of(PRODUCT, &self.id.to_string())
    }
}

/// The key of a profile.
pub fn profile(id: &str) -> Key<Profile> {
    Key::of(PROFILE, id)
}
