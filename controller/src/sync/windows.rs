//! When something may be written: the windows of a Sync. Pure.
//!
//! They mean what Argo CD's sync windows mean: inside a `Deny` nothing may be written, whatever else is open; and where
//! there is an `Allow` at all, nothing outside of every `Allow`. A window lasts by the world's clock, not the wall's: 8
//! hours are 8 hours also when clocks are changed meanwhile.

use crate::cron::{Cron, CronError};
use crate::duration;
use crds::WindowKind;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The most windows that are read, as in the CRD.
const MOST: usize = 32;
const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);
/// The longest name of a time zone, as in the CRD, in bytes.
const LONGEST_ZONE: usize = 64;
/// Beginnings and ends of windows that are looked at for a change of the standing.
const STEPS: usize = 200;

/// All windows of a Sync.
#[derive(Debug)]
pub(super) struct Windows(Vec<Span>);

#[derive(Debug)]
struct Span {
    kind: WindowKind,
    schedule: Cron,
    duration: SignedDuration,
    zone: TimeZone,
}

/// A window that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.windows[{index}].{field}: {message}")]
pub(super) struct WindowError {
    /// Which window, from 0.
    pub(super) index: usize,
    /// Its field.
    pub(super) field: &'static str,
    /// What is wrong, as half a sentence.
    pub(super) message: String,
}

/// Whether something may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may.
    Open {
        /// When to look again: something changes then, or may. None where nothing ever will.
        until: Option<Timestamp>,
    },
    /// It may not.
    Closed {
        /// When to look again: something changes then, or may. None where nothing ever will.
        until: Option<Timestamp>,
        /// The window that says so, from 0: the `Deny` that stands, or the `Allow` that begins next.
        by: usize,
        /// What that window says.
        kind: WindowKind,
    },
}

/// Where a time lies with respect to one window.
#[derive(Clone, Copy)]
struct Place {
    inside: bool,
    /// When the window ends, or begins next.
    until: Option<Timestamp>,
}

impl Windows {
    /// Reads the windows of a spec.
    pub(super) fn parse(windows: &[crds::Window]) -> Result<Self, WindowError> {
        let wrong = |index, field, message: String| WindowError {
            index,
            field,
            message,
        };
        if windows.len() > MOST {
            return Err(wrong(MOST, "kind", format!("there are more than {MOST} windows")));
        }
        let read = |(index, window): (usize, &crds::Window)| {
            let schedule = Cron::parse(&window.schedule)
                .map_err(|error: CronError| wrong(index, "schedule", error.to_string()))?;
            let lasts = duration::parse(&window.duration)
                .map_err(|error| wrong(index, "duration", error.to_string()))?;
            let duration = SignedDuration::try_from(lasts)
                .ok()
                .filter(|duration| (SHORTEST..=LONGEST).contains(duration))
                .ok_or_else(|| {
                    wrong(
                        index,
                        "duration",
                        "write one between 1m and 744h (31 days)".into(),
                    )
                })?;
            let zone = match &*window.time_zone {
                "" => Some(TimeZone::UTC),
                name if name.len() > LONGEST_ZONE => None,
                name => TimeZone::get(name).ok(),
            };
            let zone = zone.ok_or_else(|| {
                wrong(
                    index,
                    "timeZone",
                    "there is no such time zone; write one such as Europe/Prague".into(),
                )
            })?;
            Ok(Span {
                kind: window.kind,
                schedule,
                duration,
                zone,
            })
        };
        windows
            .iter()
            .enumerate()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether something may be written at `now`.
    pub(super) fn at(&self, now: Timestamp) -> Standing {
        let mut places: Vec<_> = self.0.iter().map(|span| span.place(now)).collect();
        let (open, by) = self.judge(&places);
        let mut until = None;
        for _ in 0..STEPS {
            let Some(next) = places.iter().filter_map(|place| place.until).min() else {
                until = None;
                break;
            };
            until = Some(next);
            for (span, place) in self.0.iter().zip(&mut places) {
                if place.until.is_some_and(|until| until <= next) {
                    *place = span.place(next);
                }
            }
            if self.judge(&places).0 != open {
                break;
            }
        }
        match self.0.get(by) {
            Some(span) if !open => Standing::Closed {
                until,
                by,
                kind: span.kind,
            },
            _ => Standing::Open { until },
        }
    }

    /// Whether it is open, and which window says so if it is not.
    fn judge(&self, places: &[Place]) -> (bool, usize) {
        let of = |kind| {
            self.0
                .iter()
                .zip(places)
                .enumerate()
                .filter(move |(_, (span, _))| span.kind == kind)
        };
        if let Some((by, _)) = of(WindowKind::Deny).find(|(_, (_, place))| place.inside) {
            return (false, by);
        }
        let begins = |place: &Place| (place.until.is_none(), place.until);
        let allowed = of(WindowKind::Allow).any(|(_, (_, place))| place.inside);
        match of(WindowKind::Allow).min_by_key(|(_, (_, place))| begins(place)) {
            Some((by, _)) => (allowed, by),
            None => (true, 0),
        }
    }
}

impl Span {
    fn place(&self, now: Timestamp) -> Place {
        // The one that began last ends last: all last equally long.
        let ends = self
            .schedule
            .last(now, self.duration, &self.zone)
            .and_then(|began| began.checked_add(self.duration).ok());
        Place {
            inside: ends.is_some(),
            until: ends.or_else(|| self.schedule.next(now, &self.zone)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WindowKind::{Allow, Deny};
    use crds::Window;

    fn window(kind: WindowKind, schedule: &str, duration: &str, zone: &str) -> Window {
        Window {
            kind,
            schedule: schedule.into(),
            duration: duration.into(),
            time_zone: zone.into(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn standing(windows: &[Window], now: &str) -> Standing {
        Windows::parse(windows).unwrap().at(at(now))
    }

    fn open(until: &str) -> Standing {
        Standing::Open {
            until: Some(at(until)),
        }
    }

    fn closed(until: &str, by: usize, kind: WindowKind) -> Standing {
        Standing::Closed {
            until: Some(at(until)),
            by,
            kind,
        }
    }

    #[test]
    fn without_windows_it_is_always_open() {
        assert_eq!(
            standing(&[], "2026-01-01T00:00:00Z"),
            Standing::Open { until: None }
        );
    }

    #[test]
    fn an_allow_opens_and_closes() {
        // The 1st of January 2026 is a Thursday.
        let night = [window(Allow, "0 22 * * MON-FRI", "8h", "")];
        let cases = [
            ("2026-01-01T21:59:59Z", closed("2026-01-01T22:00:00Z", 0, Allow)),
            ("2026-01-01T22:00:00Z", open("2026-01-02T06:00:00Z")),
            ("2026-01-02T05:59:59Z", open("2026-01-02T06:00:00Z")),
            ("2026-01-02T06:00:00Z", closed("2026-01-02T22:00:00Z", 0, Allow)),
            ("2026-01-03T12:00:00Z", closed("2026-01-05T22:00:00Z", 0, Allow)),
        ];
        for (now, expected) in cases {
            assert_eq!(standing(&night, now), expected, "{now}");
        }
    }

    #[test]
    fn a_deny_goes_before_every_allow() {
        let windows = [
            window(Allow, "0 8 * * *", "10h", ""),
            window(Deny, "0 12 * * *", "1h", ""),
        ];
        let cases = [
            ("2026-01-01T09:00:00Z", open("2026-01-01T12:00:00Z")),
            ("2026-01-01T12:30:00Z", closed("2026-01-01T13:00:00Z", 1, Deny)),
            ("2026-01-01T13:00:00Z", open("2026-01-01T18:00:00Z")),
            ("2026-01-01T18:00:00Z", closed("2026-01-02T08:00:00Z", 0, Allow)),
        ];
        for (now, expected) in cases {
            assert_eq!(standing(&windows, now), expected, "{now}");
        }
        let only_deny = &windows[1..];
        assert_eq!(
            standing(only_deny, "2026-01-01T00:00:00Z"),
            open("2026-01-01T12:00:00Z")
        );
    }

    #[test]
    fn windows_that_touch_or_overlap_are_one() {
        let windows = [
            window(Allow, "0 8 * * *", "2h", ""),
            window(Allow, "0 10 * * *", "2h", ""),
            window(Allow, "30 11 * * *", "1h", ""),
        ];
        assert_eq!(
            standing(&windows, "2026-01-01T08:00:00Z"),
            open("2026-01-01T12:30:00Z")
        );
        // One that begins again before it ends.
        let long = [window(Deny, "0 0 * * 1-3", "30h", "")];
        assert_eq!(
            standing(&long, "2026-01-05T00:00:00Z"),
            closed("2026-01-08T06:00:00Z", 0, Deny)
        );
    }

    #[test]
    fn the_next_allow_is_the_one_that_is_named() {
        let windows = [
            window(Allow, "0 20 * * *", "1h", ""),
            window(Allow, "0 14 * * *", "1h", ""),
        ];
        assert_eq!(
            standing(&windows, "2026-01-01T10:00:00Z"),
            closed("2026-01-01T14:00:00Z", 1, Allow)
        );
        // An Allow inside a Deny does not open anything.
        let shut = [
            window(Allow, "0 9 * * *", "1h", ""),
            window(Deny, "0 8 * * *", "3h", ""),
        ];
        let says = |now| match standing(&shut, now) {
            Standing::Closed { by, kind, until } => (by, kind, until > Some(at("2026-01-10T00:00:00Z"))),
            Standing::Open { .. } => panic!("it is open"),
        };
        assert_eq!(says("2026-01-01T07:00:00Z"), (0, Allow, true));
        assert_eq!(says("2026-01-01T09:30:00Z"), (1, Deny, true));
    }

    #[test]
    fn what_never_changes_is_looked_at_again_all_the_same_after_a_bounded_search() {
        let always = [window(Allow, "* * * * *", "1m", "")];
        let standing = standing(&always, "2026-01-01T00:00:00Z");
        assert_eq!(standing, open("2026-01-01T03:20:00Z"), "200 minutes on");
    }

    #[test]
    fn the_zone_s_clock_decides_when_a_window_begins() {
        let night = [window(Deny, "30 2 * * *", "1h", "Europe/Prague")];
        let cases = [
            ("2026-01-10T01:45:00Z", closed("2026-01-10T02:30:00Z", 0, Deny)),
            ("2026-07-10T00:45:00Z", closed("2026-07-10T01:30:00Z", 0, Deny)),
            // 2:30 is skipped: it begins at 3:00, and lasts its hour.
            ("2026-03-29T01:00:00Z", closed("2026-03-29T02:00:00Z", 0, Deny)),
            // 2:30 is shown twice: it begins the first time, and not again.
            ("2026-10-25T00:30:00Z", closed("2026-10-25T01:30:00Z", 0, Deny)),
            ("2026-10-25T01:30:00Z", open("2026-10-26T01:30:00Z")),
        ];
        for (now, expected) in cases {
            assert_eq!(standing(&night, now), expected, "{now}");
        }
    }

    #[test]
    fn a_window_that_cannot_be_read_is_named() {
        let good = || window(Allow, "0 0 * * *", "1h", "");
        let cases = [
            (
                Window {
                    schedule: "0 0 * *".into(),
                    ..good()
                },
                "schedule",
            ),
            (
                Window {
                    schedule: "0 0 30 2 *".into(),
                    ..good()
                },
                "schedule",
            ),
            (
                Window {
                    duration: "59s".into(),
                    ..good()
                },
                "duration",
            ),
            (
                Window {
                    duration: "745h".into(),
                    ..good()
                },
                "duration",
            ),
            (
                Window {
                    duration: "1d".into(),
                    ..good()
                },
                "duration",
            ),
            (
                Window {
                    time_zone: "Europe/Atlantis".into(),
                    ..good()
                },
                "timeZone",
            ),
            (
                Window {
                    time_zone: "../../etc/passwd".into(),
                    ..good()
                },
                "timeZone",
            ),
            (
                Window {
                    time_zone: "x".repeat(65),
                    ..good()
                },
                "timeZone",
            ),
        ];
        for (bad, field) in cases {
            let error = Windows::parse(&[good(), bad]).unwrap_err();
            assert_eq!((error.index, error.field), (1, field), "{error}");
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("spec.windows[1].{field}: "))
            );
        }
        for (name, lasts) in [("1m", 1), ("744h", 744 * 60)] {
            let windows = Windows::parse(&[window(Allow, "0 0 * * *", name, "UTC")]).unwrap();
            assert_eq!(windows.0[0].duration, SignedDuration::from_mins(lasts));
        }
        assert!(Windows::parse(&vec![good(); 33]).is_err());
    }

    #[test]
    fn time_zones_are_bundled() {
        // A container has no /usr/share/zoneinfo.
        assert!(jiff::tz::TimeZoneDatabase::bundled().get("Europe/Prague").is_ok());
    }
}
