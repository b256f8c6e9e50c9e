//! Trials of many callers that miss the same key at once.

use std::{iter::repeat_n, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Kind, Trial};
use crate::{
    Result,
    fact::{Fact, format_time},
    origin::Origin,
    stage::{Answer, Stage, call, crowd},
    worker,
};

pub const CALLERS: usize = 200;
pub const LOAD_TIME: Duration = Duration::from_millis(50);
/// Long enough for all callers to join the load of the first.
const SLOW_LOAD_TIME: Duration = Duration::from_millis(300);
/// Time for the callers to join. Contestants don't report it.
const JOIN_TIME: Duration = Duration::from_millis(100);

pub const ONE_KEY: Trial = Trial {
    name: "200 misses of a key at once",
    settings: "the origin takes 50 ms",
    kind: Kind::Short,
    run: |stage| Box::pin(one_key(stage)),
};

async fn one_key(stage: &Stage) -> Result<Vec<Fact>> {
    let (instance, origin) = (stage.connect().await?, Origin::new(LOAD_TIME));
    let crowd = crowd(&instance, repeat_n(1, CALLERS), &origin, stage.pace.limit).await?;
    Ok(vec![loads(&origin), crowd.end()])
}

pub const TWO_PROCESSES: Trial = Trial {
    name: "200 misses of a key in each of two processes",
    settings: "the origin takes 50 ms; two real processes start on a signal, and their loads \
        are added",
    kind: Kind::Short,
    run: |stage| Box::pin(two_processes(stage)),
};

async fn two_processes(stage: &Stage) -> Result<Vec<Fact>> {
    let loads = worker::run_two(stage.contestant.name, &stage.redis.url()).await?;
    Ok(vec![Fact::count("{} load(s)", loads)])
}

pub const FIRST_LEAVES: Trial = Trial {
    name: "The first of 200 callers is cancelled",
    settings: "the origin takes 300 ms; the first caller starts the load, 199 join, then its \
        task is aborted",
    kind: Kind::Waiting,
    run: |stage| Box::pin(first_leaves(stage)),
};

async fn first_leaves(stage: &Stage) -> Result<Vec<Fact>> {
    let (instance, origin) = (stage.connect().await?, Origin::new(SLOW_LOAD_TIME));
    let limit = stage.pace.limit;
    let first = {
        let (instance, origin) = (Arc::clone(&instance), Arc::clone(&origin));
        tokio::spawn(async move { call(&instance, 1, &origin, limit).await })
    };
    origin.wait_for_loads(1).await;
    let others = crowd(&instance, repeat_n(1, CALLERS - 1), &origin, limit);
    let leave = async {
        sleep(JOIN_TIME).await;
        first.abort();
    };
    let (others, ()) = tokio::join!(others, leave);
    let hanging = others?.calls.iter().filter(|call| call.answer == Answer::Cut).count();
    let hang = match hanging {
        0 => Fact::word("none hangs"),
        _ => Fact::count(&format!("{{}} hang (cut at {})", format_time(limit)), hanging),
    };
    Ok(vec![loads(&origin), hang])
}

pub const ORIGIN_FAILS: Trial = Trial {
    name: "200 misses of a key, and the origin fails",
    settings: "each load fails after 50 ms",
    kind: Kind::Short,
    run: |stage| Box::pin(origin_fails(stage)),
};

async fn origin_fails(stage: &Stage) -> Result<Vec<Fact>> {
    let (instance, origin) = (stage.connect().await?, Origin::new(LOAD_TIME));
    origin.go_down();
    let crowd = crowd(&instance, repeat_n(1, CALLERS), &origin, stage.pace.limit).await?;
    Ok(vec![loads(&origin), crowd.end()])
}

pub fn loads(origin: &Origin) -> Fact {
    Fact::count("{} load(s)", origin.loads())
}
