//! Stream entries that this consumer has claimed.

use std::collections::HashMap;

use crate::{
    redis::{Value, typed},
    write::write_behind::QueuedWrite,
};

/// A claimed stream entry.
pub struct ClaimedWrite {
    /// The id of the entry.
    pub id: String,
    /// `None` if the entry can't be decoded.
    pub write: Option<QueuedWrite>,
    /// The entry was deleted after it was delivered.
    pub is_deleted: bool,
}

impl ClaimedWrite {
    /// The key of the write; empty if the entry can't be decoded.
    pub fn key(&self) -> &str {
        self.write.as_ref().map_or("", |write| &write.key)
    }
}

/// The latest write of each key, in stream order.
pub fn latest(writes: impl Iterator<Item = QueuedWrite>) -> Vec<QueuedWrite> {
    let mut latest: Vec<QueuedWrite> = Vec::new();
    for write in writes {
        latest.retain(|it| it.key != write.key || it.stamp > write.stamp);
        if latest.iter().all(|it| it.key != write.key) {
            latest.push(write);
        }
    }
    latest
}

/// Parses each entry on its own: one that can't be decoded does not affect the
/// others.
pub fn parse_entries(entries: Value) -> Vec<ClaimedWrite> {
    let Value::Array(entries) = entries else { return Vec::new() };
    entries.into_iter().filter_map(parse_entry).collect()
}

fn parse_entry(entry: Value) -> Option<ClaimedWrite> {
    let (id, fields): (String, Value) = typed(entry).ok()?;
    let is_deleted = fields == Value::Nil;
    let write = typed(fields).ok().and_then(|fields| parse_write(&id, &fields));
    Some(ClaimedWrite { id, write, is_deleted })
}

fn parse_write(id: &str, fields: &HashMap<String, Vec<u8>>) -> Option<QueuedWrite> {
    let text = |name| String::from_utf8(fields.get(name)?.clone()).ok();
    let number = |name| text(name)?.parse().ok();
    Some(QueuedWrite {
        id: id.to_owned(),
        key: text("key")?,
        version: number("version")?,
        stamp: number("stamp")?,
        value: fields.get("value")?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &str, stamp: u64) -> QueuedWrite {
        let (id, key) = (stamp.to_string(), key.to_owned());
        QueuedWrite { id, key, version: stamp, stamp, value: Vec::new() }
    }

    #[test]
    fn only_the_latest_write_of_each_key_is_left() {
        let writes = [write("a", 1), write("b", 2), write("a", 4), write("a", 3)];
        let left: Vec<_> = latest(writes.into_iter()).iter().map(|it| it.stamp).collect();
        assert_eq!(left, [2, 4]);
    }
}
