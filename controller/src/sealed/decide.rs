//! What is to be done about a SealedSecret and the Secret of its name. Pure: Bitnami's rules about who may write an existing
//! Secret, and what proves that nothing has to be written.

use super::live::Live;
use super::object::{Brief, Format};
use super::record::{Mode, Record};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing: somebody froze it.
    Frozen,
    /// Nothing: it is as it was left.
    Unchanged,
    /// Open it, and write the Secret unless it holds just that.
    Write(Plan),
    /// Leave the Secret alone, and say why.
    Refuse(Obstacle),
}

/// How a Secret is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    /// Whether the SealedSecret becomes its owner.
    pub(super) owns: bool,
    /// What others own of it becomes ours first, so that it goes where the SealedSecret has no such thing.
    pub(super) takeover: Takeover,
}

/// What is taken over from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takeover {
    Nothing,
    /// Keys of the data.
    Data,
    /// Data, labels, annotations and owners: all that Bitnami's controller replaces.
    Everything,
}

/// Why a Secret cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// It exists, and nobody said that it may be taken over.
    Unmanaged,
    /// The same, and something was put into it: somebody else made it at the same moment, and it was not taken out yet.
    MadeByOthers,
    /// Something else controls it: kind and name.
    Controlled(Box<str>),
    /// The SealedSecret of the other kind and the same name makes it.
    Twin(Format),
    /// A Sync writes it: `namespace/name`.
    Sync(Box<str>),
    /// It would be in the controller's own namespace.
    Home,
    /// It is being deleted.
    Leaving,
    /// It was somebody else's, patched, and is gone: whose it was may make it again.
    PatchedIsGone,
}

/// Decides. `twin`: there is a SealedSecret of the other kind and the same name.
pub(super) fn decide(brief: &Brief, live: Option<&Live>, twin: bool, digest_key: &[u8; 32]) -> Decision {
    if brief.frozen {
        return Decision::Frozen;
    }
    let Some(live) = live else {
        let patched = brief.record.is_some_and(|record| record.mode == Mode::Patch);
        if patched && brief.observed == Some(brief.generation) {
            return Decision::Refuse(Obstacle::PatchedIsGone);
        }
        return Decision::Write(Plan {
            mode: Mode::Whole,
            owns: !brief.skips_owner,
            takeover: Takeover::Nothing,
        });
    };
    if live.deleting {
        return Decision::Refuse(Obstacle::Leaving);
    }
    if let Some(sync) = &live.sync {
        return Decision::Refuse(Obstacle::Sync(sync.clone()));
    }
    let maker = maker(live).filter(|maker| twin && *maker != brief.format);
    if let Some(maker) = maker {
        return Decision::Refuse(Obstacle::Twin(maker));
    }
    match plan(brief, live, digest_key) {
        Err(obstacle) => Decision::Refuse(obstacle),
        Ok(plan) if is_as_left(brief, live, plan, digest_key) => Decision::Unchanged,
        Ok(plan) => Decision::Write(plan),
    }
}

/// Of what kind of SealedSecret a Secret was made. Without our mark it was Bitnami's controller, which knows one kind.
fn maker(live: &Live) -> Option<Format> {
    let mark = live.mark.as_ref().filter(|_| live.own.is_some());
    let by_bitnami = || {
        let controller = live.controller.as_ref()?;
        (&*controller.kind == "SealedSecret").then_some(Format::V1)
    };
    mark.map(|mark| mark.format).or_else(by_bitnami)
}

/// Who may write what, by Bitnami's rules, with one addition: a Secret that was written whole by this room stays a
/// SealedSecret's of its name, with or without an owner reference.
fn plan(brief: &Brief, live: &Live, digest_key: &[u8; 32]) -> Result<Plan, Obstacle> {
    let controls = live
        .controller
        .as_ref()
        .is_some_and(|controller| controller.uid == brief.uid);
    let written = live.own.is_some() && live.mark.as_ref().is_some_and(|mark| mark.mode == Mode::Whole);
    if live.patch {
        return Ok(Plan {
            mode: Mode::Patch,
            owns: live.managed && !brief.skips_owner,
            takeover: Takeover::Nothing,
        });
    }
    // What was written down to be ours is, whatever others put there since.
    let recorded = || {
        let secret = Record::of(Mode::Whole, brief.digest, live, digest_key).secret;
        brief.record.is_some_and(|record| record.secret == secret)
    };
    if written && live.made_by_others && !live.managed && !recorded() {
        return Err(Obstacle::MadeByOthers);
    }
    if !(controls || written || live.managed) {
        return Err(Obstacle::Unmanaged);
    }
    let other = live.controller.as_ref().filter(|controller| {
        // One of the same name that is gone: a SealedSecret that was deleted and made again.
        !controls && !live.managed && &*controller.kind != "SealedSecret"
    });
    if let Some(other) = other {
        return Err(Obstacle::Controlled(
            format!("{} {}", other.kind, other.name).into(),
        ));
    }
    Ok(Plan {
        mode: Mode::Whole,
        owns: !brief.skips_owner,
        takeover: match (written, live.foreign_data) {
            (false, _) => Takeover::Everything,
            (true, true) => Takeover::Data,
            (true, false) => Takeover::Nothing,
        },
    })
}

/// Whether input and Secret are as the record has them.
fn is_as_left(brief: &Brief, live: &Live, plan: Plan, digest_key: &[u8; 32]) -> bool {
    plan.takeover == Takeover::Nothing
        && brief.synced
        && brief.observed == Some(brief.generation)
        && brief
            .record
            .is_some_and(|record| record == Record::of(plan.mode, brief.digest, live, digest_key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::live::tests::live;
    use crate::sealed::object::tests::{KEY, object};
    use serde_json::{Value, json};

    fn decide(brief: &Brief, live: Option<&Live>, digest_key: &[u8; 32]) -> Decision {
        super::decide(brief, live, false, digest_key)
    }

    fn brief() -> Brief {
        object(|_| {}).brief
    }

    /// A SealedSecret whose status says that this Secret was made of it.
    fn recorded(mode: Mode, live: &Live) -> Brief {
        let mut brief = brief();
        brief.record = Some(Record::of(mode, brief.digest, live, KEY));
        (brief.synced, brief.observed) = (true, Some(1));
        brief
    }

    /// A Secret that somebody made with kubectl.
    fn foreign(annotations: &Value) -> Live {
        live(|meta| {
            meta["annotations"] = annotations.clone();
            meta.as_object_mut().unwrap().remove("ownerReferences");
            meta["managedFields"] = json!([{"manager": "kubectl-create", "operation": "Update",
                "fieldsV1": {"f:data": {"f:x": {}}}}]);
        })
    }

    fn whole(owns: bool, takeover: Takeover) -> Decision {
        Decision::Write(Plan {
            mode: Mode::Whole,
            owns,
            takeover,
        })
    }

    #[test]
    fn an_existing_secret_is_written_only_by_bitnamis_rules() {
        let (managed, patch) = (
            "sealedsecrets.bitnami.com/managed",
            "sealedsecrets.bitnami.com/patch",
        );
        let patches = |owns| {
            Decision::Write(Plan {
                mode: Mode::Patch,
                owns,
                takeover: Takeover::Nothing,
            })
        };
        for (annotations, wanted) in [
            (json!({}), Decision::Refuse(Obstacle::Unmanaged)),
            (json!({managed: "yes"}), Decision::Refuse(Obstacle::Unmanaged)),
            (json!({managed: "true"}), whole(true, Takeover::Everything)),
            (json!({patch: "true"}), patches(false)),
            (json!({patch: "true", managed: "true"}), patches(true)),
        ] {
            assert_eq!(
                decide(&brief(), Some(&foreign(&annotations)), KEY),
                wanted,
                "{annotations}"
            );
        }
        assert_eq!(decide(&brief(), None, KEY), whole(true, Takeover::Nothing));
    }

    #[test]
    fn what_is_as_it_was_left_is_left() {
        let left = live(|_| {});
        assert_eq!(
            decide(&recorded(Mode::Whole, &left), Some(&left), KEY),
            Decision::Unchanged
        );
        let again = |change: &dyn Fn(&mut Brief)| {
            let mut brief = recorded(Mode::Whole, &left);
            change(&mut brief);
            decide(&brief, Some(&left), KEY)
        };
        let write = whole(true, Takeover::Nothing);
        assert_eq!(again(&|brief| brief.synced = false), write);
        assert_eq!(again(&|brief| brief.observed = None), write);
        assert_eq!(again(&|brief| brief.digest.0[0] ^= 1), write);
        assert_eq!(again(&|brief| brief.record = None), write);
        let edited = live(|meta| meta["managedFields"][0]["fieldsV1"] = json!({"f:data": {}}));
        assert_eq!(decide(&recorded(Mode::Whole, &left), Some(&edited), KEY), write);
        // A key that somebody added is taken away.
        let added = live(|meta| {
            let entry = json!({"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:y": {}}}});
            meta["managedFields"].as_array_mut().unwrap().push(entry);
        });
        let data = whole(true, Takeover::Data);
        assert_eq!(decide(&recorded(Mode::Whole, &left), Some(&added), KEY), data);
    }

    #[test]
    fn what_somebody_else_made_at_the_same_moment_is_not_taken() {
        let with = |time: &str, managed: bool| {
            live(|meta| {
                meta["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
                let theirs = json!({"manager": "kubectl-create", "operation": "Update", "time": time,
                    "fieldsV1": {"f:data": {"f:x": {}}, "f:type": {}}});
                meta["managedFields"].as_array_mut().unwrap().push(theirs);
                if managed {
                    meta["annotations"]["sealedsecrets.bitnami.com/managed"] = "true".into();
                }
            })
        };
        let made = with("2026-01-01T00:00:00Z", false);
        let refused = Decision::Refuse(Obstacle::MadeByOthers);
        assert_eq!(decide(&brief(), Some(&made), KEY), refused);
        // What is written down is of another Secret, or of this one.
        let other = live(|meta| meta["uid"] = "s0".into());
        assert_eq!(decide(&recorded(Mode::Whole, &other), Some(&made), KEY), refused);
        let data = whole(true, Takeover::Data);
        assert_eq!(decide(&recorded(Mode::Whole, &made), Some(&made), KEY), data);
        // Somebody who came later, and one who gives it away.
        for live in [
            with("2026-01-01T00:00:01Z", false),
            with("2026-01-01T00:00:00Z", true),
        ] {
            assert_eq!(decide(&brief(), Some(&live), KEY), data);
        }
    }

    #[test]
    fn a_secret_of_bitnamis_controller_becomes_ours_whole() {
        let theirs = live(|meta| {
            meta["annotations"] = json!({});
            meta["managedFields"] = json!([{"manager": "controller", "operation": "Update",
                "fieldsV1": {"f:data": {"f:password": {}}}}]);
        });
        assert_eq!(
            decide(&brief(), Some(&theirs), KEY),
            whole(true, Takeover::Everything)
        );
    }

    #[test]
    fn a_secret_without_owner_stays_ours_until_it_is_another_modes() {
        let alone = |mark: &str| {
            live(|meta| {
                meta["annotations"] = json!({"signet.dev/unsealed": mark});
                meta.as_object_mut().unwrap().remove("ownerReferences");
            })
        };
        let mut skips = brief();
        skips.skips_owner = true;
        assert_eq!(
            decide(&skips, Some(&alone("whole.aa")), KEY),
            whole(false, Takeover::Nothing)
        );
        // Once patched, and the permission taken back: what others have in it is not ours to remove.
        assert_eq!(
            decide(&brief(), Some(&alone("patch.aa")), KEY),
            Decision::Refuse(Obstacle::Unmanaged)
        );
    }

    #[test]
    fn a_sealed_secret_that_was_made_again_keeps_its_secret() {
        let old = live(|meta| meta["ownerReferences"][0]["uid"] = "gone".into());
        assert_eq!(decide(&brief(), Some(&old), KEY), whole(true, Takeover::Nothing));
        let other = live(|meta| {
            meta["ownerReferences"][0]["uid"] = "x".into();
            meta["ownerReferences"][0]["kind"] = "Certificate".into();
        });
        assert_eq!(
            decide(&brief(), Some(&other), KEY),
            Decision::Refuse(Obstacle::Controlled("Certificate db".into()))
        );
    }

    #[test]
    fn two_writers_are_refused_and_what_leaves_or_is_gone_is_left() {
        let synced = live(|meta| {
            meta["labels"] = json!({"applyset.kubernetes.io/part-of": "applyset-x-v1"});
            meta["annotations"]["signet.dev/source"] = "shop/web:a#1".into();
            meta["managedFields"][0]["manager"] = "signet/x".into();
        });
        assert_eq!(
            decide(&brief(), Some(&synced), KEY),
            Decision::Refuse(Obstacle::Sync("shop/web".into()))
        );
        let leaving = live(|meta| meta["deletionTimestamp"] = "2026-01-01T00:00:00Z".into());
        assert_eq!(
            decide(&brief(), Some(&leaving), KEY),
            Decision::Refuse(Obstacle::Leaving)
        );
        let patched = recorded(Mode::Patch, &live(|_| {}));
        assert_eq!(
            decide(&patched, None, KEY),
            Decision::Refuse(Obstacle::PatchedIsGone)
        );
        // An edited SealedSecret asks for it anew.
        let mut edited = patched;
        edited.generation = 2;
        assert_eq!(decide(&edited, None, KEY), whole(true, Takeover::Nothing));
        let mut frozen = brief();
        frozen.frozen = true;
        assert_eq!(decide(&frozen, None, KEY), Decision::Frozen);
    }

    #[test]
    fn two_kinds_do_not_make_one_secret() {
        let of_v1 = live(|_| {});
        let of_v2 = live(|meta| meta["annotations"]["signet.dev/unsealed"] = "v2-whole.aa".into());
        let by_bitnami = live(|meta| {
            meta["annotations"] = json!({});
            meta["managedFields"] = json!([]);
        });
        let as_v1 = brief();
        let mut as_v2 = brief();
        (as_v2.format, as_v2.uid) = (Format::V2, "u2".into());
        let refused = |maker| Decision::Refuse(Obstacle::Twin(maker));
        let twins = |brief: &Brief, live: &Live| super::decide(brief, Some(live), true, KEY);
        for live in [&of_v1, &by_bitnami] {
            assert_eq!(twins(&as_v2, live), refused(Format::V1));
            assert!(matches!(twins(&as_v1, live), Decision::Write(_)));
        }
        assert_eq!(twins(&as_v1, &of_v2), refused(Format::V2));
        assert!(matches!(twins(&as_v2, &of_v2), Decision::Write(_)));
        // Permission to replace or to add does not reach over the other one.
        let managed = live(|meta| {
            meta["annotations"]["sealedsecrets.bitnami.com/managed"] = "true".into();
            meta["annotations"]["sealedsecrets.bitnami.com/patch"] = "true".into();
        });
        assert_eq!(twins(&as_v2, &managed), refused(Format::V1));
        // Once the other one is gone, what it left is gone on with.
        assert_eq!(decide(&as_v2, Some(&of_v1), KEY), whole(true, Takeover::Nothing));
        assert_eq!(
            twins(&as_v2, &live(|meta| meta["annotations"] = json!({}))),
            refused(Format::V1)
        );
    }
}
