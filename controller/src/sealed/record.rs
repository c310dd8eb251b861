//! What proves "unchanged": one line in a SealedSecret's status, which says from which input a Secret was made and what the
//! API server then said of that Secret. Keyed, so that nobody can make one up, and no hash of a value.

use super::live::Live;
use super::object::Format;
use apply::checkpoint::InputDigest;
use std::fmt;

/// How a Secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is this SealedSecret's, whole.
    Whole,
    /// It is somebody else's, and this SealedSecret's values are added.
    Patch,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) mode: Mode,
    /// What the Secret was made from.
    pub(super) input: InputDigest,
    /// The Secret as it was left.
    pub(super) secret: InputDigest,
}

impl Mode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Patch => "patch",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Whole, Self::Patch]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}

impl Record {
    /// What is to be recorded of a Secret as the API server returned it.
    pub(super) fn of(mode: Mode, input: InputDigest, live: &Live, key: &[u8; 32]) -> Self {
        let content = live.mark.as_ref().map_or("", |mark| &mark.content);
        let owned = live.own.map_or([0; 16], |set| set.0);
        let parts: [&[u8]; 5] = [
            b"unsealed secret",
            mode.as_str().as_bytes(),
            live.uid.as_bytes(),
            content.as_bytes(),
            &owned,
        ];
        Self {
            mode,
            input,
            secret: InputDigest::keyed(key, &parts),
        }
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let record = Self {
            mode: Mode::parse(parts.next()?)?,
            input: InputDigest(unhex(parts.next()?)?),
            secret: InputDigest(unhex(parts.next()?)?),
        };
        parts.next().is_none().then_some(record)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}",
            self.mode.as_str(),
            crate::text::hex(&self.input.0),
            crate::text::hex(&self.secret.0)
        )
    }
}

/// What our annotation on a Secret says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// What kind of SealedSecret it was made of.
    pub(super) format: Format,
    pub(super) mode: Mode,
    /// A keyed digest of what was put into it.
    pub(super) content: Box<str>,
}

/// What the mark of format v2 begins with.
const V2: &str = "v2-";

impl Mark {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (format, rest) = match text.strip_prefix(V2) {
            Some(rest) => (Format::V2, rest),
            None => (Format::V1, text),
        };
        let (mode, content) = rest.split_once('.')?;
        let mode = Mode::parse(mode)?;
        (content.len() <= 64).then(|| Self {
            format,
            mode,
            content: content.into(),
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match self.format {
            Format::V1 => "",
            Format::V2 => V2,
        };
        write!(f, "{format}{}.{}", self.mode.as_str(), self.content)
    }
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let mut out = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::live::tests::live;
    use crate::sealed::object::tests::KEY;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record::of(Mode::Patch, InputDigest([0xab; 16]), &live(|_| {}), KEY);
        let text = record.to_string();
        assert!(text.starts_with("patch.abab"), "{text}");
        assert_eq!(Record::parse(&text), Some(record));
        for bad in [
            "",
            "whole",
            "whole.00.00",
            "all.x.y",
            &format!("{text}.x"),
            &text.replace("ab", "é"),
        ] {
            assert_eq!(Record::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_mark_says_of_what_the_secret_was_made() {
        for (text, format) in [("whole.aa", Format::V1), ("v2-patch.aa", Format::V2)] {
            let mark = Mark::parse(text).unwrap();
            assert_eq!((mark.format, mark.to_string().as_str()), (format, text));
        }
        assert_eq!(Mark::parse("v3-whole.aa"), None);
    }

    #[test]
    fn a_record_holds_for_one_secret_in_one_state() {
        let of = |mode, live: &Live| Record::of(mode, InputDigest([1; 16]), live, KEY).secret;
        let plain = of(Mode::Whole, &live(|_| {}));
        assert_ne!(plain, of(Mode::Patch, &live(|_| {})));
        assert_ne!(plain, of(Mode::Whole, &live(|meta| meta["uid"] = "other".into())));
        assert_ne!(
            plain,
            of(
                Mode::Whole,
                &live(|meta| meta["annotations"]["signet.dev/unsealed"] = "whole.bb".into())
            )
        );
        assert_ne!(
            plain,
            of(
                Mode::Whole,
                &live(|meta| meta["managedFields"][0]["fieldsV1"]["f:data"] = serde_json::json!({}))
            )
        );
        // What others add, and the version, do not count.
        assert_eq!(
            plain,
            of(
                Mode::Whole,
                &live(|meta| {
                    meta["resourceVersion"] = "99".into();
                    meta["labels"] = serde_json::json!({"x": "y"});
                })
            )
        );
    }
}
