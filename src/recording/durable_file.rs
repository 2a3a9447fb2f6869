//! [`DurableFile`]: an append-only file of lines that survives a killed process and a full disk.
//!
//! Each line is written immediately, so a killed process loses nothing. `sync_data` runs on a
//! background thread after each row, so no request waits for the disk. Data that cannot be written
//! is kept and written with the next line. This module must not know recordings.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A change in whether the file can be written.
#[derive(Debug)]
pub enum WriteProblem {
    /// A write failed. The next line retries it.
    WriteFailed(io::Error),
    /// The retry succeeded. The file is complete.
    Recovered,
    /// The file was written, but the system could not store it on the disk.
    SyncFailed(io::Error),
}

impl fmt::Display for WriteProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteFailed(error) => {
                write!(f, "cannot write: {error}. The run continues and retries the write")
            }
            Self::Recovered => f.write_str("can be written again and is complete"),
            Self::SyncFailed(error) => {
                write!(f, "written, but the disk did not store it: {error}. The run continues")
            }
        }
    }
}

/// Receives each problem one time, when it occurs.
type ProblemCallback = Arc<dyn Fn(WriteProblem) + Send + Sync>;

/// An append-only file of lines.
pub struct DurableFile {
    file: Arc<File>,
    /// The data that could not be written yet.
    pending: Vec<u8>,
    write_error: Option<String>,
    sync_thread: SyncThread,
    on_problem: ProblemCallback,
}

impl DurableFile {
    /// Appends to an open file. `path` is the file's path.
    ///
    /// # Errors
    /// If the file has no end, for example because it is a pipe.
    pub fn new(
        path: &Path,
        mut file: File,
        on_problem: impl Fn(WriteProblem) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        file.seek(SeekFrom::End(0))?;
        sync_folder(path);
        let on_problem: ProblemCallback = Arc::new(on_problem);
        let sync_thread = SyncThread::start(on_problem.clone());
        Ok(Self { file: Arc::new(file), pending: Vec::new(), write_error: None, sync_thread, on_problem })
    }

    /// Writes a line, given with its newline.
    pub fn write_line(&mut self, line: &[u8]) {
        self.pending.extend_from_slice(line);
        self.write_pending();
    }

    /// Asks the system to store the written lines on the disk, and does not wait for it.
    pub fn sync_in_background(&self) {
        self.sync_thread.request_sync(&self.file);
    }

    /// Writes and stores everything.
    ///
    /// # Errors
    /// The problem, if the file is incomplete or not stored.
    pub fn finish(mut self) -> Result<(), String> {
        self.write_pending();
        let sync_error = self.sync_thread.finish(&self.file);
        self.write_error.or(sync_error).map_or(Ok(()), Err)
    }

    /// Writes the pending data. After a partial write, the next call continues with the rest.
    fn write_pending(&mut self) {
        let mut written = 0;
        let outcome = loop {
            let rest = &self.pending[written..];
            if rest.is_empty() {
                break Ok(());
            }
            match (&*self.file).write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.pending.drain(..written);
        match (outcome, self.write_error.is_some()) {
            (Ok(()), true) => {
                self.write_error = None;
                (self.on_problem)(WriteProblem::Recovered);
            }
            (Err(error), false) => {
                self.write_error = Some(error.to_string());
                (self.on_problem)(WriteProblem::WriteFailed(error));
            }
            (Ok(()), false) | (Err(_), true) => {}
        }
    }
}

/// Stores the folder entry of a new file. Some systems cannot open folders.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// A thread that stores files on the disk.
struct SyncThread {
    /// `None` after the end. The channel holds one request. Further requests are dropped while one
    /// waits.
    sender: Option<SyncSender<Arc<File>>>,
    thread: Option<JoinHandle<()>>,
    error: Arc<Mutex<Option<String>>>,
}

impl SyncThread {
    fn start(on_problem: ProblemCallback) -> Self {
        let (sender, requests) = sync_channel(1);
        let error: Arc<Mutex<Option<String>>> = Arc::default();
        let first_error = error.clone();
        // Without the thread, the system decides when it stores the file. Nothing else changes.
        let thread = std::thread::Builder::new()
            .name("disk".to_owned())
            .spawn(move || run_sync_loop(&requests, &first_error, &on_problem))
            .ok();
        Self { sender: Some(sender), thread, error }
    }

    fn request_sync(&self, file: &Arc<File>) {
        if let Some(sender) = &self.sender {
            let _ = sender.try_send(file.clone());
        }
    }

    /// Waits until the file is stored. Returns the first error.
    fn finish(&mut self, file: &Arc<File>) -> Option<String> {
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(file.clone());
        }
        if let Some(thread) = self.thread.take() {
            // The thread does not panic, and a panic would not damage the file.
            let _ = thread.join();
        }
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn run_sync_loop(requests: &Receiver<Arc<File>>, first_error: &Mutex<Option<String>>, on_problem: &ProblemCallback) {
    for file in requests {
        let Err(error) = file.sync_data() else { continue };
        // Pipes and devices have no disk.
        if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) {
            continue;
        }
        let mut first_error = first_error.lock().unwrap_or_else(PoisonError::into_inner);
        if first_error.is_none() {
            *first_error = Some(format!("the disk did not store it: {error}"));
            on_problem(WriteProblem::SyncFailed(error));
        }
    }
}
