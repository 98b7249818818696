//! The films as the compute thread keeps them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::dataset::Stopped;
use crate::dataset::planes::{KeepError, PlaneStore};
use crate::engine::inbox::Inbox;
use crate::engine::protocol::Event;
use crate::fsutil::remedy;
use crate::imaging::Preprocess;
use crate::study::{ReferenceSet, Source};

/// Makes the films' planes, or finds those that were kept; returns the rows of films that cannot be read, which stay black and
/// are reported. Where planes cannot be kept, which is said, they are held in memory.
pub(super) fn load(
    cache: &Path,
    source: &Source,
    preprocess: Preprocess,
    what: &'static str,
    inbox: &Inbox,
) -> Result<(Arc<PlaneStore>, Vec<usize>), Stopped> {
    let reporter = Mutex::new(0);
    let observe = |done, total| {
        // A report for each film would flood the queue.
        let mut last = reporter.lock();
        if done >= *last + 64 || done == total {
            *last = done;
            inbox.send(Event::Preparing { what, done, total });
        }
        inbox.flags.until_closed()
    };
    let Source { root, files, keys, .. } = source;
    let kept = PlaneStore::kept(cache, root, (files, keys), &preprocess, &mut { observe });
    let (store, refused) = match kept {
        Ok(kept) => kept,
        Err(KeepError::Stopped(stopped)) => return Err(stopped),
        Err(KeepError::Io(fault)) => {
            let remedy = remedy(&fault);
            let text = format!(
                "Films could not be kept for the next start ({fault}){remedy}: {}",
                cache.display()
            );
            inbox.warn(text);
            *reporter.lock() = 0;
            PlaneStore::load(root, files, &preprocess, 1, &observe)?
        }
    };
    let files: BTreeSet<&str> = refused.iter().map(|film| film.file.as_str()).collect();
    let rows =
        (0..source.files.len()).filter(|&row| files.contains(source.files[row].as_str())).collect();
    for film in &refused {
        inbox.warn(format!("A film is left out, it cannot be read: {film}"));
    }
    Ok((Arc::new(store), rows))
}

/// Reads the reference set; films that cannot be read are left out of it.
pub(super) fn load_reference(
    cache: &Path,
    reference: &ReferenceSet,
    preprocess: Preprocess,
    inbox: &Inbox,
) -> Result<(Arc<PlaneStore>, ReferenceSet), Stopped> {
    let what = "reading the reference set";
    let (store, unreadable) = load(cache, &reference.source, preprocess, what, inbox)?;
    if unreadable.is_empty() {
        return Ok((store, reference.clone()));
    }
    let readable: Vec<usize> = (0..store.len()).filter(|row| !unreadable.contains(row)).collect();
    let pick = |all: &[String]| readable.iter().map(|&row| all[row].clone()).collect();
    let source = Source {
        root: reference.source.root.clone(),
        files: pick(&reference.source.files),
        keys: pick(&reference.source.keys),
        ..Source::default()
    };
    let classes = readable.iter().map(|&row| reference.classes[row]).collect();
    Ok((Arc::new(store.select(&readable)), ReferenceSet { source, classes }))
}
