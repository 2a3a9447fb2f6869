//! How credentials travel, with the real binary: not over plain HTTP, not after a redirect, not into a proxy's sight; over
//! TLS to whom `--ca-file` trusts, with the certificate that `--client-cert` names. And where they come from.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use binary::{Ended, Folder};
use server::{Faithful, Server, write_answer};
use tls::{Authority, TlsServer, let_in};

use crate::common::{binary, server, tls};

const KEY: &str = "canary-credential-0123456789";

/// The arguments of a run of one row.
fn arguments<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["run", "--base-url", url, "--model", "m", "--claims", "deepseek", "--name", "t"];
    arguments.extend(["--out", "out", "--retries", "0", "--timeout", "30", "--select", "field.stop_sequences"]);
    arguments.extend(more);
    arguments
}

fn run_in(folder: &Folder, url: &str, more: &[&str]) -> Ended {
    let with_key = [&["--api-key-env", "KEY"], more].concat();
    folder.run_with(&[("KEY", KEY)], &arguments(url, &with_key))
}

fn run(url: &str, more: &[&str]) -> Ended {
    run_in(&Folder::new(), url, more)
}

/// A server that answers well.
fn sound() -> Server {
    let faithful = Faithful::start();
    Server::start(move |asked, stream| stream.write_all(&faithful.answer(&let_in(asked))?))
}

/// A proxy that tunnels every `CONNECT` to one address, whatever host is asked for, and forwards nothing else. It notes
/// all that it can read.
fn proxy(to: std::net::SocketAddr) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&seen);
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, noted) = (client.unwrap(), Arc::clone(&noted));
            thread::spawn(move || {
                let mut reader = BufReader::new(client.try_clone()?);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
                noted.lock().unwrap().push_str(&head);
                let mut client = client;
                if !head.starts_with("CONNECT ") {
                    return write_answer(&mut client, "502 Bad Gateway", "text/plain", "not here");
                }
                let mut upstream = TcpStream::connect(to)?;
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                let (mut there, mut back) = (upstream.try_clone()?, client.try_clone()?);
                let downwards = thread::spawn(move || {
                    let _ = std::io::copy(&mut upstream, &mut client);
                    client.shutdown(Shutdown::Write)
                });
                let mut piece = [0; 4096];
                while let Ok(size @ 1..) = reader.read(&mut piece) {
                    noted.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..size]));
                    there.write_all(&piece[..size])?;
                }
                let _ = (there.shutdown(Shutdown::Write), back.flush());
                let _ = downwards.join();
                std::io::Result::Ok(())
            });
        }
    });
    (at, seen)
}

#[test]
fn no_credential_goes_over_plain_http_to_another_machine_unasked() {
    for url in ["http://192.0.2.1", "http://10.0.0.1:4000", "http://fieldtest.invalid/x", "http://localhost.invalid"] {
        let folder = Folder::new();
        run_in(&folder, url, &[]).exits(2).says(&["plain HTTP", "https://", "--allow-http"]);
        assert!(!folder.exists("out/recording-t.jsonl"), "nothing was sent");
    }
    // Without a credential there is nothing to lose, and with leave it is sent: what is then wrong is the name.
    let asked = arguments("http://fieldtest.invalid", &[]);
    Folder::new().run(&asked).exits(3).says(&["no address found"]);
    run("http://fieldtest.invalid", &["--allow-http"]).exits(3).says(&["no address found"]);
    // What stays on this machine may go as it is.
    let server = sound();
    run(&server.url(), &[]).exits(0);
    run(&server.url().replace("127.0.0.1", "localhost"), &[]).exits(0);
    // A proxy elsewhere would see it, whatever the host is called.
    run(&server.url(), &["--proxy", "http://user:canary-password@192.0.2.1:3128"])
        .exits(2)
        .says(&["through the proxy 192.0.2.1:3128 over plain HTTP"]);
}

#[test]
fn all_commands_hold_to_it() {
    let folder = Folder::new();
    let url = "http://192.0.2.1:4000";
    folder.write(
        "list.yaml",
        format!("targets:\n  - {{ base_url: '{url}', models: [m], auth: {{ scheme: bearer, env: [KEY] }} }}\n"),
    );
    for arguments in [
        vec!["test", "--base-url", url, "--model", "m", "--api-key-env", "KEY", "--claims", "deepseek"],
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
        let ended = folder.run_with(&[("KEY", KEY)], &arguments).exits(2).says(&["plain HTTP", "--allow-http"]);
        assert!(!ended.stderr.contains(KEY));
    }
    // What sends nothing asks nothing.
    folder.run_with(&[("KEY", KEY)], &["plan", "--base-url", url, "--model", "m", "--api-key-env", "KEY"]).exits(0);
}

#[test]
fn a_credential_never_follows_a_redirect() {
    let authority = Authority::new();
    let elsewhere = sound();
    let secure = TlsServer::start(&authority, None);
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        for to in [elsewhere.url(), elsewhere.url().replace("127.0.0.1", "localhost"), secure.url()] {
            let server = Server::start(move |asked, stream| {
                let path = asked.head.split_whitespace().nth(1).unwrap_or("/");
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nlocation: {to}{path}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
            });
            run(&server.url(), &[]).exits(3).says(&[&status[..3]]);
            let asked = server.asked();
            assert!(asked.iter().all(|asked| asked.head.contains(KEY)) && !asked.is_empty());
        }
    }
    assert!(elsewhere.asked().is_empty() && secure.asked().is_empty(), "nobody else was asked anything");
}

#[test]
fn a_server_is_trusted_by_the_authority_that_is_named() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&authority, None);
    let folder = Folder::new();
    folder.write("ca.pem", authority.pem());
    folder.write("other.pem", other.pem());
    folder.write("both.pem", other.pem() + &authority.pem());
    run_in(&folder, &server.url(), &[]).exits(3).says(&["UnknownIssuer", "--ca-file"]);
    run_in(&folder, &server.url(), &["--ca-file", "other.pem"]).exits(3).says(&["TLS handshake"]);
    assert!(server.asked().is_empty(), "nothing is sent before the server is known");
    run_in(&folder, &server.url(), &["--ca-file", "ca.pem"]).exits(0);
    run_in(&folder, &server.url(), &["--ca-file", "both.pem"]).exits(0);
    run_in(&folder, &server.url(), &["--ca-file", "other.pem", "--ca-file", "ca.pem"]).exits(0);
    assert!(server.asked().iter().all(|head| head.contains(KEY)));
    // The name counts as well: the certificate is for the address and for another name.
    run_in(&folder, &server.url().replace("127.0.0.1", "localhost"), &["--ca-file", "ca.pem"])
        .exits(3)
        .says(&["valid for this host"]);
}

#[test]
fn a_client_shows_its_certificate_where_it_is_asked_for() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&authority, Some(&authority));
    let folder = Folder::new();
    folder.write("ca.pem", authority.pem());
    for (name, by) in [("client", &authority), ("stranger", &other)] {
        let (certificate, key) = by.issue("client");
        folder.write(&format!("{name}.crt"), &certificate);
        folder.write(&format!("{name}.key"), &key);
        folder.write(&format!("{name}.pem"), key + &certificate);
    }
    let with = |more: &[&str]| run_in(&folder, &server.url(), &[&["--ca-file", "ca.pem"], more].concat());
    with(&[]).exits(3).says(&["requires a client certificate", "--client-cert"]);
    with(&["--client-cert", "stranger.crt", "--client-key", "stranger.key"])
        .exits(3)
        .says(&["rejects the client certificate"]);
    assert!(server.asked().is_empty());
    with(&["--client-cert", "client.crt", "--client-key", "client.key"]).exits(0);
    with(&["--client-cert", "client.pem", "--client-key", "client.pem"]).exits(0);
    // What is wrong with the files is told before anything is sent, with the file and without a word of the key.
    let asked = server.asked().len();
    folder.write("broken.pem", "-----BEGIN PRIVATE KEY-----\ncanary\n");
    for (certificate, key, said) in [
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
        let ended = with(&["--client-cert", certificate, "--client-key", key]).exits(2).says(&[said]);
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    }
    with(&["--client-cert", "client.crt"]).exits(2).says(&["--client-key"]);
    run_in(&folder, &server.url(), &["--ca-file", "client.key"])
        .exits(2)
        .says(&["--ca-file client.key: it contains a private key"]);
    assert_eq!(server.asked().len(), asked);
}

#[test]
fn a_proxy_sees_the_host_and_nothing_of_the_request() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, None);
    let folder = Folder::new();
    folder.write("ca.pem", authority.pem());
    let (at, seen) = proxy(server.address);
    // The name is one that only the proxy knows the way to.
    let url = "https://endpoint.test/anthropic";
    let through = format!("http://user:canary-password@{at}");
    let sent = |more: &[&str]| run_in(&folder, url, &[&["--ca-file", "ca.pem"], more].concat());
    sent(&["--proxy", &through]).exits(0);
    let told = std::mem::take(&mut *seen.lock().unwrap());
    assert!(told.starts_with("CONNECT endpoint.test:443 HTTP/1.1\r\n"), "{}", &told[..200.min(told.len())]);
    // `user:canary-password`
    assert!(told.contains("Basic dXNlcjpjYW5hcnktcGFzc3dvcmQ="), "it is told the proxy's own password");
    assert!(!told.contains(KEY) && !told.contains("x-api-key") && !told.contains("stop_sequences"));
    assert!(server.asked().iter().all(|head| head.contains(KEY) && !head.contains("proxy-authorization")));
    // The environment's, unless another is named, or none.
    let key = [("KEY", KEY), ("HTTPS_PROXY", &through)];
    let asked = ["--ca-file", "ca.pem", "--api-key-env", "KEY"];
    folder.run_with(&key, &arguments(url, &asked)).exits(0);
    assert!(seen.lock().unwrap().contains("CONNECT endpoint.test:443"));
    let direct = [&asked[..], &["--no-proxy"]].concat();
    folder.run_with(&key, &arguments(url, &direct)).exits(3).says(&["no address found"]);
    // It never stands between this machine and itself.
    seen.lock().unwrap().clear();
    folder
        .run_with(
            &[("KEY", KEY), ("HTTP_PROXY", &through), ("ALL_PROXY", &through)],
            &arguments(&sound().url(), &asked[2..]),
        )
        .exits(0);
    assert!(seen.lock().unwrap().is_empty());
    // One that does not answer is named, and its password is not.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = sent(&["--proxy", &format!("http://user:canary-password@{closed}")]).exits(3).says(&["--proxy"]);
    assert!(!ended.stderr.contains("canary-password"), "{}", ended.stderr);
    for wrong in ["socks5://user:canary-password@h:1", "http://user:canary-password@h/path", "canary-password"] {
        let ended = sent(&["--proxy", wrong]).exits(2).says(&["expected http://host:port"]);
        assert!(!ended.stderr.contains("user:canary"), "{}", ended.stderr);
    }
}

/// A command that counts how often it ran, and prints the credential.
fn counting(folder: &Folder) -> String {
    folder.write("helper.sh", format!("echo x >> {}/count\necho unlocking >&2\necho {KEY}\n", folder.path().display()));
    format!("sh {}/helper.sh", folder.path().display())
}

fn times(folder: &Folder) -> usize {
    if folder.exists("count") { folder.read("count").lines().count() } else { 0 }
}

#[test]
fn a_command_gives_the_credential_once_and_only_where_something_is_sent() {
    let folder = Folder::new();
    let (server, command) = (sound(), counting(&folder));
    let url = server.url();
    let asked = |more: &[&str]| folder.run(arguments(&url, &[&["--api-key-command", &command], more].concat()));
    let ended = asked(&[]).exits(0).says(&["unlocking"]);
    assert!(!ended.stderr.contains(KEY));
    assert!(server.asked().len() > 4 && server.asked().iter().all(|asked| asked.head.contains(KEY)));
    assert_eq!(times(&folder), 1);
    // Again, and for several targets side by side: still once.
    asked(&["--repeat", "2"]).exits(0);
    assert_eq!(times(&folder), 2);
    let entry = |name: &str| {
        let helper = format!("[sh, {}/helper.sh]", folder.path().display());
        format!(
            "  - {{ name: {name}, base_url: '{url}', models: [m], claims: deepseek, credential: {{ command: {helper} }} }}\n"
        )
    };
    folder.write("list.yaml", format!("targets:\n{}{}", entry("one"), entry("two")));
    folder.run(["run", "--targets", "list.yaml", "--select", "field.stop_sequences", "--out", "out"]).exits(0);
    assert_eq!(times(&folder), 3);
    // What sends nothing, or is wrong, does not run it.
    let command = ["--api-key-command", &command];
    folder.run([&["plan", "--base-url", &url, "--model", "m"][..], &command].concat()).exits(0);
    folder.run([&["test", "--base-url", &url, "--model", "m", "--list"][..], &command].concat()).exits(0);
    folder
        .run([&["run", "deepseek", "--simulate", "--select", "field.top_k", "--out", "s"][..], &command].concat())
        .exits(0);
    folder.run(["run", "--replay", "s", "--out", "again"]).exits(0);
    folder
        .run([&["run", "--replay", "s", "--out", "again"][..], &command].concat())
        .exits(2)
        .says(&["cannot be used with"]);
    asked(&["--select", "no.such.row"]).exits(0);
    let before = times(&folder);
    folder.run(arguments(&url, &["--api-key-command", command[1], "--shard", "2/2"]));
    folder
        .run([&["run", "--base-url", "http://192.0.2.1", "--model", "m"][..], &command].concat())
        .exits(2)
        .says(&["plain HTTP"]);
    folder.run([&["run", "--base-url", &url, "--model", "m", "--ca-file", "none"][..], &command].concat()).exits(2);
    folder.run([&["run", "--base-url", &url, "--model", "m", "--select", "no.such"][..], &command].concat()).exits(2);
    assert_eq!(times(&folder), before);
    // The other commands that send.
    let test = ["test", "--base-url", &url, "--model", "m", "--claims", "deepseek", "field.stop_sequences"];
    folder.run([&test[..], &command].concat()).exits(0);
    assert_eq!(times(&folder), before + 1);
    let both = ["compare", "--direct", &url, "--via", &url, "--model", "m", "--select", "field.stop_sequences"];
    folder.run([&both[..], &["--direct-key-command", command[1], "--via-key-command", command[1]]].concat());
    assert!(times(&folder) > before + 1);
}

/// A target whose file says where the credential is.
fn target(folder: &Folder, url: &str, credential: &str) {
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
fn a_targets_file_says_where_the_credential_is() {
    let folder = Folder::new();
    let server = sound();
    let own = ["run", "own", "--cases", "cases", "--select", "field.stop_sequences", "--out", "out"];
    let sent = |bearer: &str| {
        let asked = server.asked();
        let last = asked.last().unwrap();
        assert!(last.head.contains(&format!("authorization: Bearer {bearer}\r\n")), "{}", last.head);
    };
    folder.write("key", format!("{KEY}-file\n"));
    folder.write("home/key", format!("{KEY}-home\n"));
    for (credential, gives) in [
        (format!("{{ command: [printf, '{KEY}-%s', \"two words\"] }}"), None),
        (format!("{{ command: [printf, '{KEY}-%s', command] }}"), Some("command")),
        ("{ file: key }".to_owned(), Some("file")),
        ("{ file: ~/key }".to_owned(), Some("home")),
        ("{ env: [NONE, KEY] }".to_owned(), Some("variable")),
    ] {
        target(&folder, &server.url(), &credential);
        let home = folder.path().join("home").display().to_string();
        let variable = format!("{KEY}-variable");
        let variables = [("KEY", variable.as_str()), ("HOME", &home), ("PATH", "/usr/bin:/bin")];
        let ended = folder.run_with(&variables, &own);
        match gives {
            Some(gives) => {
                ended.exits(0);
                sent(&format!("{KEY}-{gives}"));
            }
            None => drop(ended.exits(2).says(&["`printf` prints", "contains a space"])),
        }
        // A variable of `auth` goes before it, and the command line before both.
        folder.run_with(&[&variables[..], &[("OWN_KEY", "canary-own-variable")]].concat(), &own).exits(0);
        sent("canary-own-variable");
        folder.write("other", "canary-other-file");
        let with_file = [&own[..], &["--api-key-file", "other"]].concat();
        folder.run_with(&[&variables[..], &[("OWN_KEY", "canary-own-variable")]].concat(), &with_file).exits(0);
        sent("canary-other-file");
        // A recording says nothing of it.
        assert!(!folder.read("out/recording-own.jsonl").contains("command"), "{credential}");
    }
    for (credential, said) in [
        ("{ command: [] }", "names no program"),
        ("{ command: 'pass show key' }", "own.yaml:5"),
        ("{ token: canary }", "own.yaml:5"),
        ("{ file: '' }", "names no file"),
    ] {
        target(&folder, &server.url(), credential);
        folder.run(own).exits(2).says(&[said]);
    }
    target(&folder, &server.url(), "{ command: [canary-credential, canary] }");
    let ended = folder.run(own).exits(2).says(&["credential command cannot be started"]);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
}

#[test]
fn a_credential_in_the_place_of_a_name_is_not_quoted() {
    let folder = Folder::new();
    let url = sound().url();
    for (option, value, said) in [
        ("--api-key-env", "canary_0123456789aB", "the variable that --api-key-env"),
        ("--api-key-command", "canary_0123456789aB || exit 3", "`sh` failed with exit code 3"),
    ] {
        let ended = folder.run(arguments(&url, &[option, value])).exits(2).says(&[said]);
        assert!(!ended.stderr.contains("canary") && !ended.stdout.contains("canary"), "{}", ended.stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_may_hold_the_credential_and_is_not_waited_for_without_end() {
    let folder = Folder::new();
    let server = sound();
    let url = server.url();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let asked = arguments(&url, &["--api-key-file", "pipe"]);
    folder.run(&asked).exits(2).says(&["pipe cannot be read: it is not a regular file"]);
    let writer = thread::spawn(move || std::fs::write(pipe, format!("{KEY}\n")));
    folder.run(&asked).exits(0);
    writer.join().unwrap().unwrap();
    assert!(server.asked().iter().all(|asked| asked.head.contains(KEY)));
}
