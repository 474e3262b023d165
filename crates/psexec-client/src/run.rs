//! One run: deploy, start, wait, remove.
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use paexec::{Naming, RunName};
use smb_client::Tree;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::deployment::{DEPLOYMENT, Deployment, Leftover, NotCreated, StartedService, has_ended};
use crate::error::{At, ErrorKind, Failure, Step};
use crate::link::Link;
use crate::pipes::ServicePipes;
use crate::process::{Mode, Process};
use crate::random::run_name;
use crate::report::{Outcome, Warning};
use crate::running::{Drained, RunningProcess};
use crate::service_image::{Images, ServiceImage};
use crate::sweep::sweep;
use crate::trace::Trace;

/// Runs `process` over `link`, and gives the link back.
///
/// When `cancelled` resolves, the process is ended and everything removed. The same is done when the future is
/// dropped, as long as the tokio runtime lives on; the link ends then.
pub(crate) async fn run(
    link: Link,
    process: Process,
    service: ServiceImage,
    cancelled: impl Future<Output = ()>,
) -> (Done, Option<Link>) {
    let (wanted, gone) = oneshot::channel::<()>();
    let run = Run { trace: Arc::clone(link.trace()), link, process, interest: Interest { gone, lost: None } };
    // The task outlives this future: what it has put on the host it also takes away.
    let mut task = tokio::spawn(run.drive(service));
    let done = tokio::select! {
        done = &mut task => done,
        () = cancelled => {
            drop(wanted);
            task.await
        }
    };
    match done {
        Ok((done, link)) => (done, Some(link)),
        Err(panic) => {
            let failure = Failure { step: Step::Run, kind: ErrorKind::Internal(panic.to_string()) };
            (Done { outcome: Err(failure), changed: true, warnings: Vec::new() }, None)
        }
    }
}

struct Run {
    link: Link,
    process: Process,
    trace: Arc<Trace>,
    interest: Interest,
}

/// What has become of a run.
pub(crate) struct Done {
    pub(crate) outcome: Result<Outcome, Failure>,
    /// See [`Report::changed`](crate::Report).
    pub(crate) changed: bool,
    pub(crate) warnings: Vec<Warning>,
}

/// What has become of a run under one name.
enum Attempt {
    /// Everything is removed, but for what the warnings tell.
    Ended { outcome: Result<Outcome, Failure>, warnings: Vec<Warning> },
    /// The name was another run's. Nothing of ours bears it.
    Collided { failure: Failure, warnings: Vec<Warning> },
    /// The connection is gone. What is left has to be removed over another.
    Lost { outcome: Result<Outcome, Failure>, warnings: Vec<Warning>, leftover: Leftover },
}

/// What has become of a process, before anything is removed.
enum Ran {
    Ended(Result<Outcome, Failure>, Vec<Warning>),
    NameTaken(Failure),
    /// Nobody wants the result any more.
    Unwanted,
}

impl Run {
    async fn drive(mut self, service: ServiceImage) -> (Done, Link) {
        let mut done = self.connect_and_run(service).await;
        done.warnings.splice(0..0, self.link.take_warnings());
        self.link.note_renewals();
        (done, self.link)
    }

    async fn connect_and_run(&mut self, service: ServiceImage) -> Done {
        let unchanged = |failure| Done { outcome: Err(failure), changed: false, warnings: Vec::new() };
        let naming = service.naming();
        let images = match service.read().at(Step::ReadServiceImage) {
            Ok(images) => images,
            Err(failure) => return unchanged(failure),
        };
        let connected = tokio::select! {
            connected = self.link.connect() => connected,
            () = self.interest.ends() => Err(cancelled_at(Step::Connect)),
        };
        match connected {
            Ok(()) => {
                let (outcome, warnings) = self.run_over(naming, images).await;
                Done { outcome, changed: true, warnings }
            }
            Err(failure) => unchanged(failure),
        }
    }

    /// Draws another name when one is taken, takes the other image when the host does not run the first one, and connects
    /// once more to clean up if the connection is lost.
    async fn run_over(&mut self, naming: Naming, images: Images) -> (Result<Outcome, Failure>, Vec<Warning>) {
        let Images { first: mut image, mut other } = images;
        let mut all = Vec::new();
        let mut names = 1;
        loop {
            match self.attempt(naming, &image).await {
                Attempt::Ended { outcome, warnings } => {
                    all.extend(warnings);
                    match (&outcome, other.take()) {
                        (Err(Failure { kind, .. }), Some(other)) if kind.is_for_another_machine() => {
                            self.trace.note(format!("{kind}: once more with the 32-bit service"));
                            image = other.into();
                        }
                        _ => return (outcome, all),
                    }
                }
                Attempt::Collided { failure, warnings } => {
                    all.extend(warnings);
                    if names == MAX_NAMES {
                        return (Err(failure), all);
                    }
                    names += 1;
                }
                Attempt::Lost { outcome, warnings, leftover } => {
                    all.extend(warnings);
                    self.link.give_up();
                    all.extend(self.remove_after_loss(leftover).await);
                    return (outcome, all);
                }
            }
        }
    }

    /// Deploys the service under a new name, has it run the process, and removes it.
    async fn attempt(&mut self, naming: Naming, image: &[u8]) -> Attempt {
        let over = |failure| Attempt::Ended { outcome: Err(failure), warnings: Vec::new() };
        let name = match run_name(naming).at(Step::Connect) {
            Ok(name) => name,
            Err(failure) => return over(failure),
        };
        let service = name.service();
        let shares = tokio::select! {
            shares = self.link.service_shares() => shares,
            () = self.interest.ends() => Err(cancelled_at(Step::ConnectIpc)),
        };
        let mut deployment = match shares {
            Ok(shares) => Deployment::begin(shares, name, &self.trace),
            Err(failure) => return over(failure),
        };
        let mut sweeping = pin!(sweep_meanwhile(deployment.surroundings(), &self.trace));
        let ran = tokio::select! {
            // What the run itself asks for leaves first.
            biased;
            ran = deploy_and_run(&mut deployment, image, &self.process, &self.trace) => ran,
            () = self.interest.ends() => Ran::Unwanted,
            never = &mut sweeping => match never {},
        };
        let leftover = deployment.leftover();
        let ran = match ran {
            Ran::Ended(Err(failure), warnings) if matches!(failure.kind, ErrorKind::Lost(_)) => {
                return Attempt::Lost { outcome: Err(failure), warnings, leftover };
            }
            ran => ran,
        };
        let is_in_order = matches!(ran, Ran::Ended(Ok(_), _));
        let removed = tokio::select! {
            biased;
            removed = deployment.remove() => removed,
            () = self.interest.patience_ends() => Ok(vec![Warning::RemovalGivenUp { service }]),
            never = &mut sweeping, if is_in_order => match never {},
        };
        let is_lost = removed.is_err();
        let left = removed.unwrap_or_default();
        let (outcome, warnings) = match ran {
            Ran::Ended(outcome, warnings) => (outcome, warnings.into_iter().chain(left).collect()),
            Ran::NameTaken(failure) if !is_lost => return Attempt::Collided { failure, warnings: left },
            Ran::NameTaken(failure) => (Err(failure), left),
            Ran::Unwanted => (Err(cancelled_at(Step::Run)), left),
        };
        match is_lost {
            true => Attempt::Lost { outcome, warnings, leftover },
            false => Attempt::Ended { outcome, warnings },
        }
    }

    /// Connects once more to look after what the lost connection left on the host.
    async fn remove_after_loss(&mut self, leftover: Leftover) -> Vec<Warning> {
        let service = leftover.name.service();
        let (link, trace) = (&mut self.link, &self.trace);
        trace.note("the connection was lost; connecting again to clean up");
        let removing = async {
            reconnect(link).await?;
            let cleaning = async {
                let shares = link.service_shares().await?;
                let (deployment, warning) = Deployment::resume(shares, leftover, trace).await?;
                let mut warnings = deployment.remove().await.at(Step::Remove)?;
                warnings.extend(warning);
                Ok(warnings)
            };
            within_failure(CLEAN_UP, Step::Remove, cleaning).await
        };
        tokio::select! {
            removed = removing => removed.unwrap_or_else(|Failure { step, kind }| vec![
                Warning::NotReconnected { step, error: kind },
                Warning::RemovalGivenUp { service: service.clone() },
            ]),
            () = self.interest.patience_ends() => vec![Warning::RemovalGivenUp { service: service.clone() }],
        }
    }
}

/// Connects to a host that has been lost, only to clean up.
pub(crate) async fn reconnect(link: &mut Link) -> Result<(), Failure> {
    let bound = link.connection().timeout.min(RECONNECT);
    within_failure(bound, Step::Connect, link.connect()).await
}

/// Whether anybody still wants the result.
struct Interest {
    gone: oneshot::Receiver<()>,
    /// When it was noticed that nobody does.
    lost: Option<Instant>,
}

impl Interest {
    /// Resolves when nobody wants the result any more, and from then on at once.
    async fn ends(&mut self) {
        if self.lost.is_none() {
            // The other end is dropped, never used.
            let _ = (&mut self.gone).await;
            self.lost = Some(Instant::now());
        }
    }

    /// Resolves when a removal has to be given up, because who wanted the result has told us to end.
    async fn patience_ends(&mut self) {
        self.ends().await;
        sleep_until(self.lost.unwrap_or_else(Instant::now) + CANCEL).await;
    }
}

/// Deploys the service, has it run the process, and waits for the end.
async fn deploy_and_run(
    deployment: &mut Deployment<'_>,
    image: &[u8],
    process: &Process,
    trace: &Trace,
) -> Ran {
    let deadline = Instant::now() + DEPLOYMENT;
    let late = |step| Failure { step, kind: ErrorKind::TimedOut(DEPLOYMENT) };
    let created = match timeout_at(deadline, deployment.create(image)).await {
        Ok(Ok(created)) => created,
        Ok(Err(NotCreated::NameTaken(failure))) => return Ran::NameTaken(failure),
        Ok(Err(NotCreated::Failed(failure))) => return Ran::Ended(Err(failure), Vec::new()),
        Err(_) => return Ran::Ended(Err(late(Step::CreateService)), Vec::new()),
    };
    let ran = async {
        let starting = timeout_at(deadline, created.start()).await;
        let mut service = starting.unwrap_or_else(|_| Err(late(Step::StartService)))?;
        let pipes = ServicePipes::open(&mut service, process).await?;
        trace.note("handed the settings over");
        service.record_process();
        tokio::select! {
            ran = run_process(&service, pipes, process, trace) => ran,
            failure = watch(&service) => Err(failure),
        }
    };
    match ran.await {
        Ok((outcome, warning)) => Ran::Ended(Ok(outcome), warning.into_iter().collect()),
        Err(failure) => Ran::Ended(Err(failure), Vec::new()),
    }
}

/// Starts the process and follows it to its end, or to its start if it is detached.
async fn run_process(
    service: &StartedService<'_>,
    pipes: ServicePipes,
    process: &Process,
    trace: &Trace,
) -> Result<(Outcome, Option<Warning>), Failure> {
    let mut running = RunningProcess::new(service, pipes, process);
    let (value, remark) = running.until_result().await?;
    if !remark.is_empty() {
        let short: String = remark.trim_end().chars().take(LONGEST_REMARK).collect();
        trace.note(format!("the service remarks: {short}"));
    }
    if let Mode::Detached { .. } = process.mode {
        trace.note(format!("the process has started with id {value}"));
        return Ok((Outcome::Started { process_id: value }, None));
    }
    trace.note(format!("the process has ended with exit code {value}"));
    let Drained { output, is_closed } = running.drain().await?;
    if let Some(output) = &output {
        trace.note(format!("received {} bytes of output", output.stdout.len() + output.stderr.len()));
    }
    let warning = (!is_closed).then_some(Warning::OutputNotClosed);
    Ok((Outcome::Finished { exit_code: value, output }, warning))
}

/// Resolves when the service has come to its end without the result. The host is well then, and answers everything:
/// only a single answer got lost, or was withheld by somebody in between.
async fn watch(service: &StartedService<'_>) -> Failure {
    loop {
        sleep(WATCH_SERVICE).await;
        // Where nothing is to be learned now there may be later.
        if let Ok(true) = has_ended(service.ipc(), service.name()).await {
            // What it said last may still be on its way.
            sleep(LAST_WORDS).await;
            return Failure { step: Step::Run, kind: ErrorKind::ResultLost };
        }
    }
}

async fn sweep_meanwhile((ipc, admin, own): (Tree, Tree, RunName), trace: &Trace) -> Infallible {
    sweep(&ipc, &admin, &own, trace).await;
    std::future::pending().await
}

fn cancelled_at(step: Step) -> Failure {
    Failure { step, kind: ErrorKind::Cancelled }
}

/// Bounds a wait, and says at which step it was.
pub(crate) async fn within_failure<T>(
    bound: Duration,
    step: Step,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(bound, work).await.unwrap_or(Err(Failure { step, kind: ErrorKind::TimedOut(bound) }))
}

/// Characters of what a service may remark: ours says a line.
const LONGEST_REMARK: usize = 1000;
/// How many names are drawn when they are taken.
const MAX_NAMES: u32 = 3;
/// Bound of connecting again: together with the silence before it less than a minute, unless a process was running.
const RECONNECT: Duration = Duration::from_secs(25);
/// Bound of what is done over that connection, on a host that answers: longer than its service takes to end.
pub(crate) const CLEAN_UP: Duration = Duration::from_secs(40);
/// How often it is looked whether the service still runs while its result is awaited.
const WATCH_SERVICE: Duration = Duration::from_secs(30);
/// How long what a service said last may be on its way.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long a removal may go on when we are told to end: within seconds.
const CANCEL: Duration = Duration::from_secs(8);
