//! Sessions as JSON under `session:{user_id}`. Writes renew the TTL, reads don't.

use std::sync::Arc;

use hitrate_cache::redis::{RedisError, Script, typed};
use serde_json::{Map, Value as Json, json};

use super::{
    Action, Pitfall, RedisPattern,
    action_context::{ActionContext, ActionError},
    args, command, key,
    trial::{Count, Trial, Variant},
    trial_run::TrialRun,
};

/// The pattern.
pub const PATTERN: RedisPattern = RedisPattern {
    slug: "session-store",
    title: "Session store",
    purpose: "Sign-in state, shared by all servers.",
    lead: "A session is JSON under the user’s key, with a TTL of one hour. Each write renews the TTL; a read does not. So the session expires one hour after its last change, however often it is read.",
    keys: &[key("session:{user_id}", "a string: JSON", "3,600 s after the last write")],
    commands: &[
        command("SET session:42 '{…}' EX 3600", "O(1)", "writes the session and renews its TTL"),
        command("GET session:42", "O(1)", "reads the session without renewing it"),
        command("GETEX session:42 EX 3600", "O(1)", "would read and renew, for sliding expiration"),
        command("EXPIRE session:42 1800", "O(1)", "here: skips half an hour"),
    ],
    try_this: "Write a session, skip half an hour, read it, then write it again, and watch the TTL.",
    acts: &[
        Action {
            id: "write",
            label: "Write",
            about: "SET … EX 3600, renews the TTL",
            fields: &[args::user("42"), args::text("name", "Name in the session", 64, "Alice")],
            run: |context| Box::pin(write(context)),
        },
        Action {
            id: "read",
            label: "Read",
            about: "GET, does not renew the TTL",
            fields: &[args::user("42")],
            run: |context| Box::pin(read(context)),
        },
        Action {
            id: "age",
            label: "Skip half an hour",
            about: "EXPIRE … 1800, instead of waiting",
            fields: &[args::user("42")],
            run: |context| Box::pin(age(context)),
        },
        Action {
            id: "end",
            label: "Sign out",
            about: "UNLINK",
            fields: &[args::user("42")],
            run: |context| Box::pin(end(context)),
        },
    ],
    pitfall: Pitfall {
        wrong: "GET the JSON, change a field, SET the whole session.",
        why: "Two concurrent requests of one user both read the old session, and the later SET overwrites the change of the earlier one. A cart item, a flag or a new token is lost without an error.",
        right: "Change only the field: use a hash with HSET (and EXPIRE in the same round trip), or JSON that a script changes atomically.",
    },
    trial: Trial {
        about: "All actors are concurrent requests of one user. Each adds one page to the shared session.",
        counts: "pages recorded",
        lost: "changes lost",
        over: "too many",
        fields: &[args::actors("50")],
        variants: &[
            Variant {
                name: "GET, change, SET",
                is_right: false,
                code: "GET session:42\n(add a field to the JSON)\nSET session:42 '{…}' EX 3600",
                run: |trial_run| Box::pin(read_modify_write(trial_run)),
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
    statistics: None,
    status: None,
    is_live: false,
};

/// TTL of a session after a write, in seconds.
const TTL: u64 = 3_600;

/// `KEYS[1]` is the session. Arguments: field, value, TTL in seconds.
const CHANGE_TEXT: &str = include_str!("scripts/session_change.lua");
static CHANGE: Script = Script::new(CHANGE_TEXT);

fn name(context: &ActionContext) -> String {
    format!("session:{}", context.args().number("user_id"))
}

async fn write(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, key, user) =
        (context.store(), context.key(&name(context)), context.args().number("user_id"));
    let json = json!({ "user_id": user, "name": context.args().text("name") }).to_string();
    let set = store.on("SET", &key).arg(&json).arg("EX").arg(TTL);
    let all = vec![store.on("TTL", &key), set, store.on("TTL", &key)];
    let [before, _, after] = three(context.pipeline(all).await?);
    Ok(vec![
        format!("Stored {json}."),
        format!("TTL before: {}; after: {}. A write renews.", left(before), left(after)),
    ])
}

async fn read(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, key) = (context.store(), context.read_key(&name(context)));
    let all = vec![store.on("TTL", &key), store.on("GET", &key), store.on("TTL", &key)];
    let [before, json, after] = three(context.pipeline(all).await?);
    let Ok(Some(json)) = typed::<Option<String>>(json) else {
        return Ok(vec!["No session: none was written, or it has expired.".to_owned()]);
    };
    Ok(vec![
        format!("Read {json}."),
        format!("TTL before: {}; after: {}. A read does not renew.", left(before), left(after)),
    ])
}

async fn age(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let (store, key) = (context.store(), context.read_key(&name(context)));
    let there: bool = context.run(store.on("EXPIRE", &key).arg(TTL / 2)).await?;
    Ok(vec![match there {
        true => format!("The session now expires in {} s, as if half an hour had passed.", TTL / 2),
        false => "There is no session.".to_owned(),
    }])
}

async fn end(context: &ActionContext) -> Result<Vec<String>, ActionError> {
    let there: bool =
        context.run(context.store().on("UNLINK", &context.read_key(&name(context)))).await?;
    Ok(vec![
        if there { "Signed out: the key was deleted." } else { "There was no session." }.to_owned(),
    ])
}

fn three(replies: Vec<hitrate_cache::redis::Value>) -> [hitrate_cache::redis::Value; 3] {
    replies.try_into().unwrap_or_default()
}

/// A reply of TTL, in words.
fn left(ttl: hitrate_cache::redis::Value) -> String {
    match typed::<i64>(ttl) {
        Ok(ttl @ 0..) => format!("{ttl} s"),
        Ok(-1) => "none".to_owned(),
        _ => "no key".to_owned(),
    }
}

async fn read_modify_write(trial_run: &Arc<TrialRun>) -> Result<Count, RedisError> {
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
    let recorded =
        trial_run.run(0, trial_run.store(0).on("HLEN", &trial_run.key("session:42"))).await?;
    Ok(Count::new(trial_run.actors(), recorded))
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
