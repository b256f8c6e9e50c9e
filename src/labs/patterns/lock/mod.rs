//! A distributed lock: a lease with a token, released only by its holder, and a fencing
//! token for the guarded resource.

mod contest;

use hitrate_cache::redis::{Script, Value, typed};

use self::contest::{Release, run};
use super::{
    Action, Pitfall, RedisPattern, Statistic,
    action_context::{ActionContext, ActionError},
    args, command, key, statistic,
    trial::{Trial, Variant},
};
use crate::{format, labs::support::visitor_keys::KEY_TTL};

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "distributed-lock",
    title: "Distributed lock",
    purpose: "Work that only one of many processes on several machines may do at a time.",
    lead: "SET … NX succeeds for one client only, which holds the lock until the TTL passes. The lock is a lease, so a crashed holder does not block others forever. Its value is a random token, so that only the holder can release it. A lease may expire while its holder is still working; therefore each lease has a fencing token, and the resource rejects older tokens.",
    keys: &[
        key("lock:report", "a string: the holder’s random token", "with the lease"),
        key("lock:report:fence", "a string: an increasing number", "a day after the last lease"),
        key(
            "report",
            "a hash: the guarded resource, and the highest fencing token it has seen",
            "a day after the last write",
        ),
    ],
    commands: &[
        command(
            "SET lock:report {token} NX PX 10000",
            "O(1)",
            "acquires the lease if the lock is free; in one script with INCR",
        ),
        command("INCR lock:report:fence", "O(1)", "returns the fencing token of this lease"),
        command(
            "EVAL “DEL if GET is my token”",
            "O(1)",
            "releases the lock, if the client still holds it",
        ),
    ],
    try_this: "Acquire the lock as A for one second, wait until it expires, acquire it as B, then write as A: the report rejects the write.",
    acts: &[
        Action {
            id: "acquire",
            label: "Acquire the lock",
            about: "SET NX PX, and INCR for the fencing token",
            fields: &[CLIENT, args::number("lease", "Lease in seconds", (1, 60), "10")],
            run: |context| Box::pin(acquire(context)),
        },
        Action {
            id: "write",
            label: "Write the report",
            about: "rejected with an older fencing token",
            fields: &[CLIENT, args::text("text", "Text", 64, "done")],
            run: |context| Box::pin(write(context)),
        },
        Action {
            id: "release",
            label: "Release the lock",
            about: "compare the token, then delete",
            fields: &[CLIENT],
            run: |context| Box::pin(release(context)),
        },
        Action {
            id: "delete",
            label: "DEL without comparing",
            about: "the wrong way: deletes anyone’s lock",
            fields: &[CLIENT],
            run: |context| Box::pin(delete(context)),
        },
    ],
    pitfall: Pitfall {
        wrong: "DEL the lock after the work, without checking who holds it. And: assuming that the lease outlasts the work.",
        why: "A holder that pauses (garbage collection, a slow disk, a stopped process) may exceed its lease. By then another client holds the lock, DEL removes it, and a third client gets in. A token prevents that, but does not stop the late holder from writing.",
        right: "Compare and delete in one script, and use a fencing token that the guarded resource checks (Kleppmann, “How to do distributed locking”, 2016). If the resource can’t check it, a lock avoids duplicate work but does not protect data.",
    },
    trial: Trial {
        about: "Each actor acquires the lock, reads a number, works, and writes the number plus one. The lease is 20 ms, and every fifth actor pauses for 60 ms, so some leases expire before the work is done.",
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
    statistics: Some(|context| Box::pin(statistics(context))),
    status: None,
    is_live: false,
};

const CLIENT: args::Field = args::choice("client", "Client", &["A", "B"], "A");
/// `KEYS[1]` is the lock, `KEYS[2]` its fence. Arguments: token, lease in milliseconds,
/// TTL of the fence in seconds. Returns the fencing token; 0 if the lock is held.
///
/// Atomic: a client that acquired the lock and paused before INCR would otherwise get a
/// higher fencing token than the next holder.
static ACQUIRE: Script = Script::new(include_str!("../scripts/lock_acquire.lua"));

/// `KEYS[1]` is the lock. Argument: the token. Returns 1 if the lock had this token.
static RELEASE: Script = Script::new(include_str!("../scripts/lock_release.lua"));

/// `KEYS[1]` is the resource. Arguments: fencing token, text or an empty string, TTL in
/// seconds. Returns whether the token was accepted, and the previous value. A read
/// presents the token, too: from then on, earlier holders are rejected.
const FENCED_TEXT: &str = include_str!("../scripts/lock_fenced.lua");
static FENCED: Script = Script::new(FENCED_TEXT);

/// The lease that a client remembers: token and fencing token.
async fn remembered(context: &ActionContext) -> Result<(Option<String>, Option<u64>), ActionError> {
    let client = context.read_key(&client(context));
    let read = context.store().on("HMGET", &client).arg("token").arg("fence");
    context.run(read).await
}

fn client(context: &ActionContext) -> String {
    format!("client:{}", context.args().text("client"))
}

async fn acquire(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, who) = (context.store(), context.args().text("client"));
    let (lease, token) = (context.args().number("lease"), random());
    let keys = (context.key("lock:report"), context.key("lock:report:fence"));
    let acquire = store.script_on(&ACQUIRE, &[store.full_key(&keys.0), store.full_key(&keys.1)]);
    let fence: u64 =
        context.run(acquire.arg(&token).arg(lease * 1_000).arg(KEY_TTL.as_secs())).await?;
    if fence == 0 {
        return Ok(vec![format!("{who} does not get the lock: it is held.")]);
    }
    let memory = context.key(&client(context));
    let remember = store.on("HSET", &memory).arg("token").arg(&token).arg("fence").arg(fence);
    context.pipeline(vec![remember, context.renew(&client(context))]).await?;
    Ok(vec![format!(
        "{who} holds the lock for {lease} s, with token {token} and fencing token {fence}."
    )])
}

async fn write(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (who, text) = (context.args().text("client"), context.args().text("text"));
    let (_, Some(fence)) = remembered(context).await? else {
        return Ok(vec![format!("{who} never held the lock, so it has no fencing token.")]);
    };
    let write = context.store().script(&FENCED, &context.key("report"));
    let (accepted, seen): (bool, String) =
        context.run(write.arg(fence).arg(format!("{text} ({who})")).arg(KEY_TTL.as_secs())).await?;
    Ok(vec![match accepted {
        true => format!("{who} wrote with fencing token {fence}."),
        false => {
            format!("Rejected: {who} has fencing token {fence}, but the report has seen {seen}.")
        }
    }])
}

async fn release(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let who = context.args().text("client");
    let (Some(token), _) = remembered(context).await? else {
        return Ok(vec![format!("{who} never held the lock.")]);
    };
    let release = context.store().script(&RELEASE, &context.read_key("lock:report"));
    let own: bool = context.run(release.arg(token)).await?;
    Ok(vec![match own {
        true => format!("{who} released the lock."),
        false => format!("Nothing was deleted: {who} no longer holds the lock."),
    }])
}

async fn delete(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let who = context.args().text("client");
    let (own, _) = remembered(context).await?;
    let held: Option<String> =
        context.run(context.store().on("GETDEL", &context.read_key("lock:report"))).await?;
    Ok(vec![match held {
        None => "The lock was not held.".to_owned(),
        held if held == own => format!("{who} deleted its own lock, by luck."),
        _ => format!(
            "{who} deleted a lock that another client holds. Now two clients may work at once."
        ),
    }])
}

async fn statistics(context: &ActionContext) -> Result<Vec<Statistic>, ActionError> {
    let store = context.store();
    let replies = context
        .pipeline(vec![
            store.on("GET", &context.read_key("lock:report")),
            store.on("PTTL", &context.read_key("lock:report")),
            store.on("HGET", &context.read_key("client:A")).arg("token"),
            store.on("HGET", &context.read_key("client:B")).arg("token"),
        ])
        .await?;
    let [held, ttl, a, b]: [Value; 4] = replies.try_into().unwrap_or_default();
    let holder = match typed::<Option<String>>(held)? {
        None => "nobody",
        held if held == typed(a)? => "A",
        held if held == typed(b)? => "B",
        _ => "another client",
    };
    let ttl = typed::<i64>(ttl)?.max(0) as u64;
    let note = if holder == "nobody" {
        "the lock is free".to_owned()
    } else {
        format!("for another {}", format::time(&(ttl * 1_000)))
    };
    Ok(vec![statistic("Lock holder", holder.to_owned(), note)])
}

fn random() -> String {
    format!("{:016x}", rand::random::<u64>())
}
