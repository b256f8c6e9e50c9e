//! Deserializes [`Fields`] into a struct: unknown and repeated fields are rejected, and an
//! empty optional field is `None`.

use std::slice::from_ref;

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor,
        value::{SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

use super::fields::{Fields, Sent, SentField, check_names};
use crate::input::{FieldError, FieldErrors};

impl Fields<'_> {
    /// Parses the fields into a struct. Unknown fields are rejected.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, FieldErrors> {
        T::deserialize(FieldsDeserializer(self.as_slice())).map_err(|first| self.errors::<T>(first))
    }

    /// The error of each value. Serde stops at the first, so each field is parsed alone.
    fn errors<T: DeserializeOwned>(&self, first: FieldError) -> FieldErrors {
        let alone = self.as_slice().iter().map(|field| {
            match T::deserialize(FieldsDeserializer(from_ref(field))) {
                Err(error) if error.field() == Some(&field.0) => Err(error),
                // Others are missing.
                _ => Ok(()),
            }
        });
        match first.field() {
            Some(_) => FieldErrors::collect::<_, ()>(alone).err().unwrap_or_else(|| first.into()),
            None => first.into(),
        }
    }
}

struct FieldsDeserializer<'a>(&'a [SentField<'a>]);

impl<'de> Deserializer<'de> for FieldsDeserializer<'_> {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_map(EachField { fields: self.0, next: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        check_names(self.0, known)?;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct EachField<'a> {
    fields: &'a [SentField<'a>],
    next: Option<&'a SentField<'a>>,
}

impl<'de> MapAccess<'de> for EachField<'_> {
    type Error = FieldError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, FieldError> {
        let Some((next, rest)) = self.fields.split_first() else { return Ok(None) };
        (self.fields, self.next) = (rest, Some(next));
        seed.deserialize(StrDeserializer::new(&next.0)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, FieldError> {
        let (name, sent) = self.next.take().expect("a value follows its name");
        seed.deserialize(FieldDeserializer(sent)).map_err(|error| error.of(name))
    }
}

struct FieldDeserializer<'a>(&'a Sent<'a>);

impl<'de> Deserializer<'de> for FieldDeserializer<'_> {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_str(self.0.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.0.text()? {
            "" => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_seq(SeqDeserializer::new(self.0.list()?))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let text: StrDeserializer<'_, FieldError> = self.0.text()?.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::input::{Integer, Line, OnOff};

    #[derive(Deserialize, Debug, PartialEq)]
    struct Form {
        name: Line<5>,
        ttl: Option<Integer<1, 100>>,
        cache: Option<OnOff>,
        #[serde(default)]
        tags: Vec<Line<3>>,
    }

    fn form(text: &str) -> Result<Form, FieldErrors> {
        Fields::of_pairs(text)?.parse()
    }

    fn json(text: &str) -> Result<Form, FieldErrors> {
        Fields::of_json(text.as_bytes()).unwrap().parse()
    }

    fn error_of<T: std::fmt::Debug>(result: Result<T, FieldErrors>) -> (String, bool) {
        let error = result.unwrap_err();
        (error.to_string(), error.is_malformed())
    }

    #[test]
    fn a_form_and_json_are_the_same_struct() {
        let sent = form("name=+Ann+&ttl=10&cache=off&tags=a&tags=&tags=b").unwrap();
        let same = json(r#"{"name": "Ann", "ttl": 10, "cache": "off", "tags": ["a", null, "b"]}"#);
        assert_eq!(Ok(&sent), same.as_ref());
        assert_eq!(sent.ttl.map(Integer::get), Some(10));
        assert_eq!(json(r#"{"name": "Ann", "tags": "a"}"#).unwrap().tags.len(), 1);
    }

    #[test]
    fn an_empty_field_and_null_count_as_not_sent() {
        let bare = form("name=A").unwrap();
        assert_eq!(form("name=A&ttl=&cache=&tags="), Ok(bare));
        assert_eq!(json(r#"{"name": "A", "ttl": null}"#), form("name=A"));
    }

    #[test]
    fn an_error_names_its_field_and_what_it_takes() {
        for (result, sentence, is_malformed) in [
            (form(""), "The field name is needed.", false),
            (form("name="), "The field name takes 1 to 5 characters.", false),
            (form("name=abcdef"), "The field name takes 1 to 5 characters.", false),
            (form("name=a%0ab"), "The field name must be one line of plain text.", true),
            (form("name=%ff"), "The field name must be one line of plain text.", true),
            (form("name=A&name=B"), "The field name was sent twice.", true),
            (form("name=A&cache=maybe"), "The field cache takes on or off.", false),
            (form("name=A&tags=long"), "The field tags takes 1 to 3 characters.", false),
            (form("name=A&x=1"), "Unknown field “x”. Known fields: name, ttl, cache, tags.", true),
            (json(r#"{"name": {}}"#), "The field name must be a text or a number.", false),
            (json(r#"{"name": ["A"]}"#), "The field name must be a text or a number.", false),
            (
                json(r#"{"name": "A", "tags": [["a"]]}"#),
                "The field tags must be a text or a number.",
                false,
            ),
        ] {
            assert_eq!(error_of(result), (sentence.to_owned(), is_malformed));
        }
    }

    #[test]
    fn each_wrong_value_has_its_error() {
        let errors = form("name=abcdef&ttl=0&cache=on&tags=a%0ab").unwrap_err();
        let fields: Vec<_> = errors.iter().filter_map(FieldError::field).collect();
        assert_eq!(fields, ["name", "ttl", "tags"]);
        assert!(errors.is_malformed(), "one of them can't be parsed");
        let errors = form("ttl=0&cache=maybe").unwrap_err().to_string();
        let takes = "The field ttl takes a whole number from 1 to 100. The field cache takes";
        assert!(errors.starts_with(takes), "{errors}");
        assert_eq!(form("name=abcdef&ttl=0&x=1").unwrap_err().iter().count(), 1, "unknown first");
    }

    #[test]
    fn a_number_keeps_to_its_range() {
        for bad in ["0", "-1", "101", "99999999999999999999", "1.5", "1e3", "NaN", "x"] {
            let what = "The field ttl takes a whole number from 1 to 100.".to_owned();
            assert_eq!(error_of(form(&format!("name=A&ttl={bad}"))), (what, false), "{bad}");
        }
        assert!(json(r#"{"name": "A", "ttl": 1.5}"#).is_err());
    }
}
