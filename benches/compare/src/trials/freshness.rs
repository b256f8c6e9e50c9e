//! Trials of old values: after a write, and when the origin is down.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Kind, Trial};
use crate::{
    Result,
    contestants::{Instance, Memory},
    fact::Fact,
    origin::Origin,
    stage::{Answer, SETTINGS, Stage, call},
};

const RACES: u64 = 10;
const SLOW_LOAD_TIME: Duration = Duration::from_millis(100);
const LOAD_TIME: Duration = Duration::from_millis(5);
/// Time for an invalidation to reach another instance.
const PROPAGATION: Duration = Duration::from_millis(100);
/// Reads before the invalidation. Some contestants keep a copy in memory only after
/// several reads.
const WARMING_READS: usize = 50;
/// Margin by which the trial outwaits the TTL.
const MARGIN: Duration = Duration::from_millis(300);

pub const LATE_FILL: Trial = Trial {
    name: "A slow read, and a write while it loads: old row served afterwards",
    settings: "cold key; the read takes 100 ms, the write is done in between, then the row is \
        read again; ten races with ten keys",
    kind: Kind::Waiting,
    run: |stage| Box::pin(late_fill(stage)),
};

async fn late_fill(stage: &Stage) -> Result<Vec<Fact>> {
    let (instance, origin) = (stage.connect().await?, Origin::new(SLOW_LOAD_TIME));
    let mut old = 0;
    for id in 0..RACES {
        old += usize::from(race(&instance, id, &origin).await?);
    }
    Ok(vec![Fact::count(&format!("{{}} of {RACES}"), old)])
}

/// Whether the old row is served after the race.
async fn race(instance: &Arc<dyn Instance>, id: u64, origin: &Arc<Origin>) -> Result<bool> {
    let loads = origin.loads();
    let reader = tokio::spawn(instance.get(id, origin));
    origin.wait_for_loads(loads + 1).await;
    instance.write(id, origin).await?;
    let _ = reader.await?;
    Ok(instance.get(id, origin).await? < origin.revision())
}

pub const OTHER_INSTANCE: Trial = Trial {
    name: "Another instance, 100 ms after an invalidation",
    settings: "both instances read the row 50 times, the row changes at the origin, and one \
        instance invalidates it; with copies in memory where the contestant has them",
    kind: Kind::Short,
    run: |stage| Box::pin(other_instance(stage)),
};

async fn other_instance(stage: &Stage) -> Result<Vec<Fact>> {
    let origin = Origin::new(LOAD_TIME);
    let (one, other) = (stage.connect_with_memory().await?, stage.connect_with_memory().await?);
    for instance in [&one, &other] {
        for _ in 0..WARMING_READS {
            instance.get(1, &origin).await?;
        }
    }
    let new = origin.write();
    one.invalidate(1).await?;
    sleep(PROPAGATION).await;
    let is_new = other.get(1, &origin).await? == new;
    Ok(vec![Fact::word(match (is_new, stage.contestant.memory) {
        (true, Memory::Never) => "new row (none in memory)",
        (true, _) => "new row",
        (false, _) => "old row",
    })])
}

pub const PAST_TTL: Trial = Trial {
    name: "Past freshness, and the origin is down",
    settings: "the row is read, its TTL of 2 s passes, and loads fail after 5 ms; the grace \
        period or stale window is 60 s where there is one",
    kind: Kind::Waiting,
    run: |stage| Box::pin(past_ttl(stage)),
};

async fn past_ttl(stage: &Stage) -> Result<Vec<Fact>> {
    let (instance, origin) = (stage.connect().await?, Origin::new(LOAD_TIME));
    instance.get(1, &origin).await?;
    origin.go_down();
    sleep(SETTINGS.ttl + MARGIN).await;
    let call = call(&instance, 1, &origin, stage.pace.limit).await;
    Ok(vec![match call.answer {
        Answer::Row(_) => Fact::time("stale row after {}", call.time),
        _ => call.fact(""),
    }])
}
