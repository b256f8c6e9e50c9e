//! Sessions as JSON under `session:{user_id}`: each write renews, no read does.

use std::sync::Arc;

use hitrate_cache::redis::{RedisError, Script, typed};
use serde_json::{Map, Value as Json, json};

use super::{
    Action, Pattern, Pitfall, args, command, key,
    play::{ActionContext, ActionError},
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: Pattern = Pattern {
    slug: "session-store",
    title: "Session store",
    what_for: "Who is signed in, for every server alike.",
    lead: "A session is JSON under the user’s key, with a TTL of an hour. Each write gives it the full hour again; a read does not. So it ends an hour after its last change, however often it is looked at.",
    keys: &[key("session:{user_id}", "a string: JSON", "3,600 s after the last write")],
    commands: &[
        command("SET session:42 '{…}' EX 3600", "O(1)", "writes the session and renews it"),
        command("GET session:42", "O(1)", "reads it, and does not renew it"),
        command(
            "GETEX session:42 EX 3600",
            "O(1)",
            "would read and renew, for a session that should slide",
        ),
        command("EXPIRE session:42 1800", "O(1)", "here: lets half an hour pass at once"),
    ],
    try_this: "Write a session, let half an hour pass, read it, then write it again: watch the TTL.",
    acts: &[
        Action {
            id: "write",
            label: "Write",
            about: "SET … EX 3600: renews",
            fields: &[args::user("42"), args::text("name", "Name in the session", 64, "Alice")],
            run: |play| Box::pin(write(play)),
        },
        Action {
            id: "read",
            label: "Read",
            about: "GET: does not renew",
            fields: &[args::user("42")],
            run: |play| Box::pin(read(play)),
        },
        Action {
            id: "age",
            label: "Let half an hour pass",
            about: "EXPIRE … 1800, instead of waiting",
            fields: &[args::user("42")],
            run: |play| Box::pin(age(play)),
        },
        Action {
            id: "end",
            label: "Sign out",
            about: "UNLINK",
            fields: &[args::user("42")],
            run: |play| Box::pin(end(play)),
        },
    ],
    pitfall: Pitfall {
        wrong: "GET the JSON, change a part of it, SET the whole of it.",
        why: "Two requests of one user at the same time both read the old session; the later SET undoes what the earlier one changed. A basket entry, a flag or a fresh token is gone, and nothing says so.",
        right: "Change the part where it is: a hash with HSET (and EXPIRE in the same round trip), or JSON that a script changes in one step.",
    },
    trial: Trial {
        about: "All actors are requests of one user. Each notes one more page in the session that they share.",
        counts: "pages noted",
        lost: "changes lost",
        over: "too many",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "GET, change, SET",
                is_right: false,
                code: "GET session:42\n(add a field to the JSON)\nSET session:42 '{…}' EX 3600",
                run: |trial_run| Box::pin(integer(trial_run)),
            },
            Variant {
                name: "Hash: HSET, EXPIRE",
                is_right: true,
                code: "HSET session:42 page:{n} 1\nEXPIRE session:42 3600",
                run: |trial_run| Box::pin(fields(trial_run)),
            },
            Variant {
                name: "JSON, changed by a script",
                is_right: true,
                code: CHANGE_TEXT,
                run: |trial_run| Box::pin(script(trial_run)),
            },
        ],
    },
    figures: None,
    now: None,
    is_live: false,
};

/// Seconds a session is kept after a write.
const TTL: u64 = 3_600;

/// `KEYS[1]`, the field, its value, TTL in seconds.
const CHANGE_TEXT: &str = include_str!("scripts/session_change.lua");
static CHANGE: Script = Script::new(CHANGE_TEXT);

fn name(play: &ActionContext) -> String {
    format!("session:{}", play.args().number("user_id"))
}

async fn write(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, key, user) = (play.store(), play.key(&name(play)), play.args().number("user_id"));
    let json = json!({ "user_id": user, "name": play.args().text("name") }).to_string();
    let set = store.on("SET", &key).arg(&json).arg("EX").arg(TTL);
    let all = vec![store.on("TTL", &key), set, store.on("TTL", &key)];
    let [before, _, after] = three(play.ask(all).await?);
    Ok(vec![
        format!("Stored {json}."),
        format!("TTL before: {}; after: {}. A write renews.", left(before), left(after)),
    ])
}

async fn read(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, key) = (play.store(), play.peek(&name(play)));
    let all = vec![store.on("TTL", &key), store.on("GET", &key), store.on("TTL", &key)];
    let [before, json, after] = three(play.ask(all).await?);
    let Ok(Some(json)) = typed::<Option<String>>(json) else {
        return Ok(vec!["No session: none was written, or it has ended.".to_owned()]);
    };
    Ok(vec![
        format!("Read {json}."),
        format!("TTL before: {}; after: {}. A read does not renew.", left(before), left(after)),
    ])
}

async fn age(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, key) = (play.store(), play.peek(&name(play)));
    let there: bool = play.one(store.on("EXPIRE", &key).arg(TTL / 2)).await?;
    Ok(vec![match there {
        true => format!("It now has {} s left, as if half an hour had passed.", TTL / 2),
        false => "There is no session to let age.".to_owned(),
    }])
}

async fn end(play: &ActionContext) -> Result<Vec<String>, ActionError> {
    let there: bool = play.one(play.store().on("UNLINK", &play.peek(&name(play)))).await?;
    Ok(vec![
        if there { "Signed out: the key is gone." } else { "There was no session." }.to_owned(),
    ])
}

fn three(replies: Vec<hitrate_cache::redis::Value>) -> [hitrate_cache::redis::Value; 3] {
    replies.try_into().unwrap_or_default()
}

/// A TTL as Redis tells it.
fn left(ttl: hitrate_cache::redis::Value) -> String {
    match typed::<i64>(ttl) {
        Ok(ttl @ 0..) => format!("{ttl} s"),
        Ok(-1) => "none".to_owned(),
        _ => "no key".to_owned(),
    }
}

async fn integer(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key("session:42"));
            let held: Option<String> = trial_run.run(n, store.on("GET", &key)).await?;
            let mut session = parsed(held.as_deref());
            session.insert(format!("page:{n}"), Json::from(1));
            let json = Json::Object(session).to_string();
            trial_run.run::<()>(n, store.on("SET", &key).arg(json).arg("EX").arg(TTL)).await
        })
        .await?;
    let held: Option<String> =
        trial_run.run(0, trial_run.store(0).on("GET", &trial_run.key("session:42"))).await?;
    Ok(Count::new(trial_run.actors(), parsed(held.as_deref()).len() as u64))
}

async fn fields(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let (store, key) = (trial_run.store(n), trial_run.key("session:42"));
            let set = store.on("HSET", &key).arg(format!("page:{n}")).arg(1);
            trial_run.run_all(n, vec![set, store.on("EXPIRE", &key).arg(TTL)]).await.map(drop)
        })
        .await?;
    let noted =
        trial_run.run(0, trial_run.store(0).on("HLEN", &trial_run.key("session:42"))).await?;
    Ok(Count::new(trial_run.actors(), noted))
}

async fn script(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
    trial_run
        .all(|trial_run, n| async move {
            let change = trial_run.store(n).script(&CHANGE, &trial_run.key("session:42"));
            trial_run.run::<()>(n, change.arg(format!("page:{n}")).arg("1").arg(TTL)).await
        })
        .await?;
    let held: Option<String> =
        trial_run.run(0, trial_run.store(0).on("GET", &trial_run.key("session:42"))).await?;
    Ok(Count::new(trial_run.actors(), parsed(held.as_deref()).len() as u64))
}

fn parsed(json: Option<&str>) -> Map<String, Json> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}
