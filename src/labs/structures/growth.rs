//! Growth: a value is brought to an encoding threshold and past it, and measured on both
//! sides. Redis keeps small values in a compact encoding and converts them once,
//! irreversibly, when they grow.

/// Parses the reply of OBJECT ENCODING.
pub use super::reply::text as encoding_name;
use super::{
    ELEMENTS_MAX,
    command_template::CommandTemplate,
    playground::Playground,
    reply::{CommandReply, count, text},
    results::{EncodingChange, Size},
    view::Performed,
};
use crate::format;
use hitrate_cache::{
    redis::{RedisError, Value},
    trace::Trace,
};

/// The threshold of a structure, and the commands that reach and pass it.
pub struct Growth {
    /// The label of the button.
    pub label: &'static str,
    /// The change at the threshold and its reason, in a sentence or two.
    pub about: &'static str,
    /// The names of the Redis setting, the latest first; empty if the threshold is fixed.
    pub settings: &'static [&'static str],
    /// The threshold if CONFIG GET is not available.
    pub default: i64,
    /// The command that returns the size.
    pub count: &'static str,
    /// The unit of the size, in plural.
    pub of: &'static str,
    /// The key that grows.
    pub key: &'static str,
    /// The command that returns the encoding, and the parser of its reply.
    pub encoding: (&'static str, fn(&Value) -> Option<String>),
    /// Commands that grow the value from this size to the threshold.
    pub to_threshold: fn(have: u64, threshold: i64) -> Vec<CommandTemplate>,
    /// Commands that grow it past the threshold.
    pub past_threshold: fn(threshold: i64) -> Vec<CommandTemplate>,
}

/// An encoding threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Threshold {
    value: i64,
    /// Whether the server returned it.
    is_from_server: bool,
    /// The setting, by the name that the server knows.
    setting: Option<&'static str>,
}

/// Commands that add these elements, `batch_size` per command.
pub fn batched(
    form: &str,
    elements: std::ops::Range<u64>,
    batch_size: usize,
    words: fn(u64) -> Vec<String>,
) -> Vec<CommandTemplate> {
    let elements: Vec<_> = elements.collect();
    let line = |some: &[u64]| CommandTemplate::plain(form).and(some.iter().flat_map(|&n| words(n)));
    elements.chunks(batch_size).map(line).collect()
}

/// The threshold as a number of elements, capped so that one more fits the page's limit.
pub fn elements(threshold: i64) -> u64 {
    u64::try_from(threshold).unwrap_or_default().min(ELEMENTS_MAX - 1)
}

impl Growth {
    /// Commands that return the threshold and the current size.
    pub fn threshold_commands(&self) -> Vec<CommandTemplate> {
        let settings =
            self.settings.iter().map(|name| CommandTemplate::plain(&format!("CONFIG GET {name}")));
        settings.chain([CommandTemplate::plain(self.count)]).collect()
    }

    /// The threshold from the replies to CONFIG GET, or the default.
    fn threshold(&self, replies: &[Option<Value>]) -> Threshold {
        let returned = self.settings.iter().zip(replies).find_map(|(name, reply)| {
            let value = setting(reply.as_ref()?)?;
            Some(Threshold { value, is_from_server: true, setting: Some(*name) })
        });
        returned.unwrap_or(Threshold {
            value: self.default,
            is_from_server: false,
            setting: self.settings.first().copied(),
        })
    }

    /// Commands that measure the value.
    pub fn size_commands(&self) -> [CommandTemplate; 3] {
        [self.count, self.encoding.0, &format!("MEMORY USAGE @{}", self.key)]
            .map(CommandTemplate::plain)
    }

    /// Parses the replies to [`size_commands`](Self::size_commands).
    pub fn size(&self, replies: &[CommandReply]) -> Size {
        let [length, encoding, memory] = replies else {
            return Size { count: 0, encoding: None, memory_bytes: None };
        };
        Size {
            count: count(length),
            encoding: encoding.as_ref().ok().and_then(self.encoding.1),
            memory_bytes: Some(count(memory)).filter(|it| *it > 0),
        }
    }

    /// All commands, for tests.
    #[cfg(test)]
    pub fn all_lines(&self) -> Vec<CommandTemplate> {
        let mut lines = (self.to_threshold)(0, self.default);
        lines.extend((self.past_threshold)(self.default));
        lines.extend(self.size_commands());
        lines
    }
}

impl Playground {
    /// Grows the value to the threshold and past it, and measures it on both sides.
    pub(super) async fn grow(&self, trace: &Trace) -> Performed {
        let growth = &self.structure.growth;
        let (threshold, have) = self.threshold(trace).await?;
        let size_commands = growth.size_commands();
        let mut lines = (growth.to_threshold)(have, threshold.value);
        let at_threshold = lines.len();
        lines.extend(size_commands.clone());
        lines.extend((growth.past_threshold)(threshold.value));
        lines.extend(size_commands);
        let outcome = self.run(lines, self.renewals(), trace).await?;
        let (before, end) = (at_threshold..at_threshold + 3, outcome.replies.len() - 3);
        let sizes = [&outcome.replies[before.clone()], &outcome.replies[end..]];
        let [size_before, size_after] = sizes.map(|replies| growth.size(replies));
        // A denied measurement is not a failure of the action.
        let written =
            outcome.replies[..at_threshold].iter().chain(&outcome.replies[before.end..end]);
        let refusal = written.filter_map(|reply| reply.as_ref().err()).next().cloned();
        let encoding_change = compared(growth, threshold, size_before, size_after);
        let (mut result, view) = self.result(growth.label.to_owned(), outcome, None, &[]);
        (result.encoding_change, result.refusal) = (Some(encoding_change), refusal);
        Ok((result, view))
    }

    /// The threshold and the current size. CONFIG may be denied, which does not count as
    /// a Redis failure.
    async fn threshold(&self, trace: &Trace) -> Result<(Threshold, u64), RedisError> {
        let growth = &self.structure.growth;
        let commands = growth.threshold_commands();
        let mut replies = self.pipeline_each(&commands, trace).await?;
        let have = replies.pop().unwrap_or(Err(RedisError::Unreachable))?;
        let replies: Vec<_> = replies.into_iter().map(Result::ok).collect();
        Ok((growth.threshold(&replies), count(&Ok(have))))
    }
}

/// Parses the reply of CONFIG GET for one setting.
fn setting(reply: &Value) -> Option<i64> {
    let value = match reply {
        Value::Array(parts) => parts.get(1)?,
        Value::Map(pairs) => &pairs.first()?.1,
        _ => return None,
    };
    text(value)?.parse().ok()
}

/// Compares two measurements.
fn compared(
    growth: &Growth,
    Threshold { value, is_from_server, setting }: Threshold,
    before: Size,
    after: Size,
) -> EncodingChange {
    let message = change_message(growth, &before, &after);
    let (key, of) = (growth.key, growth.of);
    EncodingChange { key, setting, threshold: value, is_from_server, of, before, after, message }
}

fn change_message(growth: &Growth, before: &Size, after: &Size) -> String {
    let name = |size: &Size| size.encoding.clone().unwrap_or_else(|| "unknown".to_owned());
    let (was, is) = (name(before), name(after));
    let size = |size: &Size| size.memory_bytes.as_ref().map(format::bytes);
    let memory = match (size(before), size(after)) {
        (Some(was), Some(is)) => format!(", and its memory use from {was} to {is},"),
        _ => String::new(),
    };
    let counts = format!(
        "{} and {} {}",
        format::number(&before.count),
        format::number(&after.count),
        growth.of
    );
    if before.count == after.count && was == is {
        return format!(
            "The threshold was passed before, and Redis does not go back: {} stays {is}{}. Reset the demo to see the change.",
            growth.key,
            size(after).map(|size| format!(", {size}")).unwrap_or_default()
        );
    }
    match was == is {
        true => format!("The encoding of {} stays {is}{memory} between {counts}.", growth.key),
        false => {
            format!(
                "The encoding of {} changes from {was} to {is}{memory} between {counts}.",
                growth.key
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: &str) -> Option<Value> {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        Some(Value::Array(vec![bulk("name"), bulk(value)]))
    }

    #[test]
    fn the_threshold_comes_from_the_server_or_is_the_default() {
        let growth = &super::super::hashes::HASHES.growth;
        let [latest, older] = [0, 1].map(|n| Some(growth.settings[n]));
        let returned = Threshold { value: 99, is_from_server: true, setting: older };
        assert_eq!(growth.threshold(&[None, config("99")]), returned);
        let empty = Some(Value::Array(vec![]));
        let default = Threshold { value: 512, is_from_server: false, setting: latest };
        assert_eq!(growth.threshold(&[empty, None]), default);
    }

    #[test]
    fn elements_are_split_into_batches() {
        let lines = batched("SADD @numbers", 0..250, 100, |n| vec![n.to_string()]);
        assert_eq!(lines.len(), 3);
        assert_eq!(elements(1 << 40), ELEMENTS_MAX - 1);
        assert_eq!(elements(-2), 0);
    }
}
