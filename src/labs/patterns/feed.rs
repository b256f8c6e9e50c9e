//! A paginated feed. A new post makes all of its pages stale.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use hitrate_cache::redis::RedisError;
use rand::RngExt as _;
use tokio::time::sleep;

use super::{
    Action, Pitfall, RedisPattern,
    action_context::{ActionContext, ActionError},
    args, command, key,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "user-feed",
    title: "User feed",
    purpose: "Paginated lists that cost the database a join or a sort.",
    lead: "Each page of twenty posts is cached for five minutes. A new post shifts every other post by one, so all pages of that user become stale. The key of a page therefore contains the feed’s version: a post increments the version, readers no longer use the old pages, and those expire.",
    keys: &[
        key(
            "feed:{user_id}:v{version}:{page}",
            "a string: up to 20 posts as JSON",
            "300 s after it was filled",
        ),
        key("feed:{user_id}:version", "a string: a number", "a day after the last post"),
        key(
            "posts:{user_id}",
            "a list in place of the database: newest post first, at most 200",
            "a day after the last post",
        ),
    ],
    commands: &[
        command("GET feed:42:version", "O(1)", "returns the current version"),
        command("GET feed:42:v3:1", "O(1)", "returns page 1 of that version"),
        command("SET feed:42:v3:1 '[…]' EX 300", "O(1)", "stores the page after a miss"),
        command(
            "INCR feed:42:version",
            "O(1)",
            "invalidates all pages at once, however many there are",
        ),
    ],
    try_this: "Add 45 posts, read pages 1 and 2 twice, add one post, and read them again.",
    acts: &[
        Action {
            id: "read",
            label: "Read the page",
            about: "GET the version, then its page; on a miss, load it from the database",
            fields: &[args::user("42"), args::number("page", "Page", (1, 10), "1")],
            run: |context| Box::pin(read(context)),
        },
        Action {
            id: "post",
            label: "Post",
            about: "write to the database, then INCR the version",
            fields: &[args::user("42"), args::text("text", "Post", 64, "Hello from Redis")],
            run: |context| Box::pin(post(context)),
        },
        Action {
            id: "fill",
            label: "Add 45 posts",
            about: "enough for three pages",
            fields: &[args::user("42")],
            run: |context| Box::pin(fill(context)),
        },
    ],
    pitfall: Pitfall {
        wrong: "DEL the first page, or all known pages, when a post is added.",
        why: "If only the first page is deleted, the others stay stale: one post appears twice or is missing. Even if all are deleted, a reader that loaded a page before the post can store it after the DEL. The stale page then stays for five minutes.",
        right: "Put a version into the key. A reader that loaded before the post stores its page under the old version, which nobody reads any more. This costs one more GET per read, and old pages stay in memory until they expire.",
    },
    trial: Trial {
        about: "Every fifth actor posts three times; the others read pages 1 to 3, six reads each. A database load takes 2 ms (simulated). A read is current if its page includes every post that was acknowledged before the read started.",
        counts: "reads were current",
        lost: "stale reads",
        over: "too many",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "DEL page 1",
                is_right: false,
                code: "post: DEL feed:42:1\nread: GET feed:42:{page}\nSET feed:42:{page} '[…]' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Invalidates::First)),
            },
            Variant {
                name: "DEL all pages",
                is_right: false,
                code: "post: DEL feed:42:1 feed:42:2 feed:42:3\nread: GET feed:42:{page}\nSET feed:42:{page} '[…]' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Invalidates::All)),
            },
            Variant {
                name: "Version in the key",
                is_right: true,
                code: "post: INCR feed:42:version\nread: GET feed:42:version\nGET feed:42:v{version}:{page}\nSET feed:42:v{version}:{page} '[…]' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Invalidates::Version)),
            },
        ],
    },
    statistics: None,
    status: None,
    is_live: false,
};

/// TTL of a page in seconds.
const TTL: u64 = 300;
/// Posts per page.
const LIMIT: i64 = 20;
/// Maximum number of posts stored, newest first.
const POSTS: i64 = 200;
/// Posts that the action `fill` adds, so that there are three pages.
const FILL_POSTS: u32 = 45;

fn posts(context: &ActionContext) -> String {
    format!("posts:{}", context.args().number("user_id"))
}

fn version(context: &ActionContext) -> String {
    format!("feed:{}:version", context.args().number("user_id"))
}

async fn read(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, user) = (context.store(), context.args().number("user_id"));
    let page = context.args().number("page");
    let version: Option<u64> =
        context.run(store.on("GET", &context.read_key(&version(context)))).await?;
    let name = format!("feed:{user}:v{}:{page}", version.unwrap_or_default());
    let key = context.key(&name);
    if let Some(held) = context.run::<Option<String>>(store.on("GET", &key)).await? {
        return Ok(vec![format!("Hit: {name} has {}.", summary(&held))]);
    }
    let first = LIMIT * (i64::from(page) - 1);
    let load =
        store.on("LRANGE", &context.read_key(&posts(context))).arg(first).arg(first + LIMIT - 1);
    let loaded: Vec<String> = context.run(load).await?;
    let json = serde_json::to_string(&loaded).unwrap_or_default();
    context.run::<()>(store.on("SET", &key).arg(&json).arg("EX").arg(TTL)).await?;
    Ok(vec![format!("Miss: {name} was loaded and has {}.", summary(&json))])
}

fn summary(json: &str) -> String {
    let posts = serde_json::from_str::<Vec<String>>(json).unwrap_or_default();
    let first = posts.first().map(|post| format!(", the first of them “{post}”"));
    let count = crate::format::counted(&(posts.len() as u64), "post", "posts");
    format!("{count}{}", first.unwrap_or_default())
}

async fn post(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let text = context.args().text("text").to_owned();
    add(context, vec![text]).await
}

async fn fill(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    add(context, (1..=FILL_POSTS).map(|n| format!("Post {n}")).collect()).await
}

/// Writes the database first, so that readers of the new version find the post.
async fn add(context: &ActionContext, texts: Vec<String>) -> Result<Vec<String>, ActionError> {
    let (store, list) = (context.store(), context.key(&posts(context)));
    let push = store.on("LPUSH", &list).arg(&texts);
    let trim = store.on("LTRIM", &list).arg(0).arg(POSTS - 1);
    context.pipeline(vec![push, trim, context.renew(&posts(context))]).await?;
    let next = store.on("INCR", &context.key(&version(context)));
    let replies = context.pipeline(vec![next, context.renew(&version(context))]).await?;
    let version: u64 = replies.into_iter().next().map_or(Ok(0), hitrate_cache::redis::typed)?;
    let count = crate::format::counted(&(texts.len() as u64), "post", "posts");
    Ok(vec![format!(
        "{count} added. The feed now has version {version}: all older pages are stale."
    )])
}

#[derive(Clone, Copy)]
enum Invalidates {
    First,
    All,
    Version,
}

/// The simulated database of a trial: the number of posts.
#[derive(Default)]
struct Posts {
    stored: AtomicU64,
    acknowledged: AtomicU64,
}

/// The pages that actors read.
const PAGES: [u64; 3] = [1, 2, 3];
/// Reads per actor.
const READS: u64 = 6;
/// Simulated duration of a load.
const LOAD: Duration = Duration::from_millis(2);

async fn run(trial_run: &Arc<TrialRun>, invalidates: Invalidates) -> Result<Count, RedisError> {
    let posts = Arc::new(Posts::default());
    let reads = trial_run
        .all(|trial_run, n| {
            let posts = Arc::clone(&posts);
            async move {
                match n % 5 {
                    4 => writer(&trial_run, n, &posts, invalidates).await.map(|()| None),
                    _ => reader(&trial_run, n, &posts, invalidates).await.map(Some),
                }
            }
        })
        .await?;
    let readers = reads.iter().flatten().count() as u64;
    let current = reads.into_iter().flatten().sum();
    let posted = posts.acknowledged.load(SeqCst);
    Ok(Count::new(readers * READS, current).with_extra(
        "posts",
        "Posts added during the run",
        posted,
    ))
}

fn page_key(
    trial_run: &TrialRun,
    version: Option<u64>,
    page: u64,
) -> hitrate_cache::redis::Key<()> {
    trial_run.key(
        &version.map_or_else(
            || format!("feed:42:{page}"),
            |version| format!("feed:42:v{version}:{page}"),
        ),
    )
}

async fn writer(
    trial_run: &TrialRun,
    n: u64,
    posts: &Posts,
    invalidates: Invalidates,
) -> Result<(), RedisError> {
    for _ in 0..3 {
        sleep(random_up_to(6)).await;
        let post = posts.stored.fetch_add(1, SeqCst) + 1;
        let store = trial_run.store(n);
        let unlink = |page: &u64| store.on("UNLINK", &page_key(trial_run, None, *page));
        let commands = match invalidates {
            Invalidates::First => vec![unlink(&1)],
            Invalidates::All => PAGES.iter().map(unlink).collect(),
            Invalidates::Version => {
                let key = trial_run.key("feed:42:version");
                vec![store.on("INCR", &key), trial_run.expire(n, &key)]
            }
        };
        trial_run.run_all(n, commands).await?;
        posts.acknowledged.fetch_max(post, SeqCst);
    }
    Ok(())
}

/// Returns the number of current reads.
async fn reader(
    trial_run: &TrialRun,
    n: u64,
    posts: &Posts,
    invalidates: Invalidates,
) -> Result<u64, RedisError> {
    let (store, mut current) = (trial_run.store(n), 0);
    for read in 0..READS {
        sleep(random_up_to(4)).await;
        let known = posts.acknowledged.load(SeqCst);
        let version = match invalidates {
            Invalidates::Version => {
                let get = store.on("GET", &trial_run.key("feed:42:version"));
                Some(trial_run.run::<Option<u64>>(n, get).await?.unwrap_or_default())
            }
            _ => None,
        };
        let key = page_key(trial_run, version, PAGES[((n + read) % 3) as usize]);
        let seen = match trial_run.run::<Option<u64>>(n, store.on("GET", &key)).await? {
            Some(held) => held,
            None => {
                let loaded = posts.stored.load(SeqCst);
                sleep(LOAD).await;
                let set = store.on("SET", &key).arg(loaded).arg("EX").arg(TTL);
                trial_run.run::<()>(n, set).await?;
                loaded
            }
        };
        current += u64::from(seen >= known);
    }
    Ok(current)
}

fn random_up_to(max_ms: u64) -> Duration {
    Duration::from_millis(rand::rng().random_range(0..=max_ms))
}
