//! Formatting of numbers, durations and sizes for pages and the command line.

/// `1,234,567`
pub fn number(value: &u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 hit`, `2 hits`
pub fn counted(count: &u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if *count == 1 { one } else { many })
}

/// `412 µs`, `1.25 ms`, `2,003 ms`
pub fn time(us: &u64) -> String {
    match *us {
        us @ ..1_000 => format!("{us} µs"),
        us @ ..9_995 => ms((us + 5) / 10, 2),
        us @ ..99_950 => ms((us + 50) / 100, 1),
        us => format!("{} ms", number(&(us.saturating_add(500) / 1_000))),
    }
}

/// Milliseconds with `decimals` decimal places; `parts` is in units of the last one.
fn ms(parts: u64, decimals: usize) -> String {
    let whole = 10_u64.pow(decimals as u32);
    format!("{}.{:0decimals$} ms", parts / whole, parts % whole)
}

/// [`time`], or a dash for `None`.
pub fn time_if(us: &Option<u64>) -> String {
    us.as_ref().map_or_else(|| "–".to_owned(), time)
}

/// `58 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`
pub fn span(seconds: &u64) -> String {
    match *seconds {
        s @ ..60 => format!("{s} s"),
        s @ ..3_600 => two_units((s / 60, "min"), (s % 60, "s")),
        s @ ..86_400 => two_units((s / 3_600, "h"), (s % 3_600 / 60, "min")),
        s => two_units((s / 86_400, "d"), (s % 86_400 / 3_600, "h")),
    }
}

fn two_units((large, large_unit): (u64, &str), (small, small_unit): (u64, &str)) -> String {
    match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    }
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

/// `66.67 %`, or a dash for `None`.
pub fn percent(ratio: &Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.2} %", ratio * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_formatted() {
        let formatted = [
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
            (span(&300), "5 min"),
            (span(&200), "3 min 20 s"),
            (span(&7_500), "2 h 5 min"),
            (span(&86_400), "1 d"),
            (span(&u64::MAX), "213503982334601 d 7 h"),
        ];
        for (actual, expected) in formatted {
            assert_eq!(actual, expected);
        }
    }

    #[test]
    fn counts_sizes_and_ratios_are_formatted() {
        assert_eq!(counted(&1, "miss", "misses"), "1 miss");
        assert_eq!(counted(&0, "miss", "misses"), "0 misses");
        assert_eq!(bytes(&0), "0 B");
        assert_eq!(bytes(&1_468_006), "1.4 MiB");
        assert_eq!(percent(&Some(2.0 / 3.0)), "66.67 %");
        assert_eq!(percent(&None), "–");
    }
}
