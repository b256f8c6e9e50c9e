//! A cached type, for the unit tests.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub user_id: String,
    pub name: String,
    pub email: String,
    pub age: u32,
}
