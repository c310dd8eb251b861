use super::*;

fn ours(second: u8) -> ManagedFieldsEntry {
    entry(US, "Apply", "f:a", second)
}

fn names(bench: &Bench) -> Vec<(String, Vec<String>)> {
    let foreign = bench.objects.foreign(&key());
    let all = foreign.iter().flat_map(|all| all.iter());
    all.map(|one| {
        let paths = one.paths.iter().map(ToString::to_string);
        (one.manager.to_string(), paths.collect())
    })
    .collect()
}

/// Shows a version with these entries. Whether the owner was told of foreign fields.
fn show(bench: &mut Bench, version: u64, owned: u8, entries: &[ManagedFieldsEntry]) -> bool {
    bench.show(Sight {
        entries,
        ..sight(live("u", version, owned))
    });
    bench.told().foreign
}

#[test]
fn what_strangers_add_is_told_once_and_until_it_goes() {
    let mut bench = Bench::applied();
    let sidecar = entry("injector", "Update", "f:sidecar", 2);
    let scaled = entry("kube-controller-manager", "Update", "f:replicas", 2);
    assert!(!show(&mut bench, 10, 1, &[ours(1)]));
    assert!(!show(&mut bench, 11, 1, &[ours(1), scaled.clone()]), "trusted");
    assert!(
        bench.objects.entries[&key()].extra().is_none(),
        "and costs nothing"
    );
    assert!(show(&mut bench, 12, 1, &[ours(1), sidecar.clone()]));
    assert_eq!(names(&bench), [("injector".into(), vec![".sidecar".into()])]);
    // Something else happens.
    assert!(!show(&mut bench, 13, 1, &[ours(1), sidecar.clone(), scaled]));
    // A field of ours goes as well: that is drift first, and what is foreign stays.
    let taken = entry("kubectl", "Update", "f:a", 3);
    let left = entry(US, "Apply", "f:z", 3);
    assert!(!show(&mut bench, 14, 2, &[left, sidecar.clone(), taken]));
    assert_eq!(names(&bench).len(), 1);
    bench.apply(&live("u", 15, 1));
    assert!(!show(&mut bench, 15, 1, &[ours(1), sidecar]));
    assert!(show(&mut bench, 16, 1, &[ours(1)]));
    assert!(bench.objects.foreign(&key()).is_none());
}

/// Git takes a field into its hands that a stranger has with the same value: the stranger's entry stays as it was.
#[test]
fn our_own_apply_changes_what_is_foreign() {
    let mut bench = Bench::applied();
    let theirs = entry("kubectl", "Update", "f:b", 2);
    assert!(show(&mut bench, 10, 1, &[ours(1), theirs.clone()]));
    bench.apply(&live("u", 11, 2));
    assert!(show(&mut bench, 11, 2, &[entry(US, "Apply", "f:b", 3), theirs]));
    assert!(bench.objects.foreign(&key()).is_none());
}

#[test]
fn objects_that_go_take_their_record_along() {
    let mut bench = Bench::applied();
    let theirs = entry("kubectl", "Update", "f:b", 2);
    show(&mut bench, 10, 1, &[ours(1), theirs]);
    bench.vanish(11);
    assert!(bench.objects.foreign(&key()).is_none());
}
