//! WinRM's configuration: what a host has, what a task wants, and the actions that lead from one to the other.
//!
//! ```text
//! XML and registry ─► State ─┐
//!                            ├─► Plan (actions, warnings) ─► Request ─► the host ─► State ─► Difference
//! task ─► Desired ───────────┘      └─► the State foreseen, for check mode ─────────────────────┘
//! ```
//!
//! The controller checks a task with it before it connects ([`Desired::check`]), the agent on the host plans and reads
//! with it; between them the types travel as JSON. Facts about WinRM are those of [MS-WSMV] and of the documentation; a
//! default, a range or a policy that neither proves is left out.
//!
//! INVARIANTS: no I/O, no clock, no randomness; no panic on any input; reading allocates in proportion to the input,
//! whose length has a bound.
//!
//! [MS-WSMV]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-wsmv/055dc36d-db2f-42ec-9de5-a6a1a3fdbf1f
#![forbid(unsafe_code)]

mod action;
mod address;
mod answer;
mod certificate;
mod desired;
mod difference;
mod firewall;
mod listener;
mod plan;
mod refusal;
mod registry;
mod request;
mod setting;
mod state;
mod thumbprint;
mod value;

pub use action::{Action, CertificateReference, ListenerValues};
pub use address::Address;
pub use answer::{AnswerError, LONGEST_ANSWER, read_configuration, read_fault, read_listeners};
pub use certificate::{Certificate, Generated};
pub use desired::{
    CertificateWish, Desired, GenerateWish, ListenerWish, OnPolicy, PresentListener, ServiceWish,
};
pub use difference::Difference;
pub use firewall::{FirewallRule, Network, NetworkCategory};
pub use listener::{Listener, Source, Transport};
pub use plan::Plan;
pub use refusal::Refusal;
pub use registry::{RegistryValue, apply_policies, configuration_from_registry, listener_from_registry};
pub use request::{Operation, READ_LISTENERS, READ_SERVICE, READ_WINRS, Request, whole};
pub use setting::{Access, Defaults, Kind, PerVersion, Policy, Resource, SETTINGS, Setting, WindowsVersion};
pub use state::{Binding, Configuration, Configured, Pfx, Service, ServiceStart, State, TakenPort};
pub use thumbprint::Thumbprint;
pub use value::{Value, same_name};
