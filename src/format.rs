//! Numbers as a person reads them.

use std::{fmt, ops::Deref};

/// More than the longest of them takes, in bytes: `18,446,744,073,709,551 ms`.
const ROOM: usize = 40;

/// A short text that needs no memory of its own, written from its end on.
#[derive(Clone, Copy)]
pub struct Figure {
    text: [u8; ROOM],
    start: usize,
}

impl Figure {
    /// Nothing but its unit.
    fn of(unit: &str) -> Self {
        Self { text: [b' '; ROOM], start: ROOM }.after(unit)
    }

    /// The same after these words.
    fn after(mut self, words: &str) -> Self {
        let end = self.start;
        self.start -= words.len();
        self.text[self.start..end].copy_from_slice(words.as_bytes());
        self
    }

    /// The same after a number.
    fn after_number(self, number: u64) -> Self {
        self.after_digits(number, 1)
    }

    /// The same after a number with so many digits at least.
    fn after_digits(mut self, mut number: u64, least: usize) -> Self {
        let end = self.start;
        while number > 0 || end - self.start < least {
            self.start -= 1;
            self.text[self.start] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self
    }
}

impl Deref for Figure {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(&self.text[self.start..]).expect("words and digits are text")
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// `1234567`
pub fn digits(value: u64) -> Figure {
    Figure::of("").after_number(value)
}

/// `1,234,567`
pub fn number(value: &u64) -> Figure {
    grouped(Figure::of(""), *value)
}

/// With a comma before each three digits.
fn grouped(mut figure: Figure, mut number: u64) -> Figure {
    while number >= 1_000 {
        figure = figure.after_digits(number % 1_000, 3).after(",");
        number /= 1_000;
    }
    figure.after_number(number)
}

/// `1 hit`, `2 hits`
pub fn counted(count: &u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if *count == 1 { one } else { many })
}

/// `412 µs`, `1.25 ms`, `2,003 ms`
pub fn time(us: &u64) -> Figure {
    match *us {
        us @ ..1_000 => Figure::of(" µs").after_number(us),
        us @ ..9_995 => ms((us + 5) / 10, 2),
        us @ ..99_950 => ms((us + 50) / 100, 1),
        us => grouped(Figure::of(" ms"), us.saturating_add(500) / 1_000),
    }
}

/// Milliseconds, from their last decimals.
fn ms(parts: u64, decimals: u32) -> Figure {
    let whole = 10_u64.pow(decimals);
    let decimals = Figure::of(" ms").after_digits(parts % whole, decimals as usize);
    decimals.after(".").after_number(parts / whole)
}

/// The same, or a dash where there is none.
pub fn time_if(us: &Option<u64>) -> Figure {
    us.as_ref().map_or_else(|| Figure::of("–"), time)
}

/// `58 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`
pub fn span(seconds: &u64) -> Figure {
    match *seconds {
        s @ ..60 => Figure::of(" s").after_number(s),
        s @ ..3_600 => both(s / 60, " min ", s % 60, " s"),
        s @ ..86_400 => both(s / 3_600, " h ", s % 3_600 / 60, " min"),
        s => both(s / 86_400, " d ", s % 86_400 / 3_600, " h"),
    }
}

fn both(more: u64, unit: &str, less: u64, smaller: &str) -> Figure {
    Figure::of(smaller).after_number(less).after(unit).after_number(more)
}

/// `1.4 MiB`
pub fn bytes(bytes: &u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (bytes.max(&1).ilog2() / 10).min(4);
    match power {
        0 => format!("{bytes} B"),
        _ => {
            format!("{:.1} {}", *bytes as f64 / 1024_f64.powi(power as i32), UNITS[power as usize])
        }
    }
}

/// `66.67 %`, or a dash while there is nothing to divide.
pub fn percent(ratio: &Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.2} %", ratio * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        let read = [
            (number(&1_234_567), "1,234,567"),
            (number(&12), "12"),
            (number(&123), "123"),
            (number(&123_456), "123,456"),
            (number(&1_000_001), "1,000,001"),
            (number(&0), "0"),
            (number(&u64::MAX), "18,446,744,073,709,551,615"),
            (time(&412), "412 µs"),
            (time(&1_250), "1.25 ms"),
            (time(&1_002), "1.00 ms"),
            (time(&9_994), "9.99 ms"),
            (time(&9_995), "10.0 ms"),
            (time(&99_949), "99.9 ms"),
            (time(&99_950), "100 ms"),
            (time(&2_003_400), "2,003 ms"),
            (time(&u64::MAX), "18,446,744,073,709,551 ms"),
            (time_if(&Some(412)), "412 µs"),
            (time_if(&None), "–"),
            (span(&58), "58 s"),
            (span(&200), "3 min 20 s"),
            (span(&7_500), "2 h 5 min"),
            (span(&u64::MAX), "213503982334601 d 7 h"),
        ];
        for (figure, text) in read {
            assert_eq!(figure.to_string(), text);
        }
    }

    #[test]
    fn words_read_well() {
        assert_eq!(counted(&1, "miss", "misses"), "1 miss");
        assert_eq!(counted(&0, "miss", "misses"), "0 misses");
        assert_eq!(bytes(&0), "0 B");
        assert_eq!(bytes(&1_468_006), "1.4 MiB");
        assert_eq!(percent(&Some(2.0 / 3.0)), "66.67 %");
        assert_eq!(percent(&None), "–");
    }
}
