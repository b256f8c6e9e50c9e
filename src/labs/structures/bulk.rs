//! Bulk actions: many random members, or many concurrent users; and the check of size
//! limits.

use std::{collections::BTreeSet, time::Instant};

use hitrate_cache::{
    redis::{Notation, RedisError, Value},
    trace::Trace,
};
use tokio::task::JoinSet;

use super::{
    command_template::CommandTemplate,
    commands::{Invocation, SizeLimit},
    playground::{CommandOutcome, Playground, PlaygroundError, trip},
    reply::{self, CommandReply},
};
use crate::format;

/// Members per command, and commands of each kind per round trip.
const MEMBERS: usize = 1_000;
const COMMANDS: usize = 5;

impl Playground {
    /// Checks the size limit of an action. Concurrent actions may exceed the limit by
    /// what they add.
    pub(super) async fn check(
        &self,
        invocation: &Invocation,
        trace: &Trace,
    ) -> Result<(), PlaygroundError> {
        let Some(size_limit) = &invocation.act.run.size_limit else { return Ok(()) };
        let replies = self
            .pipeline(vec![CommandTemplate::of(size_limit.count, &invocation.values)], trace)
            .await?;
        match replies.iter().all(|reply| reply::count(reply) < size_limit.max) {
            true => Ok(()),
            false => Err(size_limit.full_error()),
        }
    }

    /// Adds random members in batches, until all are added or the limit is reached.
    pub(super) async fn random_members(
        &self,
        invocation: &Invocation,
        forms: &[&'static str],
        trace: &Trace,
    ) -> Result<CommandOutcome, PlaygroundError> {
        let wanted = invocation.number("count").unwrap_or_default() as usize;
        let (mut added, start) = (0, Instant::now());
        let mut sums = vec![0; forms.len()];
        while added < wanted {
            match self.check(invocation, &Trace::disabled()).await {
                Err(PlaygroundError::Full(_)) if added > 0 => break,
                checked => checked?,
            }
            let batch = (wanted - added).min(MEMBERS * COMMANDS);
            let more = self.batch(forms, batch).await?;
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            added += batch;
        }
        let summary = summarize(forms, added, &sums);
        trace.record(trip(start), || {
            summary.iter().map(|(line, reply)| (line.shown(), reply.clone()))
        });
        let outcome = self.run(Vec::new(), self.renewals(), trace).await?;
        let replies = summary.iter().map(|(_, reply)| Ok(Value::SimpleString(reply.clone())));
        let replies = replies.collect();
        Ok(CommandOutcome {
            lines: summary.into_iter().map(|it| it.0).collect(),
            replies,
            ..outcome
        })
    }

    /// Sends one command per user, all concurrently. They share the connection, and Redis
    /// runs them one by one.
    pub(super) async fn concurrent(
        &self,
        invocation: &Invocation,
        form: &'static str,
        trace: &Trace,
    ) -> Result<CommandOutcome, PlaygroundError> {
        let users = invocation.number("users").unwrap_or_default() as usize;
        let (line, start) = (CommandTemplate::of(form, &invocation.values), Instant::now());
        let replies = match self.all_at_once(&line, users).await {
            Ok(replies) => replies,
            Err(error) => {
                // Keys that some of the commands created still need a TTL.
                let _ = self.run(Vec::new(), self.renewals(), &Trace::disabled()).await;
                return Err(error.into());
            }
        };
        let line = line
            .noting(&format!("({} at once)", format::counted(&(users as u64), "user", "users")));
        let reply = combined(replies);
        trace.record(trip(start), || {
            let shown = reply
                .as_ref()
                .map_or_else(ToString::to_string, |value| Notation::PAGE.value(value));
            vec![(line.shown(), shown)]
        });
        let outcome = self.run(Vec::new(), self.renewals(), trace).await?;
        Ok(CommandOutcome { lines: vec![line], replies: vec![reply], ..outcome })
    }

    /// Sends a command once per user, each in its own round trip.
    async fn all_at_once(
        &self,
        line: &CommandTemplate,
        users: usize,
    ) -> Result<Vec<CommandReply>, RedisError> {
        let user = |_| {
            let (playground, line) = (self.clone(), line.clone());
            async move { playground.pipeline(vec![line], &Trace::disabled()).await }
        };
        let concurrent = (0..users).map(user).collect::<JoinSet<_>>().join_all().await;
        Ok(concurrent.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Adds random members in one round trip. Returns the sum of each command's replies.
    async fn batch(&self, forms: &[&'static str], members: usize) -> Result<Vec<i64>, RedisError> {
        let member = |_| format!("u{:012x}", rand::random::<u64>() >> 16);
        let members: Vec<String> = (0..members).map(member).collect();
        let lines = members.chunks(MEMBERS).flat_map(|some| {
            forms.iter().map(|form| CommandTemplate::plain(form).and(some.iter().cloned()))
        });
        let mut commands = self.commands(&lines.collect::<Vec<_>>());
        let count = commands.len();
        // With each batch, so that the keys expire even if no further batch follows.
        commands.extend(self.renewals());
        let replies = self.store.run_each(commands).await?;
        let mut sums = vec![0; forms.len()];
        for (n, reply) in replies.into_iter().take(count).enumerate() {
            if let Value::Int(number) = reply? {
                sums[n % forms.len()] += number;
            }
        }
        Ok(sums)
    }
}

/// Combines the replies of all users: the first error, or the range of the counts.
fn combined(replies: Vec<CommandReply>) -> CommandReply {
    let counts: BTreeSet<i64> = replies
        .into_iter()
        .map(|reply| reply.map(|value| if let Value::Int(count) = value { count } else { 0 }))
        .collect::<Result<_, _>>()?;
    let (first, last) = (counts.first().unwrap_or(&0), counts.last().unwrap_or(&0));
    let different = format::counted(&(counts.len() as u64), "reply", "different replies");
    Ok(Value::SimpleString(format!("{different}: (integer) {first} to (integer) {last}")))
}

/// Summarizes batches of random members as one command and one reply per template.
fn summarize(forms: &[&'static str], count: usize, sums: &[i64]) -> Vec<(CommandTemplate, String)> {
    let times = |one, many, size| format::counted(&(count.div_ceil(size) as u64), one, many);
    let commands = times("command", "commands", MEMBERS);
    let trips = times("round trip", "round trips", MEMBERS * COMMANDS);
    let members = format::counted(&(count as u64), "random member", "random members");
    let note = format!("({members} in {commands} and {trips})");
    let lines = forms.iter().zip(sums).map(|(form, sum)| {
        (
            CommandTemplate::plain(form).noting(&note),
            format!("(integer) {sum}, summed over {commands}"),
        )
    });
    lines.collect()
}

impl SizeLimit {
    fn full_error(&self) -> PlaygroundError {
        let max = format::number(&self.max);
        PlaygroundError::Full(format!(
            "The limit of {max} {} is reached. Reset the demo to remove them.",
            self.of
        ))
    }
}
