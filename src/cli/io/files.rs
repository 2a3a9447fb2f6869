//! The files that the commands read and write. Reading is bounded; writing is tried before anything is sent.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::catalog::{CaseFile, FileKind, MAX_FILE_BYTES};
use crate::cli::CliError;
use crate::recording::durable_file::DurableFile;
use crate::recording::run::{LineNumbers, Recording};
use crate::recording::{gateway, run};

/// True for the text of a recording, of an endpoint or of a gateway.
pub fn is_recording(text: &str) -> bool {
    text.starts_with(r#"{"header":{"schema":"fieldtest-recording/"#) || text.starts_with(gateway::HEADER_PREFIX)
}

/// Reads a folder of case files: `experiments/*.yaml`, `gateway/*.yaml` and `targets/*.yaml`.
pub fn read_case_files(folder: &Path) -> Result<Vec<CaseFile>, CliError> {
    if !folder.is_dir() {
        return Err(CliError::Usage(format!("--cases {}: there is no such folder", folder.display())));
    }
    let mut files = Vec::new();
    for (name, kind) in
        [("experiments", FileKind::Experiments), ("gateway", FileKind::Gateway), ("targets", FileKind::Target)]
    {
        let below = folder.join(name);
        if !below.is_dir() {
            continue;
        }
        let entries = fs::read_dir(&below).map_err(|e| usage_error("read", &below, &e))?;
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "yml"))
            .collect();
        paths.sort();
        for path in paths {
            files.push(read_case_file(&path, kind)?);
        }
    }
    if files.is_empty() {
        return Err(CliError::Usage(format!(
            "--cases {}: no case files there: expected experiments/*.yaml, gateway/*.yaml or targets/*.yaml below it",
            folder.display()
        )));
    }
    Ok(files)
}

/// Makes a folder, and makes sure that files can be written into it.
pub fn ensure_writable(folder: &Path) -> Result<(), CliError> {
    if folder.exists() && !folder.is_dir() {
        return Err(CliError::Usage(format!("cannot write into {}: it is no folder", folder.display())));
    }
    let probe = folder.join(format!(".fieldtest-write-test-{}", std::process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| File::create(&probe))
        .and_then(|mut file| file.write_all(b"x"))
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|e| usage_error("write into", folder, &e))
}

/// Keeps other commands from writing reports into a folder, as long as this lives.
#[derive(Debug)]
#[must_use = "the folder is free again once this is dropped"]
pub struct FolderLock(#[expect(dead_code, reason = "it is held, not used")] Option<File>);

/// Makes a folder that can be written into, and holds it: of two commands that write the same reports at the same time, each
/// would leave a part.
pub fn lock_folder(folder: &Path) -> Result<FolderLock, CliError> {
    ensure_writable(folder)?;
    // Not every system opens folders, and not every file system has locks: no reason not to run.
    let Ok(opened) = File::open(folder) else { return Ok(FolderLock(None)) };
    match opened.try_lock() {
        Err(TryLockError::WouldBlock) => Err(CliError::Usage(format!(
            "cannot write into {}: another fieldtest is writing its reports there; --out DIR takes another folder",
            folder.display()
        ))),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(FolderLock(Some(opened))),
    }
}

/// Writes a file, whole or not at all. A folder that was taken away meanwhile is made again.
pub fn write(path: &Path, text: &str) -> Result<(), CliError> {
    reject_pipe(path)?;
    // A device or a link is written through, not put another file in the place of.
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return fs::write(path, text).map_err(|e| usage_error("write", path, &e));
    }
    let partial = path.with_extension("partial");
    let written = fs::write(&partial, text).or_else(|error| match (error.kind(), path.parent()) {
        (ErrorKind::NotFound, Some(folder)) => fs::create_dir_all(folder).and_then(|()| fs::write(&partial, text)),
        _ => Err(error),
    });
    written.and_then(|()| fs::rename(&partial, path)).map_err(|e| {
        // Half a file is of no use to anyone, and in the way where there is no room.
        let _ = fs::remove_file(&partial);
        usage_error("write", path, &e)
    })
}

/// Refuses a named pipe: to open one waits for a reader, who may never come. What a shell has opened already (`/dev/fd/N`) is
/// none.
#[cfg(unix)]
fn reject_pipe(path: &Path) -> Result<(), CliError> {
    use std::os::unix::fs::FileTypeExt as _;
    let is_open = ["/dev/fd", "/dev/std", "/proc"].iter().any(|open| path.to_string_lossy().starts_with(open));
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_fifo() && !is_open => {
            Err(CliError::Usage(format!("cannot write {}: it is a named pipe, and a file is needed", path.display())))
        }
        _ => Ok(()),
    }
}

/// Elsewhere there are none among files.
#[cfg(not(unix))]
fn is_no_pipe(_: &Path) -> Result<(), CliError> {
    Ok(())
}

/// Adds text to a file that others write too. It is made once the size of what is there is known.
pub fn append(path: &Path, text: impl FnOnce(usize) -> String) -> Result<(), CliError> {
    reject_pipe(path)?;
    let open = File::options().create(true).append(true).open(path);
    open.and_then(|mut file| {
        let there = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        file.write_all(text(there).as_bytes())
    })
    .map_err(|e| usage_error("write", path, &e))
}

/// A path in the folder that nothing is at: with a number behind its name, where need be.
pub fn unique_path(folder: &Path, name: &str, extension: &str) -> PathBuf {
    let mut path = folder.join(format!("{name}.{extension}"));
    for n in 2.. {
        if !path.exists() {
            break;
        }
        path = folder.join(format!("{name}-{n}.{extension}"));
    }
    path
}

/// Opens a new recording for writing.
///
/// One that was cut and can be gone on with is put aside: it was paid for.
pub fn create_recording(path: &Path) -> Result<File, CliError> {
    let mut file = open_recording(File::options().create(true).truncate(false), path)?;
    if is_interrupted(&file).unwrap_or(false) {
        let (folder, stem) = (path.parent().unwrap_or(Path::new(".")), path.file_stem().unwrap_or_default());
        let aside = unique_path(folder, &format!("cut-{}", stem.to_string_lossy()), "jsonl");
        fs::rename(path, &aside).map_err(|e| usage_error("put aside", path, &e))?;
        crate::cli::io::stdout::warn(format!(
            "{} is of a run that was cut, and is kept as {}; --resume goes on with it",
            path.display(),
            aside.display()
        ));
        file = open_recording(File::options().create(true).truncate(false), path)?;
    }
    file.set_len(0).map_err(|e| usage_error("write", path, &e))?;
    Ok(file)
}

/// Creates a recording.
pub fn create_durable_file(path: &Path) -> Result<DurableFile, CliError> {
    continue_durable_file(path, create_recording(path)?)
}

/// Appends to an open recording. Prints its write problems as warnings.
pub fn continue_durable_file(path: &Path, file: File) -> Result<DurableFile, CliError> {
    let shown = path.display().to_string();
    let warn = move |problem| crate::cli::io::stdout::warn(format!("{shown}: {problem}"));
    DurableFile::new(path, file, warn).map_err(|e| usage_error("write", path, &e))
}

/// Prints a warning if a finished recording is not stored completely.
pub fn warn_if_incomplete(path: &Path, stored: Result<(), String>) {
    if let Err(problem) = stored {
        crate::cli::io::stdout::warn(format!(
            "the recording {} is incomplete: {problem}. The results are complete",
            path.display()
        ));
    }
}

/// True for a recording that holds answers, and not the end of its run.
fn is_interrupted(mut file: &File) -> std::io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(4096);
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(4096).read_to_end(&mut end)?;
    file.seek(SeekFrom::Start(0))?;
    let end = String::from_utf8_lossy(&end);
    let last = end.trim_end().rsplit('\n').next().unwrap_or_default();
    let is_over = last.starts_with("{\"footer\"")
        && !last.contains("\"ended\":\"interrupted\"")
        && !last.contains("\"ended\":\"budget\"");
    let mut begin = [0; 64];
    let is_ours = file.read_exact(&mut begin).is_ok() && is_recording(&String::from_utf8_lossy(&begin));
    // Nothing but a header, and what is asked first of all, is soon asked again.
    Ok(is_ours && !is_over && length > MIN_PRESERVED_BYTES)
}

/// A recording of fewer bytes holds a few answers at most.
const MIN_PRESERVED_BYTES: u64 = 64 * 1024;

/// Opens a recording to go on with it.
pub fn reopen_recording(path: &Path) -> Result<File, CliError> {
    open_recording(&mut File::options(), path)
}

/// Opens a recording. Nobody else writes there meanwhile: two runs in one file would be none.
fn open_recording(options: &mut OpenOptions, path: &Path) -> Result<File, CliError> {
    reject_pipe(path)?;
    let file = options.read(true).write(true).open(path).map_err(|e| usage_error("write", path, &e))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(CliError::Usage(format!(
            "cannot write {}: another run is writing it; --record DIR takes another folder",
            path.display()
        ))),
        // A file system without locks is no reason not to run.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Reads a recording.
pub fn read_recording(path: &Path) -> Result<Recording, CliError> {
    read_recording_lines(path).map(|(recording, _)| recording)
}

/// Reads a recording, and tells in which lines its exchanges stand.
pub fn read_recording_lines(path: &Path) -> Result<(Recording, LineNumbers), CliError> {
    let file = File::open(path).map_err(|e| usage_error("read", path, &e))?;
    run::read_recording_with_lines(BufReader::new(file))
        .map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))
}

/// The recordings in a folder, in the order of their names.
pub fn list_recordings(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let is_recording = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("recording-") && name.ends_with(".jsonl") && path.is_file()
    };
    let entries = fs::read_dir(folder).map_err(|e| usage_error("read", folder, &e))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(is_recording).collect();
    paths.sort();
    Ok(paths)
}

/// True where a file is the recording of a gateway.
pub fn is_gateway_recording(path: &Path) -> Result<bool, CliError> {
    let mut begin = Vec::new();
    let file = File::open(path).map_err(|e| usage_error("read", path, &e))?;
    file.take(gateway::HEADER_PREFIX.len() as u64)
        .read_to_end(&mut begin)
        .map_err(|e| usage_error("read", path, &e))?;
    Ok(begin == gateway::HEADER_PREFIX.as_bytes())
}

/// Reads the recording of a gateway.
pub fn read_gateway_recording(path: &Path) -> Result<gateway::GatewayRecording, CliError> {
    let file = File::open(path).map_err(|e| usage_error("read", path, &e))?;
    gateway::read(BufReader::new(file)).map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))
}

/// Reads one case file.
pub fn read_case_file(path: &Path, kind: FileKind) -> Result<CaseFile, CliError> {
    // Opening a pipe would wait for somebody to write into it.
    if !path.is_file() {
        return Err(CliError::Usage(format!("{}: expected a file", path.display())));
    }
    let mut bytes = Vec::new();
    // One byte past the bound is enough to know that the file is too large.
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|e| usage_error("read", path, &e))?;
    Ok(CaseFile { name: path.display().to_string(), kind, bytes })
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|e| usage_error("read", path, &e))
}

fn usage_error(what: &str, path: &Path, error: &std::io::Error) -> CliError {
    CliError::Usage(format!("cannot {what} {}: {error}", path.display()))
}
