//! `hitrate seed` — adds synthetic profiles to the database.

use rand::{RngExt as _, distr::Alphanumeric};

use prometheus_client::metrics::counter::Counter;

use super::progress::Progress;
use crate::{
    config::Config,
    demo::{
        db::{Db, DbError},
        model::Profile,
    },
};

/// Profiles per transaction and per progress line.
const CHUNK: u32 = 5_000;

pub async fn run(config: &Config, users: u32) -> Result<(), DbError> {
    let db = Db::open_for_bulk(&config.database(), Counter::default()).await?;
    let mut progress = Progress::new(u64::from(users));
    let mut added = 0;
    for start in (1..=users).step_by(CHUNK as usize) {
        let end = users.min(start + CHUNK - 1);
        let profiles: Vec<_> = (start..=end).map(profile).collect();
        added += db.add_profiles(&profiles).await?;
        progress.add(profiles.len() as u64);
    }
    progress.finish();
    println!("{added} profiles added, {} already existed", u64::from(users) - added);
    Ok(())
}

/// The profile `user-{number}`, named by eight random letters and digits.
fn profile(number: u32) -> Profile {
    let mut random = rand::rng();
    let name = (&mut random).sample_iter(Alphanumeric).take(8).map(char::from).collect();
    Profile {
        user_id: format!("user-{number}"),
        name,
        email: format!("user-{number}@example.com"),
        age: random.random_range(18..=90),
    }
}
