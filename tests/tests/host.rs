//! The client's host object: connected once, then any number of runs, files put, fetched, listed, removed; and nothing of
//! that is left.

use std::fs;
use std::future::pending;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use end_to_end::folders;
use end_to_end::host::{Host as TestHost, on_lab};
use end_to_end::lab::{ADMINISTRATOR, Lab};
use end_to_end::proxy::{Action, Behaviour, Proxy, Sender, Tampering, When};
use lab_windows::pattern;
use psexec_client::{
    Account, Connection, ErrorKind, Host, HostPath, IntegrityLevel, Loss, Mode, NtStatus, Ntlm, Outcome,
    Priority, Process, ServiceImage,
};
use tokio::runtime::Runtime;

#[test]
fn one_connection_carries_several_runs() {
    on_lab(|host, _| {
        let proxy = through(host, Behaviour::default());
        run_with(&proxy, async |host| {
            for exit_code in [0, 3, 5] {
                assert_eq!(run(host, exit_code).await, exit_code);
            }
        });
        assert_eq!(proxy.statistics().connections, 1);
    });
}

#[test]
fn a_host_that_was_lost_between_two_runs_is_connected_again() {
    on_lab(|host, _| {
        let proxy = through(host, Behaviour::default());
        run_with(&proxy, async |host| {
            assert_eq!(run(host, 1).await, 1);
            proxy.cut();
            // Until the client has seen it: what is cut only when a run has begun is that run's loss.
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_eq!(run(host, 2).await, 2);
        });
        assert_eq!(proxy.statistics().connections, 2);
    });
}

#[test]
fn files_are_put_and_fetched_whole() {
    on_lab(|host, lab| {
        let proxy = through(host, Behaviour::default());
        // Nothing; one byte; what travels with the request that makes the file, and one more; several pieces.
        for size in [0, 1, 65536, 65537, 3 << 20, 10_000_001] {
            let content = pattern(size);
            let (path, there) = place(lab, "whole file é.bin");
            run_with(&proxy, async |host| {
                let put = host.put(&path, &mut &content[..]).await.expect("put");
                assert_eq!(put, size as u64);
                assert!(fs::read(&there).expect("the file") == content, "{size} bytes: not what was put");
                let mut fetched = Cursor::new(Vec::new());
                assert_eq!(
                    host.fetch(&path, &mut fetched)
                        .await
                        .unwrap_or_else(|error| panic!("{size} bytes: {error}")),
                    size as u64
                );
                assert!(fetched.into_inner() == content, "{size} bytes: not what was put");
                host.remove(&path).await.expect("removed");
                assert!(!there.exists());
            });
        }
    });
}

#[test]
fn many_pieces_of_a_file_are_on_their_way_at_once() {
    on_lab(|host, lab| {
        let size = 20 << 20;
        let (path, _) = place(lab, "pieces.bin");
        let proxy = through(host, Behaviour { delay: Duration::from_millis(30), ..Behaviour::default() });
        let content = pattern(size);
        run_with(&proxy, async |host| {
            host.connect().await.expect("connected");
            let before = proxy.statistics();
            host.put(&path, &mut &content[..]).await.expect("put");
            let after = proxy.statistics();
            // The answers to single pieces let the next ones go: they count as waits, but nothing stands still.
            let sent = after.from_client.bytes - before.from_client.bytes;
            assert!(sent < size as u64 * 102 / 100, "{sent} bytes for {size}");
        });
    });
}

#[test]
fn a_file_that_is_there_is_not_touched() {
    on_lab(|host, lab| {
        let (path, there) = place(lab, "somebody's.txt");
        fs::write(&there, "somebody's").expect("a file");
        let proxy = through(host, Behaviour::default());
        run_with(&proxy, async |host| {
            let error = host.put(&path, &mut &b"ours"[..]).await.expect_err("it is there");
            assert!(
                matches!(error.kind, ErrorKind::Status { status: NtStatus::OBJECT_NAME_COLLISION, .. }),
                "{error}"
            );
        });
        assert_eq!(fs::read_to_string(&there).expect("the file"), "somebody's");
        fs::remove_file(there).expect("removed");
    });
}

#[test]
fn what_was_put_is_taken_away_at_the_end_but_for_what_is_kept() {
    on_lab(|host, lab| {
        let (one, one_there) = place(lab, "for a while.txt");
        let (two, two_there) = place(lab, "to stay.txt");
        let proxy = through(host, Behaviour::default());
        run_with(&proxy, async |host| {
            for path in [&one, &two] {
                host.put(path, &mut &b"content"[..]).await.expect("put");
            }
            host.put(&one, &mut &b"other"[..]).await.expect_err("it is there");
            host.keep(&two);
        });
        assert!(!one_there.exists());
        assert_eq!(fs::read_to_string(&two_there).expect("it stays"), "content");
        fs::remove_file(two_there).expect("removed");
    });
}

#[test]
fn a_host_that_is_dropped_leaves_nothing() {
    on_lab(|host, lab| {
        let (path, there) = place(lab, "dropped.txt");
        let proxy = through(host, Behaviour::default());
        Runtime::new().expect("a runtime").block_on(async {
            let mut host = Host::new(connection(&proxy));
            host.put(&path, &mut &b"content"[..]).await.expect("put");
            assert!(there.exists());
            drop(host);
            let gone = async {
                while there.exists() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), gone).await.expect("it is removed");
        });
    });
}

/// Half a file must not stay.
#[test]
fn a_file_whose_line_is_cut_is_taken_away_over_another() {
    on_lab(|host, lab| {
        let (path, there) = place(lab, "cut.bin");
        // The share, the file with its beginning, and some of what follows.
        let cut = Tampering { sender: Sender::Client, when: When::Encrypted(5), action: Action::CutAfter };
        let behaviour =
            Behaviour { tampering: vec![cut], spoilt_connection: Some(1), ..Behaviour::default() };
        let proxy = through(host, behaviour);
        let content = pattern(8 << 20);
        run_with(&proxy, async |host| {
            let error = host.put(&path, &mut &content[..]).await.expect_err("the line was cut");
            assert!(matches!(error.kind, ErrorKind::Lost(Loss::Closed | Loss::Io(_))), "{error}");
        });
        assert_eq!((proxy.statistics().tampered, proxy.statistics().connections), (1, 2));
        assert!(!there.exists());
    });
}

#[test]
fn a_directory_is_listed_whole() {
    on_lab(|host, lab| {
        // More than fits into one answer.
        let count = 1200;
        let there = lab.drive_c().join("lab/listed");
        fs::create_dir(&there).expect("a directory");
        fs::create_dir(there.join("inner")).expect("a directory in it");
        for index in 0..count {
            fs::write(there.join(format!("a file with a long name, number {index}.txt")), "four")
                .expect("a file");
        }
        let proxy = through(host, Behaviour::default());
        run_with(&proxy, async |host| {
            let path: HostPath = r"C:\lab\listed".parse().expect("a path");
            let entries = host.list(&path).await.expect("listed");
            let (directories, files): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.is_directory);
            assert_eq!((directories.len(), files.len()), (1, count));
            assert!(files.iter().all(|file| file.length == 4 && file.name.ends_with(".txt")));
            let root = host.list(&r"C:\".parse().expect("a path")).await.expect("listed");
            assert!(
                root.iter().any(|entry| entry.is_directory && entry.name.eq_ignore_ascii_case("windows"))
            );
            let missing = host.list(&r"C:\lab\nowhere".parse().expect("a path")).await.expect_err("none");
            assert!(
                matches!(missing.kind, ErrorKind::Status { status: NtStatus::OBJECT_NAME_NOT_FOUND, .. }),
                "{missing}"
            );
        });
        fs::remove_dir_all(there).expect("removed");
    });
}

fn through(host: &TestHost, behaviour: Behaviour) -> Proxy {
    Proxy::start(("127.0.0.1", host.port()), behaviour).expect("a proxy")
}

/// A new name in a directory that is looked at for what is left behind.
fn place(lab: &Lab, name: &str) -> (HostPath, PathBuf) {
    let path = format!(r"C:\Windows\Temp\{name}").parse().expect("a path");
    (path, lab.drive_c().join("windows/temp").join(name))
}

/// Does something with a host, which is closed then.
#[track_caller]
fn run_with(proxy: &Proxy, work: impl AsyncFnOnce(&mut Host)) {
    Runtime::new().expect("a runtime").block_on(async {
        let mut host = Host::new(connection(proxy));
        work(&mut host).await;
        let warnings = host.close().await;
        assert!(warnings.is_empty(), "{warnings:?}");
    });
}

async fn run(host: &mut Host, exit_code: u32) -> u32 {
    let process = Process {
        executable: "cmd.exe".into(),
        arguments: Some(format!("/c exit {exit_code}")),
        working_directory: r"C:\Windows".into(),
        mode: Mode::Piped { stdin: Vec::new() },
        load_profile: true,
        integrity_level: IntegrityLevel::Default,
        account: Account::Connection,
        show_ui_on_logon_screen: false,
        priority: Priority::Normal,
        timeout: None,
    };
    let report = host.run(process, ServiceImage::Embedded { x86_64: service(), x86: None }, pending()).await;
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    match report.outcome.expect("it ran") {
        Outcome::Finished { exit_code, .. } => exit_code,
        Outcome::Started { .. } => panic!("it was waited for"),
    }
}

fn service() -> &'static [u8] {
    static SERVICE: OnceLock<Vec<u8>> = OnceLock::new();

    SERVICE.get_or_init(|| {
        fs::read(folders::repository().join("target/service/psexec-service.exe"))
            .expect("`cargo xtask build`")
    })
}

fn connection(proxy: &Proxy) -> Connection {
    Connection {
        host: "127.0.0.1".into(),
        port: proxy.port(),
        username: Some(ADMINISTRATOR.name.into()),
        password: Some(ADMINISTRATOR.password.to_owned().into()),
        service_principal: None,
        ntlm: Ntlm::Allowed,
        encrypt: true,
        timeout: Duration::from_secs(60),
    }
}
