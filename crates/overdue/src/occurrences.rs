//! When a schedule is due.
//!
//! croner reads the five fields in an IANA zone. At a gap in the clock (spring) a fixed time runs at the first valid
//! moment after it; at an overlap (autumn) it runs once. `tests` hold it to that.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use overdue_core::Schedule;

/// At most this many missed occurrences are listed one by one; a schedule of every minute that was down for a year is
/// counted, not walked for ever.
const OCCURRENCES_MAX: usize = 10_000;

/// Parses five cron fields.
pub(crate) fn parse(text: &str) -> Result<Cron, String> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(text).map_err(|error| {
        let why = error.to_string();
        let why = why.trim_end_matches('.');
        format!("is not a cron line: \"{text}\": {why}; write five fields (minute hour day month weekday), such as \"0 7 * * MON\"")
    })
}

/// Occurrences after `after` up to and including `until`, oldest first.
pub(crate) fn between(schedule: &Schedule, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    upcoming(schedule, after).take_while(|at| *at <= until).take(OCCURRENCES_MAX).collect()
}

/// Occurrences after `after`, without end. Empty for a zone or line that was not checked before.
pub(crate) fn upcoming(schedule: &Schedule, after: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
    let parts = parse(&schedule.cron).ok().zip(TimeZone::get(&schedule.timezone).ok());
    parts.into_iter().flat_map(move |(cron, zone)| cron.iter_after(after.to_zoned(zone)).map(|at| at.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, timezone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule { cron: cron.into(), timezone: timezone.into() };
        let after: Timestamp = after.parse().expect("a time");
        upcoming(&schedule, after)
            .take(count)
            .map(|at| at.to_zoned(TimeZone::get(timezone).expect("a zone")).strftime("%F %R %z").to_string())
            .collect()
    }

    #[test]
    fn clock_changes_skip_nothing_and_double_nothing() {
        // New York, 2026-03-08: 02:00 to 03:00 does not exist. The day is not lost.
        assert_eq!(next("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2), ["2026-03-08 03:00 -0400", "2026-03-09 02:30 -0400"]);
        // New York, 2026-11-01: 01:00 to 02:00 comes twice. It runs once.
        assert_eq!(next("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2), ["2026-11-01 01:30 -0400", "2026-11-02 01:30 -0500"]);
        // An interval goes on through both hours, in order.
        let quarters = next("*/15 * * * *", "America/New_York", "2026-11-01T05:20:00Z", 6);
        assert_eq!(
            quarters,
            [
                "2026-11-01 01:30 -0400",
                "2026-11-01 01:45 -0400",
                "2026-11-01 01:00 -0500",
                "2026-11-01 01:15 -0500",
                "2026-11-01 01:30 -0500",
                "2026-11-01 01:45 -0500"
            ]
        );
        assert_eq!(next("0 7 * * MON", "Europe/Berlin", "2026-10-19T12:00:00Z", 2), ["2026-10-26 07:00 +0100", "2026-11-02 07:00 +0100"]);
    }

    #[test]
    fn an_outage_gives_each_missed_occurrence_once() {
        let schedule = Schedule { cron: "0 0 * * *".into(), timezone: "UTC".into() };
        let missed = between(&schedule, "2026-01-01T00:00:00Z".parse().expect("a time"), "2026-01-04T00:00:00Z".parse().expect("a time"));
        assert_eq!(
            missed.iter().map(Timestamp::to_string).collect::<Vec<_>>(),
            ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"]
        );
    }

    #[test]
    fn six_fields_and_nonsense_are_refused() {
        for bad in ["", "* * * *", "0 0 7 * * MON", "0 25 * * *", "@weekly please", "a b c d e"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
