//! Reads and durable writes: after a crash a file or a folder is the old one or the new one, never half of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What went wrong with a file or a folder.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// The operating system refused an operation.
    #[error("could not {action} ({fault}{}): {}", remedy(fault), path.display())]
    Io {
        /// What was being done, as it follows "could not".
        action: &'static str,
        /// The operating system's reason.
        fault: io::Error,
        /// What it was done to.
        path: PathBuf,
    },
    /// The path ends in no name that could be written to, such as `..` or `/`.
    #[error("this path names no file or folder; give one that ends in a name: {}", path.display())]
    Nameless {
        /// The path as given.
        path: PathBuf,
    },
}

/// Says what can be done about an error of the operating system, to stand after it; nothing where that is plain.
pub fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; get the right to write and read there, or use another folder"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room on the disk",
        io::ErrorKind::FileTooLarge => "; the system allows no file of that size there",
        _ => "",
    }
}

/// Builds the closure that turns an [`io::Error`] into an [`FsError`] which says what was done to which path.
fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FsError {
    let path = path.to_path_buf();
    move |fault| FsError::Io { action, fault, path }
}

/// Reads a whole file.
///
/// # Errors
/// When the file is missing or cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, FsError> {
    fs::read(path).map_err(failed("read the file", path))
}

/// Replaces a file's contents, making its folder where that is missing.
///
/// The bytes go to a temporary file in the same folder, are synced, and are then renamed over the target, so a reader
/// or a crash at any moment finds the old contents or the new ones.
///
/// # Errors
/// When the folder cannot be made or written to; the target is then untouched and no temporary file is left.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// [`write_atomic`] of what `write` gives, which need not be in memory at once.
///
/// # Errors
/// As [`write_atomic`], and when `write` fails.
pub fn write_atomic_with(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FsError> {
    let (parent, _) = split(path)?;
    create_dirs(&parent)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tmp-");
    // tempfile's default lets the owner alone read, and a shared folder is how readers of one study work together.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary =
        builder.tempfile_in(&parent).map_err(failed("make a temporary file in", &parent))?;
    write(temporary.as_file_mut()).map_err(failed("write the file", path))?;
    temporary.as_file().sync_all().map_err(failed("write the file to the disk", path))?;
    temporary.persist(path).map_err(|error| failed("replace the file", path)(error.error))?;
    sync_dir(&parent)
}

/// Makes a file that its owner alone may read, unless there is one already, which then stays as it is.
///
/// # Errors
/// When the folder cannot be made or written to.
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let (parent, _) = split(path)?;
    create_dirs(&parent)?;
    // tempfile's default lets the owner alone read.
    let mut temporary = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempfile_in(&parent)
        .map_err(failed("make a temporary file in", &parent))?;
    temporary.write_all(bytes).map_err(failed("write the file", path))?;
    temporary.as_file().sync_all().map_err(failed("write the file to the disk", path))?;
    match temporary.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("make the file", path)(error.error))
        }
        _ => sync_dir(&parent),
    }
}

/// Makes a folder's entries durable: names made, renamed or removed in it survive a power cut.
///
/// Does nothing where the operating system cannot open a folder, as on Windows.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> Result<(), FsError> {
    if cfg!(unix) {
        File::open(dir)
            .and_then(|opened| opened.sync_all())
            .map_err(failed("write the folder to the disk", dir))?;
    }
    Ok(())
}

/// Moves a finished folder, whose files are already synced, to `target`, in place of what stands there.
///
/// Both must lie on one file system. The old folder is set aside under a hidden name beside the target and removed
/// last; should the program end between the two renames, [`recover_dir`] puts it back.
///
/// # Errors
/// When a rename or the removal fails; if the new folder could not be moved in, the old one is back in its place.
pub fn replace_dir(finished: &Path, target: &Path) -> Result<(), FsError> {
    let (parent, aside) = split(target)?;
    create_dirs(&parent)?;
    recover_dir(target)?;
    let replaced = exists(target)?;
    if replaced {
        fs::rename(target, &aside).map_err(failed("set aside the folder", target))?;
    }
    if let Err(fault) = fs::rename(finished, target) {
        if replaced {
            fs::rename(&aside, target).map_err(failed("put back the folder", target))?;
        }
        return Err(failed("move a finished folder to", target)(fault));
    }
    sync_dir(&parent)?;
    if replaced {
        fs::remove_dir_all(&aside).map_err(failed("remove the replaced folder", &aside))?;
    }
    Ok(())
}

/// Undoes a [`replace_dir`] that a crash cut short: call it before a folder that it writes is opened.
///
/// Where the target is missing, the folder that was set aside returns; where both stand, the one set aside goes.
///
/// # Errors
/// When a rename or the removal fails.
pub fn recover_dir(target: &Path) -> Result<(), FsError> {
    let (parent, aside) = split(target)?;
    if !exists(&aside)? {
        return Ok(());
    }
    if exists(target)? {
        return fs::remove_dir_all(&aside).map_err(failed("remove the replaced folder", &aside));
    }
    fs::rename(&aside, target).map_err(failed("put back the folder", target))?;
    sync_dir(&parent)
}

/// Returns the folder that a path lies in, and the hidden name beside it under which its predecessor is set aside.
fn split(path: &Path) -> Result<(PathBuf, PathBuf), FsError> {
    let name = path.file_name().ok_or_else(|| FsError::Nameless { path: path.to_path_buf() })?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".replaced");
    let aside = parent.join(hidden);
    Ok((parent, aside))
}

/// Says whether anything, even a broken link, stands at a path.
fn exists(path: &Path) -> Result<bool, FsError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

/// Makes a folder and those above it, and syncs every folder that got a new entry.
fn create_dirs(dir: &Path) -> Result<(), FsError> {
    let missing: Vec<&Path> = dir
        .ancestors()
        .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
        .collect();
    fs::create_dir_all(dir).map_err(failed("make the folder", dir))?;
    for made in missing {
        sync_dir(&split(made)?.0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_write_makes_its_folders_and_leaves_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/c.json");
        write_atomic(&path, b"old").unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap(), b"new");
        assert_eq!(names(path.parent().unwrap()), ["c.json"]);
    }

    #[test]
    fn a_failed_write_leaves_the_target_and_no_temporary_file() {
        let root = tempfile::tempdir().unwrap();
        // A non-empty folder in the target's place makes the final rename, the last step that can fail, fail.
        let path = root.path().join("taken");
        fs::create_dir_all(path.join("inside")).unwrap();
        let error = write_atomic(&path, b"new").unwrap_err().to_string();
        assert!(
            error.starts_with("could not replace the file") && error.ends_with("taken"),
            "{error}"
        );
        assert_eq!(names(root.path()), ["taken"]);
        assert_eq!(names(&path), ["inside"]);
    }

    #[test]
    fn readers_see_the_old_or_the_new_contents() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("film");
        let (old, new) = (vec![1u8; 100_000], vec![2u8; 60_000]);
        write_atomic(&path, &old).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for round in 0..40 {
                    write_atomic(&path, if round % 2 == 0 { &new } else { &old }).unwrap();
                }
            });
            while !writer.is_finished() {
                let seen = read(&path).unwrap();
                assert!(seen == old || seen == new, "{} bytes", seen.len());
            }
        });
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_the_umask_lets_them() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let (plain, atomic) = (root.path().join("plain"), root.path().join("atomic"));
        File::create(&plain).unwrap();
        write_atomic(&atomic, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&atomic), mode(&plain));
    }

    fn folder(path: &Path, contents: &[u8]) {
        write_atomic(&path.join("model.json"), contents).unwrap();
    }

    #[test]
    fn a_folder_is_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let (finished, target) = (root.path().join("finished"), root.path().join("models/base"));
        for contents in [b"1", b"2"] {
            folder(&finished, contents);
            replace_dir(&finished, &target).unwrap();
            assert_eq!(read(&target.join("model.json")).unwrap(), contents);
        }
        assert_eq!(names(root.path()), ["models"]);
        assert_eq!(names(&root.path().join("models")), ["base"]);
    }

    #[test]
    fn a_failed_replacement_puts_the_old_folder_back() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("base");
        folder(&target, b"old");
        assert!(replace_dir(&root.path().join("never made"), &target).is_err());
        assert_eq!(read(&target.join("model.json")).unwrap(), b"old");
        assert_eq!(names(root.path()), ["base"]);
    }

    #[test]
    fn a_crash_between_the_renames_is_recovered() {
        let root = tempfile::tempdir().unwrap();
        let (target, aside) = (root.path().join("base"), root.path().join(".base.replaced"));
        folder(&aside, b"old");
        recover_dir(&target).unwrap();
        assert_eq!(read(&target.join("model.json")).unwrap(), b"old");
        folder(&aside, b"older");
        recover_dir(&target).unwrap();
        assert_eq!(read(&target.join("model.json")).unwrap(), b"old");
        assert_eq!(names(root.path()), ["base"]);
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        assert!(matches!(write_atomic(Path::new("/"), b""), Err(FsError::Nameless { .. })));
        assert!(matches!(
            replace_dir(Path::new("x"), Path::new("..")),
            Err(FsError::Nameless { .. })
        ));
    }
}
