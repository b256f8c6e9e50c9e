//! Shared values as JSON: each worker writes one of them once, and copies that
//! into every page that has it.

use std::{cell::RefCell, sync::Arc};

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::{RawValue, to_raw_value};

use crate::lately::LatelyShared;

thread_local! {
    static KEPT: RefCell<LatelyShared<Box<RawValue>>> = RefCell::default();
}

/// Serializes what is shared, for `serialize_with`.
pub fn shared<T: Serialize + Send + Sync + 'static, S: Serializer>(
    value: &Arc<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    KEPT.with_borrow_mut(|kept| {
        let place = kept.of(value);
        let json = match place.take() {
            Some(json) => json,
            None => to_raw_value(value).map_err(S::Error::custom)?,
        };
        place.insert(json).serialize(serializer)
    })
}

/// The same, where there may be nothing.
pub fn shared_if<T: Serialize + Send + Sync + 'static, S: Serializer>(
    value: &Option<Arc<T>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => shared(value, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Shown<T: Serialize + Send + Sync + 'static> {
        #[serde(serialize_with = "shared_if")]
        value: Option<Arc<T>>,
    }

    #[test]
    fn each_value_is_shown_as_its_own_json() {
        for n in 0..200 {
            let text = Arc::new(format!("\"{n}\""));
            let value = Some(Arc::clone(&text));
            let expected = format!(r#"{{"value":"\"{n}\""}}"#);
            for _ in 0..2 {
                let shown = Shown { value: value.clone() };
                assert_eq!(serde_json::to_string(&shown).unwrap(), expected);
            }
            let shown = Shown { value: Some(Arc::new(vec![n])) };
            assert_eq!(serde_json::to_string(&shown).unwrap(), format!(r#"{{"value":[{n}]}}"#));
        }
        assert_eq!(
            serde_json::to_string(&Shown::<u8> { value: None }).unwrap(),
            r#"{"value":null}"#
        );
    }
}
