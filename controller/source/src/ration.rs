//! libgit2's allocator: malloc, with a ration for whoever unpacks what a remote sent.
//!
//! libgit2 1.9 does not end over an object that a pack has twice, where one of the two is made by a delta (indexer.c,
//! `resolve_deltas`): it leaves what the delta made unfreed and goes on, and over a delta that names its base by its id it starts
//! again, for ever, and calls nobody back. But it allocates. So no memory is where the bounds end: more than a pack of these sizes
//! takes, or more time than there is. libgit2 then fails as it does wherever there is none. What it lost is freed here.
//!
//! Blocks are malloc's own, without a header of ours, so that it does not matter which side of a ration they are from.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::ffi::{c_char, c_int, c_void};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Budget, SourceError};

/// Beside what objects take: what is read of the store's own packs, and buffers.
const RECEIVING: u64 = 128 << 20;
/// The same, once the pack is here. 16 MiB of it is libgit2's cache of bases (pack.c).
const RESOLVING: u64 = 24 << 20;
/// What the index takes of each object that came, and of each that a delta makes.
const OBJECT: u64 = 512;
const DELTA: u64 = 256;
/// A base, a delta and what they make.
const AT_ONCE: u64 = 3;
/// Packs that make objects of more than this many bytes out of deltas are worked on one at a time: what one takes of memory, several
/// that come at once would take as often.
const HEAVY: usize = 1 << 20;
/// How long one is worked on while one of somebody else waits.
const LONGEST: Duration = Duration::from_mins(1);
/// How often who waits for its turn looks whether there is time left.
const LOOK: Duration = Duration::from_millis(100);
/// The smallest blocks that may be freed as lost. See [`Ration::reclaim`].
const LOST: usize = 128 << 10;
const LOST_BESIDE_BASES: usize = (1 << 20) + (64 << 10);

thread_local! {
    static RATION: RefCell<Option<Ration>> = const { RefCell::new(None) };
}

/// What one download may take of memory and time.
struct Ration {
    budget: Budget,
    /// Bytes that were taken since, less those given back. Blocks from before are given back, too.
    taken: i64,
    /// The largest thing that was weighed, in bytes.
    largest: u64,
    objects: u64,
    deltas: u64,
    /// Whether some delta names its base by its id.
    by_name: bool,
    whole: Option<Whole>,
    failure: Option<SourceError>,
    /// Whose disk it is for.
    owner: Owner,
    /// Held until it is over.
    turn: Option<Turn>,
}

/// Since all of the pack is here.
struct Whole {
    /// What was taken then.
    before: i64,
    /// Blocks of at least this many bytes that were taken since, and not given back.
    least: usize,
    blocks: HashSet<*mut c_void>,
}

/// Does what downloads a pack. The second answer is why it was ended here, if it was.
pub(crate) fn rationed<T>(
    budget: &Budget,
    owner: Owner,
    download: impl FnOnce() -> Result<T, git2::Error>,
) -> (Result<T, git2::Error>, Option<SourceError>) {
    /// Ends it also where the download panics.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            drop(end());
        }
    }
    RATION.with_borrow_mut(|ration| {
        *ration = Some(Ration {
            budget: budget.clone(),
            taken: 0,
            largest: 0,
            objects: 0,
            deltas: 0,
            by_name: false,
            whole: None,
            failure: None,
            owner,
            turn: None,
        });
    });
    let _end = End;
    let result = download();
    let Some(ration) = end() else {
        return (result, None);
    };
    if result.is_err() {
        ration.reclaim();
    }
    (result, ration.failure)
}

fn end() -> Option<Ration> {
    RATION.with_borrow_mut(Option::take)
}

/// An object has begun to come, of this kind in a pack (gitformat-pack(5)).
pub(crate) fn object(kind: u8) {
    with(|ration| {
        ration.objects += 1;
        ration.deltas += u64::from(kind == 6 || kind == 7);
        ration.by_name |= kind == 7;
    });
}

/// Something of this many bytes is in the pack, or made of it.
pub(crate) fn weighed(bytes: u64) {
    with(|ration| ration.largest = ration.largest.max(bytes));
}

/// All objects have come. What libgit2 does from here on is its work on deltas.
pub(crate) fn whole() {
    with(|ration| {
        ration.whole = Some(Whole {
            before: ration.taken,
            least: if ration.by_name { LOST_BESIDE_BASES } else { LOST },
            blocks: HashSet::new(),
        });
    });
}

/// Who works on a heavy pack, and who waits for it.
static WORK: (Mutex<Work>, Condvar) = (
    Mutex::new(Work {
        busy: false,
        last: None,
        waiting: VecDeque::new(),
        next: 0,
        cut: Vec::new(),
    }),
    Condvar::new(),
);

/// Whose disk a pack is for; `None` where nobody asks.
type Owner = Option<Arc<str>>;

struct Work {
    busy: bool,
    /// Whose turn it was.
    last: Owner,
    /// In the order in which they came.
    waiting: VecDeque<(u64, Owner)>,
    next: u64,
    /// Who was ended for others: the next time they may end.
    cut: Vec<Owner>,
}

impl Work {
    /// Who is next: owners take turns.
    fn is_next(&self, number: u64) -> bool {
        let others = self.waiting.iter().find(|(_, owner)| *owner != self.last);
        let next = others.or_else(|| self.waiting.front());
        !self.busy && next.is_some_and(|(next, _)| *next == number)
    }
}

/// The turn to work on a heavy pack, until it is dropped.
struct Turn {
    owner: Owner,
    since: Instant,
    /// Whether it is not ended for others.
    is_long: bool,
}

impl Turn {
    /// Blocks until it comes, or until there is no time left.
    fn wait(budget: &Budget, owner: Owner) -> Result<Self, SourceError> {
        let (work, changed) = &WORK;
        let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
        let number = work.next;
        work.next += 1;
        work.waiting.push_back((number, owner.clone()));
        let left = loop {
            if work.is_next(number) {
                work.busy = true;
                work.last.clone_from(&owner);
                break Ok(());
            }
            if let Err(error) = budget.remaining() {
                break Err(error);
            }
            let waited = changed.wait_timeout(work, LOOK);
            work = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        work.waiting.retain(|(waiting, _)| *waiting != number);
        left?;
        let cut = work.cut.len();
        work.cut.retain(|cut| *cut != owner);
        Ok(Self {
            is_long: work.cut.len() < cut,
            since: Instant::now(),
            owner,
        })
    }

    /// Whether it is to end: it has been long, and somebody else waits. Once: of two that are long, both would never end.
    fn is_over(&self, longest: Duration) -> bool {
        if self.is_long || self.since.elapsed() <= longest {
            return false;
        }
        let mut work = WORK.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = work.waiting.iter().any(|(_, owner)| *owner != self.owner);
        if over {
            work.cut.push(self.owner.clone());
        }
        over
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (work, changed) = &WORK;
        work.lock().unwrap_or_else(PoisonError::into_inner).busy = false;
        changed.notify_all();
    }
}

/// Where there is no ration, there is nothing to do. Also where the thread ends, and libgit2 frees what it had there.
fn with<T>(work: impl FnOnce(&mut Ration) -> T) -> Option<T> {
    let work = |ration: &RefCell<Option<Ration>>| ration.try_borrow_mut().ok()?.as_mut().map(work);
    RATION.try_with(work).ok().flatten()
}

impl Ration {
    fn bound(&self) -> i64 {
        let at_once = self.largest.saturating_mul(AT_ONCE);
        let sum = |constant: u64, each: u64, count: u64| {
            let all = each.saturating_mul(count).saturating_add(at_once);
            i64::try_from(all.saturating_add(constant)).unwrap_or(i64::MAX)
        };
        match &self.whole {
            None => sum(RECEIVING, OBJECT, self.objects),
            Some(whole) => whole.before.saturating_add(sum(RESOLVING, DELTA, self.deltas)),
        }
    }

    /// Whether so many bytes more are had.
    fn admits(&mut self, bytes: usize) -> bool {
        if self.failure.is_some() {
            return false;
        }
        // What is as large as that is a base, a delta, or what they make: libgit2 has begun to work, and hears no more of the remote.
        if self.whole.is_some() && bytes > HEAVY && self.turn.is_none() {
            match Turn::wait(&self.budget, self.owner.clone()) {
                Ok(turn) => self.turn = Some(turn),
                Err(error) => {
                    self.failure = Some(error);
                    return false;
                }
            }
        }
        let more = i64::try_from(bytes).unwrap_or(i64::MAX);
        if self.taken.saturating_add(more) > self.bound() {
            self.failure = Some(SourceError::TooLarge(
                "a pack that takes more memory than its objects do".into(),
            ));
        } else if self.turn.as_ref().is_some_and(|turn| turn.is_over(LONGEST)) {
            self.failure = Some(SourceError::Timeout("a large pack, while others wait"));
        } else if let Err(error) = self.budget.remaining() {
            self.failure = Some(error);
        }
        self.failure.is_none()
    }

    fn take(&mut self, block: *mut c_void, bytes: usize) {
        self.taken = self
            .taken
            .saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        if let Some(whole) = &mut self.whole
            && bytes >= whole.least
        {
            whole.blocks.insert(block);
        }
    }

    fn give_back(&mut self, block: *mut c_void, bytes: usize) {
        self.taken = self
            .taken
            .saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        if let Some(whole) = &mut self.whole {
            whole.blocks.remove(&block);
        }
    }

    /// Frees what a failed download has lost.
    #[allow(unsafe_code)]
    fn reclaim(&self) {
        let Some(whole) = &self.whole else { return };
        for block in &whole.blocks {
            // SAFETY: the block was allocated by this thread, inside of one download, after the last object of its pack had come,
            // and was not freed by this thread since. That nobody else has it:
            // - The download has failed, so libgit2 has freed its indexer and taken nothing over from it. What is left of the
            //   work on deltas (indexer.c, `resolve_deltas`) is what that work lost: a local variable that is gone.
            // - Of what lives on beside that, a thread's message of an error, a list of packs, a window of one, no block is so
            //   large: they were made before, or are of some hundred bytes.
            // - A delta that names its base by its id can have libgit2 read a base from the store's packs, which other threads
            //   share (`inject_object`). What is kept there of it is at most 1 MiB (pack.c, GIT_PACK_CACHE_SIZE_LIMIT), and
            //   with such a delta nothing of that size is freed here.
            unsafe { libc::free(*block) };
        }
    }
}

/// As libgit2 has it (git2/sys/alloc.h); libgit2-sys leaves it out.
#[repr(C)]
struct Allocator {
    allocate: unsafe extern "C" fn(usize, *const c_char, c_int) -> *mut c_void,
    resize: unsafe extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
}

/// Makes it libgit2's. It may be used already: its own allocator is malloc as well.
///
/// # Safety
/// Nothing else may be inside libgit2 meanwhile.
#[allow(unsafe_code)]
pub(crate) unsafe fn install() {
    let mut allocator = Allocator {
        allocate,
        resize,
        free,
    };
    let option = libgit2_sys::GIT_OPT_SET_ALLOCATOR.cast_signed();
    // SAFETY: the option takes a pointer to a `git_allocator`, which it copies (libgit2 1.9.7, settings.c and alloc.c). The caller
    // keeps the rest.
    unsafe { libgit2_sys::git_libgit2_opts(option, &raw mut allocator) };
}

#[allow(unsafe_code)]
unsafe extern "C" fn allocate(bytes: usize, _file: *const c_char, _line: c_int) -> *mut c_void {
    if with(|ration| ration.admits(bytes)) == Some(false) {
        return std::ptr::null_mut();
    }
    // SAFETY: malloc takes any size.
    let block = unsafe { libc::malloc(bytes) };
    // SAFETY: it is malloc's.
    with(|ration| ration.take(block, unsafe { size(block) }));
    block
}

#[allow(unsafe_code)]
unsafe extern "C" fn resize(
    block: *mut c_void,
    bytes: usize,
    _file: *const c_char,
    _line: c_int,
) -> *mut c_void {
    // SAFETY: libgit2 hands over a block of `allocate`'s or `resize`'s, or of its former allocator's, which is malloc's, or null.
    let old = unsafe { size(block) };
    if with(|ration| ration.admits(bytes.saturating_sub(old))) == Some(false) {
        return std::ptr::null_mut();
    }
    with(|ration| ration.give_back(block, old));
    // SAFETY: as above. Not to nothing, which would free it and look like a failure.
    let new = unsafe { libc::realloc(block, bytes.max(1)) };
    let kept = if new.is_null() { block } else { new };
    // SAFETY: where there is no memory, the old block is as it was.
    with(|ration| ration.take(kept, unsafe { size(kept) }));
    new
}

#[allow(unsafe_code)]
unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: as for `resize`.
    with(|ration| ration.give_back(block, unsafe { size(block) }));
    // SAFETY: the same.
    unsafe { libc::free(block) };
}

/// What a block takes; nothing where there is none.
///
/// # Safety
/// It is malloc's, or null.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
unsafe fn size(block: *mut c_void) -> usize {
    // SAFETY: the caller keeps the contract (malloc_usable_size(3)).
    unsafe { libc::malloc_usable_size(block) }
}

/// Elsewhere only time is bounded: the controller runs on Linux.
#[cfg(not(target_os = "linux"))]
#[allow(unsafe_code)]
const unsafe fn size(_block: *mut c_void) -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RemoteLimits;

    fn budget() -> Budget {
        Budget::begin(&RemoteLimits::default())
    }

    #[test]
    #[allow(unsafe_code)]
    fn more_than_the_objects_take_is_not_had_and_what_is_lost_is_freed() {
        let (result, why) = rationed(&budget(), None, || {
            weighed(1 << 20);
            object(6);
            whole();
            for _ in 0..1_000 {
                // SAFETY: nobody else has it, and nobody frees it.
                if unsafe { allocate(1 << 20, std::ptr::null(), 0) }.is_null() {
                    return Err(git2::Error::from_str("no memory"));
                }
            }
            Ok(())
        });
        assert!(result.is_err());
        assert!(matches!(why, Some(SourceError::TooLarge(_))), "{why:?}");
        assert!(end().is_none());
    }

    /// As libgit2 works on a pack that holds something of so many bytes.
    fn work<T>(
        budget: &Budget,
        owner: &str,
        bytes: usize,
        then: impl FnOnce() -> T,
    ) -> (Option<T>, Option<SourceError>) {
        let (result, why) = rationed(budget, Some(owner.into()), || {
            weighed(64 << 20);
            object(6);
            whole();
            if with(|ration| ration.admits(bytes)) == Some(true) {
                Ok(then())
            } else {
                Err(git2::Error::from_str("no memory"))
            }
        });
        (result.ok(), why)
    }

    #[test]
    fn heavy_packs_are_worked_on_one_at_a_time_and_owners_take_turns() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for owner in ["crowd", "crowd", "crowd", "shop"] {
                scope.spawn(move || {
                    for _ in 0..100 {
                        let (others, why) = work(&budget(), owner, HEAVY + 1, || {
                            let others = AT_ONCE.fetch_add(1, Ordering::SeqCst);
                            std::thread::yield_now();
                            AT_ONCE.fetch_sub(1, Ordering::SeqCst);
                            others
                        });
                        assert_eq!((others, why), (Some(0), None));
                    }
                });
            }
        });
        let order = Mutex::new(Vec::new());
        let waiting = || {
            let work = WORK.0.lock().unwrap();
            work.waiting.iter().filter(|(_, owner)| owner.is_some()).count()
        };
        std::thread::scope(|scope| {
            let (_, why) = work(&budget(), "crowd", HEAVY + 1, || {
                for (at, owner) in ["crowd", "crowd", "shop"].into_iter().enumerate() {
                    let order = &order;
                    scope.spawn(move || {
                        work(&budget(), owner, HEAVY + 1, || order.lock().unwrap().push(owner))
                    });
                    while waiting() <= at {
                        std::thread::yield_now();
                    }
                }
                // Who has no time left does not wait for ever; what is light does not wait at all.
                let aside = std::thread::spawn(|| {
                    let ended = budget();
                    ended.cancel();
                    let (_, late) = work(&ended, "late", HEAVY + 1, || ());
                    (late, work(&budget(), "light", HEAVY, || ()))
                });
                let (late, light) = aside.join().unwrap();
                assert!(matches!(late, Some(SourceError::Timeout(_))), "{late:?}");
                assert_eq!(light, (Some(()), None));
            });
            assert!(why.is_none());
        });
        assert_eq!(order.into_inner().unwrap(), ["shop", "crowd", "crowd"]);
    }

    #[test]
    fn a_long_work_is_ended_for_others_once() {
        let turn = || Turn::wait(&budget(), Some("long".into())).unwrap();
        let first = turn();
        assert!(!first.is_over(Duration::ZERO), "nobody waits");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| work(&budget(), "short", HEAVY + 1, || ()));
            while !first.is_over(Duration::ZERO) {
                assert!(!first.is_over(LONGEST));
                std::thread::yield_now();
            }
            drop(first);
            assert_eq!(waiting.join().unwrap(), (Some(()), None));
            let second = turn();
            assert!(second.is_long);
            drop(second);
            assert!(!turn().is_long);
        });
    }

    #[test]
    #[allow(unsafe_code)]
    fn what_is_given_back_does_not_count_and_an_end_of_time_does() {
        let budget = budget();
        let (result, why) = rationed(&budget, None, || {
            whole();
            let mut block = std::ptr::null_mut();
            for _ in 0..1_000 {
                // SAFETY: the block is malloc's or null, and freed once.
                unsafe {
                    block = resize(block, 4 << 20, std::ptr::null(), 0);
                    assert!(!block.is_null());
                    block = resize(block, 1, std::ptr::null(), 0);
                }
            }
            // SAFETY: the same.
            unsafe { free(block) };
            budget.cancel();
            // SAFETY: there is none.
            assert!(unsafe { allocate(1, std::ptr::null(), 0) }.is_null());
            Ok(())
        });
        assert!(result.is_ok());
        assert!(matches!(why, Some(SourceError::Timeout(_))), "{why:?}");
        // SAFETY: without a ration it is malloc, and freed once.
        unsafe { free(allocate(1 << 30, std::ptr::null(), 0)) };
    }
}
