//! A lock over several servers: a lease with a token, given back by who holds
//! it, and a fencing token for what it guards.

mod contest;

use hitrate_cache::redis::{Script, Value, typed};

use self::contest::{Release, run};
use super::{
    Action, Pattern, Pitfall, Statistic, args, command, figure, key,
    play::{ActionContext, ActionError},
    trial::{Trial, Variant},
};
use crate::format;

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "distributed-lock",
    title: "Distributed lock",
    what_for: "Work that one at a time may do, among many on several machines.",
    lead: "Whoever gets to SET the key while nobody else has it holds the lock, for as long as its TTL lasts: a lease, so that a holder who dies blocks nobody for ever. The value is a random token, so that only the holder gives it back. As a lease may end while its holder still works, a fencing token goes along: the resource refuses whoever comes with an older one.",
    keys: &[
        key("lock:report", "a string: the holder’s random token", "with the lease"),
        key(
            "lock:report:fence",
            "a string: a number that only grows",
            "a day after the last lease",
        ),
        key(
            "report",
            "a hash: what the lock guards, and the newest fencing token it has seen",
            "a day after the last write",
        ),
    ],
    commands: &[
        command(
            "SET lock:report {token} NX PX 10000",
            "O(1)",
            "takes the lease if nobody has it; in one script with INCR",
        ),
        command("INCR lock:report:fence", "O(1)", "the fencing token of this lease"),
        command("EVAL “DEL if GET is my token”", "O(1)", "gives it back, if it is still one’s own"),
    ],
    try_this: "Let A take the lock for a second, wait until it ends, let B take it, then let A write: the report refuses it.",
    acts: &[
        Action {
            id: "acquire",
            label: "Take the lock",
            about: "SET NX PX, and INCR for the fencing token",
            fields: &[CLIENT, args::number("lease", "Lease in seconds", (1, 60), "10")],
            run: |play| Box::pin(acquire(play)),
        },
        Action {
            id: "write",
            label: "Write the report",
            about: "refused with an older fencing token",
            fields: &[CLIENT, args::text("text", "Text", 64, "done")],
            run: |play| Box::pin(write(play)),
        },
        Action {
            id: "release",
            label: "Give it back",
            about: "compare and delete",
            fields: &[CLIENT],
            run: |play| Box::pin(release(play)),
        },
        Action {
            id: "delete",
            label: "DEL without looking",
            about: "the wrong way: whoever holds it",
            fields: &[CLIENT],
            run: |play| Box::pin(delete(play)),
        },
    ],
    pitfall: Pitfall {
        wrong: "DEL the lock when the work is done, without a look at whose it is. And: trust that the lease lasts as long as the work.",
        why: "A holder who pauses (garbage collection, a slow disk, a stopped process) outlives its lease; someone else holds the lock by then, and DEL takes it from them. So a third gets in, and so on. A token prevents that, but not that the late holder writes.",
        right: "Compare and delete in one script; and a fencing token that the guarded resource checks (Kleppmann, “How to do distributed locking”, 2016). Where the resource can’t check, a lock saves work but protects nothing.",
    },
    trial: Trial {
        about: "Each actor takes the lock, reads a number, works, and writes the number plus one. The lease is 20 ms, and every fifth holder pauses for 60 ms: some lease ends before its holder is done.",
        counts: "acknowledged writes kept",
        lost: "updates lost",
        over: "too many",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "DEL without token",
                is_right: false,
                code: "SET lock:report {token} NX PX 20\nGET report … work … SET report\nDEL lock:report",
                run: |trial_run| Box::pin(run(trial_run, Release::Blindly, false)),
            },
            Variant {
                name: "Token, without fence",
                is_right: false,
                code: "SET lock:report {token} NX PX 20\nGET report … work … SET report\nEVAL “DEL if GET is my token”",
                run: |trial_run| Box::pin(run(trial_run, Release::OwnOnly, false)),
            },
            Variant {
                name: "Token and fencing token",
                is_right: true,
                code: FENCED_TEXT,
                run: |trial_run| Box::pin(run(trial_run, Release::OwnOnly, true)),
            },
        ],
    },
    figures: Some(|play| Box::pin(figures(play))),
    now: None,
    is_live: false,
};

const CLIENT: args::Field = args::choice("client", "Client", &["A", "B"], "A");
/// Seconds the fence and what it guards are kept.
const KEPT: u64 = 86_400;
/// `KEYS[1]` the lock, `KEYS[2]` its fence; token, lease in milliseconds, how
/// long the fence is kept in seconds. Replies the fencing token, 0 if it is taken.
///
/// In one step: who took the lock and paused before INCR would come back with a
/// higher fencing token than the one who holds the lock by then.
static ACQUIRE: Script = Script::new(include_str!("../scripts/lock_acquire.lua"));

/// `KEYS[1]` the lock, token. Replies 1 if it was one's own.
static RELEASE: Script = Script::new(include_str!("../scripts/lock_release.lua"));

/// `KEYS[1]` the resource; fencing token, text or none, seconds it is kept.
/// Replies whether it was taken, and what was there before. A read brings the
/// token, too: from then on whoever held the lock before is refused.
const FENCED_TEXT: &str = include_str!("../scripts/lock_fenced.lua");
static FENCED: Script = Script::new(FENCED_TEXT);

/// What a client remembers of its lease: token and fencing token.
async fn remembered(play: &ActionContext) -> Result<(Option<String>, Option<u64>), ActionError> {
    let client = play.peek(&client(play));
    let read = play.store().on("HMGET", &client).arg("token").arg("fence");
    play.one(read).await
}

fn client(play: &ActionContext) -> String {
    format!("client:{}", play.args().text("client"))
}

async fn acquire(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, who) = (play.store(), play.args().text("client"));
    let (lease, token) = (play.args().number("lease"), random());
    let keys = (play.key("lock:report"), play.key("lock:report:fence"));
    let acquire = store.script_on(&ACQUIRE, &[store.full_key(&keys.0), store.full_key(&keys.1)]);
    let fence: u64 = play.one(acquire.arg(&token).arg(lease * 1_000).arg(KEPT)).await?;
    if fence == 0 {
        return Ok(vec![format!("{who} does not get the lock: someone holds it.")]);
    }
    let memory = play.key(&client(play));
    let remember = store.on("HSET", &memory).arg("token").arg(&token).arg("fence").arg(fence);
    play.ask(vec![remember, play.keep(&client(play))]).await?;
    Ok(vec![format!(
        "{who} holds the lock for {lease} s, with token {token} and fencing token {fence}."
    )])
}

async fn write(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (who, text) = (play.args().text("client"), play.args().text("text"));
    let (_, Some(fence)) = remembered(play).await? else {
        return Ok(vec![format!(
            "{who} never held the lock, so it has no fencing token to write with."
        )]);
    };
    let write = play.store().script(&FENCED, &play.key("report"));
    let (taken, seen): (bool, String) =
        play.one(write.arg(fence).arg(format!("{text} ({who})")).arg(KEPT)).await?;
    Ok(vec![match taken {
        true => format!("{who} wrote with fencing token {fence}."),
        false => format!(
            "Refused: {who} came with fencing token {fence}, and the report has seen {seen}."
        ),
    }])
}

async fn release(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let who = play.args().text("client");
    let (Some(token), _) = remembered(play).await? else {
        return Ok(vec![format!("{who} never held the lock.")]);
    };
    let release = play.store().script(&RELEASE, &play.peek("lock:report"));
    let own: bool = play.one(release.arg(token)).await?;
    Ok(vec![match own {
        true => format!("{who} gave the lock back."),
        false => format!("Nothing was deleted: the lock is not {who}’s any more."),
    }])
}

async fn delete(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let who = play.args().text("client");
    let (own, _) = remembered(play).await?;
    let held: Option<String> =
        play.one(play.store().on("GETDEL", &play.peek("lock:report"))).await?;
    Ok(vec![match held {
        None => "Nobody held the lock.".to_owned(),
        held if held == own => format!("{who} deleted its own lock. This time it was."),
        _ => format!("{who} deleted a lock that someone else holds. Now two may work at once."),
    }])
}

async fn figures(play: &ActionContext) -> Result<Vec<Statistic>, ActionError> {
    let store = play.store();
    let replies = play
        .ask(vec![
            store.on("GET", &play.peek("lock:report")),
            store.on("PTTL", &play.peek("lock:report")),
            store.on("HGET", &play.peek("client:A")).arg("token"),
            store.on("HGET", &play.peek("client:B")).arg("token"),
        ])
        .await?;
    let [held, ttl, a, b]: [Value; 4] = replies.try_into().unwrap_or_default();
    let holder = match typed::<Option<String>>(held)? {
        None => "nobody",
        held if held == typed(a)? => "A",
        held if held == typed(b)? => "B",
        _ => "someone else",
    };
    let ttl = typed::<i64>(ttl)?.max(0) as u64;
    let note = if holder == "nobody" {
        "it can be taken".to_owned()
    } else {
        format!("for another {}", format::time(&(ttl * 1_000)))
    };
    Ok(vec![figure("The lock is held by", holder.to_owned(), note)])
}

fn random() -> String {
    format!("{:016x}", rand::random::<u64>())
}
