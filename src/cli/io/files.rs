//! The files that commands read and write. Reading is bounded. Folders are tested before anything is sent.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Take, Write as _};
use std::path::{Path, PathBuf};

use crate::catalog::{CaseFile, FileKind, MAX_FILE_BYTES};
use crate::cli::error::CliError;
use crate::cli::io::stderr;
use crate::recording::durable_file::DurableFile;
use crate::recording::reader::LineNumbers;
use crate::recording::run::Recording;
use crate::recording::{gateway, reader};
use crate::results::json;
use crate::results::model::Results;

/// True if a text is a recording, of a run or of a gateway.
pub fn is_recording(text: &str) -> bool {
    text.starts_with(r#"{"header":{"schema":"fieldtest-recording/"#) || text.starts_with(gateway::HEADER_PREFIX)
}

/// Reads a folder of case files: `experiments/*.yaml`, `gateway/*.yaml` and `targets/*.yaml`.
pub fn read_case_files(folder: &Path) -> Result<Vec<CaseFile>, CliError> {
    if !folder.is_dir() {
        return Err(CliError::File(format!("--cases {}: the folder does not exist", folder.display())));
    }
    let mut files = Vec::new();
    for (name, kind) in
        [("experiments", FileKind::Experiments), ("gateway", FileKind::Gateway), ("targets", FileKind::Target)]
    {
        let below = folder.join(name);
        if !below.is_dir() {
            continue;
        }
        let entries = fs::read_dir(&below).map_err(|e| CliError::io("read", &below, e))?;
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
        return Err(CliError::File(format!(
            "--cases {}: no case files. Add experiments/*.yaml, gateway/*.yaml or targets/*.yaml to the folder",
            folder.display()
        )));
    }
    Ok(files)
}

/// Makes a folder, and tests that files can be written into it.
pub fn ensure_writable(folder: &Path) -> Result<(), CliError> {
    if folder.exists() && !folder.is_dir() {
        return Err(CliError::File(format!("cannot write into {}: it is not a folder", folder.display())));
    }
    let probe = folder.join(format!(".fieldtest-write-test-{}", std::process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| create_new_file(&probe))
        .and_then(|mut file| file.write_all(b"x"))
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|e| CliError::io("write into", folder, e))
}

/// Prevents other commands from writing reports into a folder, until it is dropped.
#[derive(Debug)]
#[must_use = "the folder is unlocked when this is dropped"]
pub struct FolderLock(#[expect(dead_code, reason = "dropping it unlocks the folder")] Option<File>);

/// Makes a folder and locks it. Two commands that write reports into one folder would mix their files.
pub fn lock_folder(folder: &Path) -> Result<FolderLock, CliError> {
    ensure_writable(folder)?;
    // Some systems cannot open folders, and some file systems have no locks.
    let Ok(opened) = File::open(folder) else { return Ok(FolderLock(None)) };
    match opened.try_lock() {
        Err(TryLockError::WouldBlock) => Err(CliError::File(format!(
            "{} is in use by another fieldtest. Choose another folder with --out",
            folder.display()
        ))),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(FolderLock(Some(opened))),
    }
}

/// Writes a complete file or nothing. Makes the folder again if it was deleted meanwhile.
pub fn write(path: &Path, text: &str) -> Result<(), CliError> {
    reject_pipe(path)?;
    // Write through devices. A symlink to a file is replaced: it may lead out of the folder.
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return fs::write(path, text).map_err(|e| CliError::io("write", path, e));
    }
    let partial = path.with_extension("partial");
    let write_partial = || create_new_file(&partial).and_then(|mut file| file.write_all(text.as_bytes()));
    let written = write_partial().or_else(|error| match (error.kind(), path.parent()) {
        (ErrorKind::NotFound, Some(folder)) => fs::create_dir_all(folder).and_then(|()| write_partial()),
        _ => Err(error),
    });
    written.and_then(|()| fs::rename(&partial, path)).map_err(|e| {
        // An incomplete file has no use, and takes space if the disk is full.
        let _ = fs::remove_file(&partial);
        CliError::io("write", path, e)
    })
}

/// Creates a file, and replaces an earlier file or symlink. Never follows a symlink.
fn create_new_file(path: &Path) -> std::io::Result<File> {
    remove_link(path, |found| found.is_file() || found.is_symlink())?;
    File::options().read(true).write(true).create_new(true).open(path)
}

/// Removes a file if `is_removed` is true for its type.
fn remove_link(path: &Path, is_removed: impl Fn(&fs::FileType) -> bool) -> std::io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if is_removed(&found.file_type()) => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Rejects a named pipe: opening it would wait for another process. Pipes that a shell has opened (`/dev/fd/N`) are allowed.
#[cfg(unix)]
pub fn reject_pipe(path: &Path) -> Result<(), CliError> {
    use std::os::unix::fs::FileTypeExt as _;
    let is_open = ["/dev/fd", "/dev/std", "/proc"].iter().any(|open| path.to_string_lossy().starts_with(open));
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_fifo() && !is_open => {
            let path = path.display();
            Err(CliError::File(format!("cannot open {path}: it is a named pipe. Choose a regular file")))
        }
        _ => Ok(()),
    }
}

/// Other systems have no named pipes in folders.
#[cfg(not(unix))]
pub fn reject_pipe(_: &Path) -> Result<(), CliError> {
    Ok(())
}

/// Appends text to a file that other processes write too. The text may depend on the size of the file.
pub fn append(path: &Path, text: impl FnOnce(usize) -> String) -> Result<(), CliError> {
    reject_pipe(path)?;
    let open = File::options().create(true).append(true).open(path);
    open.and_then(|mut file| {
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        file.write_all(text(size).as_bytes())
    })
    .map_err(|e| CliError::io("write", path, e))
}

/// A path in the folder that does not exist, with a number if necessary.
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
/// The recording of an interrupted run is renamed, because it can be resumed.
fn create_recording(path: &Path) -> Result<File, CliError> {
    // A symlink may lead out of the folder. A device stays.
    if fs::metadata(path).is_ok_and(|found| found.is_file()) || !path.exists() {
        remove_link(path, fs::FileType::is_symlink).map_err(|e| CliError::io("write", path, e))?;
    }
    let mut file = open_recording(File::options().create(true).truncate(false), path)?;
    if is_interrupted(&file).unwrap_or(false) {
        let (folder, stem) = (path.parent().unwrap_or(Path::new(".")), path.file_stem().unwrap_or_default());
        let aside = unique_path(folder, &format!("cut-{}", stem.to_string_lossy()), "jsonl");
        fs::rename(path, &aside).map_err(|e| CliError::io("rename", path, e))?;
        stderr::warn(format!(
            "{} belongs to an interrupted run and was renamed to {}. Use it with --resume or `fieldtest judge`",
            path.display(),
            aside.display()
        ));
        file = open_recording(File::options().create(true).truncate(false), path)?;
    }
    file.set_len(0).map_err(|e| CliError::io("write", path, e))?;
    Ok(file)
}

/// Creates a recording.
pub fn create_durable_file(path: &Path) -> Result<DurableFile, CliError> {
    continue_durable_file(path, create_recording(path)?)
}

/// Appends to an open recording. Prints its write problems as warnings.
pub fn continue_durable_file(path: &Path, file: File) -> Result<DurableFile, CliError> {
    let shown = path.display().to_string();
    let warn = move |problem| stderr::warn(format!("{shown}: {problem}"));
    DurableFile::new(path, file, warn).map_err(|e| CliError::io("write", path, e))
}

/// True for a recording with responses, but without the end of its run.
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
    // A header and the first probes are cheap to send again.
    Ok(is_ours && !is_over && length > MIN_PRESERVED_BYTES)
}

/// A smaller recording has only a few responses.
const MIN_PRESERVED_BYTES: u64 = 64 * 1024;

/// Opens a recording to continue it.
pub fn reopen_recording(path: &Path) -> Result<File, CliError> {
    if path.is_symlink() {
        let path = path.display();
        return Err(CliError::File(format!("cannot write {path}: it is a symbolic link. Name the file itself")));
    }
    open_recording(&mut File::options(), path)
}

/// Opens and locks a recording: two runs must not write one file.
fn open_recording(options: &mut OpenOptions, path: &Path) -> Result<File, CliError> {
    reject_pipe(path)?;
    let file = options.read(true).write(true).open(path).map_err(|e| CliError::io("write", path, e))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(CliError::File(format!(
            "cannot write {}: another run is writing it. Choose another folder with --record",
            path.display()
        ))),
        // Some file systems have no locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Reads a recording.
pub fn read_recording(path: &Path) -> Result<Recording, CliError> {
    read_recording_lines(path).map(|(recording, _)| recording)
}

/// Reads a recording, with the line numbers of its exchanges.
pub fn read_recording_lines(path: &Path) -> Result<(Recording, LineNumbers), CliError> {
    let file = open_input(path, MAX_RECORDING_BYTES)?;
    reader::read_recording_with_lines(BufReader::new(file)).map_err(|e| CliError::recording(path, e))
}

/// The recordings in a folder, in the order of their names.
pub fn list_recordings(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let is_recording = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("recording-") && name.ends_with(".jsonl") && path.is_file()
    };
    let entries = fs::read_dir(folder).map_err(|e| CliError::io("read", folder, e))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(is_recording).collect();
    paths.sort();
    Ok(paths)
}

/// True if a file is the recording of a gateway.
pub fn is_gateway_recording(path: &Path) -> Result<bool, CliError> {
    let mut begin = Vec::new();
    let file = open_input(path, MAX_RECORDING_BYTES)?;
    file.take(gateway::HEADER_PREFIX.len() as u64)
        .read_to_end(&mut begin)
        .map_err(|e| CliError::io("read", path, e))?;
    Ok(begin == gateway::HEADER_PREFIX.as_bytes())
}

/// Reads the recording of a gateway.
pub fn read_gateway_recording(path: &Path) -> Result<gateway::GatewayRecording, CliError> {
    let file = open_input(path, MAX_RECORDING_BYTES)?;
    gateway::read(BufReader::new(file)).map_err(|e| CliError::recording(path, e))
}

/// Reads one case file.
pub fn read_case_file(path: &Path, kind: FileKind) -> Result<CaseFile, CliError> {
    // Opening a pipe would wait for a writer.
    if !path.is_file() {
        return Err(CliError::File(format!("{}: expected a file", path.display())));
    }
    let mut bytes = Vec::new();
    // One more byte than the limit is enough to see that the file is too large.
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|e| CliError::io("read", path, e))?;
    Ok(CaseFile { name: path.display().to_string(), kind, bytes })
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read = open_input(path, MAX_TEXT_BYTES)?.read_to_string(&mut text);
    match read {
        // A device is not UTF-8, or has no end.
        _ if text.len() as u64 > MAX_TEXT_BYTES => Err(input_too_large(path, MAX_TEXT_BYTES)),
        Ok(_) => Ok(text),
        Err(error) => Err(CliError::io("read", path, error)),
    }
}

/// The limit of files of results, lists, known failures and simulators. The results of a long run
/// have two megabytes.
const MAX_TEXT_BYTES: u64 = 32 << 20;

/// The limit of recordings. The recording of a long run has fifty megabytes.
pub const MAX_RECORDING_BYTES: u64 = 1 << 30;

/// Opens a file that the command line names. Reading ends one byte after the limit. The file may be
/// a device without an end.
pub fn open_input(path: &Path, max_bytes: u64) -> Result<Take<File>, CliError> {
    reject_pipe(path)?;
    let io_error = |e| CliError::io("read", path, e);
    let file = File::open(path).map_err(io_error)?;
    if file.metadata().map_err(io_error)?.len() > max_bytes {
        return Err(input_too_large(path, max_bytes));
    }
    Ok(file.take(max_bytes + 1))
}

fn input_too_large(path: &Path, limit: u64) -> CliError {
    let (path, limit) = (path.display(), limit >> 20);
    CliError::File(format!("{path}: the file is larger than {limit} MiB. Check that it is the right file"))
}

/// Reads a results file.
pub fn read_results(path: &Path) -> Result<Results, CliError> {
    let text = read_text(path)?;
    json::parse(&path.display().to_string(), &text)
        .map_err(|source| CliError::InvalidResults { source, is_recording: is_recording(&text) })
}
