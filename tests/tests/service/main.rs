//! The service by itself, without the module: nobody comes, or somebody who does not keep to the protocol.

mod images;
mod names;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::folders;
use end_to_end::lab::{Lab, LabOptions};
use paexec::{Message, MessageBody, Naming, PipeSecret, RunName, Settings, StartApp};

/// The service of a run, as our client or another names it.
const OURS: (Naming, u32) = (Naming::Own, 0x8000_0001);
const ANOTHERS: (Naming, u32) = (Naming::PaExec, 4711);

const SECRET: [u8; 16] = [0x5a; 16];

#[test]
fn it_ends_when_nobody_connects() {
    let service = Service::start(OURS);
    thread::sleep(Duration::from_secs(30));
    assert!(service.is_there(), "it gives its client a minute");
    service.assert_gone_within(Duration::from_secs(90));
}

#[test]
fn it_ends_soon_when_our_client_has_gone() {
    let service = Service::start(OURS);
    let answers = service.talk(&[service.settings(), service.start_app()]);
    assert!(matches!(answers[..], [MessageBody::Ok(_), MessageBody::Ok(_)]), "{answers:?}");
    service.assert_gone_within(Duration::from_secs(60));
}

/// A client that is silent is dropped after a minute, and then the next one has its turn.
#[test]
fn it_does_not_wait_for_ever_for_a_silent_client() {
    let service = Service::start(OURS);
    let answers = thread::scope(|scope| {
        scope.spawn(|| service.steps(&["wait:75000".to_owned()]));
        thread::sleep(Duration::from_secs(5));
        service.talk(&[service.settings()])
    });
    assert!(matches!(answers[..], [MessageBody::Ok(_)]), "{answers:?}");
    service.assert_gone_within(Duration::from_secs(60));
}

#[test]
fn it_refuses_what_does_not_keep_to_the_protocol() {
    let service = Service::start(ANOTHERS);
    let (settings, start_app) = (service.settings(), service.start_app());
    let mut two_gigabytes = start_app.clone();
    two_gigabytes[6..10].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    for (what, messages) in [
        ("half a message", vec![settings[..settings.len() / 2].to_vec()]),
        ("another protocol", vec![b"GET / HTTP/1.1\r\n\r\n".to_vec()]),
        ("START_APP before SETTINGS", vec![start_app.clone()]),
        ("SETTINGS twice", vec![settings.clone(), settings.clone()]),
        ("a length of 2 GiB", vec![settings.clone(), two_gigabytes]),
    ] {
        let answers = service.talk(&messages);
        assert_eq!(answers.len(), messages.len(), "{what}");
        assert!(matches!(answers.last(), Some(MessageBody::Failed(_))), "{what}: {answers:?}");
    }
    let answers = service.steps(&["zeros:4000000".to_owned(), "read".to_owned()]);
    assert!(matches!(answers[..], [MessageBody::Failed(_)]), "a message of 4 MB: {answers:?}");

    // It serves the next one all the same, and then one more.
    for _ in 0..2 {
        let answers = service.talk(&[settings.clone(), start_app.clone()]);
        assert!(matches!(answers[..], [MessageBody::Ok(_), MessageBody::Ok(_)]), "{answers:?}");
    }
    service.control(&["stop"]);
    service.control(&["delete"]);
    service.assert_gone_within(Duration::from_secs(30));
}

/// Without the secret there is no pipe that our client could be expected at.
#[test]
fn it_does_not_run_under_our_name_without_the_pipes_secret() {
    for arguments in [&["start"][..], &["start", "no-secret"]] {
        let service = Service::create(OURS);
        service.control(arguments);
        service.assert_stopped_within(Duration::from_secs(10));
    }
}

/// A client that is told to end has the service stopped; what it has asked for before may still be on its way then.
#[test]
fn what_is_asked_for_before_a_stop_is_not_done_after_it() {
    for _ in 0..2 {
        let service = Service::start(OURS);
        let process = service.process();
        let settings = Settings { arguments: "sleep 60000".to_owned(), ..service.process_settings() };
        let settings = service.message(MessageBody::Settings(Box::new(settings)));
        let steps = [
            format!("send:{}", hex(&settings)),
            "read".to_owned(),
            "wait:6000".to_owned(),
            format!("send:{}", hex(&service.start_app())),
            "wait:3000".to_owned(),
        ];
        thread::scope(|scope| {
            let client = scope.spawn(|| service.steps(&steps));
            // SETTINGS is answered; START_APP and STOP arrive while the service does nothing.
            thread::sleep(Duration::from_secs(4));
            process.signal("STOP");
            thread::sleep(Duration::from_secs(5));
            let stop = scope.spawn(|| service.try_control(&["stop"]));
            thread::sleep(Duration::from_secs(3));
            process.signal("CONT");
            client.join().expect("the client");
            stop.join().expect("sc");
        });
        service.assert_stopped_within(Duration::from_secs(10));
        let left = service.lab.snapshot().expect("a snapshot").processes;
        assert!(!left.iter().any(|process| process.ends_with(" probe.exe")), "{left:?}");
    }
}

/// A service on a lab of its own, installed and started by hand.
struct Service {
    lab: Lab,
    name: RunName,
}

impl Service {
    #[track_caller]
    fn start(run: (Naming, u32)) -> Self {
        let service = Self::create(run);
        match service.name.naming {
            Naming::Own => service.control(&["start", &PipeSecret::new(SECRET).argument()]),
            Naming::PaExec => service.control(&["start"]),
        }
        service
    }

    #[track_caller]
    fn create((naming, number): (Naming, u32)) -> Self {
        let lab = Lab::start(&LabOptions::default()).expect("a lab");
        let service = Self { lab, name: RunName { naming, number, host: "tests".to_owned() } };
        let file = service.name.executable();
        let image = folders::repository().join("target/service/psexec-service.exe");
        fs::copy(image, service.lab.drive_c().join("windows").join(&file)).expect("the service's file");
        service.control(&["create", "binPath=", &format!(r"C:\windows\{file} -service")]);
        service
    }

    /// Has sc.exe do something with the service: a verb, and what comes behind the service's name.
    #[track_caller]
    fn control(&self, arguments: &[&str]) {
        let output = self.try_control(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    #[track_caller]
    fn try_control(&self, arguments: &[&str]) -> Output {
        let name = self.name.service();
        let arguments = [&arguments[..1], &[&name], &arguments[1..]].concat();
        self.lab.run_program("sc", &arguments).expect("sc")
    }

    /// Of an asynchronous process.
    fn process_settings(&self) -> Settings {
        Settings {
            asynchronous: true,
            executable: r"C:\lab\probe.exe".to_owned(),
            arguments: "exit 0".to_owned(),
            ..Settings::default()
        }
    }

    fn settings(&self) -> Vec<u8> {
        self.message(MessageBody::Settings(Box::new(self.process_settings())))
    }

    /// The service's process, as Linux sees it.
    #[track_caller]
    fn process(&self) -> Process {
        let (file, state) = (self.name.executable(), self.lab.state().to_string_lossy().into_owned());
        let reads = |process: &Path, what: &str, text: &str| {
            let bytes = fs::read(process.join(what)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(text)
        };
        let processes = fs::read_dir("/proc").expect("the processes").flatten().map(|entry| entry.path());
        let found = processes
            .into_iter()
            .find(|process| reads(process, "cmdline", &file) && reads(process, "environ", &state));
        let found = found.expect("the service runs");
        Process(found.file_name().expect("a number").to_string_lossy().into_owned())
    }

    fn start_app(&self) -> Vec<u8> {
        let RunName { number: process_id, host, .. } = self.name.clone();
        self.message(MessageBody::StartApp(StartApp { process_id, host }))
    }

    fn message(&self, body: MessageBody) -> Vec<u8> {
        Message { unique_id: self.name.unique_id(), body }.encode(4711)
    }

    /// Sends each message as a client that waits for the answer to it, and leaves.
    #[track_caller]
    fn talk(&self, messages: &[Vec<u8>]) -> Vec<MessageBody> {
        let steps = messages.iter().flat_map(|message| [format!("send:{}", hex(message)), "read".to_owned()]);
        self.steps(&steps.collect::<Vec<_>>())
    }

    /// Has the probe do these steps on the service's main pipe; answers what it was answered.
    #[track_caller]
    fn steps(&self, steps: &[String]) -> Vec<MessageBody> {
        let name = match self.name.naming {
            Naming::Own => PipeSecret::new(SECRET).pipes().main,
            Naming::PaExec => self.name.paexec_pipes().main,
        };
        let words = ["pipe", &name].into_iter().chain(steps.iter().map(String::as_str));
        let output =
            self.lab.run_program(r"C:\lab\probe.exe", &words.collect::<Vec<_>>()).expect("the probe");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).expect("lines of digits");
        lines.lines().map(|line| Message::decode(&unhex(line)).expect("a message").body).collect()
    }

    fn is_there(&self) -> bool {
        let now = self.lab.snapshot().expect("a snapshot");
        let file = self.name.executable();
        now.services.contains(&self.name.service())
            || now.processes.iter().any(|process| process.ends_with(&file))
    }

    #[track_caller]
    fn assert_stopped_within(&self, patience: Duration) {
        let started = Instant::now();
        let file = self.name.executable();
        let runs =
            || self.lab.snapshot().expect("a snapshot").processes.iter().any(|name| name.ends_with(&file));
        while runs() {
            assert!(started.elapsed() < patience, "{:?}", self.lab.snapshot());
            thread::sleep(Duration::from_millis(100));
        }
    }

    #[track_caller]
    fn assert_gone_within(&self, patience: Duration) {
        let started = Instant::now();
        while self.is_there() {
            assert!(started.elapsed() < patience, "{:?}", self.lab.snapshot());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

struct Process(String);

impl Process {
    #[track_caller]
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0]).status();
        assert!(sent.expect("kill").success(), "{name}");
    }
}

fn hex(message: &[u8]) -> String {
    message.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(line: &str) -> Vec<u8> {
    let pairs = line.trim().as_bytes().chunks(2).filter_map(|pair| str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}
