//! The run: connect, deploy, start, watch, remove.
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use paexec::{CodePages, Message, MessageBody, RunName, Settings, StartApp};
use smb_client::{NtStatus, Pipe, PipeAccess, SessionId, Tree};
use tokio::sync::oneshot;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::connect::connect;
use crate::deployment::{Deployment, has_ended};
use crate::error::{At, Error, ErrorKind, Failure, Step};
use crate::pipes::{decode, read_message, read_to_end, write_and_close};
use crate::sweep::sweep;
use crate::trace::Trace;
use crate::waiting::{Pauses, within};
use crate::{Account, Connection, IntegrityLevel, Outcome, Output, Priority, Process, Report, ServiceImage};

/// Runs `process` on the host of `connection`.
///
/// When `cancelled` resolves, the process is ended and everything removed. The same is done when the future is
/// dropped, as long as the tokio runtime lives on.
pub async fn run(
    connection: Connection,
    process: Process,
    service: ServiceImage,
    cancelled: impl Future<Output = ()>,
) -> Report {
    // The task outlives this future: what it has put on the host it also takes away.
    let (wanted, gone) = oneshot::channel::<()>();
    let trace = std::sync::Arc::new(Trace::start());
    let host = connection.host.clone();
    let mut task = tokio::spawn(drive(connection, process, service, gone, std::sync::Arc::clone(&trace)));
    let mut report = tokio::select! {
        report = &mut task => report,
        () = cancelled => {
            drop(wanted);
            task.await
        }
    }
    .unwrap_or_else(|panic| Report {
        outcome: Err(Error { host, step: Step::Run, kind: ErrorKind::Internal(panic.to_string()) }),
        changed: true,
        warnings: Vec::new(),
        trace: Vec::new(),
    });
    report.trace = trace.entries();
    report
}

/// The whole run; ends early when the other end of `gone` is dropped.
async fn drive(
    connection: Connection,
    process: Process,
    service: ServiceImage,
    gone: oneshot::Receiver<()>,
    trace: std::sync::Arc<Trace>,
) -> Report {
    let mut changed = false;
    let mut warnings = Vec::new();
    let outcome =
        drive_to_outcome(&connection, &process, &service, gone, &trace, &mut changed, &mut warnings).await;
    let outcome =
        outcome.map_err(|Failure { step, kind }| Error { host: connection.host.clone(), step, kind });
    Report { outcome, changed, warnings, trace: Vec::new() }
}

async fn drive_to_outcome(
    connection: &Connection,
    process: &Process,
    service: &ServiceImage,
    gone: oneshot::Receiver<()>,
    trace: &Trace,
    changed: &mut bool,
    warnings: &mut Vec<String>,
) -> Result<Outcome, Failure> {
    let image = service.read().at(Step::ReadServiceImage)?;
    // Resolves with an error, and for good, when nobody wants the result any more.
    let mut gone = gone;
    let session = tokio::select! {
        session = connect(connection, None, trace) => session?,
        _ = &mut gone => return Err(Failure { step: Step::Connect, kind: ErrorKind::Cancelled }),
    };
    *changed = true;
    let mut tries = 0;
    loop {
        tries += 1;
        let name = RunName { number: random_number()?, host: local_host_name() };
        let begun = Deployment::begin(&session, &connection.host, name.clone(), trace);
        let mut deployment = tokio::select! {
            deployment = begun => deployment?,
            _ = &mut gone => return Err(Failure { step: Step::ConnectIpc, kind: ErrorKind::Cancelled }),
        };
        let outcome = tokio::select! {
            outcome = deploy_and_run(&mut deployment, &image, process, trace, warnings) => outcome,
            _ = &mut gone => Err(Failure { step: Step::Run, kind: ErrorKind::Cancelled }),
        };
        let process_may_run = deployment.process_may_run;
        let told_to_end = matches!(outcome, Err(Failure { kind: ErrorKind::Cancelled, .. }));
        let patience = patience(&mut gone, told_to_end);
        tokio::pin!(patience);
        let removed = match &outcome {
            Err(Failure { kind: ErrorKind::Lost(_), .. }) => None,
            _ => tokio::select! {
                removed = deployment.remove() => removed.ok(),
                () = &mut patience => Some(vec![may_be_left(&name.service())]),
            },
        };
        let Some(left) = removed else {
            let previous_session = session.id();
            drop(session);
            let service = name.service();
            let left = tokio::select! {
                left = remove_after_loss(connection, previous_session, name, process_may_run, trace) => left,
                () = &mut patience => vec![may_be_left(&service)],
            };
            warnings.extend(left);
            return outcome;
        };
        warnings.extend(left);
        if outcome.as_ref().is_err_and(is_collision) && tries < MAX_TRIES {
            continue;
        }
        session.log_off().await;
        return outcome;
    }
}

/// Resolves when a removal has to be given up, because who wants the result has told us to end.
async fn patience(gone: &mut oneshot::Receiver<()>, told_already: bool) {
    if !told_already {
        let _ = gone.await;
    }
    sleep(CANCEL).await;
}

/// Deploys the service, has it run the process, and waits for the end.
async fn deploy_and_run(
    deployment: &mut Deployment<'_>,
    image: &[u8],
    process: &Process,
    trace: &Trace,
    warnings: &mut Vec<String>,
) -> Result<Outcome, Failure> {
    // Of its own for every run: display names are unique as names are ([MS-SCMR] 3.1.4.12), and another run's service
    // may be there at the same time, or still be on its way out.
    let RunName { number, host } = &deployment.name;
    let display_name = format!("native.windows.psexec, command {number} from {host}");
    deployment.create(image, &display_name).await?;
    deployment.start().await?;
    let pipes = open_pipes(deployment, process).await?;
    trace.note("handed the settings over");
    deployment.process_may_run = true;
    tokio::select! {
        outcome = run_process(pipes, deployment, process, trace, warnings) => outcome,
        failure = watch_service(deployment) => Err(failure),
        never = sweep_meanwhile(deployment, trace) => match never {},
    }
}

/// Resolves when the service has come to its end without the result. The host is well then, and answers everything:
/// only a single answer got lost, or was withheld by somebody in between.
async fn watch_service(deployment: &Deployment<'_>) -> Failure {
    loop {
        sleep(WATCH_SERVICE).await;
        // Where nothing is to be learned now there may be later.
        if let Ok(true) = has_ended(&deployment.ipc, &deployment.name).await {
            // What it said last may still be on its way.
            sleep(OUTPUT_PAUSE).await;
            return Failure { step: Step::Run, kind: ErrorKind::ResultLost };
        }
    }
}

async fn sweep_meanwhile(deployment: &Deployment<'_>, trace: &Trace) -> Infallible {
    sweep(&deployment.ipc, &deployment.admin, &deployment.name, trace).await;
    std::future::pending().await
}

/// Connections to a service that knows its settings.
struct Pipes {
    main: Pipe,
    code_pages: Option<CodePages>,
    /// Not yet open where the service makes them only when it is told to start.
    stdout: Option<Pipe>,
    stderr: Option<Pipe>,
    stdin: Option<Pipe>,
}

/// Opens the main pipe, together with the settings and their answer, and the std pipes.
///
/// RStartServiceW may return before the service has made its pipe: it is asked for again after one millisecond, and
/// then ever more slowly.
async fn open_pipes(deployment: &mut Deployment<'_>, process: &Process) -> Result<Pipes, Failure> {
    let ipc = deployment.ipc.clone();
    let name = deployment.name.clone();
    let settings = encode_settings(&name, process).at(Step::StartProcess)?;
    let started = Instant::now();
    let mut pauses = Pauses::new();
    let mut asked = Instant::now();
    let (main_name, out, err, input) =
        (name.executable(), name.stdout_pipe(), name.stderr_pipe(), name.stdin_pipe());
    let std = process.has_std_pipes();
    // A std pipe that is open stays so while we wait for the main pipe: it has one client in its life.
    let (mut stdout, mut stderr, mut stdin) = (None, None, None);
    loop {
        let wanted = |name, open: &Option<Pipe>| (std && open.is_none()).then_some(name);
        let (main, out, err, input, marked) = tokio::join!(
            within(OPEN_PIPE, open_main(&ipc, &main_name, &settings)),
            open_std(&ipc, wanted(&out, &stdout), PipeAccess::Read),
            open_std(&ipc, wanted(&err, &stderr), PipeAccess::Read),
            open_std(&ipc, wanted(&input, &stdin), PipeAccess::Write),
            deployment.mark_for_delete(),
        );
        marked.at(Step::StartService)?;
        stdout = stdout.or(out.at(Step::StartProcess)?);
        stderr = stderr.or(err.at(Step::StartProcess)?);
        stdin = stdin.or(input.at(Step::StartProcess)?);
        match main {
            Ok((main, code_pages)) => return Ok(Pipes { main, code_pages, stdout, stderr, stdin }),
            Err(error) if !is_missing_pipe(&error) => {
                return Err(Failure { step: Step::OpenPipe, kind: error });
            }
            Err(_) if started.elapsed() >= OPEN_PIPE => {
                return Err(Failure { step: Step::OpenPipe, kind: ErrorKind::NoPipe(OPEN_PIPE) });
            }
            Err(_) => {}
        }
        if asked.elapsed() >= ASK_SERVICE {
            deployment.check_running().await.at(Step::OpenPipe)?;
            asked = Instant::now();
        }
        pauses.pause().await;
    }
}

/// Opens the main pipe and exchanges SETTINGS for OK, in one wait for the server.
async fn open_main(ipc: &Tree, name: &str, settings: &[u8]) -> Result<(Pipe, Option<CodePages>), ErrorKind> {
    let (pipe, answer) = ipc.open_pipe_and_transceive(name, settings.to_vec()).await?;
    match decode(&answer.bytes)? {
        MessageBody::Ok(payload) => Ok((pipe, CodePages::decode(&payload))),
        _ => Err(ErrorKind::Service("it answered the settings with another message than OK".into())),
    }
}

/// Opens a std pipe if it is wanted and there already.
async fn open_std(ipc: &Tree, name: Option<&String>, access: PipeAccess) -> Result<Option<Pipe>, ErrorKind> {
    let Some(name) = name else { return Ok(None) };
    match within(OPEN_PIPE, ipc.open_pipe(name, access)).await {
        Ok(pipe) => Ok(Some(pipe)),
        Err(error) if is_missing_pipe(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a std pipe that the service makes in answer to START_APP.
async fn open_std_late(ipc: &Tree, name: &String, access: PipeAccess) -> Result<Pipe, ErrorKind> {
    let started = Instant::now();
    let mut pauses = Pauses::new();
    loop {
        if let Some(pipe) = open_std(ipc, Some(name), access).await? {
            return Ok(pipe);
        }
        if started.elapsed() >= OPEN_PIPE {
            return Err(ErrorKind::NoPipe(OPEN_PIPE));
        }
        pauses.pause().await;
    }
}

/// Starts the process and follows it to its end, or to its start if it is asynchronous.
async fn run_process(
    pipes: Pipes,
    deployment: &Deployment<'_>,
    process: &Process,
    trace: &Trace,
    warnings: &mut Vec<String>,
) -> Result<Outcome, Failure> {
    let name = &deployment.name;
    let start = Message {
        unique_id: name.unique_id(),
        body: MessageBody::StartApp(StartApp { process_id: name.number, host: name.host.clone() }),
    }
    .encode(0);
    let result = async {
        // Asked for together with the start: it may come soon.
        let ((), answer) =
            tokio::try_join!(within(HAND_OVER, pipes.main.write(start)), read_message(&pipes.main),)?;
        match answer {
            body @ MessageBody::Ok(_) => body.result().ok_or("its answer has no result"),
            _ => Err("it answered the start with another message than OK"),
        }
        .map_err(|text| ErrorKind::Service(text.into()))
    };
    if !process.has_std_pipes() {
        let value = result.await.at(Step::StartProcess)?;
        trace.note("the process was started or has ended");
        return Ok(match process.asynchronous {
            true => Outcome::Started { process_id: value },
            false => Outcome::Finished { exit_code: value, output: None },
        });
    }

    let (stdout, stderr) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let ipc = &deployment.ipc;
    let (out_name, err_name, in_name) = (name.stdout_pipe(), name.stderr_pipe(), name.stdin_pipe());
    let read = async |opened: Option<Pipe>, name: &String, sink: &Mutex<Vec<u8>>| {
        let pipe = match opened {
            Some(pipe) => pipe,
            None => open_std_late(ipc, name, PipeAccess::Read).await?,
        };
        read_to_end(&pipe, sink).await
    };
    let write = async {
        let pipe = match pipes.stdin {
            Some(pipe) => pipe,
            None => open_std_late(ipc, &in_name, PipeAccess::Write).await?,
        };
        write_and_close(pipe, &process.stdin).await
    };
    let readers = async {
        tokio::try_join!(read(pipes.stdout, &out_name, &stdout), read(pipes.stderr, &err_name, &stderr))
    };
    tokio::pin!(result, readers, write);
    let (mut read_all, mut written_all) = (false, false);
    let exit_code = loop {
        tokio::select! {
            exit_code = &mut result => break exit_code.at(Step::StartProcess)?,
            read = &mut readers, if !read_all => { read.at(Step::Run)?; read_all = true; }
            written = &mut write, if !written_all => { written.at(Step::Run)?; written_all = true; }
        }
    };
    trace.note(format!("the process has ended with exit code {exit_code}"));

    let received = || lock(&stdout).len() + lock(&stderr).len();
    // Our own service, which tells its code pages, ends the output soon in any case: an end that does not come was
    // lost. PAExec leaves it to whoever still holds the pipe.
    let must_end = pipes.code_pages.is_some();
    let patience = if must_end { OUTPUT_END } else { OUTPUT_PAUSE };
    while !read_all {
        let before = received();
        tokio::select! {
            read = &mut readers => { read.at(Step::Run)?; read_all = true; }
            () = sleep(patience) => if received() == before {
                if must_end {
                    return Err(Failure { step: Step::Run, kind: ErrorKind::ResultLost });
                }
                warnings.push("The process has ended, yet its output was not closed: some of it may be missing.".into());
                break;
            }
        }
    }
    trace.note(format!("received {} bytes of output", received()));
    let output = Output {
        stdout: std::mem::take(&mut *lock(&stdout)),
        stderr: std::mem::take(&mut *lock(&stderr)),
        code_pages: pipes.code_pages,
    };
    Ok(Outcome::Finished { exit_code, output: Some(output) })
}

/// Connects once more, only to look after what the lost connection left on the host.
async fn remove_after_loss(
    connection: &Connection,
    previous_session: SessionId,
    name: RunName,
    process_may_run: bool,
    trace: &Trace,
) -> Vec<String> {
    trace.note("the connection was lost; connecting again to clean up");
    let service = name.service();
    let removed = async {
        let connecting = connect(connection, Some(previous_session), trace);
        let session = within_failure(connection.timeout.min(RECONNECT), Step::Connect, connecting).await?;
        let removing = async {
            let mut deployment = Deployment::begin(&session, &connection.host, name, trace).await?;
            let warnings = deployment.resume(process_may_run).await.at(Step::Remove)?;
            let mut all = deployment.remove().await.at(Step::Remove)?;
            all.extend(warnings);
            session.log_off().await;
            Ok(all)
        };
        within_failure(CLEAN_UP, Step::Remove, removing).await
    };
    match removed.await {
        Ok(warnings) => warnings,
        Err(Failure { step, kind }) => vec![
            format!("The connection was lost, and connecting again to clean up failed ({step}: {kind})."),
            may_be_left(&service),
        ],
    }
}

fn may_be_left(service: &str) -> String {
    format!(
        "The process may still be running; the service {service} removes itself when it has ended, its file \
         {service}.exe goes with the next run from here or the host's next restart."
    )
}

async fn within_failure<T>(
    bound: Duration,
    step: Step,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(bound, work).await.unwrap_or(Err(Failure { step, kind: ErrorKind::TimedOut(bound) }))
}

fn encode_settings(name: &RunName, process: &Process) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
    let (username, password, use_system_account) = match &process.account {
        Account::Connection => (String::new(), Zeroizing::default(), false),
        Account::System => (String::new(), Zeroizing::default(), true),
        Account::User { username, password } => (username.clone(), password.clone(), false),
    };
    let settings = Settings {
        processors: Vec::new(),
        copy_files: false,
        force_copy: false,
        copy_if_newer_or_higher_version: false,
        asynchronous: process.asynchronous,
        dont_load_profile: !process.load_profile,
        interactive_session: process.interactive_session.unwrap_or(0),
        interactive: process.interactive_session.is_some(),
        run_elevated: process.integrity_level == IntegrityLevel::Elevated,
        run_limited: process.integrity_level == IntegrityLevel::Limited,
        password,
        username,
        use_system_account,
        working_directory: process.working_directory.clone(),
        show_ui_on_win_logon: process.show_ui_on_logon_screen,
        priority: process.priority.class(),
        executable: process.executable.clone(),
        arguments: process.arguments.clone().unwrap_or_default(),
        disable_file_redirection: true,
        enable_debug: false,
        remote_log_path: String::new(),
        no_delete: false,
        source_directory: String::new(),
        destination_directory: String::new(),
        source_files: Vec::new(),
        destination_files: Vec::new(),
        timeout_seconds: process
            .timeout
            .map_or(0, |timeout| u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX)),
    };
    let message = Message { unique_id: name.unique_id(), body: MessageBody::Settings(Box::new(settings)) };
    Ok(Zeroizing::new(message.encode(random()?)))
}

impl Process {
    /// Neither a detached process nor one with a window of its own has them.
    fn has_std_pipes(&self) -> bool {
        !self.asynchronous && self.interactive_session.is_none()
    }
}

impl Priority {
    fn class(self) -> u32 {
        match self {
            Priority::AboveNormal => paexec::ABOVE_NORMAL_PRIORITY_CLASS,
            Priority::BelowNormal => paexec::BELOW_NORMAL_PRIORITY_CLASS,
            Priority::High => paexec::HIGH_PRIORITY_CLASS,
            Priority::Idle => paexec::IDLE_PRIORITY_CLASS,
            Priority::Normal => paexec::NORMAL_PRIORITY_CLASS,
            Priority::Realtime => paexec::REALTIME_PRIORITY_CLASS,
        }
    }
}

impl ServiceImage {
    fn read(&self) -> std::io::Result<std::borrow::Cow<'static, [u8]>> {
        match self {
            ServiceImage::Embedded(bytes) => Ok((*bytes).into()),
            ServiceImage::File(path) => std::fs::read(path).map(Into::into),
        }
    }
}

/// The random number drawn for this run was another's.
fn is_collision(Failure { step, kind }: &Failure) -> bool {
    match (step, kind) {
        (Step::Upload, ErrorKind::Status { status, .. }) => *status == NtStatus::OBJECT_NAME_COLLISION,
        (Step::CreateService, ErrorKind::ServiceManager { code, .. }) => {
            *code == msrpc::scmr::ERROR_SERVICE_EXISTS
        }
        _ => false,
    }
}

fn is_missing_pipe(error: &ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::Status {
            status: NtStatus::OBJECT_NAME_NOT_FOUND
                | NtStatus::PIPE_NOT_AVAILABLE
                | NtStatus::INSTANCE_NOT_AVAILABLE,
            ..
        }
    )
}

/// Ours have the top bit set, see [`RunName::is_ours`].
fn random_number() -> Result<u32, Failure> {
    Ok(random().at(Step::Connect)? | 1 << 31)
}

fn random() -> Result<u32, ErrorKind> {
    getrandom::u32().map_err(|error| ErrorKind::Internal(error.to_string()))
}

/// This machine's name, of characters that file, service and pipe names can have.
fn local_host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let first_label = name.trim().split('.').next().unwrap_or_default();
    let usable: String = first_label
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(32)
        .collect();
    if usable.is_empty() { "controller".into() } else { usable }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often another number is drawn when one is taken.
const MAX_TRIES: u32 = 3;
/// How long a started service may take to make its pipes.
const OPEN_PIPE: Duration = Duration::from_secs(30);
/// How often the service manager is asked meanwhile whether the service still runs.
const ASK_SERVICE: Duration = Duration::from_secs(1);
/// Bound of connecting again: together with the silence before it less than a minute.
const RECONNECT: Duration = Duration::from_secs(25);
/// Bound of what is done over that connection, on a host that answers: longer than its service takes to end.
const CLEAN_UP: Duration = Duration::from_secs(40);
/// How often it is looked whether the service still runs while its result is awaited.
const WATCH_SERVICE: Duration = Duration::from_secs(30);
/// How long a removal may go on when we are told to end: within seconds.
const CANCEL: Duration = Duration::from_secs(8);
/// How long the service may take to take a message in.
const HAND_OVER: Duration = Duration::from_secs(30);
/// How long nothing of the output may arrive after the end of the process, although more must come.
const OUTPUT_END: Duration = Duration::from_secs(60);
/// How long PAExec's output may pause after the end of the process before it is given up.
const OUTPUT_PAUSE: Duration = Duration::from_secs(5);
