//! Growth: a value brought to Redis's own threshold and past it, measured on
//! both sides. Redis keeps what is small in a compact encoding, and changes it
//! once for all when it grows.

use super::{
    ELEMENTS_MAX,
    desk::{Playground, PlaygroundError},
    line::CommandTemplate,
    look::PlaygroundView,
    outcome::{EncodingChange, PlaygroundResult, Size},
    reply::{Reply, count, text},
};
use crate::format;
use hitrate_cache::{
    redis::{RedisError, Value},
    trace::Trace,
};

/// How a structure grows past its threshold.
pub struct Growth {
    /// What the button says.
    pub label: &'static str,
    /// What changes then, and why, in a sentence or two.
    pub about: &'static str,
    /// Redis's setting, by its names from the latest on; none if it has none.
    pub settings: &'static [&'static str],
    /// Its value where Redis does not tell.
    pub usual: i64,
    /// The command that tells how large it is.
    pub count: &'static str,
    /// What that counts.
    pub of: &'static str,
    /// The key.
    pub key: &'static str,
    /// The command that tells the encoding, and how its reply is read.
    pub encoding: (&'static str, fn(&Value) -> Option<String>),
    /// What brings it from this size to the threshold.
    pub up_to: fn(have: u64, threshold: i64) -> Vec<CommandTemplate>,
    /// What brings it past that.
    pub beyond: fn(threshold: i64) -> Vec<CommandTemplate>,
}

/// OBJECT ENCODING's reply, as it is.
pub fn as_told(value: &Value) -> Option<String> {
    text(value)
}

/// A command for these elements, some `at_once`.
pub fn filled(
    form: &str,
    elements: std::ops::Range<u64>,
    at_once: usize,
    words: fn(u64) -> Vec<String>,
) -> Vec<CommandTemplate> {
    let elements: Vec<_> = elements.collect();
    let line = |some: &[u64]| CommandTemplate::plain(form).and(some.iter().flat_map(|&n| words(n)));
    elements.chunks(at_once).map(line).collect()
}

/// A threshold as a count of elements that this page can hold, one more included.
pub fn elements(threshold: i64) -> u64 {
    u64::try_from(threshold).unwrap_or_default().min(ELEMENTS_MAX - 1)
}

impl Growth {
    /// What asks for the threshold and the size.
    pub fn asks(&self) -> Vec<CommandTemplate> {
        let settings =
            self.settings.iter().map(|name| CommandTemplate::plain(&format!("CONFIG GET {name}")));
        settings.chain([CommandTemplate::plain(self.count)]).collect()
    }

    /// The threshold, whether the server told it, and by which name.
    pub fn threshold(&self, told: &[Option<Value>]) -> (i64, bool, Option<&'static str>) {
        let told = self
            .settings
            .iter()
            .zip(told)
            .find_map(|(name, reply)| Some((setting(reply.as_ref()?)?, true, Some(*name))));
        told.unwrap_or((self.usual, false, self.settings.first().copied()))
    }

    /// What measures it.
    pub fn measures(&self) -> [CommandTemplate; 3] {
        [self.count, self.encoding.0, &format!("MEMORY USAGE @{}", self.key)]
            .map(CommandTemplate::plain)
    }

    /// What it measured.
    pub fn size(&self, replies: &[Reply]) -> Size {
        let [length, encoding, memory] = replies else {
            return Size { count: 0, encoding: None, memory_bytes: None };
        };
        Size {
            count: count(length),
            encoding: encoding.as_ref().ok().and_then(self.encoding.1),
            memory_bytes: Some(count(memory)).filter(|it| *it > 0),
        }
    }

    /// Every command, for who checks them.
    #[cfg(test)]
    pub fn all_lines(&self) -> Vec<CommandTemplate> {
        let mut lines = (self.up_to)(0, self.usual);
        lines.extend((self.beyond)(self.usual));
        lines.extend(self.measures());
        lines
    }
}

impl Playground {
    /// Brings the value to the threshold and past it, measuring on both sides.
    pub(super) async fn grow(
        &self,
        trace: &Trace,
    ) -> Result<(PlaygroundResult, PlaygroundView), PlaygroundError> {
        let growth = &self.structure.growth;
        let (told, have) = self.threshold(trace).await?;
        let measures = growth.measures();
        let mut lines = (growth.up_to)(have, told.0);
        let middle = lines.len();
        lines.extend(measures.clone());
        lines.extend((growth.beyond)(told.0));
        lines.extend(measures);
        let played = self.run(lines, self.renewals(), trace).await?;
        let (before, end) = (middle..middle + 3, played.replies.len() - 3);
        let sizes = [&played.replies[before.clone()], &played.replies[end..]];
        let [before_it, after_it] = sizes.map(|replies| growth.size(replies));
        // A size that Redis does not tell is unknown; the value grew all the same.
        let written = played.replies[..middle].iter().chain(&played.replies[before.end..end]);
        let refusal = written.filter_map(|reply| reply.as_ref().err()).next().cloned();
        let grown = compared(growth, told, before_it, after_it);
        let (mut outcome, look) = self.told(growth.label.to_owned(), played, None, &[]);
        (outcome.grown, outcome.refusal) = (Some(grown), refusal);
        Ok((outcome, look))
    }

    /// The threshold, and how large the value is. CONFIG may well be forbidden,
    /// and that is no news about hitrate's own rights.
    async fn threshold(
        &self,
        trace: &Trace,
    ) -> Result<((i64, bool, Option<&'static str>), u64), RedisError> {
        let growth = &self.structure.growth;
        let asks = growth.asks();
        let mut replies = self.try_all(&asks, trace).await?;
        let have = replies.pop().unwrap_or(Err(RedisError::Unreachable))?;
        let told: Vec<_> = replies.into_iter().map(Result::ok).collect();
        Ok((growth.threshold(&told), count(&Ok(have))))
    }
}

/// What CONFIG GET says of one setting.
fn setting(reply: &Value) -> Option<i64> {
    let value = match reply {
        Value::Array(parts) => parts.get(1)?,
        Value::Map(pairs) => &pairs.first()?.1,
        _ => return None,
    };
    text(value)?.parse().ok()
}

/// What two measurements say together.
fn compared(
    growth: &Growth,
    (threshold, was_told, setting): (i64, bool, Option<&'static str>),
    before: Size,
    after: Size,
) -> EncodingChange {
    let message = changed(growth, &before, &after);
    let (key, of) = (growth.key, growth.of);
    EncodingChange { key, setting, threshold, was_told, of, before, after, message }
}

fn changed(growth: &Growth, before: &Size, after: &Size) -> String {
    let name = |size: &Size| size.encoding.clone().unwrap_or_else(|| "unknown".to_owned());
    let (was, is) = (name(before), name(after));
    let size = |size: &Size| size.memory_bytes.as_ref().map(format::bytes);
    let memory = match (size(before), size(after)) {
        (Some(was), Some(is)) => format!(", and its memory goes from {was} to {is},"),
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
            "That was passed already, and Redis does not go back: {} is {is}{}. Start again to see the change.",
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
    fn the_server_is_believed_and_else_the_usual_is_taken() {
        let growth = &super::super::hashes::HASHES.growth;
        assert_eq!(growth.threshold(&[None, config("99")]), (99, true, Some(growth.settings[1])));
        let empty = Some(Value::Array(vec![]));
        assert_eq!(growth.threshold(&[empty, None]), (512, false, Some(growth.settings[0])));
    }

    #[test]
    fn many_elements_are_several_commands() {
        let lines = filled("SADD @numbers", 0..250, 100, |n| vec![n.to_string()]);
        assert_eq!(lines.len(), 3);
        assert_eq!(elements(1 << 40), ELEMENTS_MAX - 1);
        assert_eq!(elements(-2), 0);
    }
}
