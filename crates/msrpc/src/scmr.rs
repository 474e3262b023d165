//! The Service Control Manager Remote Protocol, [MS-SCMR]: the calls that create, run, observe and remove a service.
//!
//! Each call is a struct with the method's name and [`Call`]; its results are an [`Answer`].
//!
//! [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
mod answers;
mod call;
mod calls;
mod constants;

use crate::rpc;
pub use answers::{
    CreateServiceAnswer, EnumServiceStatus, EnumServicesStatusAnswer, HandleAnswer, ReturnCodeAnswer,
    ServiceStatus, ServiceStatusAnswer, ServiceStatusProcess, ServiceStatusProcessAnswer,
};
pub use call::{Answer, Call, Handle};
pub use calls::{
    RChangeServiceConfig2W, RCloseServiceHandle, RControlService, RCreateServiceW, RDeleteService,
    REnumServicesStatusW, ROpenSCManagerW, ROpenServiceW, RQueryServiceStatus, RQueryServiceStatusEx,
    RStartServiceW,
};
pub use constants::*;

/// Named pipe of the service control manager.
pub const PIPE: &str = "svcctl";

/// Interface 367abb81-9844-35f1-ad32-98f038001003, version 2.0.
pub const INTERFACE: rpc::Interface = rpc::Interface {
    uuid: [0x81, 0xbb, 0x7a, 0x36, 0x44, 0x98, 0xf1, 0x35, 0xad, 0x32, 0x98, 0xf0, 0x38, 0x00, 0x10, 0x03],
    major: 2,
    minor: 0,
};
