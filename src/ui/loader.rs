//! Reads files on threads of its own, so that the window never waits for one, and keeps what they were made into.
//!
//! A file may take forever: a network folder stalls, a disk falls asleep. A thread that is stuck in one for some seconds
//! is replaced, and while several are stuck in a folder its other files wait, so that those from elsewhere go on. The
//! number of stuck threads is bounded, for none can be ended from outside.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// What became of a file that was asked for: what was made of it, or why it cannot be shown.
pub type Outcome<T> = Result<Arc<T>, Arc<str>>;

/// Makes something of a file; the reason why it cannot is a sentence.
type Read<T> = dyn Fn(usize, &Path) -> Result<T, String> + Send + Sync;

/// Says whether what was made of a file is still what it holds.
pub type IsCurrent<T> = fn(&Path, &T) -> bool;

/// A file that a thread has in hand.
struct Hand {
    since: Instant,
    stuck: bool,
}

struct Shelf<T> {
    /// Rows by urgency, each with when it was first asked for.
    wanted: Vec<(usize, Instant)>,
    in_hand: BTreeMap<usize, Hand>,
    items: BTreeMap<usize, Outcome<T>>,
    /// Rows on the shelf, least recently wanted first.
    age: Vec<usize>,
    /// A row on the shelf that is to be looked at again.
    doubted: Option<(usize, IsCurrent<T>)>,
    /// Threads that are not stuck.
    threads: usize,
    closed: bool,
}

struct Shared<T> {
    files: Vec<PathBuf>,
    read: Box<Read<T>>,
    weigh: fn(&T) -> usize,
    budget: usize,
    patience: Duration,
    shelf: Mutex<Shelf<T>>,
    work: Condvar,
    taken: Condvar,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// What a thread does next.
enum Task<T> {
    Read(usize),
    Check(usize, Arc<T>, IsCurrent<T>),
}

impl<T> Shelf<T> {
    fn is_wanted(&self, row: usize) -> bool {
        self.wanted.iter().any(|&(wanted, _)| wanted == row)
    }

    fn next(&mut self, files: &[PathBuf]) -> Option<Task<T>> {
        let doubted = self.doubted.take_if(|(row, _)| !self.in_hand.contains_key(row));
        if let Some((row, is_current)) = doubted {
            match self.items.get(&row) {
                Some(Ok(item)) => return Some(Task::Check(row, Arc::clone(item), is_current)),
                Some(Err(_)) => return Some(Task::Read(row)),
                None => {}
            }
        }
        let stalled = self.stalled(files);
        let open = |&(row, _): &(usize, Instant)| {
            let here = self.items.contains_key(&row) || self.in_hand.contains_key(&row);
            (!here && !stalled.contains(&folder(files, row))).then_some(row)
        };
        self.wanted.iter().find_map(open).map(Task::Read)
    }

    /// Returns the folders in which a thread is stuck and that no further one may follow it into.
    fn stalled<'a>(&self, files: &'a [PathBuf]) -> Vec<Option<&'a Path>> {
        let mut threads = BTreeMap::new();
        for (&row, hand) in &self.in_hand {
            let (stuck, all) = threads.entry(folder(files, row)).or_insert((false, 0));
            (*stuck, *all) = (*stuck || hand.stuck, *all + 1);
        }
        threads.retain(|_, (stuck, all)| *stuck && *all >= STUCK_IN_A_FOLDER);
        threads.into_keys().collect()
    }

    /// Drops the items wanted longest ago until the rest fits, but none that is wanted now.
    fn trim(&mut self, budget: usize, weigh: fn(&T) -> usize) {
        let mut bytes: usize = self.items.values().flatten().map(|item| weigh(item)).sum();
        if bytes <= budget {
            return;
        }
        let mut wanted: Vec<usize> = self.wanted.iter().map(|&(row, _)| row).collect();
        wanted.sort_unstable();
        let Self { items, age, .. } = self;
        age.retain(|row| {
            if bytes <= budget || wanted.binary_search(row).is_ok() {
                return true;
            }
            bytes -= items.remove(row).and_then(Result::ok).map_or(0, |item| weigh(&item));
            false
        });
    }
}

fn folder(files: &[PathBuf], row: usize) -> Option<&Path> {
    files.get(row)?.parent()
}

/// Two suffice to stay ahead of a reader and leave the other cores to learning.
const THREADS: usize = 2;
/// Threads that may be stuck at a time and are replaced; those beyond are not.
const STUCK: usize = 6;
/// Threads that may be stuck in one folder before its other files wait.
const STUCK_IN_A_FOLDER: usize = 3;
/// How long a thread may be at one file before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// Threads that read files in the order in which they are wanted, and what they made of them.
///
/// Dropping it lets the threads end after the file that each has in hand, without waiting for that.
pub struct Loader<T: Send + Sync + 'static>(Arc<Shared<T>>);

impl<T: Send + Sync + 'static> Loader<T> {
    /// Starts the threads: `read` is called on them, and so is `wake` whenever a file has been read. Of what is not
    /// wanted any more, as much is kept as takes `budget` bytes by `weigh` with the rest.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(
        files: Vec<PathBuf>,
        read: impl Fn(usize, &Path) -> Result<T, String> + Send + Sync + 'static,
        (budget, weigh): (usize, fn(&T) -> usize),
        wake: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        Self::with_patience(PATIENCE, files, Box::new(read), (budget, weigh), Box::new(wake))
    }

    fn with_patience(
        patience: Duration,
        files: Vec<PathBuf>,
        read: Box<Read<T>>,
        (budget, weigh): (usize, fn(&T) -> usize),
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> std::io::Result<Self> {
        let shelf = Shelf {
            wanted: Vec::new(),
            in_hand: BTreeMap::new(),
            items: BTreeMap::new(),
            age: Vec::new(),
            doubted: None,
            threads: 0,
            closed: false,
        };
        let shared = Shared {
            files,
            read,
            weigh,
            budget,
            patience,
            shelf: Mutex::new(shelf),
            work: Condvar::new(),
            taken: Condvar::new(),
            wake,
        };
        // Made first, so that threads that have started end where a later one is refused.
        let loader = Self(Arc::new(shared));
        for _ in 0..THREADS {
            start(&loader.0)?;
        }
        let shared = Arc::clone(&loader.0);
        std::thread::Builder::new().name("films-watch".to_owned()).spawn(move || watch(&shared))?;
        Ok(loader)
    }

    /// Says which rows are wanted from now on, the most urgent first; what was wanted before is forgotten.
    pub fn want(&self, rows: &[usize]) {
        let mut shelf = self.0.shelf.lock();
        if shelf.wanted.iter().map(|(row, _)| row).eq(rows) {
            return;
        }
        let asked: BTreeMap<usize, Instant> = shelf.wanted.iter().copied().collect();
        let now = Instant::now();
        shelf.wanted =
            rows.iter().map(|&row| (row, asked.get(&row).copied().unwrap_or(now))).collect();
        let mut sorted = rows.to_vec();
        sorted.sort_unstable();
        let is_wanted = |row: &usize| sorted.binary_search(row).is_ok();
        let (mut age, recent): (Vec<_>, Vec<_>) = shelf.age.iter().partition(|row| !is_wanted(row));
        age.extend(recent);
        shelf.age = age;
        // A file that could not be read, as on a network drive that dropped out, is tried again when it comes again.
        let Shelf { items, age, .. } = &mut *shelf;
        items.retain(|row, item| item.is_ok() || is_wanted(row));
        age.retain(|row| items.contains_key(row));
        shelf.trim(self.0.budget, self.0.weigh);
        drop(shelf);
        self.0.work.notify_all();
    }

    /// Has a row on the shelf read again if it could not be read, or its file is no longer what was read; until then what
    /// is known of it stays there.
    pub fn doubt(&self, row: usize, is_current: IsCurrent<T>) {
        self.0.shelf.lock().doubted = Some((row, is_current));
        self.0.work.notify_one();
    }

    /// Returns what a file was made into, or why it cannot be shown; `None` while it is being read.
    pub fn get(&self, row: usize) -> Option<Outcome<T>> {
        self.0.shelf.lock().items.get(&row).cloned()
    }

    /// Returns the number of files on the shelf.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.shelf.lock().items.len()
    }

    /// Returns how long a row that is wanted has been waited for; `None` once it is there.
    pub fn waited(&self, row: usize) -> Option<Duration> {
        let shelf = self.0.shelf.lock();
        let (_, since) = shelf.wanted.iter().find(|(wanted, _)| *wanted == row)?;
        (!shelf.items.contains_key(&row)).then(|| since.elapsed())
    }
}

impl<T: Send + Sync + 'static> Drop for Loader<T> {
    fn drop(&mut self) {
        self.0.shelf.lock().closed = true;
        self.0.work.notify_all();
        self.0.taken.notify_all();
    }
}

/// Starts a thread that reads.
fn start<T: Send + Sync + 'static>(shared: &Arc<Shared<T>>) -> std::io::Result<()> {
    let theirs = Arc::clone(shared);
    let thread = std::thread::Builder::new().name("films".to_owned());
    // Counted before it runs, so that none starts beside it meanwhile.
    shared.shelf.lock().threads += 1;
    thread.spawn(move || work(&theirs)).map(drop).inspect_err(|_| shared.shelf.lock().threads -= 1)
}

/// Replaces threads that are stuck.
fn watch<T: Send + Sync + 'static>(shared: &Arc<Shared<T>>) {
    let mut shelf = shared.shelf.lock();
    while !shelf.closed {
        let stuck_before = shelf.in_hand.values().filter(|hand| hand.stuck).count();
        let mut newly = 0;
        for hand in shelf.in_hand.values_mut() {
            if !hand.stuck && hand.since.elapsed() >= shared.patience {
                hand.stuck = true;
                newly += 1;
            }
        }
        shelf.threads -= newly;
        let replaced = newly.min(STUCK.saturating_sub(stuck_before));
        if replaced > 0 {
            drop(shelf);
            for _ in 0..replaced {
                if let Err(error) = start(shared) {
                    tracing::warn!(
                        "a thread that reads films is stuck and has no successor: {error}"
                    );
                }
            }
            shelf = shared.shelf.lock();
            continue;
        }
        let moving = shelf.in_hand.values().filter(|hand| !hand.stuck);
        let next = moving.map(|hand| shared.patience.saturating_sub(hand.since.elapsed())).min();
        match next {
            Some(next) => {
                shared.taken.wait_for(&mut shelf, next.max(Duration::from_millis(1)));
            }
            None => shared.taken.wait(&mut shelf),
        }
    }
}

fn work<T: Send + Sync + 'static>(shared: &Shared<T>) {
    // The window is drawn before films are decoded, and learning waits for both. On Linux this lowers the thread alone.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(5);
    loop {
        let mut shelf = shared.shelf.lock();
        let task = loop {
            if shelf.closed {
                return;
            }
            // One that was stuck finds its place taken.
            if shelf.threads > THREADS {
                shelf.threads -= 1;
                return;
            }
            match shelf.next(&shared.files) {
                Some(task) => break task,
                None => shared.work.wait(&mut shelf),
            }
        };
        let (Task::Read(row) | Task::Check(row, ..)) = &task;
        let row = *row;
        shelf.in_hand.insert(row, Hand { since: Instant::now(), stuck: false });
        drop(shelf);
        shared.taken.notify_one();
        let item = match task {
            Task::Read(row) => Some(make(shared, row)),
            Task::Check(row, item, is_current) => {
                let current = shared.files.get(row).is_some_and(|file| is_current(file, &item));
                (!current).then(|| make(shared, row))
            }
        };
        let mut shelf = shared.shelf.lock();
        if shelf.in_hand.remove(&row).is_some_and(|hand| hand.stuck) {
            shelf.threads += 1;
        }
        if let Some(item) = item {
            if shelf.items.insert(row, item).is_none() {
                shelf.age.push(row);
            }
            // One that came too late is of no use if it failed: it is tried again when it comes again.
            if !shelf.is_wanted(row) && shelf.items.get(&row).is_some_and(Result::is_err) {
                shelf.items.remove(&row);
                shelf.age.retain(|&other| other != row);
            }
            shelf.trim(shared.budget, shared.weigh);
        }
        drop(shelf);
        // A folder that answers again has room for the thread that waits.
        shared.work.notify_one();
        (shared.wake)();
    }
}

fn make<T>(shared: &Shared<T>, row: usize) -> Outcome<T> {
    let file = shared.files.get(row).ok_or_else(|| Arc::from("The session lists no such film"))?;
    // Files come from anywhere: one that makes a decoder panic must not end the thread that shows the others.
    match catch_unwind(AssertUnwindSafe(|| (shared.read)(row, file))) {
        Ok(Ok(item)) => Ok(Arc::new(item)),
        Ok(Err(reason)) => Err(reason.into()),
        Err(_) => Err(format!("The decoder gave up on this file: {}", file.display()).into()),
    }
}

#[cfg(test)]
mod tests;
