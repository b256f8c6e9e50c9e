//! The profile ids that pages suggest.

use std::ops::Deref;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::demo::model::UserId;

/// Profile ids to suggest to a visitor. They never change and every lookup lists them, so
/// their JSON is written once.
pub struct KnownIds {
    ids: Vec<UserId>,
    json: Box<RawValue>,
}

impl From<Vec<UserId>> for KnownIds {
    fn from(ids: Vec<UserId>) -> Self {
        let json = serde_json::value::to_raw_value(&ids).expect("a list of texts is JSON");
        Self { ids, json }
    }
}

impl Deref for KnownIds {
    type Target = [UserId];

    fn deref(&self) -> &[UserId] {
        &self.ids
    }
}

impl Serialize for KnownIds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_that_of_the_ids() {
        let ids = ["123", "user-1"].map(|id| id.parse().unwrap()).to_vec();
        let json = serde_json::to_string(&ids).unwrap();
        assert_eq!(serde_json::to_string(&KnownIds::from(ids)).unwrap(), json);
    }
}
