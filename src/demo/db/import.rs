//! Profiles from a file: a JSON object keyed by id, as the documents have it.

use std::{collections::HashSet, fmt, fs, io, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use super::{Db, Error};
use crate::demo::model::{Age, EmailAddress, Name, Profile, UserId};

/// Read when no file is named and none is at [`DEFAULT_PATH`].
const BUILT_IN: &str = include_str!("../../../data/user_profiles.json");
/// Where the file is looked for, from the working directory.
const DEFAULT_PATH: &str = "data/user_profiles.json";

/// Why the profiles could not be imported; stops the start.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file can't be read.
    #[error("{0} can't be read: {1}")]
    Unreadable(String, io::Error),
    /// The file is not what it should be. Names line and field.
    #[error("{file}, line {line}, {field}: {what}")]
    Malformed {
        /// The file's name.
        file: String,
        /// Counted from 1.
        line: usize,
        /// As in `field 123.age`.
        field: String,
        /// What is wrong there.
        what: String,
    },
    /// The database refused.
    #[error(transparent)]
    Database(#[from] Error),
}

/// Imports the profiles that the database does not have. Returns how many.
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
        let told = error.to_string();
        let what = told.rsplit_once(" at line ").map_or(told.as_str(), |(what, _)| what);
        let field = if field == "." { "top level".to_owned() } else { format!("field {field}") };
        ImportError::Malformed {
            file: file.to_owned(),
            line: error.line(),
            field,
            what: what.to_owned(),
        }
    };
    let Rows(profiles) = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| malformed(error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| malformed(".".to_owned(), &error))?;
    Ok(profiles)
}

/// One profile as the file has it, each field checked where it is read, so
/// that an error knows its line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    user_id: UserId,
    name: Name,
    email: EmailAddress,
    age: Age,
}

struct Rows(Vec<Profile>);

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(RowsVisitor)
    }
}

struct RowsVisitor;

impl<'de> Visitor<'de> for RowsVisitor {
    type Value = Rows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of profiles keyed by id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rows, A::Error> {
        let mut profiles = Vec::new();
        let mut seen = HashSet::new();
        while let Some((key, row)) = map.next_entry::<String, Row>()? {
            if key != row.user_id.as_str() {
                return Err(A::Error::custom(format_args!(
                    "key {key:?} is not the user_id below it"
                )));
            }
            if !seen.insert(key) {
                return Err(A::Error::custom(format_args!(
                    "{:?} is there twice",
                    row.user_id.as_str()
                )));
            }
            profiles.push(Profile {
                user_id: row.user_id.to_string(),
                name: row.name.into(),
                email: row.email.into(),
                age: row.age.get(),
            });
        }
        Ok(Rows(profiles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        parse("f.json", text).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_profiles_are_the_documents() {
        let profiles = parse("built in", BUILT_IN).unwrap();
        let named = |id: &str| profiles.iter().find(|row| row.user_id == id).unwrap();
        assert_eq!((named("123").name.as_str(), named("123").age), ("Shaunak Dhande", 22));
        assert_eq!((named("456").name.as_str(), named("456").age), ("Alice Johnson", 30));
        assert!(profiles.len() >= 20);
        assert!(profiles.iter().all(|row| row.email.ends_with("@example.com")));
    }

    #[test]
    fn a_malformed_file_is_told_by_line_and_field() {
        let row = |id: &str, age: &str| {
            format!(
                r#"{{"{id}": {{"user_id": "1", "name": "A",{}"email": "a@example.com", "age": {age}}}}}"#,
                "\n"
            )
        };
        assert!(told(&row("1", "\"x\"")).starts_with("f.json, line 2, field 1.age: invalid"));
        let too_old = told(&row("1", "1000"));
        assert!(
            too_old.ends_with(
                "field 1.age: invalid value: string \"1000\", expected a whole number from 0 to 150"
            ),
            "{too_old}"
        );
        assert!(told(&row("2", "1")).contains("is not the user_id"));
        assert!(told(r#"{"1": {"user_id": "1"}}"#).contains("missing field `name`"));
        assert!(told("[]").contains("an object of profiles keyed by id"));
        assert!(told("{} x").contains("trailing characters"));
    }
}
