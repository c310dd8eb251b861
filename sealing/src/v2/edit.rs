//! Changes that need no private key.

use super::fault::EditError;
use super::recipient::Recipients;
use super::seal::check_sizes;
use super::sealed_secret::SealedSecret;
use crate::Plaintext;
use crate::path::is_data_key;
use std::collections::BTreeMap;

impl SealedSecret {
    /// Sets values: under a data key of their own, since the others cannot be opened. The other lines stay as they are, and
    /// data keys that no value uses any more go.
    ///
    /// The template stays as it is: every value is bound to it. To change it, or the name, the namespace or the scope, takes
    /// a private key ([`SealedSecret::unlock`]), or sealing every value again.
    pub fn set(
        &self,
        values: &BTreeMap<String, Plaintext>,
        recipients: &Recipients,
    ) -> Result<Self, EditError> {
        if let Some(key) = values.keys().find(|key| !is_data_key(key)) {
            return Err(EditError::BadKey(key.clone()));
        }
        check_sizes(values)?;
        let mut changed = self.clone();
        changed.seal_values(values, recipients)?;
        changed.drop_unused();
        changed.checked()
    }

    /// Removes values. Where a text of the template needs one of them it is refused.
    pub fn unset<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Result<Self, EditError> {
        let mut changed = self.clone();
        for key in keys {
            if changed.values.remove(key).is_none() {
                return Err(EditError::NoValue(key.to_owned()));
            }
        }
        changed.drop_unused();
        changed.checked()
    }
}
