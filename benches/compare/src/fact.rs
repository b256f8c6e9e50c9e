//! Facts that a trial measured, and their summary over all rounds, in words.

use std::time::Duration;

/// One fact, such as "57 ms". `{}` in its text stands for the value, `(s)` for a plural.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    text: String,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    None,
    Count(usize),
    Time(Duration),
    Ratio(f64),
}

impl Fact {
    pub fn word(text: &str) -> Self {
        Self { text: text.to_owned(), value: Value::None }
    }

    pub fn count(text: &str, count: usize) -> Self {
        Self { text: text.to_owned(), value: Value::Count(count) }
    }

    pub fn time(text: &str, time: Duration) -> Self {
        Self { text: text.to_owned(), value: Value::Time(time) }
    }

    pub fn ratio(text: &str, ratio: f64) -> Self {
        Self { text: text.to_owned(), value: Value::Ratio(ratio) }
    }
}

/// Summarizes the facts of all rounds: the first ones, then the second ones, and so on.
pub fn summarize(rounds: &[Vec<Fact>]) -> String {
    let most = rounds.iter().map(Vec::len).max().unwrap_or(0);
    let nth = |i| rounds.iter().filter_map(|facts| facts.get(i)).collect::<Vec<_>>();
    (0..most).map(|i| phrase(&nth(i))).collect::<Vec<_>>().join(", ")
}

/// Summarizes one fact of all rounds. If its text varies, each text is followed by its
/// number of rounds.
fn phrase(facts: &[&Fact]) -> String {
    let groups = by_text(facts);
    if let [(text, values)] = &groups[..] {
        return fill(text, values);
    }
    let part = |(text, values): &(&str, Vec<Value>)| {
        format!("{} ({} of {} rounds)", fill(text, values), values.len(), facts.len())
    };
    groups.iter().map(part).collect::<Vec<_>>().join(" or ")
}

fn by_text<'a>(facts: &[&'a Fact]) -> Vec<(&'a str, Vec<Value>)> {
    let mut groups: Vec<(&str, Vec<Value>)> = Vec::new();
    for fact in facts {
        match groups.iter_mut().find(|(text, _)| *text == fact.text) {
            Some((_, values)) => values.push(fact.value),
            None => groups.push((&fact.text, vec![fact.value])),
        }
    }
    groups
}

/// Inserts the counts' range, the median time, or the median ratio and its range.
fn fill(text: &str, values: &[Value]) -> String {
    let counts = sorted(values, |value| if let Value::Count(it) = value { Some(it) } else { None });
    let times = sorted(values, |value| if let Value::Time(it) = value { Some(it) } else { None });
    let ratios = sorted(values, |value| if let Value::Ratio(it) = value { Some(it) } else { None });
    let value = match (&counts[..], &times[..], &ratios[..]) {
        ([_, ..], _, _) => range(&counts, |count| format_count(*count)),
        (_, [_, ..], _) => format_time(median(&times)),
        (_, _, [_, ..]) => with_range(&ratios),
        _ => String::new(),
    };
    let plural = if counts.last() == Some(&1) { "" } else { "s" };
    text.replace("{}", &value).replace("(s)", plural)
}

/// The median, and the range in brackets unless all values look the same.
fn with_range(ratios: &[f64]) -> String {
    let format = |ratio: &f64| format!("{ratio:.2}");
    let (median, range) = (format(&median(ratios)), range(ratios, format));
    if median == range { median } else { format!("{median} ({range})") }
}

fn sorted<T: PartialOrd>(values: &[Value], pick: impl Fn(Value) -> Option<T>) -> Vec<T> {
    let mut picked: Vec<T> = values.iter().copied().filter_map(pick).collect();
    picked.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    picked
}

fn median<T: Copy>(sorted: &[T]) -> T {
    sorted[sorted.len() / 2]
}

/// The smallest and the largest value, or one if both look the same.
fn range<T>(sorted: &[T], format: impl Fn(&T) -> String) -> String {
    let (min, max) = (format(&sorted[0]), format(&sorted[sorted.len() - 1]));
    if min == max { min } else { format!("{min}–{max}") }
}

fn format_count(count: usize) -> String {
    match count {
        0..1000 => count.to_string(),
        _ => format!("{},{:03}", count / 1000, count % 1000),
    }
}

/// Formats a time with two or three digits.
pub fn format_time(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        2000.0.. => format!("{} s", (ms / 100.0).round() / 10.0),
        1000.0.. => format!("{} ms", format_count(time.as_millis() as usize)),
        10.0.. => format!("{ms:.0} ms"),
        1.0.. => format!("{ms:.1} ms"),
        _ => format!("{:.0} µs", ms * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(counts: &[usize]) -> String {
        summarize(&counts.iter().map(|it| vec![Fact::count("{} load(s)", *it)]).collect::<Vec<_>>())
    }

    #[test]
    fn counts_are_a_range_and_times_a_median() {
        assert_eq!(loads(&[1, 1, 1]), "1 load");
        assert_eq!(loads(&[2, 1, 1_200]), "1–1,200 loads");
        let round = |ms| vec![Fact::word("stale"), Fact::time("{}", Duration::from_millis(ms))];
        assert_eq!(summarize(&[round(90), round(14), round(12)]), "stale, 14 ms");
    }

    #[test]
    fn ratios_have_a_median_and_a_range() {
        let rounds = [2.0, 1.0, 1.254].map(|ratio| vec![Fact::ratio("{}", ratio)]);
        assert_eq!(summarize(&rounds), "1.25 (1.00–2.00)");
    }

    #[test]
    fn texts_that_vary_are_counted() {
        let rounds = ["old", "new", "old"].map(|word| vec![Fact::word(word)]);
        assert_eq!(summarize(&rounds), "old (2 of 3 rounds) or new (1 of 3 rounds)");
    }

    #[test]
    fn times_have_a_unit_of_their_size() {
        let formatted =
            [85, 6_300, 57_000, 1_010_000, 8_000_000, 9_540_000].map(Duration::from_micros);
        let expected = ["85 µs", "6.3 ms", "57 ms", "1,010 ms", "8 s", "9.5 s"];
        assert_eq!(formatted.map(format_time), expected);
    }
}
