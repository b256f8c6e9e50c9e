//! How far long work is: a bar on a terminal, else the documents' lines.

use std::io::{IsTerminal, stdout};

use indicatif::{ProgressBar, ProgressStyle};

/// Shown while work goes on.
pub struct Progress {
    bar: Option<ProgressBar>,
    done: u64,
    all: u64,
}

impl Progress {
    /// Nothing of `all` is done yet.
    pub fn of(all: u64) -> Self {
        Self { bar: stdout().is_terminal().then(|| bar(all)), done: 0, all }
    }

    /// So many more are done.
    pub fn add(&mut self, more: u64) {
        self.done += more;
        match &self.bar {
            Some(bar) => bar.inc(more),
            None => println!("{}", line(self.done, self.all)),
        }
    }

    /// All that there was is done.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish();
        }
    }
}

fn bar(all: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent}% ({pos}/{len} records) {elapsed}");
    ProgressBar::new(all).with_style(style.expect("the template is a constant"))
}

fn line(done: u64, all: u64) -> String {
    let percent = done as f64 * 100.0 / all.max(1) as f64;
    format!("Progress: {percent:.1}% ({done}/{all} records)")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_reads_as_in_the_documents() {
        assert_eq!(super::line(100, 1000), "Progress: 10.0% (100/1000 records)");
    }
}
