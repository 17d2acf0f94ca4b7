//! Progress bars, one per account and region. On a terminal only; elsewhere nothing is printed.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use overdue_core::{Region, Target, TargetCounts};

/// More bars than this scroll off a screen; further accounts share the last one.
const BARS_MAX: usize = 24;

/// The bars of one run.
pub(crate) struct Progress {
    screen: Option<MultiProgress>,
    bars: Mutex<BTreeMap<String, Bar>>,
}

struct Bar {
    bar: ProgressBar,
    counts: TargetCounts,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let screen = (!quiet && std::io::stderr().is_terminal()).then(MultiProgress::new);
        Self { screen, bars: Mutex::new(BTreeMap::new()) }
    }

    /// Adds targets that are still to be looked at.
    pub(crate) fn expect(&self, targets: &[Target]) {
        let Some(screen) = &self.screen else { return };
        let Ok(mut bars) = self.bars.lock() else { return };
        for target in targets {
            let mut name = name(target);
            if !bars.contains_key(&name) && bars.len() >= BARS_MAX {
                name = OTHERS.to_owned();
            }
            let entry = bars.entry(name.clone()).or_insert_with(|| {
                let bar = screen.add(ProgressBar::new(0));
                if let Ok(style) = ProgressStyle::with_template("{prefix:32} [{bar:20}] {pos}/{len} targets  {msg}") {
                    bar.set_style(style.progress_chars("=> "));
                }
                bar.set_prefix(name);
                Bar { bar, counts: TargetCounts::default() }
            });
            entry.bar.inc_length(1);
        }
    }

    /// Notes what a page brought.
    pub(crate) fn saw(&self, target: &Target, counts: TargetCounts) {
        self.with(target, |bar| {
            bar.counts += counts;
            bar.bar.set_message(format!(
                "{} credentials, {} artifacts{}",
                bar.counts.credentials,
                bar.counts.artifacts,
                if bar.counts.gaps > 0 { format!(", {} gaps", bar.counts.gaps) } else { String::new() }
            ));
        });
    }

    /// Notes that a target has ended.
    pub(crate) fn ended(&self, target: &Target) {
        self.with(target, |bar| bar.bar.inc(1));
    }

    /// Leaves the screen as it is.
    pub(crate) fn finish(&self) {
        if let Ok(bars) = self.bars.lock() {
            for bar in bars.values() {
                bar.bar.finish();
            }
        }
    }

    fn with(&self, target: &Target, change: impl FnOnce(&mut Bar)) {
        if self.screen.is_none() {
            return;
        }
        let Ok(mut bars) = self.bars.lock() else { return };
        let name = name(target);
        let key = if bars.contains_key(&name) { name } else { OTHERS.to_owned() };
        if let Some(bar) = bars.get_mut(&key) {
            change(bar);
        }
    }
}

/// The bar that further accounts share.
const OTHERS: &str = "further accounts";

fn name(target: &Target) -> String {
    format!("{} {} {}", target.provider, target.account, target.region.as_ref().map_or("global", Region::as_str))
}
