//! API responses, cached under a key that all processes derive identically.

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::Arc,
};

use hitrate_cache::redis::RedisError;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    Action, Pitfall, RedisPattern,
    action_context::{ActionContext, ActionError},
    args, command, key,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "api-response-cache",
    title: "API response cache",
    purpose: "Responses that many clients request with the same parameters.",
    lead: "The key consists of the endpoint and a digest of the parameters. The parameters are sorted first, and every process computes the same digest, so identical requests share one copy, whichever server handles them.",
    keys: &[key(
        "api:{endpoint}:{hash}",
        "a string: the response as JSON",
        "300 s after it was stored",
    )],
    commands: &[
        command("GET api:products:{hash}", "O(1)", "returns the copy, or (nil)"),
        command("SET api:products:{hash} '{…}' EX 300", "O(1)", "stores it for five minutes"),
    ],
    try_this: "Call it, then call it again with the parameters in another order: the key is the same.",
    acts: &[Action {
        id: "call",
        label: "Call",
        about: "GET; on a miss, build the response and SET … EX 300",
        fields: &[
            args::choice("endpoint", "Endpoint", &["products", "users", "orders"], "products"),
            args::text("params", "Parameters", 100, "sort=price&page=2"),
        ],
        run: |context| Box::pin(call(context)),
    }],
    pitfall: Pitfall {
        wrong: "A key of hash(str(params)): the language’s built-in hash, of the parameters in the order received.",
        why: "Built-in hashes of Python, Rust and other languages use a random salt per process, as a defence against hash flooding, and the same parameters in another order give a different string. So each worker fills the cache for itself only, a restart loses all of it, and memory holds many copies of every response.",
        right: "Sort the parameters, encode them consistently, and use a stable hash such as SHA-256.",
    },
    trial: Trial {
        about: "Each actor simulates a worker process. All request the same ten pages of products, with the two parameters in random order.",
        counts: "copies in Redis",
        lost: "responses not stored",
        over: "redundant copies",
        fields: &[args::actors("20"), args::number("requests", "Requests each", (1, 50), "20")],
        variants: &[
            Variant {
                name: "Built-in hash, salted per process",
                is_right: false,
                code: "key = api:products:{hash(params)}, salted in each process\nGET key\nSET key '{…}' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Naming::Salted)),
            },
            Variant {
                name: "Stable hash, parameters as sent",
                is_right: false,
                code: "key = api:products:{SHA-256(params as sent)}\nGET key\nSET key '{…}' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Naming::AsSent)),
            },
            Variant {
                name: "Stable hash, sorted parameters",
                is_right: true,
                code: "key = api:products:{SHA-256(sorted params)}\nGET key\nSET key '{…}' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Naming::Canonical)),
            },
        ],
    },
    statistics: None,
    status: None,
    is_live: false,
};

/// TTL of a response in seconds.
const TTL: u64 = 300;
/// Number of distinct pages in the trial.
const PAGES: u64 = 10;

/// The canonical form of the parameters: sorted, and encoded consistently.
fn canonical(params: &str) -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(params.as_bytes()).collect();
    pairs.sort();
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The first half of the SHA-256 digest: 128 bits, enough to rule out collisions.
fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

async fn call(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (endpoint, params) = (context.args().text("endpoint"), context.args().text("params"));
    let canonical = canonical(params);
    let (store, key) =
        (context.store(), context.key(&format!("api:{endpoint}:{}", digest(&canonical))));
    let held: Option<String> = context.run(store.on("GET", &key)).await?;
    let found = match held {
        Some(_) => "Hit: the response comes from the cache.",
        None => {
            let response = json!({ "endpoint": endpoint, "params": canonical }).to_string();
            let set = store.on("SET", &key).arg(response).arg("EX").arg(TTL);
            context.run::<()>(set).await?;
            "Miss: the response was built and stored for 300 s."
        }
    };
    let salted = |process| format!("{process} {:016x}", RandomState::new().hash_one(params));
    Ok(vec![
        found.to_owned(),
        format!("Sorted: {canonical}"),
        format!(
            "The salted hash of “{params}” is {}, and {}.",
            salted("in one process"),
            salted("in another")
        ),
    ])
}

#[derive(Clone, Copy)]
enum Naming {
    Salted,
    AsSent,
    Canonical,
}

/// The results of a worker.
struct WorkerResult {
    hits: u64,
    names: BTreeSet<String>,
}

async fn run(trial_run: &Arc<TrialRun>, naming: Naming) -> Result<Count, RedisError> {
    let workers =
        trial_run.all(|trial_run, n| async move { worker(&trial_run, n, naming).await }).await?;
    let requests = trial_run.actors() * trial_run.number("requests");
    let hits: u64 = workers.iter().map(|it| it.hits).sum();
    let names: BTreeSet<_> = workers.into_iter().flat_map(|it| it.names).collect();
    let expected = PAGES.min(trial_run.number("requests"));
    let stored =
        names.iter().map(|name| trial_run.store(0).on("EXISTS", &trial_run.key(name))).collect();
    let stored = trial_run.run_all(0, stored).await?;
    let stored =
        stored.into_iter().map(hitrate_cache::redis::typed::<u64>).sum::<Result<u64, _>>()?;
    Ok(Count::new(expected, stored)
        .with_extra("hits", "Hits", hits)
        .with_extra("misses", "Misses, each of which builds the response again", requests - hits)
        .with_extra("hit_percent", "Hit ratio in percent", 100 * hits / requests.max(1)))
}

/// Simulates one process: its own salt, and sequential requests.
async fn worker(trial_run: &TrialRun, n: u64, naming: Naming) -> Result<WorkerResult, RedisError> {
    let (salt, store) = (RandomState::new(), trial_run.store(n));
    let mut result = WorkerResult { hits: 0, names: BTreeSet::new() };
    for request in 0..trial_run.number("requests") {
        let page = (request + n) % trial_run.number("requests").min(PAGES);
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
        result.hits += u64::from(held.is_some());
        if held.is_none() {
            let set = store.on("SET", &key).arg(format!("page {page}"));
            trial_run.run::<()>(n, set.arg("EX").arg(TTL)).await?;
        }
        result.names.insert(name);
    }
    Ok(result)
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
        // As computed by sha256sum.
        assert_eq!(digest("page=2&sort=price"), digest(&canonical("sort=price&page=2")));
        assert_eq!(digest(""), "e3b0c44298fc1c149afbf4c8996fb924");
    }
}
