//! Numbers.

use serde_json::Number;

/// A number as it is after Go's JSON encoder wrote it.
pub(crate) fn integral(number: &Number) -> Number {
    number.clone()
}
