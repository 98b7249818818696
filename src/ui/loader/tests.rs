use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const QUICK: Duration = Duration::from_millis(30);

fn wait<T>(what: &str, mut so: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = so() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Files whose folders may stall: reading one waits until its folder is let go.
struct Disk {
    stalled: Mutex<BTreeSet<String>>,
    changed: Condvar,
    waiting: AtomicUsize,
}

impl Disk {
    fn new(stalled: &[&str]) -> Arc<Self> {
        let stalled = stalled.iter().map(|&name| name.to_owned()).collect();
        Arc::new(Self {
            stalled: Mutex::new(stalled),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        })
    }

    fn read(&self, row: usize, file: &Path) -> usize {
        let name = |path: &Path| path.to_string_lossy().into_owned();
        let mut stalled = self.stalled.lock();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while stalled.contains(&name(file))
            || file.parent().is_some_and(|f| stalled.contains(&name(f)))
        {
            self.changed.wait(&mut stalled);
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        row
    }

    fn recover(&self) {
        self.stalled.lock().clear();
        self.changed.notify_all();
    }

    fn loader(self: &Arc<Self>, files: &[&str]) -> Loader<usize> {
        let files = files.iter().map(PathBuf::from).collect();
        let disk = Arc::clone(self);
        let read = Box::new(move |row, file: &Path| Ok(disk.read(row, file)));
        Loader::with_patience(QUICK, files, read, (usize::MAX, |_| 1), Box::new(|| {})).unwrap()
    }
}

#[test]
fn a_file_that_never_answers_does_not_keep_its_neighbours() {
    let disk = Disk::new(&["ward/pipe"]);
    let loader = disk.loader(&["ward/pipe", "ward/a", "ward/b", "ward/c"]);
    loader.want(&[0, 1, 2, 3]);
    for row in 1..4 {
        assert_eq!(*wait("a neighbour", || loader.get(row)).unwrap(), row);
    }
    assert!(loader.get(0).is_none() && loader.waited(0).is_some() && loader.waited(1).is_none());
    disk.recover();
    wait("the file itself", || loader.get(0)).unwrap();
    assert_eq!(loader.waited(0), None);
}

#[test]
fn a_folder_that_stalls_keeps_a_few_threads_and_films_from_elsewhere_go_on() {
    let disk = Disk::new(&["net"]);
    let files: Vec<String> =
        (0..12).map(|i| format!("net/{i}")).chain((0..8).map(|i| format!("disk/{i}"))).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let loader = disk.loader(&files);
    loader.want(&(0..20).collect::<Vec<_>>());
    for row in 12..20 {
        wait("a film from elsewhere", || loader.get(row)).unwrap();
    }
    std::thread::sleep(4 * QUICK);
    assert!(disk.waiting.load(Ordering::SeqCst) <= STUCK_IN_A_FOLDER, "all threads follow");
    disk.recover();
    for row in 0..12 {
        wait("the folder", || loader.get(row)).unwrap();
    }
    // Who was stuck has left, or is one of the two.
    wait("the threads", || (loader.0.shelf.lock().threads == THREADS).then_some(()));
}

#[test]
fn the_number_of_stuck_threads_is_bounded() {
    let names: Vec<String> = (0..40).map(|i| format!("net{i}/film")).collect();
    let folders: Vec<String> = (0..40).map(|i| format!("net{i}")).collect();
    let disk = Disk::new(&folders.iter().map(String::as_str).collect::<Vec<_>>());
    let loader = disk.loader(&names.iter().map(String::as_str).collect::<Vec<_>>());
    loader.want(&(0..40).collect::<Vec<_>>());
    wait("the bound", || (disk.waiting.load(Ordering::SeqCst) == THREADS + STUCK).then_some(()));
    std::thread::sleep(4 * QUICK);
    assert_eq!(disk.waiting.load(Ordering::SeqCst), THREADS + STUCK);
    // The loader goes although its threads cannot: the window closes.
    drop(loader);
    disk.recover();
}

#[test]
fn an_item_is_read_again_only_when_its_file_has_changed() {
    let reads = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reads);
    let read = move |_: usize, _: &Path| Ok(count.fetch_add(1, Ordering::SeqCst));
    let loader = Loader::new(vec!["a".into()], read, (usize::MAX, |_| 1), || {}).unwrap();
    loader.want(&[0]);
    let first = wait("the file", || loader.get(0)).unwrap();
    loader.doubt(0, |_, _| true);
    wait("the look", || loader.0.shelf.lock().doubted.is_none().then_some(()));
    wait("the look", || loader.0.shelf.lock().in_hand.is_empty().then_some(()));
    assert!(Arc::ptr_eq(&first, &loader.get(0).unwrap().unwrap()));
    loader.doubt(0, |_, _| false);
    let again = wait("the new contents", || {
        loader.get(0).and_then(Result::ok).filter(|item| !Arc::ptr_eq(item, &first))
    });
    assert_eq!((*first, *again, reads.load(Ordering::SeqCst)), (0, 1, 2));
}

#[test]
fn a_reader_that_panics_costs_one_file() {
    let read = |row: usize, _: &Path| {
        assert!(row != 0, "hostile bytes");
        Ok(row)
    };
    let files = vec!["a".into(), "b".into()];
    let loader = Loader::new(files, read, (usize::MAX, |_: &usize| 1), || {}).unwrap();
    loader.want(&[0, 1, 2]);
    assert!(wait("the first", || loader.get(0)).unwrap_err().contains("gave up on this file: a"));
    assert_eq!(*wait("the second", || loader.get(1)).unwrap(), 1);
    assert!(wait("no file", || loader.get(2)).is_err());
}
