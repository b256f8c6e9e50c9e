//! Progress of a command: a bar on a terminal, else the tutorial's lines.

use std::io::{IsTerminal, stdout};

use indicatif::{ProgressBar, ProgressStyle};

/// Progress display.
pub struct Progress {
    bar: Option<ProgressBar>,
    done: u64,
    total: u64,
}

impl Progress {
    /// Starts at 0 of `total` records.
    pub fn new(total: u64) -> Self {
        Self { bar: stdout().is_terminal().then(|| bar(total)), done: 0, total }
    }

    /// Adds `records` to the number done.
    pub fn add(&mut self, records: u64) {
        self.done += records;
        match &self.bar {
            Some(bar) => bar.inc(records),
            None => println!("{}", line(self.done, self.total)),
        }
    }

    /// Completes the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish();
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent}% ({pos}/{len} records) {elapsed}");
    ProgressBar::new(total).with_style(style.expect("the template is a constant"))
}

fn line(done: u64, total: u64) -> String {
    let percent = done as f64 * 100.0 / total.max(1) as f64;
    format!("Progress: {percent:.1}% ({done}/{total} records)")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_has_the_wording_of_the_tutorial() {
        assert_eq!(super::line(100, 1000), "Progress: 10.0% (100/1000 records)");
    }
}
