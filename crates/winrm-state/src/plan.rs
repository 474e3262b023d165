use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::desired::{Desired, ListenerWish, OnPolicy, parse_address};
use crate::refusal::Refusal;
use crate::state::{Service, ServiceStart, State};
use crate::value::Value;

mod certificate;
mod firewall;
mod listener;
mod settings;

/// The way from what a host has to what a task wants.
///
/// The actions are in an order in which each has what it needs, and the firewall is opened only when that is there for
/// which it is. Whoever stops after any of them can make a plan again, which leads the rest of the way. What WinRM tells is
/// to be read again before [`Action::StopService`], all else at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is done, one after the other.
    pub actions: Vec<Action>,
    /// What the task's user should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Plans everything, or refuses before anything is done.
    pub fn new(state: &State, desired: &Desired) -> Result<Self, Refusal> {
        desired.check()?;
        let service = state.service.ok_or(Refusal::NoWinRm)?;
        let mut planner = Planner { state, desired, service, actions: Vec::new(), warnings: Vec::new() };
        planner.settings()?;
        match &desired.listener {
            None => {}
            Some(ListenerWish::Present(listener)) => planner.present(listener)?,
            Some(ListenerWish::Absent { transport, address }) => {
                let address = address.as_deref().map(parse_address).transpose()?;
                planner.absent(*transport, address.as_ref())?;
            }
        }
        planner.token_filter();
        planner.unused_certificates();
        planner.service()?;
        Ok(Self { actions: planner.actions, warnings: planner.warnings })
    }

    /// The host as it will be, for check mode. [`Thumbprint::NOT_YET_MADE`](crate::Thumbprint::NOT_YET_MADE) stands for
    /// a certificate that would be made.
    pub fn foreseen(&self, state: &State) -> State {
        foreseen(state, &self.actions)
    }
}

/// A plan in the making. What each part adds goes after what there is, and what refuses leaves no plan at all.
struct Planner<'a> {
    state: &'a State,
    desired: &'a Desired,
    service: Service,
    actions: Vec<Action>,
    warnings: Vec<String>,
}

impl Planner<'_> {
    /// What a policy holds is refused, or warned of and left out.
    fn held_by_policy(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        match self.desired.on_policy {
            OnPolicy::Refuse => Err(refusal),
            OnPolicy::Warn => {
                self.warnings.push(refusal.to_string());
                Ok(())
            }
        }
    }

    fn token_filter(&mut self) {
        let wanted = self.desired.local_account_token_filter_policy;
        let wanted = wanted.filter(|wanted| *wanted != self.state.local_account_token_filter_policy);
        self.actions.extend(wanted.map(Action::SetLocalAccountTokenFilterPolicy));
    }

    /// Removes what tasks have made and nothing will use, if that is asked for.
    fn unused_certificates(&mut self) {
        if !self.desired.remove_made_certificates {
            return;
        }
        let left = self.foreseen();
        let of_service = left.configuration.get(CREDSSP_CERTIFICATE).map(|configured| &configured.value);
        let used = |thumbprint| {
            left.listeners.iter().any(|listener| listener.certificate_thumbprint.as_ref() == Some(thumbprint))
                || of_service == Some(&Value::Text(thumbprint.to_string()))
        };
        let made = self.state.certificates.iter().filter(|certificate| certificate.made_by_us);
        let unused = made.map(|certificate| &certificate.thumbprint).filter(|thumbprint| !used(*thumbprint));
        self.actions.extend(unused.cloned().map(Action::RemoveCertificate));
    }

    /// Puts what the service needs around all the rest: started before, and stopped or disabled after it.
    fn service(&mut self) -> Result<(), Refusal> {
        let Service { running, start } = self.service;
        let wish = self.desired.service;
        let new_start = wish.start.filter(|wanted| *wanted != start);
        let starts = wish.running == Some(true) && !running;
        let needed = self.actions.iter().any(Action::needs_winrm);
        let stays_disabled = start == ServiceStart::Disabled && new_start.is_none();
        if !running && (starts || needed) {
            if stays_disabled {
                return Err(Refusal::ServiceDisabled);
            }
            if !starts {
                return Err(Refusal::ServiceStopped);
            }
        }
        let (last, first): (Vec<_>, Vec<_>) =
            new_start.into_iter().partition(|start| *start == ServiceStart::Disabled);
        let mut actions: Vec<_> = first.into_iter().map(Action::SetServiceStart).collect();
        actions.extend(starts.then_some(Action::StartService));
        actions.append(&mut self.actions);
        actions.extend((wish.running == Some(false) && running).then_some(Action::StopService));
        actions.extend(last.into_iter().map(Action::SetServiceStart));
        self.actions = actions;
        Ok(())
    }

    /// The host after what is planned so far.
    fn foreseen(&self) -> State {
        foreseen(self.state, &self.actions)
    }
}

const CREDSSP_CERTIFICATE: &str = "certificate_thumbprint";

fn foreseen(state: &State, actions: &[Action]) -> State {
    let mut foreseen = state.clone();
    actions.iter().for_each(|action| action.foresee(&mut foreseen));
    foreseen
}
