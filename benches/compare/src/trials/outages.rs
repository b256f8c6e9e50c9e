//! Trials of a Redis that freezes or is gone.

use std::{sync::Arc, time::Duration};

use super::{Kind, Trial};
use crate::{
    Result,
    contestants::Instance,
    fact::Fact,
    origin::Origin,
    stage::{Stage, call, crowd},
};

const LOAD_TIME: Duration = Duration::from_millis(5);
const CROWD: usize = 100;
/// Time of one call by which a client can notice that its connection broke.
const NOTICE_TIME: Duration = Duration::from_millis(500);
/// A row that is cached before the outage. The trials then ask for others.
const WARM_ID: u64 = 0;

pub const FROZEN: Trial = Trial {
    name: "Redis frozen: three calls in turn",
    settings: "SIGSTOP; each call asks for another uncached row, and the origin takes 5 ms",
    kind: Kind::Waiting,
    run: |stage| Box::pin(frozen(stage)),
};

async fn frozen(stage: &Stage) -> Result<Vec<Fact>> {
    let (instance, origin) = connect_and_warm(stage).await?;
    stage.redis.freeze();
    let mut facts = Vec::new();
    for id in 1..=3 {
        facts.push(call(&instance, id, &origin, stage.pace.limit).await.fact(""));
    }
    Ok(facts)
}

pub const KILLED: Trial = Trial {
    name: "Redis killed: first and second call",
    settings: "SIGKILL, no restart; each call asks for another uncached row, and the origin \
        takes 5 ms",
    kind: Kind::Waiting,
    run: |stage| Box::pin(killed(stage)),
};

async fn killed(stage: &mut Stage) -> Result<Vec<Fact>> {
    let (instance, origin) = connect_and_warm(stage).await?;
    stage.redis.kill();
    let first = call(&instance, 1, &origin, stage.pace.reconnect_limit).await;
    let second = call(&instance, 2, &origin, stage.pace.reconnect_limit).await;
    Ok(vec![first.fact(""), second.fact("then ")])
}

pub const CROWD_WHILE_GONE: Trial = Trial {
    name: "100 calls at once while Redis is gone",
    settings: "after SIGKILL and one call of at most 500 ms; each call asks for another uncached row, and the origin \
        takes 5 ms",
    kind: Kind::Long,
    run: |stage| Box::pin(crowd_while_gone(stage)),
};

async fn crowd_while_gone(stage: &mut Stage) -> Result<Vec<Fact>> {
    let (instance, origin) = connect_and_warm(stage).await?;
    stage.redis.kill();
    let _ = call(&instance, WARM_ID + 1, &origin, NOTICE_TIME).await;
    let ids = (WARM_ID + 2..).take(CROWD);
    let crowd = crowd(&instance, ids, &origin, stage.pace.limit).await?;
    let answered = match crowd.answered() {
        CROWD => Fact::word("all answered"),
        some => Fact::count("{} answered", some),
    };
    Ok(vec![answered, crowd.end()])
}

async fn connect_and_warm(stage: &Stage) -> Result<(Arc<dyn Instance>, Arc<Origin>)> {
    let (instance, origin) = (stage.connect().await?, Origin::new(LOAD_TIME));
    instance.get(WARM_ID, &origin).await?;
    Ok((instance, origin))
}
