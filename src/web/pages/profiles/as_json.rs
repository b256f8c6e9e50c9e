//! Values as JSON, for a page that writes its own by a template.

use std::{cell::RefCell, fmt, rc::Rc, sync::Arc};

use askama::{Error, FastWritable, Result, Values};
use serde::Serialize;

use crate::web::memo::{self, Lately, LatelyShared};

thread_local! {
    /// Texts of this worker that had something to escape, and what became of
    /// them: a reply that many requests show is mostly the same.
    static TEXTS: RefCell<Lately<Rc<str>>> = RefCell::default();
    /// Shared values: each worker writes one of them once, and copies that into
    /// every page that has it.
    static SHARED: RefCell<LatelyShared<Rc<str>>> = RefCell::default();
}

/// A value as JSON. Not for HTML: there it is escaped like any text.
pub enum Json<'a> {
    /// A text with nothing to escape.
    Plain(&'a str),
    /// A number.
    Number(u64),
    /// Nothing.
    Null,
    /// Any value, written already.
    Written(Rc<str>),
}

impl FastWritable for Json<'_> {
    fn write_into(&self, page: &mut dyn fmt::Write, values: &dyn Values) -> Result<()> {
        match self {
            Self::Plain(text) => {
                page.write_char('"')?;
                page.write_str(text)?;
                page.write_char('"')?;
            }
            Self::Number(number) => number.write_into(page, values)?,
            Self::Null => page.write_str("null")?,
            Self::Written(json) => page.write_str(json)?,
        }
        Ok(())
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_into(f, askama::NO_VALUES).map_err(|_| fmt::Error)
    }
}

/// Any text.
pub fn text(text: &str) -> Json<'_> {
    let written = |text: &str| serde_json::to_string(text).expect("a text can be written").into();
    match text {
        text if is_plain(text) => Json::Plain(text),
        text if !memo::keeps(text) => Json::Written(written(text)),
        text => TEXTS.with_borrow_mut(|lately| Json::Written(lately.made(text, written).clone())),
    }
}

/// Whether there is nothing to escape (RFC 8259, 7). Looks at all of it, many
/// bytes at a time; the last may be some that were looked at.
fn is_plain(text: &str) -> bool {
    let special = |byte: &u8| u8::from((*byte < b' ') | (*byte == b'"') | (*byte == b'\\'));
    let any_special = |bytes: &[u8; 16]| bytes.iter().fold(0, |any, byte| any | special(byte));
    match text.as_bytes().last_chunk() {
        Some(last) => {
            let (chunks, _) = text.as_bytes().as_chunks();
            chunks.iter().fold(any_special(last), |any, chunk| any | any_special(chunk)) == 0
        }
        None => text.bytes().all(|byte| special(&byte) == 0),
    }
}

/// A number, or none.
pub fn number_if(number: &Option<u64>) -> Json<'static> {
    number.map_or(Json::Null, Json::Number)
}

/// What is shared.
///
/// # Errors
/// Those of the value.
pub fn shared<T: Serialize + Send + Sync + 'static>(value: &Arc<T>) -> Result<Json<'static>> {
    SHARED.with_borrow_mut(|kept| {
        let place = kept.of(value);
        let json = match place.take() {
            Some(json) => json,
            None => serde_json::to_string(value).map_err(Error::custom)?.into(),
        };
        Ok(Json::Written(Rc::clone(place.insert(json))))
    })
}

/// The same, where there may be nothing.
///
/// # Errors
/// Those of the value.
pub fn shared_if<T: Serialize + Send + Sync + 'static>(
    value: &Option<Arc<T>>,
) -> Result<Json<'static>> {
    value.as_ref().map_or(Ok(Json::Null), shared)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_is_quoted_as_serde_json_does_it(
            start in "[a-z é]{0,40}", odd in "[\"\\\\\x00-\x1f]?", end in "[a-z é]{0,40}"
        ) {
            let text = [start, odd, end].concat();
            prop_assert_eq!(super::text(&text).to_string(), serde_json::to_string(&text).unwrap());
        }
    }

    #[test]
    fn a_text_is_quoted_as_serde_json_does_it() {
        for text in ["", "OK", r#"['{"a":1}', (nil)]"#, &"\"".repeat(1_000), "é\\\"\u{1}", "\u{1f}"]
        {
            for _ in 0..2 {
                assert_eq!(super::text(text).to_string(), serde_json::to_string(text).unwrap());
            }
        }
    }

    #[test]
    fn each_value_is_shown_as_its_own_json() {
        for n in 0..200 {
            let (text, list) = (Some(Arc::new(format!("\"{n}\""))), Some(Arc::new(vec![n])));
            for _ in 0..2 {
                assert_eq!(shared_if(&text).unwrap().to_string(), format!(r#""\"{n}\"""#));
                assert_eq!(shared_if(&list).unwrap().to_string(), format!("[{n}]"));
            }
        }
        assert_eq!(shared_if::<u8>(&None).unwrap().to_string(), "null");
    }
}
