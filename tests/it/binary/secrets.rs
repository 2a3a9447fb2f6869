//! Credentials are sent to their host only, and never written.

use super::*;

const SECRET: &str = "sk-hunter2-0123456789abcdef";

fn assert_no_secret(folder: &Folder, finished: &FinishedRun, but: &str) {
    assert!(!finished.stdout.contains("hunter2") && !finished.stderr.contains("hunter2"), "{finished:?}");
    let files = folder.all_files();
    assert!(files.len() > 3, "{files:?}");
    for (path, content) in files.iter().filter(|(path, _)| !path.ends_with(but)) {
        assert!(!String::from_utf8_lossy(content).contains("hunter2"), "{}", path.display());
    }
}

/// The rows about credentials send the right one, a wrong one and none, in both headers.
#[test]
fn the_credential_is_sent_and_never_written() {
    let faithful = FaithfulServer::start();
    let server = TestServer::start(move |request, stream| {
        let head = request.head.replace(SECRET, "fieldtest-simulator");
        std::io::Write::write_all(stream, &faithful.respond(&server::ReceivedRequest { head, ..request.clone() })?)
    });
    let folder = Folder::new();
    folder.write("key", SECRET);
    let url = server.url();
    let run = [
        "run",
        "--base-url",
        &url,
        "--model",
        "m",
        "--select",
        "header.*",
        "--out",
        "out",
        "--claims",
        "deepseek@2025-12",
    ];
    for credential in [["--api-key-env", "KEY"], ["--api-key-file", "key"]] {
        let before = server.received_requests().len();
        let finished = folder.run_with_env(&[("KEY", SECRET)], &[&run[..], &credential].concat());
        assert!(matches!(finished.code, Some(0 | 1)), "{finished:?}");
        assert_no_secret(&folder, &finished, "key");
        let requests = server.received_requests();
        assert!(requests[before..].iter().filter(|request| request.head.contains(SECRET)).count() > 5);
        assert!(requests.iter().all(|request| !request.body.contains("hunter2")));
    }
    let again = folder.run(["judge", &format!("out/{}", folder.file_names("out", "recording-")[0]), "--out", "again"]);
    assert_no_secret(&folder, &again, "key");
}

#[test]
fn the_credential_of_a_target_is_not_sent_to_another_host() {
    let server = TestServer::start(|_, _| Ok(()));
    let folder = Folder::new();
    let url = server.url();
    let arguments = ["run", "deepseek@2025-12", "--base-url", &url, "--select", STOP, "--retries", "0", "--out", "out"];
    folder.run_with_env(&[("DEEPSEEK_API_KEY", SECRET)], &arguments).assert_exit_code(3);
    assert!(!server.received_requests().is_empty());
    assert!(
        server.received_requests().iter().all(|request| !request.head.contains("hunter2")),
        "{:?}",
        server.received_requests()
    );
}
