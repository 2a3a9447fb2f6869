//! Tests the transport and the sources of credentials with the binary.
//!
//! No credential goes to another machine over plain HTTP, follows a redirect, or becomes visible to
//! a proxy. TLS uses the authorities of `--ca-file` and the certificate of `--client-cert`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use binary::{FinishedRun, Folder};
use server::{FaithfulServer, TestServer, reserve_port, write_response};
use tls::{CertificateAuthority, TlsServer, replace_canary_credential};

use crate::common::{binary, server, tls};

const KEY: &str = "canary-credential-0123456789";

/// The arguments of a run of one row.
fn arguments<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["run", "--base-url", url, "--model", "m", "--claims", "deepseek@2025-12", "--name", "t"];
    arguments.extend(["--out", "out", "--retries", "0", "--timeout", "30", "--select", "field.stop_sequences"]);
    arguments.extend(more);
    arguments
}

fn run_in(folder: &Folder, url: &str, more: &[&str]) -> FinishedRun {
    let with_key = [&["--api-key-env", "KEY"], more].concat();
    folder.run_with_env(&[("KEY", KEY)], &arguments(url, &with_key))
}

fn run(url: &str, more: &[&str]) -> FinishedRun {
    run_in(&Folder::new(), url, more)
}

/// Starts a server without faults.
fn start_server() -> TestServer {
    let faithful = FaithfulServer::start();
    TestServer::start(move |asked, stream| stream.write_all(&faithful.respond(&replace_canary_credential(asked))?))
}

/// Starts a proxy that tunnels every `CONNECT` to one address, whatever its host, and forwards no
/// other requests. Returns its address and all bytes that it can read.
fn start_proxy(to: std::net::SocketAddr) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let received = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&received);
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, log) = (client.unwrap(), Arc::clone(&log));
            thread::spawn(move || {
                let mut reader = BufReader::new(client.try_clone()?);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
                log.lock().unwrap().push_str(&head);
                let mut client = client;
                if !head.starts_with("CONNECT ") {
                    return write_response(&mut client, "502 Bad Gateway", "text/plain", "not here");
                }
                let mut upstream = TcpStream::connect(to)?;
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                let (mut upstream_writer, mut client_writer) = (upstream.try_clone()?, client.try_clone()?);
                let response_copy = thread::spawn(move || {
                    let _ = std::io::copy(&mut upstream, &mut client);
                    client.shutdown(Shutdown::Write)
                });
                let mut piece = [0; 4096];
                while let Ok(size @ 1..) = reader.read(&mut piece) {
                    log.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..size]));
                    upstream_writer.write_all(&piece[..size])?;
                }
                let _ = (upstream_writer.shutdown(Shutdown::Write), client_writer.flush());
                let _ = response_copy.join();
                std::io::Result::Ok(())
            });
        }
    });
    (address, received)
}

#[test]
fn no_credential_goes_over_plain_http_to_another_machine_without_allow_http() {
    for url in ["http://192.0.2.1", "http://10.0.0.1:4000", "http://fieldtest.invalid/x", "http://localhost.invalid"] {
        let folder = Folder::new();
        run_in(&folder, url, &[]).assert_exit_code(2).assert_stderr_contains(&[
            "plain HTTP",
            "https://",
            "--allow-http",
        ]);
        assert!(!folder.exists("out/recording-t.jsonl"), "nothing was sent");
    }
    // Without a credential, or with `--allow-http`, the run continues and fails at the host name.
    let without_key = arguments("http://fieldtest.invalid", &[]);
    Folder::new().run(&without_key).assert_exit_code(3).assert_stderr_contains(&["no address found"]);
    run("http://fieldtest.invalid", &["--allow-http"])
        .assert_exit_code(3)
        .assert_stderr_contains(&["no address found"]);
    // Plain HTTP to this machine is allowed.
    let server = start_server();
    run(&server.url(), &[]).assert_exit_code(0);
    run(&server.url().replace("127.0.0.1", "localhost"), &[]).assert_exit_code(0);
    // A proxy on another machine would see the credential.
    run(&server.url(), &["--proxy", "http://user:canary-password@192.0.2.1:3128"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["through the proxy 192.0.2.1:3128 over plain HTTP"]);
}

#[test]
fn all_commands_reject_plain_http_to_another_machine() {
    let folder = Folder::new();
    let url = "http://192.0.2.1:4000";
    folder.write(
        "list.yaml",
        format!("targets:\n  - {{ base_url: '{url}', models: [m], auth: {{ scheme: bearer, env: [KEY] }} }}\n"),
    );
    for arguments in [
        vec!["test", "--base-url", url, "--model", "m", "--api-key-env", "KEY", "--claims", "deepseek@2025-12"],
        vec!["compare", "--direct", "http://127.0.0.1:9", "--via", url, "--model", "m", "--via-key-env", "KEY"],
        vec!["compare", "--direct", url, "--via", "http://127.0.0.1:9", "--model", "m", "--direct-key-env", "KEY"],
        vec![
            "gateway",
            "--via",
            url,
            "--upstream-port",
            "0",
            "--shape",
            "anthropic",
            "--model",
            "m",
            "--api-key-env",
            "KEY",
        ],
        vec!["run", "--targets", "list.yaml"],
    ] {
        let ended = folder
            .run_with_env(&[("KEY", KEY)], &arguments)
            .assert_exit_code(2)
            .assert_stderr_contains(&["plain HTTP", "--allow-http"]);
        assert!(!ended.stderr.contains(KEY));
    }
    // `plan` sends nothing, so it does not reject the URL.
    folder
        .run_with_env(&[("KEY", KEY)], &["plan", "--base-url", url, "--model", "m", "--api-key-env", "KEY"])
        .assert_exit_code(0);
}

#[test]
fn a_credential_never_follows_a_redirect() {
    let authority = CertificateAuthority::new();
    let elsewhere = start_server();
    let secure = TlsServer::start(&authority, None);
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        for to in [elsewhere.url(), elsewhere.url().replace("127.0.0.1", "localhost"), secure.url()] {
            let server = TestServer::start(move |asked, stream| {
                let path = asked.head.split_whitespace().nth(1).unwrap_or("/");
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nlocation: {to}{path}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
            });
            run(&server.url(), &[]).assert_exit_code(3).assert_stderr_contains(&[&status[..3]]);
            let asked = server.received_requests();
            assert!(asked.iter().all(|asked| asked.head.contains(KEY)) && !asked.is_empty());
        }
    }
    assert!(
        elsewhere.received_requests().is_empty() && secure.received_heads().is_empty(),
        "no other server receives a request"
    );
}

#[test]
fn ca_file_names_the_trusted_authorities() {
    let (authority, other) = (CertificateAuthority::new(), CertificateAuthority::new());
    let server = TlsServer::start(&authority, None);
    let folder = Folder::new();
    folder.write("ca.pem", authority.pem());
    folder.write("other.pem", other.pem());
    folder.write("both.pem", other.pem() + &authority.pem());
    run_in(&folder, &server.url(), &[]).assert_exit_code(3).assert_stderr_contains(&["UnknownIssuer", "--ca-file"]);
    run_in(&folder, &server.url(), &["--ca-file", "other.pem"])
        .assert_exit_code(3)
        .assert_stderr_contains(&["TLS handshake"]);
    assert!(server.received_heads().is_empty(), "the client sends nothing before it trusts the server");
    run_in(&folder, &server.url(), &["--ca-file", "ca.pem"]).assert_exit_code(0);
    run_in(&folder, &server.url(), &["--ca-file", "both.pem"]).assert_exit_code(0);
    run_in(&folder, &server.url(), &["--ca-file", "other.pem", "--ca-file", "ca.pem"]).assert_exit_code(0);
    assert!(server.received_heads().iter().all(|head| head.contains(KEY)));
    // The host name must match too. The certificate is for the address and another name.
    run_in(&folder, &server.url().replace("127.0.0.1", "localhost"), &["--ca-file", "ca.pem"])
        .assert_exit_code(3)
        .assert_stderr_contains(&["valid for this host"]);
}

#[test]
fn the_client_presents_its_certificate_on_request() {
    let (authority, other) = (CertificateAuthority::new(), CertificateAuthority::new());
    let server = TlsServer::start(&authority, Some(&authority));
    let folder = Folder::new();
    folder.write("ca.pem", authority.pem());
    for (name, issuer) in [("client", &authority), ("stranger", &other)] {
        let (certificate, key) = issuer.issue("client");
        folder.write(&format!("{name}.crt"), &certificate);
        folder.write(&format!("{name}.key"), &key);
        folder.write(&format!("{name}.pem"), key + &certificate);
    }
    let run_with_ca = |more: &[&str]| run_in(&folder, &server.url(), &[&["--ca-file", "ca.pem"], more].concat());
    run_with_ca(&[]).assert_exit_code(3).assert_stderr_contains(&["requires a client certificate", "--client-cert"]);
    run_with_ca(&["--client-cert", "stranger.crt", "--client-key", "stranger.key"])
        .assert_exit_code(3)
        .assert_stderr_contains(&["rejects the client certificate"]);
    assert!(server.received_heads().is_empty());
    run_with_ca(&["--client-cert", "client.crt", "--client-key", "client.key"]).assert_exit_code(0);
    run_with_ca(&["--client-cert", "client.pem", "--client-key", "client.pem"]).assert_exit_code(0);
    // Problems with the files are reported before the first request, with the file name and without
    // the key.
    let asked = server.received_heads().len();
    folder.write("broken.pem", "-----BEGIN PRIVATE KEY-----\ncanary\n");
    for (certificate, key, message) in [
        (
            "client.crt",
            "stranger.key",
            "--client-key stranger.key: its key does not match the certificate in client.crt",
        ),
        ("client.key", "client.crt", "--client-cert client.key: it contains a private key"),
        ("client.crt", "ca.pem", "--client-key ca.pem: it contains a certificate and no private key"),
        ("no.crt", "client.key", "--client-cert cannot read no.crt"),
        ("client.crt", "broken.pem", "--client-key broken.pem: a private key in it has no end"),
    ] {
        let ended = run_with_ca(&["--client-cert", certificate, "--client-key", key])
            .assert_exit_code(2)
            .assert_stderr_contains(&[message]);
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    }
    run_with_ca(&["--client-cert", "client.crt"]).assert_exit_code(2).assert_stderr_contains(&["--client-key"]);
    run_in(&folder, &server.url(), &["--ca-file", "client.key"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["--ca-file client.key: it contains a private key"]);
    assert_eq!(server.received_heads().len(), asked);
}

#[test]
fn a_proxy_sees_the_host_but_not_the_request() {
    let authority = CertificateAuthority::new();
    let server = TlsServer::start(&authority, None);
    let folder = Folder::new();
    folder.write("ca.pem", authority.pem());
    let (address, received) = start_proxy(server.address);
    // Only the proxy can reach this host name.
    let url = "https://endpoint.test/anthropic";
    let through = format!("http://user:canary-password@{address}");
    let run_via = |more: &[&str]| run_in(&folder, url, &[&["--ca-file", "ca.pem"], more].concat());
    run_via(&["--proxy", &through]).assert_exit_code(0);
    let proxy_log = std::mem::take(&mut *received.lock().unwrap());
    assert!(
        proxy_log.starts_with("CONNECT endpoint.test:443 HTTP/1.1\r\n"),
        "{}",
        &proxy_log[..200.min(proxy_log.len())]
    );
    // `user:canary-password`
    assert!(proxy_log.contains("Basic dXNlcjpjYW5hcnktcGFzc3dvcmQ="), "the proxy receives its own password");
    assert!(!proxy_log.contains(KEY) && !proxy_log.contains("x-api-key") && !proxy_log.contains("stop_sequences"));
    assert!(server.received_heads().iter().all(|head| head.contains(KEY) && !head.contains("proxy-authorization")));
    // Without `--proxy` or `--no-proxy`, the proxy comes from the environment.
    let key = [("KEY", KEY), ("HTTPS_PROXY", &through)];
    let options = ["--ca-file", "ca.pem", "--api-key-env", "KEY"];
    folder.run_with_env(&key, &arguments(url, &options)).assert_exit_code(0);
    assert!(received.lock().unwrap().contains("CONNECT endpoint.test:443"));
    let direct = [&options[..], &["--no-proxy"]].concat();
    folder
        .run_with_env(&key, &arguments(url, &direct))
        .assert_exit_code(3)
        .assert_stderr_contains(&["no address found"]);
    // Requests to this machine never use the proxy.
    received.lock().unwrap().clear();
    folder
        .run_with_env(
            &[("KEY", KEY), ("HTTP_PROXY", &through), ("ALL_PROXY", &through)],
            &arguments(&start_server().url(), &options[2..]),
        )
        .assert_exit_code(0);
    assert!(received.lock().unwrap().is_empty());
    // The error names an unreachable proxy, but not its password.
    let closed = format!("127.0.0.1:{}", reserve_port());
    let ended = run_via(&["--proxy", &format!("http://user:canary-password@{closed}")])
        .assert_exit_code(3)
        .assert_stderr_contains(&["--proxy"]);
    assert!(!ended.stderr.contains("canary-password"), "{}", ended.stderr);
    for invalid in ["socks5://user:canary-password@h:1", "http://user:canary-password@h/path", "canary-password"] {
        let ended =
            run_via(&["--proxy", invalid]).assert_exit_code(2).assert_stderr_contains(&["expected http://host:port"]);
        assert!(!ended.stderr.contains("user:canary"), "{}", ended.stderr);
    }
}

/// Writes a script that counts its executions and prints the credential. Returns its command.
fn write_helper(folder: &Folder) -> String {
    folder.write("helper.sh", format!("echo x >> {}/count\necho unlocking >&2\necho {KEY}\n", folder.path().display()));
    format!("sh {}/helper.sh", folder.path().display())
}

fn count_executions(folder: &Folder) -> usize {
    if folder.exists("count") { folder.read("count").lines().count() } else { 0 }
}

#[test]
fn a_credential_command_runs_once_and_only_if_requests_are_sent() {
    let folder = Folder::new();
    let (server, command) = (start_server(), write_helper(&folder));
    let url = server.url();
    let run_with_command =
        |more: &[&str]| folder.run(arguments(&url, &[&["--api-key-command", &command], more].concat()));
    let ended = run_with_command(&[]).assert_exit_code(0).assert_stderr_contains(&["unlocking"]);
    assert!(!ended.stderr.contains(KEY));
    assert!(
        server.received_requests().len() > 4 && server.received_requests().iter().all(|asked| asked.head.contains(KEY))
    );
    assert_eq!(count_executions(&folder), 1);
    // Repeats and parallel targets also run the command one time.
    run_with_command(&["--repeat", "2"]).assert_exit_code(0);
    assert_eq!(count_executions(&folder), 2);
    let entry = |name: &str| {
        let helper = format!("[sh, {}/helper.sh]", folder.path().display());
        format!(
            "  - {{ name: {name}, base_url: '{url}', models: [m], claims: deepseek@2025-12, credential: {{ command: {helper} }} }}\n"
        )
    };
    folder.write("list.yaml", format!("targets:\n{}{}", entry("one"), entry("two")));
    folder
        .run(["run", "--targets", "list.yaml", "--select", "field.stop_sequences", "--out", "out"])
        .assert_exit_code(0);
    assert_eq!(count_executions(&folder), 3);
    // Commands that send nothing, or end with an error, do not run it.
    let command = ["--api-key-command", &command];
    folder.run([&["plan", "--base-url", &url, "--model", "m"][..], &command].concat()).assert_exit_code(0);
    folder.run([&["test", "--base-url", &url, "--model", "m", "--list"][..], &command].concat()).assert_exit_code(0);
    folder
        .run(
            [&["run", "deepseek@2025-12", "--simulate", "--select", "field.top_k", "--out", "s"][..], &command]
                .concat(),
        )
        .assert_exit_code(0);
    folder.run(["run", "--replay", "s", "--out", "again"]).assert_exit_code(0);
    folder
        .run([&["run", "--replay", "s", "--out", "again"][..], &command].concat())
        .assert_exit_code(2)
        .assert_stderr_contains(&["cannot be used with"]);
    run_with_command(&["--select", "no.such.row"]).assert_exit_code(0);
    let before = count_executions(&folder);
    folder.run(arguments(&url, &["--api-key-command", command[1], "--shard", "2/2"]));
    folder
        .run([&["run", "--base-url", "http://192.0.2.1", "--model", "m"][..], &command].concat())
        .assert_exit_code(2)
        .assert_stderr_contains(&["plain HTTP"]);
    folder
        .run([&["run", "--base-url", &url, "--model", "m", "--ca-file", "none"][..], &command].concat())
        .assert_exit_code(2);
    folder
        .run([&["run", "--base-url", &url, "--model", "m", "--select", "no.such"][..], &command].concat())
        .assert_exit_code(2);
    assert_eq!(count_executions(&folder), before);
    // `test` and `compare` run it too.
    let test = ["test", "--base-url", &url, "--model", "m", "--claims", "deepseek@2025-12", "field.stop_sequences"];
    folder.run([&test[..], &command].concat()).assert_exit_code(0);
    assert_eq!(count_executions(&folder), before + 1);
    let both = ["compare", "--direct", &url, "--via", &url, "--model", "m", "--select", "field.stop_sequences"];
    folder.run([&both[..], &["--direct-key-command", command[1], "--via-key-command", command[1]]].concat());
    assert!(count_executions(&folder) > before + 1);
}

/// Writes a target file with a `credential` entry.
fn write_target(folder: &Folder, url: &str, credential: &str) {
    folder.write(
        "cases/targets/own.yaml",
        format!(
            "name: own\ntitle: Own\nbase_url: {url}\nauth: {{ scheme: bearer, env: [OWN_KEY] }}\ncredential: {credential}\n\
             model: m\nsources: [ {{ title: t, revision: r, read_on: 2026-11-22 }} ]\n\
             claims:\n  field.stop_sequences: {{ status: supported }}\n"
        ),
    );
}

#[test]
fn a_target_file_names_the_source_of_the_credential() {
    let folder = Folder::new();
    let server = start_server();
    let own = ["run", "own", "--cases", "cases", "--select", "field.stop_sequences", "--out", "out"];
    let assert_sent = |bearer: &str| {
        let asked = server.received_requests();
        let last = asked.last().unwrap();
        assert!(last.head.contains(&format!("authorization: Bearer {bearer}\r\n")), "{}", last.head);
    };
    folder.write("key", format!("{KEY}-file\n"));
    folder.write("home/key", format!("{KEY}-home\n"));
    for (credential, suffix) in [
        (format!("{{ command: [printf, '{KEY}-%s', \"two words\"] }}"), None),
        (format!("{{ command: [printf, '{KEY}-%s', command] }}"), Some("command")),
        ("{ file: key }".to_owned(), Some("file")),
        ("{ file: ~/key }".to_owned(), Some("home")),
        ("{ env: [NONE, KEY] }".to_owned(), Some("variable")),
    ] {
        write_target(&folder, &server.url(), &credential);
        let home = folder.path().join("home").display().to_string();
        let variable = format!("{KEY}-variable");
        let variables = [("KEY", variable.as_str()), ("HOME", &home), ("PATH", "/usr/bin:/bin")];
        let ended = folder.run_with_env(&variables, &own);
        match suffix {
            Some(suffix) => {
                ended.assert_exit_code(0);
                assert_sent(&format!("{KEY}-{suffix}"));
            }
            None => drop(ended.assert_exit_code(2).assert_stderr_contains(&["`printf` prints", "contains a space"])),
        }
        // A variable of `auth` takes precedence over it, and the command line over both.
        folder
            .run_with_env(&[&variables[..], &[("OWN_KEY", "canary-own-variable")]].concat(), &own)
            .assert_exit_code(0);
        assert_sent("canary-own-variable");
        folder.write("other", "canary-other-file");
        let with_file = [&own[..], &["--api-key-file", "other"]].concat();
        folder
            .run_with_env(&[&variables[..], &[("OWN_KEY", "canary-own-variable")]].concat(), &with_file)
            .assert_exit_code(0);
        assert_sent("canary-other-file");
        // The recording does not contain the credential command.
        assert!(!folder.read("out/recording-own.jsonl").contains("command"), "{credential}");
    }
    for (credential, message) in [
        ("{ command: [] }", "names no program"),
        ("{ command: 'pass show key' }", "own.yaml:5"),
        ("{ token: canary }", "own.yaml:5"),
        ("{ file: '' }", "names no file"),
    ] {
        write_target(&folder, &server.url(), credential);
        folder.run(own).assert_exit_code(2).assert_stderr_contains(&[message]);
    }
    write_target(&folder, &server.url(), "{ command: [canary-credential, canary] }");
    let ended = folder.run(own).assert_exit_code(2).assert_stderr_contains(&["credential command cannot be started"]);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
}

#[test]
fn a_credential_given_as_a_name_is_not_quoted() {
    let folder = Folder::new();
    let url = start_server().url();
    for (option, value, message) in [
        ("--api-key-env", "canary_0123456789aB", "the variable that --api-key-env"),
        ("--api-key-command", "canary_0123456789aB || exit 3", "`sh` failed with exit code 3"),
    ] {
        let ended =
            folder.run(arguments(&url, &[option, value])).assert_exit_code(2).assert_stderr_contains(&[message]);
        assert!(!ended.stderr.contains("canary") && !ended.stdout.contains("canary"), "{}", ended.stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_can_contain_the_credential_and_a_pipe_without_a_writer_is_an_error() {
    let folder = Folder::new();
    let server = start_server();
    let url = server.url();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let with_pipe = arguments(&url, &["--api-key-file", "pipe"]);
    folder
        .run(&with_pipe)
        .assert_exit_code(2)
        .assert_stderr_contains(&["pipe cannot be read: it is not a regular file"]);
    let writer = thread::spawn(move || std::fs::write(pipe, format!("{KEY}\n")));
    folder.run(&with_pipe).assert_exit_code(0);
    writer.join().unwrap().unwrap();
    assert!(server.received_requests().iter().all(|asked| asked.head.contains(KEY)));
}
