//! How a value becomes bytes.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::BoxError;

/// Encodes and decodes the values of a namespace.
///
/// Entries carry the codec's [`ID`](Self::ID) and [`schema`](Self::schema). An entry
/// of another codec or schema, and one that can't be decoded, is a miss: it is loaded
/// and overwritten.
pub trait Codec<T>: Clone + Send + Sync + 'static {
    /// The name of the format, such as `json`: letters, digits and `-`.
    const ID: &'static str;

    /// The number of the value's schema. Increase it when the type changes in a way
    /// that the format does not notice.
    fn schema(&self) -> u32 {
        0
    }

    /// Appends the encoded value to `out`.
    ///
    /// # Errors
    /// Returns the encoder's error; the value is then not stored.
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError>;

    /// Decodes a value.
    ///
    /// # Errors
    /// Returns the decoder's error; the lookup is then a miss.
    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError>;
}

/// The default codec: JSON by serde.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json {
    schema: u32,
}

impl Json {
    /// JSON of this schema.
    pub const fn schema(schema: u32) -> Self {
        Self { schema }
    }
}

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    const ID: &'static str = "json";

    fn schema(&self) -> u32 {
        self.schema
    }

    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(out, value)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
