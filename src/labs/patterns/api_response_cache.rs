//! Responses of an API, kept under a name that every process makes alike.

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::Arc,
};

use hitrate_cache::redis::RedisError;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    Action, Pattern, Pitfall, args, command, key,
    play::{ActionContext, ActionError},
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "api-response-cache",
    title: "API response cache",
    what_for: "Answers that many ask for with the same parameters.",
    lead: "The key names the endpoint and a digest of the parameters. Parameters are sorted first, and the digest is the same in every process: so whoever asks the same finds the same copy, whichever server they reach.",
    keys: &[key(
        "api:{endpoint}:{hash}",
        "a string: the response as JSON",
        "300 s after it was stored",
    )],
    commands: &[
        command("GET api:products:{hash}", "O(1)", "the copy, or (nil)"),
        command("SET api:products:{hash} '{…}' EX 300", "O(1)", "stores it for five minutes"),
    ],
    try_this: "Call it, then call it again with the parameters in another order: it is the same key.",
    acts: &[Action {
        id: "call",
        label: "Call",
        about: "GET; on a miss the response is made and SET … EX 300",
        fields: &[
            args::choice("endpoint", "Endpoint", &["products", "users", "orders"], "products"),
            args::text("params", "Parameters", 100, "sort=price&page=2"),
        ],
        run: |play| Box::pin(call(play)),
    }],
    pitfall: Pitfall {
        wrong: "A key of hash(str(params)): the language’s own hash, of the parameters as they came.",
        why: "Such hashes are salted anew in each process (Python’s, Rust’s and others’, against floods of colliding keys), and the same parameters in another order are another text. So each worker fills the cache for itself alone, a restart forgets all of it, and memory holds every response many times.",
        right: "Sort the parameters, write them in one way, and take a hash that is the same everywhere, such as SHA-256.",
    },
    trial: Trial {
        about: "Each actor is a worker process. All ask for the same ten pages of products, in random order, and write the two parameters now one way round, now the other.",
        counts: "copies in Redis",
        lost: "responses not kept",
        over: "copies too many",
        fields: &[args::actors("20"), args::number("requests", "Requests each", (1, 50), "20")],
        variants: &[
            Variant {
                name: "The process’s own hash",
                is_right: false,
                code: "key = api:products:{hash(params)}, salted in each process\nGET key\nSET key '{…}' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Naming::Salted)),
            },
            Variant {
                name: "A stable hash, order as sent",
                is_right: false,
                code: "key = api:products:{SHA-256(params as sent)}\nGET key\nSET key '{…}' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Naming::AsSent)),
            },
            Variant {
                name: "A stable hash of sorted parameters",
                is_right: true,
                code: "key = api:products:{SHA-256(sorted params)}\nGET key\nSET key '{…}' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Naming::Canonical)),
            },
        ],
    },
    figures: None,
    now: None,
    is_live: false,
};

/// Seconds a response is kept.
const TTL: u64 = 300;
/// Different questions in the trial.
const QUESTIONS: u64 = 10;

/// The parameters in the one way they are written here: sorted, and encoded alike.
fn canonical(params: &str) -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(params.as_bytes()).collect();
    pairs.sort();
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The first half of the digest: 128 bits, so that no two texts share one.
fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

async fn call(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (endpoint, params) = (play.args().text("endpoint"), play.args().text("params"));
    let canonical = canonical(params);
    let (store, key) = (play.store(), play.key(&format!("api:{endpoint}:{}", digest(&canonical))));
    let held: Option<String> = play.one(store.on("GET", &key)).await?;
    let found = match held {
        Some(_) => "Hit: the copy answers.",
        None => {
            let response = json!({ "endpoint": endpoint, "params": canonical }).to_string();
            let set = store.on("SET", &key).arg(response).arg("EX").arg(TTL);
            play.one::<()>(set).await?;
            "Miss: the response was made, and stored for 300 s."
        }
    };
    let salted = |process| format!("{process} {:016x}", RandomState::new().hash_one(params));
    Ok(vec![
        found.to_owned(),
        format!("Sorted: {canonical}"),
        format!(
            "A salted hash of “{params}” is {}, and {}.",
            salted("in one process"),
            salted("in the next")
        ),
    ])
}

#[derive(Clone, Copy)]
enum Naming {
    Salted,
    AsSent,
    Canonical,
}

/// What a worker did.
struct Worked {
    hits: u64,
    names: BTreeSet<String>,
}

async fn run(trial_run: &Arc<TrialRun>, naming: Naming) -> Result<Count, RedisError> {
    let workers =
        trial_run.all(|trial_run, n| async move { worker(&trial_run, n, naming).await }).await?;
    let requests = trial_run.actors() * trial_run.number("requests");
    let hits: u64 = workers.iter().map(|it| it.hits).sum();
    let names: BTreeSet<_> = workers.into_iter().flat_map(|it| it.names).collect();
    let asked = QUESTIONS.min(trial_run.number("requests"));
    let stored =
        names.iter().map(|name| trial_run.store(0).on("EXISTS", &trial_run.key(name))).collect();
    let stored = trial_run.run_all(0, stored).await?;
    let stored =
        stored.into_iter().map(hitrate_cache::redis::typed::<u64>).sum::<Result<u64, _>>()?;
    Ok(Count::new(asked, stored)
        .known("hits", "Hits", hits)
        .known("misses", "Misses, each of which makes the response anew", requests - hits)
        .known("hit_percent", "Hit ratio in per cent", 100 * hits / requests.max(1)))
}

/// One process: its own salt, and one request after the other.
async fn worker(trial_run: &TrialRun, n: u64, naming: Naming) -> Result<Worked, RedisError> {
    let (salt, store) = (RandomState::new(), trial_run.store(n));
    let mut worked = Worked { hits: 0, names: BTreeSet::new() };
    for request in 0..trial_run.number("requests") {
        let page = (request + n) % trial_run.number("requests").min(QUESTIONS);
        let params = match rand::random() {
            true => format!("sort=price&page={page}"),
            false => format!("page={page}&sort=price"),
        };
        let name = match naming {
            Naming::Salted => format!("api:products:{:016x}", salt.hash_one(&params)),
            Naming::AsSent => format!("api:products:{}", digest(&params)),
            Naming::Canonical => format!("api:products:{}", digest(&canonical(&params))),
        };
        let key = trial_run.key(&name);
        let held: Option<String> = trial_run.run(n, store.on("GET", &key)).await?;
        worked.hits += u64::from(held.is_some());
        if held.is_none() {
            let set = store.on("SET", &key).arg(format!("page {page}"));
            trial_run.run::<()>(n, set.arg("EX").arg(TTL)).await?;
        }
        worked.names.insert(name);
    }
    Ok(worked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_one_spelling() {
        let one = canonical("sort=price&page=2");
        assert_eq!(one, "page=2&sort=price");
        for other in ["page=2&sort=price", "page=%32&sort=price", "&page=2&sort=price"] {
            assert_eq!(canonical(other), one, "{other}");
        }
        assert_ne!(canonical("page=1&page=2"), canonical("page=1"));
        for odd in ["", "&&&", "=", "%", "%zz=1", "a", "\u{fffd}=%ff"] {
            assert_eq!(canonical(&canonical(odd)), canonical(odd), "{odd}");
        }
    }

    #[test]
    fn a_digest_is_the_same_everywhere() {
        // sha256sum says so.
        assert_eq!(digest("page=2&sort=price"), digest(&canonical("sort=price&page=2")));
        assert_eq!(digest(""), "e3b0c44298fc1c149afbf4c8996fb924");
    }
}
