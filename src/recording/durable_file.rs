//! The recording on disk: written as the run goes, made safe at the end of each row, told of as soon as it is in trouble.
//!
//! Each line is handed to the system at once, so that a run that is killed loses none. What the system holds is put onto
//! the disk in the background, since that takes as long as it takes, and no request waits for it. What cannot be written
//! is kept and tried again; a file that was taken away is written again from what is still held of it. This module knows
//! nothing of runs.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::cli::CliError;
use crate::cli::io::{files, stdout};

/// A file of lines that is being written.
pub struct DurableFile {
    path: PathBuf,
    file: Arc<File>,
    /// What is to be written next: what could not be written so far, and nothing else.
    pending: Vec<u8>,
    /// How long the file is, as far as it was written here.
    length: u64,
    problem: Option<WriteProblem>,
    sync_thread: SyncThread,
}

/// Why what is recorded is not all where it belongs.
enum WriteProblem {
    /// It cannot be written for now.
    WriteFailed(String),
    /// It was taken away, and cannot be made again for now.
    Removed(String),
    /// Somebody else changed what was written. Nothing more is written there.
    ModifiedExternally(String),
}

impl DurableFile {
    /// Begins a recording.
    pub fn create(path: &Path) -> Result<Self, CliError> {
        let file = files::create_recording(path)?;
        Self::new(path, file).map_err(|e| CliError::Usage(format!("cannot write {}: {e}", path.display())))
    }

    /// Goes on writing at the end of a file, which nobody else writes. Its path is for what is told, and to see whether
    /// it is still there.
    pub fn new(path: &Path, file: File) -> io::Result<Self> {
        let length = (&file).seek(SeekFrom::End(0))?;
        let file = Arc::new(file);
        let disk = SyncThread::start(path);
        Ok(Self { path: path.to_owned(), file, pending: Vec::new(), length, problem: None, sync_thread: disk })
    }

    /// Writes a line: its text, with its newline.
    pub fn write_line(&mut self, line: &[u8]) {
        self.pending.extend_from_slice(line);
        self.write_pending();
    }

    /// What was written so far is worth keeping through a loss of power.
    pub fn sync_in_background(&mut self) {
        self.restore_if_unlinked();
        self.sync_thread.try_sync_file(&self.file);
    }

    /// Ends it: all of it is on the disk then. Where it is, which is elsewhere than it was if something else came into
    /// its place; and what is wrong with it, if anything is.
    pub fn finish(mut self) -> (PathBuf, Option<String>) {
        self.restore_if_unlinked();
        self.write_pending();
        let unsafe_on_disk = self.sync_thread.finish(self.file);
        let wrong = match self.problem {
            Some(
                WriteProblem::WriteFailed(why) | WriteProblem::Removed(why) | WriteProblem::ModifiedExternally(why),
            ) => Some(why),
            None => unsafe_on_disk,
        };
        (self.path, wrong)
    }

    /// Writes what is pending. A line that was written in part goes on where it was cut.
    fn write_pending(&mut self) {
        if self.is_changed() {
            self.pending.clear();
            return;
        }
        let mut written = 0;
        let ended = loop {
            match self.pending.get(written..) {
                None | Some([]) => break Ok(()),
                Some(rest) => match (&*self.file).write(rest) {
                    Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                    Ok(n) => written += n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => break Err(e),
                },
            }
        };
        self.pending.drain(..written);
        self.length += written as u64;
        match (ended, &self.problem) {
            (Ok(()), Some(WriteProblem::WriteFailed(_))) => {
                stdout::warn(format!("{} can be written again, and lacks nothing", self.path.display()));
                self.problem = None;
            }
            (Err(error), None) => {
                stdout::warn(format!(
                    "cannot write {}: {error}; the run goes on, and what is missing there is tried again",
                    self.path.display()
                ));
                self.problem = Some(WriteProblem::WriteFailed(error.to_string()));
            }
            (Ok(()), _) | (Err(_), Some(_)) => {}
        }
    }

    /// True where somebody else wrote into the file, or cut it. Whatever came behind that would be no recording.
    fn is_changed(&mut self) -> bool {
        if matches!(self.problem, Some(WriteProblem::ModifiedExternally(_))) {
            return true;
        }
        let is_changed = self.file.metadata().is_ok_and(|now| now.is_file() && now.len() != self.length);
        if is_changed {
            let what = "somebody else wrote into it, or cut it, while it was being written".to_owned();
            stdout::warn(format!("{}: {what}: nothing more is written there", self.path.display()));
            self.problem = Some(WriteProblem::ModifiedExternally(what));
        }
        is_changed
    }

    /// Sees whether what was written is still there, and mends what can be.
    fn restore_if_unlinked(&mut self) {
        if !self.is_changed() && !is_same_file(&self.file, &self.path) {
            match self.recreate_file() {
                Ok(told) => stdout::warn(told),
                Err(error) if !matches!(self.problem, Some(WriteProblem::Removed(_))) => {
                    stdout::warn(format!(
                        "{} was taken away while it was being written, and cannot be made again: {error}; the run \
                         goes on, and it is tried again",
                        self.path.display()
                    ));
                    self.problem = Some(WriteProblem::Removed(format!("it was taken away: {error}")));
                }
                Err(_) => {}
            }
        }
    }

    /// Writes the file anew from what is still held of it, under another name where something else is in its place.
    fn recreate_file(&mut self) -> io::Result<String> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let (stem, extension) = (self.path.file_stem(), self.path.extension());
        let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let path = files::unique_path(folder, &part(stem), &part(extension));
        let mut new = File::options().read(true).write(true).create_new(true).open(&path)?;
        // Where locks are not known, nobody heeds them.
        let _ = new.try_lock();
        (&*self.file).seek(SeekFrom::Start(0))?;
        let copied = io::copy(&mut &*self.file, &mut new);
        (&*self.file).seek(SeekFrom::End(0))?;
        if let Err(error) = copied {
            // Half of it would be taken for all of it.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let was = std::mem::replace(&mut self.path, path);
        self.file = Arc::new(new);
        self.sync_thread.sync_folder(&self.path);
        self.problem = None;
        let what = format!("{} was taken away while it was being written", was.display());
        Ok(match was == self.path {
            true => format!("{what}: it is written again, and lacks nothing"),
            false => format!(
                "{what}, and something else is in its place: it goes on in {}, and lacks nothing",
                self.path.display()
            ),
        })
    }
}

/// True where a path still leads to a file.
#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(there)) => (file.dev(), file.ino()) == (there.dev(), there.ino()),
        (Ok(_), Err(e)) => !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        (Err(_), _) => true,
    }
}

/// True where a path still leads to a file. Systems that keep open files from being taken away need not be asked.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// A thread that has files put onto the disk. While it is at it, asking again costs nothing.
struct SyncThread {
    sender: Option<SyncSender<SyncRequest>>,
    thread: Option<JoinHandle<()>>,
    error: Arc<Mutex<Option<String>>>,
}

/// What is to be put onto the disk.
enum SyncRequest {
    /// What was written into a file.
    FileData(Arc<File>),
    /// That there is a file in a folder.
    FolderEntry(PathBuf),
}

impl SyncThread {
    fn start(path: &Path) -> Self {
        let (ask, asked) = sync_channel(1);
        let failed: Arc<Mutex<Option<String>>> = Arc::default();
        let (shown, told) = (path.display().to_string(), failed.clone());
        let thread =
            std::thread::Builder::new().name("disk".to_owned()).spawn(move || run_sync_loop(&asked, &shown, &told));
        let disk = Self { sender: Some(ask), thread: thread.ok(), error: failed };
        disk.sync_folder(path);
        disk
    }

    fn try_sync_file(&self, file: &Arc<File>) {
        // Where one was asked for and is not begun, that one will do. And where no thread could be started, nothing is
        // made safe, and nothing else is lost.
        if let Some(ask) = &self.sender {
            let _ = ask.try_send(SyncRequest::FileData(file.clone()));
        }
    }

    /// There is a new file at a path.
    fn sync_folder(&self, path: &Path) {
        if let Some(folder) = path.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            self.send(SyncRequest::FolderEntry(folder.to_owned()));
        }
    }

    /// Asks for what must not be left out.
    fn send(&self, what: SyncRequest) {
        if let Some(ask) = &self.sender {
            let _ = ask.send(what);
        }
    }

    /// Waits until a file, and all that was asked for before, is on the disk; what went wrong.
    fn finish(mut self, file: Arc<File>) -> Option<String> {
        self.send(SyncRequest::FileData(file));
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic, and if it did, the file would be no worse.
            let _ = thread.join();
        }
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn run_sync_loop(asked: &Receiver<SyncRequest>, path: &str, failed: &Mutex<Option<String>>) {
    for ask in asked {
        let done = match &ask {
            SyncRequest::FileData(file) => file.sync_data(),
            // Not every system opens folders.
            SyncRequest::FolderEntry(folder) => File::open(folder).map_or(Ok(()), |folder| folder.sync_all()),
        };
        let Err(error) = done else { continue };
        // Pipes and devices have no disk below them.
        if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) {
            continue;
        }
        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            stdout::warn(format!("{path} is written, and the disk does not take it: {error}; the run goes on"));
            *failed = Some(format!("the disk did not take it: {error}"));
        }
    }
}
