//! Connections that fail, and what passes over those that do not.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use end_to_end::folders::Public;
use end_to_end::host::{Host, on_host};
use end_to_end::module::{self, Outcome, Task};
use end_to_end::report::not_run;
use end_to_end::server::{Recorder, SilentServer, refused_port};
use paexec::Naming;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

const AUTHENTICATION: &str =
    "Received unexpected SMB response when opening the connection: Failed to authenticate over SMB: ";

/// Fails unless the module says this and nothing was changed.
#[track_caller]
fn assert_refused(host: &Host, options: &Value, beginning: &str) {
    let mut options = options.clone();
    options["executable"] = json!("cmd.exe");
    let outcome = host.run(&options);
    let message = outcome.assert_failed();
    assert!(message.starts_with(beginning), "{message}");
    assert!(!outcome.has("changed"), "{:?}", outcome.result);
}

#[test]
fn a_wrong_password_is_refused() {
    on_host(|host| assert_refused(host, &json!({ "connection_password": "wrong" }), AUTHENTICATION));
}

#[test]
fn an_unknown_user_is_refused() {
    on_host(|host| {
        assert_refused(host, &json!({ "connection_username": "nobody-knows-me" }), AUTHENTICATION)
    });
}

/// Fails unless the module fails with these words in its message.
#[track_caller]
fn assert_told(host: &Host, options: &Value, words: &str) {
    let outcome = host.run(options);
    let message = outcome.assert_failed();
    assert!(message.contains(words), "{words:?} is not in {message}");
}

#[test]
fn names_that_windows_does_not_understand_are_explained() {
    on_host(|host| {
        for (option, name, words) in [
            ("connection_username", "LAB/deploy", "connection_username has a slash in it"),
            ("connection_username", "nobody-knows-me ", "connection_username has white space around it"),
            ("connection_password", "", "connection_password was empty"),
            ("hostname", " no-such-host.invalid", "hostname has white space around it"),
            ("hostname", "http://server.invalid:5985", "write server.invalid."),
            ("hostname", r"\\server.invalid", "write server.invalid."),
        ] {
            assert_told(
                host,
                &json!({ option: name, "executable": "cmd.exe", "connection_timeout": 10 }),
                words,
            );
        }
    });
}

#[test]
fn executables_that_windows_does_not_understand_are_explained() {
    on_host(|host| {
        for (executable, words) in [
            (r#""C:\Windows\System32\cmd.exe""#, "without quotation marks"),
            ("cmd.exe /c ver", "write cmd.exe, and what stands behind it into arguments"),
            (r"%windir%\System32\cmd.exe", "variables such as %windir% are not replaced"),
            (r"C:\no\such\setup.ps1", r"-File C:\no\such\setup.ps1"),
        ] {
            assert_told(host, &json!({ "executable": executable }), words);
        }
    });
}

#[test]
fn system_is_the_local_system_by_its_full_name_as_well() {
    on_host(|host| {
        host.probe("exit 3", &json!({ "process_username": r"NT AUTHORITY\SYSTEM" })).assert_ran(3);
        assert_told(
            host,
            &json!({ "executable": "cmd.exe", "process_username": "deploy" }),
            "required together when not running as System: process_username, process_password",
        );
    });
}

#[test]
fn a_port_that_refuses_is_told() {
    on_host(|host| {
        let port = refused_port().expect("a port");
        let options = json!({ "hostname": "127.0.0.1", "port": port });
        assert_refused(host, &options, &format!("Failed to connect to '127.0.0.1:{port}'"));
    });
}

#[test]
fn a_name_that_cannot_be_resolved_is_told() {
    on_host(|host| {
        let options = json!({ "hostname": "no-such-host.invalid", "connection_timeout": 10 });
        assert_refused(host, &options, "Failed to connect to 'no-such-host.invalid:");
    });
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    on_host(|host| {
        let server = SilentServer::start().expect("a server");
        let options = json!({
            "hostname": "127.0.0.1",
            "port": server.port().expect("a port"),
            "connection_timeout": 2,
            "executable": "cmd.exe",
        });
        let outcome = host.run(&options);
        outcome.assert_failed();
        assert!(outcome.elapsed >= Duration::from_secs(2), "{:?}", outcome.elapsed);
        assert!(outcome.elapsed < Duration::from_secs(6), "{:?}", outcome.elapsed);
    });
}

#[test]
fn encryption_hides_everything_and_its_absence_does_not() {
    on_host(|host| {
        let options = host.options(&json!({}));
        let name = options["hostname"].as_str().expect("a name");
        for (encrypt, hidden) in [(true, true), (false, false)] {
            let recorder = Recorder::start((name, host.port())).expect("a recorder");
            let options = json!({ "hostname": "127.0.0.1", "port": recorder.port(), "encrypt": encrypt });
            let outcome = host.probe("args a-word-to-look-for", &options);
            outcome.assert_ran(0);
            assert!(outcome.text("stdout").contains("a-word-to-look-for"));
            // The output passes as the process wrote it, the service's name in UTF-16.
            let name: Vec<u8> = Naming::Own.prefix().encode_utf16().flat_map(u16::to_le_bytes).collect();
            for tell_tale in [b"a-word-to-look-for".as_slice(), &name, b"MZ\x90\x00"] {
                assert_eq!(recorder.has_seen(tell_tale), !hidden, "encrypt: {encrypt}");
            }
        }
    });
}

#[test]
fn an_ipv6_address_may_have_brackets_and_a_zone() {
    on_host(|host| {
        let loopback = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        assert_reached(host, loopback, &["::1", "[::1]"], "--1.ipv6-literal.net");
        match link_local() {
            Some((address, zone)) => {
                let name = address.ip().to_string();
                let unc = format!("{}.ipv6-literal.net", name.replace(':', "-"));
                let forms = [format!("{name}%{zone}"), format!("[{name}%{zone}]")];
                assert_reached(host, address, &forms.each_ref().map(String::as_str), &unc);
            }
            None => not_run("this machine has no link-local address, so that no zone can be tried"),
        }
    });
}

/// The dot is for the resolver: Windows knows no host of such a name.
#[test]
fn a_dot_at_the_end_of_a_name_goes_no_further_than_the_resolver() {
    on_host(|host| {
        let recorder = Recorder::start((&address(host), host.port())).expect("a recorder");
        let options = json!({ "hostname": "with-a-dot.", "port": recorder.port(), "encrypt": false });
        let Some(outcome) = run_with_hosts(host, &options, "127.0.0.1 with-a-dot.\n") else { return };
        outcome.assert_ran(3);
        let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        assert!(
            recorder.has_seen(&utf16(r"\\with-a-dot\IPC$")) && recorder.has_seen(&utf16("cifs/with-a-dot"))
        );
        assert!(!recorder.has_seen(&utf16("with-a-dot.")));
    });
}

/// Each of them would have an eighth of the time, were it not for the others.
#[test]
fn a_name_with_dead_addresses_is_reached_at_the_one_that_lives() {
    on_host(|host| {
        // The resolver puts it behind those that have more in common with our own address.
        let alive = SocketAddr::from((Ipv4Addr::new(127, 128, 0, 1), 0));
        let recorder = Recorder::start_on(alive, (&address(host), host.port())).expect("a recorder");
        let dead: Vec<_> =
            (2..9).map(|last| DeadAddress::new(Ipv4Addr::new(127, 0, 0, last), recorder.port())).collect();
        let names: String = (2..9).map(|last| format!("127.0.0.{last} of-eight-addresses\n")).collect();
        let options = json!({
            "hostname": "of-eight-addresses",
            "port": recorder.port(),
            "connection_timeout": 5,
            "_ansible_verbosity": 3,
        });
        let hosts = names + "127.128.0.1 of-eight-addresses\n";
        let Some(outcome) = run_with_hosts(host, &options, &hosts) else { return };
        outcome.assert_ran(3);
        drop(dead);
        let trace = outcome.result["trace"].to_string();
        let connected = trace.split('"').find_map(|step| step.split_once(" s connected to 127.128.0.1:"));
        let seconds: f64 =
            connected.and_then(|(time, _)| time.parse().ok()).unwrap_or_else(|| panic!("{trace}"));
        assert!((1.7..3.5).contains(&seconds), "connected after {seconds} s");
    });
}

/// Runs `exit 3` on the host, with this for /etc/hosts. `None`, and said so, where that takes rights that we have not.
#[track_caller]
fn run_with_hosts(host: &Host, options: &Value, hosts: &str) -> Option<Outcome> {
    let public = Public::make().expect("a folder");
    let file = public.path().join("hosts");
    fs::write(&file, hosts).expect("a file");
    let task = Task::new(&host.options(&host.probe_options("exit 3", options))).expect("a task");
    let script = r#"mount --bind "$0" /etc/hosts && exec "$@""#;
    let under = ["unshare", "--mount", "/bin/sh", "-c", script, &file.to_string_lossy()].map(str::to_owned);
    let mut module = task.command_under(&under).expect("the module");
    let started = Instant::now();
    let output = module.output().expect("unshare starts");
    if output.stdout.is_empty() {
        not_run(&format!("no other /etc/hosts is to be had: {}", String::from_utf8_lossy(&output.stderr)));
        return None;
    }
    Some(module::outcome(&output, started.elapsed()).expect("one JSON object"))
}

fn address(host: &Host) -> String {
    host.options(&json!({}))["hostname"].as_str().expect("a name").to_owned()
}

/// An address of this machine that answers nobody: the queue for its port is full.
struct DeadAddress {
    _listener: Socket,
    _queue: Vec<Socket>,
}

impl DeadAddress {
    fn new(address: Ipv4Addr, port: u16) -> Self {
        let address = SocketAddr::from((address, port)).into();
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let listener = socket();
        listener.bind(&address).expect("the port");
        listener.listen(0).expect("a queue");
        let mut queue = Vec::new();
        loop {
            let socket = socket();
            let is_full = socket.connect_timeout(&address, Duration::from_millis(200)).is_err();
            queue.push(socket);
            if is_full {
                return Self { _listener: listener, _queue: queue };
            }
        }
    }
}

/// Fails unless a process runs when the host is called so, and is called `unc` towards the host.
#[track_caller]
fn assert_reached(host: &Host, address: SocketAddr, names: &[&str], unc: &str) {
    let behind = self::address(host);
    for name in names {
        let recorder = Recorder::start_on(address, (&behind, host.port())).expect("a recorder");
        let options = json!({ "hostname": name, "port": recorder.port(), "encrypt": false });
        host.probe("exit 3", &options).assert_ran(3);
        let path: Vec<u8> = format!(r"\\{unc}\IPC$").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(recorder.has_seen(&path), "{name}");
    }
}

/// An address of this machine that needs a zone, and that.
fn link_local() -> Option<(SocketAddr, String)> {
    let interfaces = fs::read_to_string("/proc/net/if_inet6").ok()?;
    interfaces.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let index = u32::from_str_radix(fields.next()?, 16).ok()?;
        let address = Ipv6Addr::from_bits(address);
        let is_link_local = address.segments()[0] == 0xfe80;
        is_link_local.then(|| {
            (SocketAddrV6::new(address, 0, 0, index).into(), fields.last().unwrap_or_default().to_owned())
        })
    })
}
