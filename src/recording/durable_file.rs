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
pub struct Recorder {
    path: PathBuf,
    file: Arc<File>,
    /// What is to be written next: what could not be written so far, and nothing else.
    pending: Vec<u8>,
    /// How long the file is, as far as it was written here.
    length: u64,
    trouble: Option<Trouble>,
    disk: Disk,
}

/// Why what is recorded is not all where it belongs.
enum Trouble {
    /// It cannot be written for now.
    Unwritten(String),
    /// It was taken away, and cannot be made again for now.
    Gone(String),
    /// Somebody else changed what was written. Nothing more is written there.
    Changed(String),
}

impl Recorder {
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
        let disk = Disk::start(path);
        Ok(Self { path: path.to_owned(), file, pending: Vec::new(), length, trouble: None, disk })
    }

    /// Writes a line: its text, with its newline.
    pub fn line(&mut self, line: &[u8]) {
        self.pending.extend_from_slice(line);
        self.write();
    }

    /// What was written so far is worth keeping through a loss of power.
    pub fn keep(&mut self) {
        self.look_after();
        self.disk.keep(&self.file);
    }

    /// Ends it: all of it is on the disk then. Where it is, which is elsewhere than it was if something else came into
    /// its place; and what is wrong with it, if anything is.
    pub fn end(mut self) -> (PathBuf, Option<String>) {
        self.look_after();
        self.write();
        let unsafe_on_disk = self.disk.end(self.file);
        let wrong = match self.trouble {
            Some(Trouble::Unwritten(why) | Trouble::Gone(why) | Trouble::Changed(why)) => Some(why),
            None => unsafe_on_disk,
        };
        (self.path, wrong)
    }

    /// Writes what is pending. A line that was written in part goes on where it was cut.
    fn write(&mut self) {
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
        match (ended, &self.trouble) {
            (Ok(()), Some(Trouble::Unwritten(_))) => {
                stdout::warn(format!("{} can be written again, and lacks nothing", self.path.display()));
                self.trouble = None;
            }
            (Err(error), None) => {
                stdout::warn(format!(
                    "cannot write {}: {error}; the run goes on, and what is missing there is tried again",
                    self.path.display()
                ));
                self.trouble = Some(Trouble::Unwritten(error.to_string()));
            }
            (Ok(()), _) | (Err(_), Some(_)) => {}
        }
    }

    /// True where somebody else wrote into the file, or cut it. Whatever came behind that would be no recording.
    fn is_changed(&mut self) -> bool {
        if matches!(self.trouble, Some(Trouble::Changed(_))) {
            return true;
        }
        let is_changed = self.file.metadata().is_ok_and(|now| now.is_file() && now.len() != self.length);
        if is_changed {
            let what = "somebody else wrote into it, or cut it, while it was being written".to_owned();
            stdout::warn(format!("{}: {what}: nothing more is written there", self.path.display()));
            self.trouble = Some(Trouble::Changed(what));
        }
        is_changed
    }

    /// Sees whether what was written is still there, and mends what can be.
    fn look_after(&mut self) {
        if !self.is_changed() && !is_at(&self.file, &self.path) {
            match self.rescue() {
                Ok(told) => stdout::warn(told),
                Err(error) if !matches!(self.trouble, Some(Trouble::Gone(_))) => {
                    stdout::warn(format!(
                        "{} was taken away while it was being written, and cannot be made again: {error}; the run \
                         goes on, and it is tried again",
                        self.path.display()
                    ));
                    self.trouble = Some(Trouble::Gone(format!("it was taken away: {error}")));
                }
                Err(_) => {}
            }
        }
    }

    /// Writes the file anew from what is still held of it, under another name where something else is in its place.
    fn rescue(&mut self) -> io::Result<String> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let (stem, extension) = (self.path.file_stem(), self.path.extension());
        let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let path = files::unused(folder, &part(stem), &part(extension));
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
        self.disk.moved(&self.path);
        self.trouble = None;
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
fn is_at(file: &File, path: &Path) -> bool {
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
struct Disk {
    ask: Option<SyncSender<Ask>>,
    thread: Option<JoinHandle<()>>,
    failed: Arc<Mutex<Option<String>>>,
}

/// What is to be put onto the disk.
enum Ask {
    /// What was written into a file.
    Content(Arc<File>),
    /// That there is a file in a folder.
    Place(PathBuf),
}

impl Disk {
    fn start(path: &Path) -> Self {
        let (ask, asked) = sync_channel(1);
        let failed: Arc<Mutex<Option<String>>> = Arc::default();
        let (shown, told) = (path.display().to_string(), failed.clone());
        let thread = std::thread::Builder::new().name("disk".to_owned()).spawn(move || serve(&asked, &shown, &told));
        let disk = Self { ask: Some(ask), thread: thread.ok(), failed };
        disk.moved(path);
        disk
    }

    fn keep(&self, file: &Arc<File>) {
        // Where one was asked for and is not begun, that one will do. And where no thread could be started, nothing is
        // made safe, and nothing else is lost.
        if let Some(ask) = &self.ask {
            let _ = ask.try_send(Ask::Content(file.clone()));
        }
    }

    /// There is a new file at a path.
    fn moved(&self, path: &Path) {
        if let Some(folder) = path.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            self.ask(Ask::Place(folder.to_owned()));
        }
    }

    /// Asks for what must not be left out.
    fn ask(&self, what: Ask) {
        if let Some(ask) = &self.ask {
            let _ = ask.send(what);
        }
    }

    /// Waits until a file, and all that was asked for before, is on the disk; what went wrong.
    fn end(mut self, file: Arc<File>) -> Option<String> {
        self.ask(Ask::Content(file));
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic, and if it did, the file would be no worse.
            let _ = thread.join();
        }
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn serve(asked: &Receiver<Ask>, path: &str, failed: &Mutex<Option<String>>) {
    for ask in asked {
        let done = match &ask {
            Ask::Content(file) => file.sync_data(),
            // Not every system opens folders.
            Ask::Place(folder) => File::open(folder).map_or(Ok(()), |folder| folder.sync_all()),
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
