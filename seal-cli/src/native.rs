//! SealedSecrets of the native format, as the commands change them.

use crate::command_error::CommandError;
use crate::private_keys::PrivateKeys;
use crate::sealed_file::{SealedFile, SealedObject};
use sealing::ItemError;
use sealing::v2::{EditError, Identities, SealedSecret, Unlocked};

/// Reads one.
pub(crate) fn parse(object: &SealedObject) -> Result<SealedSecret, CommandError> {
    SealedSecret::parse(&object.value).map_err(|problems| {
        CommandError::user(
            format!("{} is damaged:", object.shown()),
            "restore it from Git's history, or seal the Secret again",
        )
        .details(problems.iter().map(ToString::to_string))
    })
}

/// Opens one for a change.
pub(crate) fn unlock(
    object: &SealedObject,
    keys: Option<&PrivateKeys>,
    why: &str,
) -> Result<Unlocked, CommandError> {
    unlock_by(object, keys, why, SealedSecret::unlock)
}

/// Opens one for the place that it was sealed for, wherever it stands. Only for who has named the place that it is to be sealed
/// for, and was told where it comes from.
pub(crate) fn unlock_as_sealed(
    object: &SealedObject,
    keys: Option<&PrivateKeys>,
    why: &str,
) -> Result<Unlocked, CommandError> {
    unlock_by(object, keys, why, SealedSecret::unlock_as_sealed)
}

fn unlock_by(
    object: &SealedObject,
    keys: Option<&PrivateKeys>,
    why: &str,
    open: impl Fn(&SealedSecret, &Identities) -> Result<Unlocked, Vec<ItemError>>,
) -> Result<Unlocked, CommandError> {
    let sealed = parse(object)?;
    let keys = keys.ok_or_else(|| {
        CommandError::user(
            format!("the values of {} are bound to {why}, and have to be opened to change it", object.shown()),
            "give a private key with --key FILE (the age identity of a recovery or team key), or seal the Secret again from \
             its source",
        )
    })?;
    open(&sealed, &keys.identities).map_err(|problems| {
        CommandError::user(
            format!("{} does not open with the keys given:", object.shown()),
            "`signet view FILE` shows which keys it is sealed for",
        )
        .details(problems.iter().map(ToString::to_string))
    })
}

/// Why a change is refused.
pub(crate) fn refused(object: &SealedObject, err: &EditError) -> CommandError {
    CommandError::user(
        format!("{}: {err}", object.shown()),
        "nothing was written; change the template or the other values first",
    )
}

/// Puts the changed object into its file: only lines that differ are touched.
pub(crate) fn put(file: &mut SealedFile, index: usize, new: &SealedSecret) -> Result<(), CommandError> {
    let (old, new) = (file.objects[index].value.clone(), new.to_value());
    file.change(index, |editor, document, at| {
        ["metadata", "spec"]
            .iter()
            .try_for_each(|field| editor.update(document, &at.within([*field]), &old[*field], &new[*field]))
    })
}
