//! The id of a value, as a part of its key.

use std::{
    fmt::{self, Write},
    sync::Arc,
};

/// An id that can be part of a key: an integer, a text, or a tuple of those.
///
/// Different ids have different keys: the parts of a tuple are separated by `:`, and
/// `:`, `%`, `{` and `}` inside a text are written as `%3A`, `%25`, `%7B` and `%7D`.
/// Braces would change the slot of the key on a cluster.
///
/// Implement it for a type of your own by writing its parts in order:
///
/// ```
/// use std::fmt;
/// use hitrate_cache::KeyPart;
///
/// struct OrderId { tenant: u32, number: u64 }
///
/// impl KeyPart for OrderId {
///     fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result {
///         (self.tenant, self.number).write_key(key)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be part of a key",
    note = "ids are integers, texts and tuples of those; for another type, implement `KeyPart`"
)]
pub trait KeyPart {
    /// Writes the id, escaped.
    ///
    /// # Errors
    /// Returns the error of the writer.
    fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result;
}

/// Writes a text with the separators escaped.
struct Escaped<'a>(&'a mut dyn fmt::Write);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find([':', '%', '{', '}']) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "%{:02X}", rest.as_bytes()[at])?;
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl KeyPart for $integer {
            fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result {
                write!(key, "{self}")
            }
        }
    )*};
}
integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

impl KeyPart for str {
    fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result {
        Escaped(key).write_str(self)
    }
}

impl KeyPart for String {
    fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result {
        self.as_str().write_key(key)
    }
}

impl<K: KeyPart + ?Sized> KeyPart for &K {
    fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result {
        K::write_key(self, key)
    }
}

impl<K: KeyPart + ?Sized> KeyPart for Arc<K> {
    fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result {
        K::write_key(self, key)
    }
}

macro_rules! tuples {
    ($(($first:ident $($rest:ident)+))*) => {$(
        impl<$first: KeyPart, $($rest: KeyPart),+> KeyPart for ($first, $($rest),+) {
            #[expect(non_snake_case, reason = "the variables are named after the types")]
            fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result {
                let ($first, $($rest),+) = self;
                $first.write_key(key)?;
                $(
                    key.write_char(':')?;
                    $rest.write_key(key)?;
                )+
                Ok(())
            }
        }
    )*};
}
tuples!((A B) (A B C) (A B C D));

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(id: impl KeyPart) -> String {
        let mut key = String::new();
        id.write_key(&mut key).unwrap();
        key
    }

    #[test]
    fn ids_are_integers_texts_and_tuples() {
        assert_eq!(written(7_u64), "7");
        assert_eq!(written(-7), "-7");
        assert_eq!(written("user-7"), "user-7");
        assert_eq!(written((7, "a", String::from("b"))), "7:a:b");
        assert_eq!(written("a:b{c}%"), "a%3Ab%7Bc%7D%25");
        assert_eq!(written(((1, 2), &3)), "1:2:3");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn different_pairs_have_different_keys(a in "[a:%{}]{0,4}", b in "[a:%{}]{0,4}", c in "[a:%{}]{0,4}", d in "[a:%{}]{0,4}") {
            let (first, second) = ((a.as_str(), b.as_str()), (c.as_str(), d.as_str()));
            prop_assert_eq!(first == second, written(first) == written(second));
            let has_braces = written(first).contains(['{', '}']);
            prop_assert!(!has_braces);
        }
    }
}
