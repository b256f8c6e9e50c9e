//! Import of profiles from a JSON object keyed by id, the tutorial's format.

use std::{collections::HashSet, fmt, fs, io, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use super::{Db, DbError};
use crate::demo::model::{Age, EmailAddress, Name, Profile, UserId};

/// Imported if no file is configured and [`DEFAULT_PATH`] does not exist.
const BUILT_IN: &str = include_str!("../../../data/user_profiles.json");
/// Default file, relative to the working directory.
const DEFAULT_PATH: &str = "data/user_profiles.json";

/// Error of an import; prevents the start.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file can't be read.
    #[error("{0} can't be read: {1}")]
    Unreadable(String, io::Error),
    /// The file has invalid content.
    #[error("{file}, line {line}, {field}: {reason}")]
    Malformed {
        /// Name of the file.
        file: String,
        /// Line number, from 1.
        line: usize,
        /// Path of the field, such as `field 123.age`.
        field: String,
        /// Description of the error.
        reason: String,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Imports profiles whose id is not in the database yet. Returns their number.
pub async fn import(db: &Db, file: Option<&Path>) -> Result<u64, ImportError> {
    let (name, text) = read(file)?;
    let profiles = parse(&name, &text)?;
    let ids: Vec<_> = profiles.iter().map(|profile| profile.user_id.as_str()).collect();
    let known: HashSet<_> = db.existing_ids(&ids).await?.into_iter().collect();
    let new: Vec<_> = profiles.into_iter().filter(|row| !known.contains(&row.user_id)).collect();
    match new.is_empty() {
        true => Ok(0),
        false => Ok(db.add_profiles(&new).await?),
    }
}

fn read(file: Option<&Path>) -> Result<(String, String), ImportError> {
    let path = file.unwrap_or(Path::new(DEFAULT_PATH));
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) if file.is_none() && error.kind() == io::ErrorKind::NotFound => {
            Ok(("the built-in profiles".to_owned(), BUILT_IN.to_owned()))
        }
        Err(error) => Err(ImportError::Unreadable(name, error)),
    }
}

fn parse(file: &str, text: &str) -> Result<Vec<Profile>, ImportError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let malformed = |field: String, error: &serde_json::Error| {
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        let field = if field == "." { "top level".to_owned() } else { format!("field {field}") };
        ImportError::Malformed {
            file: file.to_owned(),
            line: error.line(),
            field,
            reason: reason.to_owned(),
        }
    };
    let Records(profiles) = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| malformed(error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| malformed(".".to_owned(), &error))?;
    Ok(profiles)
}

/// A profile in the file. Each field is validated while it is parsed, so that an error
/// has the line number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    user_id: UserId,
    name: Name,
    email: EmailAddress,
    age: Age,
}

struct Records(Vec<Profile>);

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(RecordsVisitor)
    }
}

struct RecordsVisitor;

impl<'de> Visitor<'de> for RecordsVisitor {
    type Value = Records;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of profiles keyed by id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Records, A::Error> {
        let mut profiles = Vec::new();
        let mut seen = HashSet::new();
        while let Some((key, record)) = map.next_entry::<String, Record>()? {
            if key != record.user_id.as_str() {
                return Err(A::Error::custom(format_args!("key {key:?} differs from its user_id")));
            }
            if !seen.insert(key) {
                return Err(A::Error::custom(format_args!(
                    "duplicate key {:?}",
                    record.user_id.as_str()
                )));
            }
            profiles.push(Profile {
                user_id: record.user_id.to_string(),
                name: record.name.into(),
                email: record.email.into(),
                age: record.age.get(),
            });
        }
        Ok(Records(profiles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse("f.json", text).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_profiles_include_those_of_the_tutorial() {
        let profiles = parse("built in", BUILT_IN).unwrap();
        let named = |id: &str| profiles.iter().find(|row| row.user_id == id).unwrap();
        assert_eq!((named("123").name.as_str(), named("123").age), ("Shaunak Dhande", 22));
        assert_eq!((named("456").name.as_str(), named("456").age), ("Alice Johnson", 30));
        assert!(profiles.len() >= 20);
        assert!(profiles.iter().all(|row| row.email.ends_with("@example.com")));
    }

    #[test]
    fn an_error_names_line_and_field() {
        let row = |id: &str, age: &str| {
            format!(
                r#"{{"{id}": {{"user_id": "1", "name": "A",{}"email": "a@example.com", "age": {age}}}}}"#,
                "\n"
            )
        };
        assert!(error(&row("1", "\"x\"")).starts_with("f.json, line 2, field 1.age: invalid"));
        let too_old = error(&row("1", "1000"));
        assert!(
            too_old.ends_with(
                "field 1.age: invalid value: string \"1000\", expected a whole number from 0 to 150"
            ),
            "{too_old}"
        );
        assert!(error(&row("2", "1")).contains("differs from its user_id"));
        assert!(error(r#"{"1": {"user_id": "1"}}"#).contains("missing field `name`"));
        assert!(error("[]").contains("an object of profiles keyed by id"));
        assert!(error("{} x").contains("trailing characters"));
    }
}
