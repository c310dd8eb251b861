//! Names that mean something in upstream's templates: Go's keywords and built-in functions, and sprig's functions.
//! Error messages quote a name from this list and never from a template, which may hold anything.

/// The same word, if it is one that templates know.
pub(crate) fn known(word: &str) -> Option<&'static str> {
    NAMES.split_ascii_whitespace().find(|name| *name == word)
}

const NAMES: &str = "
    block break continue define else end if range template with
    and call eq ge gt html index js le len lt ne not or print printf println slice urlquery
    ago date dateInZone dateModify date_in_zone date_modify duration durationRound htmlDate htmlDateInZone
    mustDateModify mustToDate must_date_modify now toDate unixEpoch
    abbrev abbrevboth camelcase cat contains hasPrefix hasSuffix indent initials kebabcase lower nindent nospace
    plural quote randAlpha randAlphaNum randAscii randBytes randInt randNumeric randSeededNumeric repeat replace
    shuffle snakecase squote substr swapcase title toString trim trimAll trimPrefix trimSuffix trimall trunc untitle
    upper wrap wrapWith
    adler32sum bcrypt buildCustomCert decryptAES derivePassword encryptAES genCA genCAWithKey genPrivateKey
    genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey htpasswd sha1sum sha256sum
    sha512sum uuidv4
    add add1 add1f addf atoi biggest ceil div divf float64 floor int int64 max maxf min minf mod mul mulf round seq
    sub subf toDecimal until untilStep
    all any append chunk coalesce compact concat deepCopy deepEqual default dict dig empty first get has hasKey
    initial join keys kindIs kindOf last list merge mergeOverwrite mustAppend mustChunk mustCompact mustDeepCopy
    mustFirst mustHas mustInitial mustLast mustMerge mustMergeOverwrite mustPrepend mustPush mustRest mustReverse
    mustSlice mustUniq mustWithout omit pick pluck prepend push rest reverse set sortAlpha split splitList splitn
    ternary toStrings tuple typeIs typeIsLike typeOf uniq unset values without
    fromJson mustFromJson mustToJson mustToPrettyJson mustToRawJson toJson toPrettyJson toRawJson
    b32dec b32enc b64dec b64enc urlJoin urlParse
    base clean dir ext isAbs osBase osClean osDir osExt osIsAbs
    mustRegexFind mustRegexFindAll mustRegexMatch mustRegexReplaceAll mustRegexReplaceAllLiteral mustRegexSplit
    regexFind regexFindAll regexMatch regexQuoteMeta regexReplaceAll regexReplaceAllLiteral regexSplit
    env expandenv fail getHostByName hello lookup include tpl toYaml fromYaml required
    semver semverCompare
";
