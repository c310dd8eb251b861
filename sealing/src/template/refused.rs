//! Names that templates know and that are not run here, each with the reason. Error messages quote a name from here and
//! never from a template, which may hold anything.

use super::error::{TemplateProblem, WhyNot};

/// Why this name cannot be called.
pub(super) fn why(word: &str) -> TemplateProblem {
    let named = |names: &'static str| names.split_ascii_whitespace().find(|name| *name == word);
    lists()
        .into_iter()
        .find_map(|(names, why)| Some(TemplateProblem::NotRun(named(names)?, why)))
        .unwrap_or(TemplateProblem::UnknownFunction)
}

/// Every name that is refused, by reason.
pub(super) fn lists() -> [(&'static str, WhyNot); 4] {
    [
        (CHANGES, WhyNot::Changes),
        (FAILS, WhyNot::Fails),
        (NOT_UPSTREAM, WhyNot::NotUpstream),
        (UNUSED, WhyNot::Unused),
    ]
}

/// Random, salted, or of the time of day; or in the order of a Go map, which is another every time.
const CHANGES: &str = "
    ago bcrypt buildCustomCert date dateInZone dateModify date_in_zone date_modify encryptAES genCA genCAWithKey
    genPrivateKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey htmlDate htmlDateInZone
    htpasswd keys mustDateModify must_date_modify now omit pick pluck randAlpha randAlphaNum randAscii randBytes randInt
    randNumeric shuffle unixEpoch uuidv4 values
";

/// With an error, or a panic that text/template makes into one, for some values.
const FAILS: &str = "
    call chunk concat decryptAES derivePassword dig div divf fail fromJson mod mustAppend mustChunk mustCompact
    mustDeepCopy mustFirst mustFromJson mustHas mustInitial mustLast mustMerge mustMergeOverwrite mustPrepend mustPush
    mustRegexFind mustRegexFindAll mustRegexMatch mustRegexReplaceAll mustRegexReplaceAllLiteral mustRegexSplit mustRest
    mustReverse mustSlice mustToDate mustToJson mustToPrettyJson mustToRawJson mustUniq mustWithout regexFind
    regexFindAll regexMatch regexReplaceAll regexReplaceAllLiteral regexSplit semver semverCompare slice toDate urlJoin
    urlParse
";

const NOT_UPSTREAM: &str = "
    env expandenv fromYaml getHostByName include lookup required toToml toYaml tpl
";

const UNUSED: &str = "
    abbrev abbrevboth abs add1f addf adler32sum all any append b32dec b32enc base biggest block break camelcase ceil clean
    compact continue deepCopy deepEqual define dir duration durationRound ext float64 floor get hasKey hello
    initial initials int int64 isAbs js kebabcase kindIs kindOf max maxf merge mergeOverwrite min minf mulf nil nospace
    osBase osClean osDir osExt osIsAbs plural prepend push randSeededNumeric regexQuoteMeta rest reverse round seq set
    snakecase split splitn subf swapcase template title toDecimal toStrings tuple typeIs typeIsLike typeOf uniq unset until
    untilStep untitle without wrap wrapWith
";
