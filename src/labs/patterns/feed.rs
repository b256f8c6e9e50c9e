//! A feed in pages, all of which are of the past as soon as a post is added.

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
    Action, Pattern, Pitfall, args, command, key,
    play::{ActionContext, ActionError},
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};
use crate::labs::support::visitor_keys::KEPT;

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "user-feed",
    title: "User feed",
    what_for: "Lists in pages that cost the database a join or a sort.",
    lead: "Each page of twenty posts is a copy for five minutes. A new post moves every post by one, so it makes all pages of that user old. The key of a page therefore has the feed’s version in it: a post adds one to the version, and from then on nobody asks for the old pages; they end by themselves.",
    keys: &[
        key(
            "feed:{user_id}:v{version}:{page}",
            "a string: up to 20 posts as JSON",
            "300 s after it was filled",
        ),
        key("feed:{user_id}:version", "a string: a number", "a day after the last post"),
        key(
            "posts:{user_id}",
            "a list that stands in for the database: the newest post first, 200 at most",
            "a day after the last post",
        ),
    ],
    commands: &[
        command("GET feed:42:version", "O(1)", "which pages are good"),
        command("GET feed:42:v3:1", "O(1)", "page 1 of them"),
        command("SET feed:42:v3:1 '[…]' EX 300", "O(1)", "fills it on a miss"),
        command(
            "INCR feed:42:version",
            "O(1)",
            "makes all pages old at once, however many there are",
        ),
    ],
    try_this: "Add 45 posts, read pages 1 and 2 twice, add one post, and read again.",
    acts: &[
        Action {
            id: "read",
            label: "Read the page",
            about: "the version, then its page; on a miss the database",
            fields: &[args::user("42"), args::number("page", "Page", (1, 10), "1")],
            run: |play| Box::pin(read(play)),
        },
        Action {
            id: "post",
            label: "Post",
            about: "the database first, then INCR of the version",
            fields: &[args::user("42"), args::text("text", "Post", 64, "Hello from Redis")],
            run: |play| Box::pin(post(play)),
        },
        Action {
            id: "fill",
            label: "Add 45 posts",
            about: "so that there are three pages",
            fields: &[args::user("42")],
            run: |play| Box::pin(fill(play)),
        },
    ],
    pitfall: Pitfall {
        wrong: "DEL the first page when a post is added; or all pages that are known.",
        why: "With the first page alone the others stay old: the last post of page 1 is missing, or is there twice. With all of them a reader still can bring an old page back: one who loaded it before the post and stores it after the DEL. It then stays for five minutes.",
        right: "A version in the key. Who loaded before the post stores under the old version, where nobody looks any more. It costs one GET more for each read, and the old pages stay in memory until their TTL ends.",
    },
    trial: Trial {
        about: "Every fifth actor posts a few times, the others read pages 1 to 3, six times each. A load from the database takes 2 ms (simulated). A read is current if its page has every post that was acknowledged before the read began.",
        counts: "reads were current",
        lost: "stale reads",
        over: "too many",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "DEL page 1",
                is_right: false,
                code: "post: DEL feed:42:1\nread: GET feed:42:{page}\nSET feed:42:{page} '[…]' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Forgets::First)),
            },
            Variant {
                name: "DEL all pages",
                is_right: false,
                code: "post: DEL feed:42:1 feed:42:2 feed:42:3\nread: GET feed:42:{page}\nSET feed:42:{page} '[…]' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Forgets::All)),
            },
            Variant {
                name: "A version in the key",
                is_right: true,
                code: "post: INCR feed:42:version\nread: GET feed:42:version\nGET feed:42:v{version}:{page}\nSET feed:42:v{version}:{page} '[…]' EX 300 on a miss",
                run: |trial_run| Box::pin(run(trial_run, Forgets::Version)),
            },
        ],
    },
    figures: None,
    now: None,
    is_live: false,
};

/// Seconds a page is kept.
const TTL: u64 = 300;
/// Posts on a page.
const LIMIT: i64 = 20;
/// Posts that are kept, newest first.
const POSTS: i64 = 200;
/// Posts that one act adds, so that there are three pages.
const MANY: u32 = 45;

fn posts(play: &ActionContext) -> String {
    format!("posts:{}", play.args().number("user_id"))
}

fn version(play: &ActionContext) -> String {
    format!("feed:{}:version", play.args().number("user_id"))
}

async fn read(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, user) = (play.store(), play.args().number("user_id"));
    let page = play.args().number("page");
    let version: Option<u64> = play.one(store.on("GET", &play.peek(&version(play)))).await?;
    let name = format!("feed:{user}:v{}:{page}", version.unwrap_or_default());
    let key = play.key(&name);
    if let Some(held) = play.one::<Option<String>>(store.on("GET", &key)).await? {
        return Ok(vec![format!("Hit: {name} has {}.", many(&held))]);
    }
    let first = LIMIT * (i64::from(page) - 1);
    let load = store.on("LRANGE", &play.peek(&posts(play))).arg(first).arg(first + LIMIT - 1);
    let loaded: Vec<String> = play.one(load).await?;
    let json = serde_json::to_string(&loaded).unwrap_or_default();
    play.one::<()>(store.on("SET", &key).arg(&json).arg("EX").arg(TTL)).await?;
    Ok(vec![format!("Miss: {name} was loaded, and has {}.", many(&json))])
}

fn many(json: &str) -> String {
    let posts = serde_json::from_str::<Vec<String>>(json).unwrap_or_default();
    let first = posts.first().map(|post| format!(", the first of them “{post}”"));
    let count = crate::format::counted(&(posts.len() as u64), "post", "posts");
    format!("{count}{}", first.unwrap_or_default())
}

async fn post(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let text = play.args().text("text").to_owned();
    add(play, vec![text]).await
}

async fn fill(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    add(play, (1..=MANY).map(|n| format!("Post {n}")).collect()).await
}

/// The database first: whoever reads the new version finds the post.
async fn add(play: &ActionContext, texts: Vec<String>) -> Result<Vec<String>, ActionError> {
    let (store, list) = (play.store(), play.key(&posts(play)));
    let push = store.on("LPUSH", &list).arg(&texts);
    let trim = store.on("LTRIM", &list).arg(0).arg(POSTS - 1);
    play.ask(vec![push, trim, play.keep(&posts(play))]).await?;
    let next = store.on("INCR", &play.key(&version(play)));
    let replies = play.ask(vec![next, play.keep(&version(play))]).await?;
    let version: u64 = replies.into_iter().next().map_or(Ok(0), hitrate_cache::redis::typed)?;
    let count = crate::format::counted(&(texts.len() as u64), "post", "posts");
    Ok(vec![format!(
        "{count} added. The feed is at version {version} now: all its pages are of the past."
    )])
}

#[derive(Clone, Copy)]
enum Forgets {
    First,
    All,
    Version,
}

/// The database of a trial: only how many posts there are.
#[derive(Default)]
struct Posts {
    there: AtomicU64,
    acknowledged: AtomicU64,
}

/// Pages that are read.
const PAGES: [u64; 3] = [1, 2, 3];
/// Reads of an actor.
const READS: u64 = 6;
/// What a load takes; simulated.
const LOAD: Duration = Duration::from_millis(2);

async fn run(trial_run: &Arc<TrialRun>, forgets: Forgets) -> Result<Count, RedisError> {
    let posts = Arc::new(Posts::default());
    let reads = trial_run
        .all(|trial_run, n| {
            let posts = Arc::clone(&posts);
            async move {
                match n % 5 {
                    4 => writer(&trial_run, n, &posts, forgets).await.map(|()| None),
                    _ => reader(&trial_run, n, &posts, forgets).await.map(Some),
                }
            }
        })
        .await?;
    let readers = reads.iter().flatten().count() as u64;
    let current = reads.into_iter().flatten().sum();
    let posted = posts.acknowledged.load(SeqCst);
    Ok(Count::new(readers * READS, current).known("posts", "Posts added meanwhile", posted))
}

fn page_key(trial_run: &TrialRun, version: Option<u64>, page: u64) -> hitrate_cache::Key<()> {
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
    forgets: Forgets,
) -> Result<(), RedisError> {
    for _ in 0..3 {
        sleep(up_to(6)).await;
        let post = posts.there.fetch_add(1, SeqCst) + 1;
        let store = trial_run.store(n);
        let forget = |page: &u64| store.on("UNLINK", &page_key(trial_run, None, *page));
        let commands = match forgets {
            Forgets::First => vec![forget(&1)],
            Forgets::All => PAGES.iter().map(forget).collect(),
            Forgets::Version => {
                let key = trial_run.key("feed:42:version");
                let keep = store.on("EXPIRE", &key).arg(KEPT.as_secs());
                vec![store.on("INCR", &key), keep]
            }
        };
        trial_run.run_all(n, commands).await?;
        posts.acknowledged.fetch_max(post, SeqCst);
    }
    Ok(())
}

/// Returns how many of the reads were current.
async fn reader(
    trial_run: &TrialRun,
    n: u64,
    posts: &Posts,
    forgets: Forgets,
) -> Result<u64, RedisError> {
    let (store, mut current) = (trial_run.store(n), 0);
    for read in 0..READS {
        sleep(up_to(4)).await;
        let known = posts.acknowledged.load(SeqCst);
        let version = match forgets {
            Forgets::Version => {
                let asked = store.on("GET", &trial_run.key("feed:42:version"));
                Some(trial_run.run::<Option<u64>>(n, asked).await?.unwrap_or_default())
            }
            _ => None,
        };
        let key = page_key(trial_run, version, PAGES[((n + read) % 3) as usize]);
        let seen = match trial_run.run::<Option<u64>>(n, store.on("GET", &key)).await? {
            Some(held) => held,
            None => {
                let loaded = posts.there.load(SeqCst);
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

fn up_to(most_ms: u64) -> Duration {
    Duration::from_millis(rand::rng().random_range(0..=most_ms))
}
