//! Plain data of the demo application, without I/O.

use std::{fmt, str::FromStr};

use hitrate_cache::KeyPart;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use smol_str::SmolStr;
use utoipa::ToSchema;

use crate::input::{Email, Integer, Line};

/// A user profile, as stored in the database and in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// Primary key: 1 to 64 letters, digits, `-` or `_`.
    pub user_id: String,
    /// 1 to 100 characters.
    pub name: String,
    /// 3 to 254 characters, with an `@` inside.
    pub email: String,
    /// Years, 0 to 150.
    pub age: u32,
}

/// The editable fields of a [`Profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileEdit {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// Years.
    pub age: u32,
}

/// The name in a form or a file: 1 to 100 characters.
pub type Name = Line<NAME_MAX>;
/// The e-mail address in a form or a file.
pub type EmailAddress = Email<EMAIL_MAX>;
/// The age in a form or a file: 0 to 150 years.
pub type Age = Integer<0, AGE_MAX>;

/// Maximum length of a name, in characters.
pub const NAME_MAX: usize = 100;
/// Maximum length of an e-mail address, in characters (RFC 5321).
pub const EMAIL_MAX: usize = 254;
/// Maximum age, in years.
pub const AGE_MAX: u32 = 150;

/// The tutorial's notation, a Python dict: `{'user_id': '123', 'name': …}`.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| match text.contains('\'') {
            true => format!("\"{}\"", text.replace('"', "\\\"")),
            false => format!("'{text}'"),
        };
        write!(
            f,
            "{{'user_id': {}, 'name': {}, 'email': {}, 'age': {}}}",
            quoted(&self.user_id),
            quoted(&self.name),
            quoted(&self.email),
            self.age
        )
    }
}

/// The id of a profile. The grammar is narrow because the id becomes part of a Redis
/// key: different ids must never share a key. Up to 23 bytes are stored inline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(value_type = String)]
pub struct UserId(SmolStr);

/// Error of a text that is not a [`UserId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("An id is 1 to 64 letters (a-z), digits, - or _.")]
pub struct NotAnId;

impl FromStr for UserId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        match (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            true => Ok(Self(text.into())),
            false => Err(NotAnId),
        }
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.trim().parse().map_err(D::Error::custom)
    }
}

impl UserId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyPart for UserId {
    fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result {
        self.as_str().write_key(key)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A product of the shop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Product {
    /// 1 to 1000.
    pub id: u32,
    /// Name of the product.
    pub name: String,
    /// Price in dollars.
    pub price: f64,
}

/// The highest product id.
pub const PRODUCT_MAX: u32 = 1000;
/// Id of the tutorial's laptop, which `/product` shows.
pub const LAPTOP: u32 = 123;

impl Product {
    /// `$999`, or `$999.50` where there are cents.
    pub fn price_tag(&self) -> String {
        match self.price.fract() == 0.0 {
            true => format!("${:.0}", self.price),
            false => format!("${:.2}", self.price),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_a_narrow_grammar() {
        for good in ["123", "user-1", "A_b", &"x".repeat(64)] {
            assert!(good.parse::<UserId>().is_ok(), "{good}");
        }
        for bad in ["", " ", "a:b", "*", "{x}", "../x", "é", "1\n", "1\0", &"x".repeat(65)] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_profile_prints_as_a_python_dict() {
        let profile = Profile {
            user_id: "123".into(),
            name: "Shaunak Dhande".into(),
            email: "shaunak.dhande@example.com".into(),
            age: 22,
        };
        assert_eq!(
            profile.to_string(),
            "{'user_id': '123', 'name': 'Shaunak Dhande', \
             'email': 'shaunak.dhande@example.com', 'age': 22}"
        );
    }

    #[test]
    fn a_price_shows_cents_only_if_there_are_any() {
        let at = |price| Product { id: 1, name: String::new(), price }.price_tag();
        assert_eq!(at(999.0), "$999");
        assert_eq!(at(999.5), "$999.50");
    }
}
