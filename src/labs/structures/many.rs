//! Much at once: many members that are made up here, or many users who do the
//! same; and whether there is room for more.

use std::{collections::BTreeSet, time::Instant};

use hitrate_cache::{
    redis::{Notation, RedisError, Value},
    trace::Trace,
};
use tokio::task::JoinSet;

use super::{
    act::{Invocation, SizeLimit},
    desk::{CommandOutcome, Playground, PlaygroundError, trip},
    line::CommandTemplate,
    reply::{self, Reply},
};
use crate::format;

/// Random members in one command, and commands of each kind in one round trip.
const MEMBERS: usize = 1_000;
const COMMANDS: usize = 5;

impl Playground {
    /// Whether there is room for what makes the value larger. What is under way
    /// at the same time may pass the bound, by as much as it adds.
    pub(super) async fn check(
        &self,
        act: &Invocation,
        trace: &Trace,
    ) -> Result<(), PlaygroundError> {
        let Some(size_limit) = &act.act.run.size_limit else { return Ok(()) };
        let replies =
            self.ask(vec![CommandTemplate::of(size_limit.count, &act.values)], trace).await?;
        match replies.iter().all(|reply| reply::count(reply) < size_limit.max) {
            true => Ok(()),
            false => Err(size_limit.is_full()),
        }
    }

    /// Random members in batches, until all are there or there is no room.
    pub(super) async fn many(
        &self,
        act: &Invocation,
        forms: &[&'static str],
        trace: &Trace,
    ) -> Result<CommandOutcome, PlaygroundError> {
        let wanted = act.number("count").unwrap_or_default() as usize;
        let (mut added, start) = (0, Instant::now());
        let mut sums = vec![0; forms.len()];
        while added < wanted {
            match self.check(act, &Trace::disabled()).await {
                Err(PlaygroundError::Full(_)) if added > 0 => break,
                checked => checked?,
            }
            let batch = (wanted - added).min(MEMBERS * COMMANDS);
            let more = self.batch(forms, batch).await?;
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            added += batch;
        }
        let told = summed(forms, added, &sums);
        trace
            .record(trip(start), || told.iter().map(|(line, reply)| (line.shown(), reply.clone())));
        let played = self.run(Vec::new(), self.renewals(), trace).await?;
        let replies = told.iter().map(|(_, reply)| Ok(Value::SimpleString(reply.clone())));
        let replies = replies.collect();
        Ok(CommandOutcome { lines: told.into_iter().map(|it| it.0).collect(), replies, ..played })
    }

    /// Everybody at the same time. The connection carries all their commands, and
    /// Redis runs one after the other.
    pub(super) async fn concurrent(
        &self,
        act: &Invocation,
        form: &'static str,
        trace: &Trace,
    ) -> Result<CommandOutcome, PlaygroundError> {
        let users = act.number("users").unwrap_or_default() as usize;
        let (line, start) = (CommandTemplate::of(form, &act.values), Instant::now());
        let replies = match self.all_at_once(&line, users).await {
            Ok(replies) => replies,
            Err(error) => {
                // What some of them made shall end all the same.
                let _ = self.run(Vec::new(), self.renewals(), &Trace::disabled()).await;
                return Err(error.into());
            }
        };
        let line = line
            .noting(&format!("({} at once)", format::counted(&(users as u64), "user", "users")));
        let reply = all_of(replies);
        trace.record(trip(start), || {
            let told = reply
                .as_ref()
                .map_or_else(ToString::to_string, |value| Notation::PAGE.value(value));
            vec![(line.shown(), told)]
        });
        let played = self.run(Vec::new(), self.renewals(), trace).await?;
        Ok(CommandOutcome { lines: vec![line], replies: vec![reply], ..played })
    }

    /// A command by so many, each in a round trip of their own.
    async fn all_at_once(
        &self,
        line: &CommandTemplate,
        users: usize,
    ) -> Result<Vec<Reply>, RedisError> {
        let user = |_| {
            let (desk, line) = (self.clone(), line.clone());
            async move { desk.ask(vec![line], &Trace::disabled()).await }
        };
        let concurrent = (0..users).map(user).collect::<JoinSet<_>>().join_all().await;
        Ok(concurrent.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// One round trip of random members; the sum of each command's replies.
    async fn batch(&self, forms: &[&'static str], members: usize) -> Result<Vec<i64>, RedisError> {
        let member = |_| format!("u{:012x}", rand::random::<u64>() >> 16);
        let members: Vec<String> = (0..members).map(member).collect();
        let lines = members.chunks(MEMBERS).flat_map(|some| {
            forms.iter().map(|form| CommandTemplate::plain(form).and(some.iter().cloned()))
        });
        let mut commands = self.commands(&lines.collect::<Vec<_>>());
        let count = commands.len();
        // With each batch, so that one after which nothing comes ends, too.
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

/// The replies of a crowd as one: the first refusal, or what the counts say.
fn all_of(replies: Vec<Reply>) -> Reply {
    let counts: BTreeSet<i64> = replies
        .into_iter()
        .map(|reply| reply.map(|value| if let Value::Int(count) = value { count } else { 0 }))
        .collect::<Result<_, _>>()?;
    let (first, last) = (counts.first().unwrap_or(&0), counts.last().unwrap_or(&0));
    let different = format::counted(&(counts.len() as u64), "reply", "different replies");
    Ok(Value::SimpleString(format!("{different}: (integer) {first} to (integer) {last}")))
}

/// Batches of random members, as one line and one reply for each command.
fn summed(forms: &[&'static str], count: usize, sums: &[i64]) -> Vec<(CommandTemplate, String)> {
    let times = |one, many, size| format::counted(&(count.div_ceil(size) as u64), one, many);
    let commands = times("command", "commands", MEMBERS);
    let trips = times("round trip", "round trips", MEMBERS * COMMANDS);
    let members = format::counted(&(count as u64), "random member", "random members");
    let note = format!("({members} in {commands} and {trips})");
    let told = forms.iter().zip(sums).map(|(form, sum)| {
        (
            CommandTemplate::plain(form).noting(&note),
            format!("(integer) {sum}, summed over {commands}"),
        )
    });
    told.collect()
}

impl SizeLimit {
    fn is_full(&self) -> PlaygroundError {
        let max = format::number(&self.max);
        PlaygroundError::Full(format!(
            "There is room for {max} {} here, and they are all taken. Start again to empty it.",
            self.of
        ))
    }
}
