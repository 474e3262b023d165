//! The methods.
//!
//! [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
use alloc::{string::String, vec::Vec};
use core::fmt;

use super::answers::{
    CreateServiceAnswer, EnumServicesStatusAnswer, HandleAnswer, ReturnCodeAnswer, ServiceStatusAnswer,
    ServiceStatusProcess, ServiceStatusProcessAnswer,
};
use super::call::{Call, Handle};
use super::constants::{SC_STATUS_PROCESS_INFO, SERVICE_CONFIG_DESCRIPTION};
use crate::ndr::{NdrError, NdrReader, NdrWriter};

/// Releases a handle, [MS-SCMR] 3.1.4.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RCloseServiceHandle {
    /// Of the manager or a service.
    pub handle: Handle,
}

impl Call for RCloseServiceHandle {
    const NAME: &str = "RCloseServiceHandle";
    const OPNUM: u16 = 0;
    /// The handle comes back as zeros.
    type Answer = HandleAnswer;

    fn encode(&self) -> Vec<u8> {
        encode_handle(&self.handle)
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        Ok(Self { handle: decode_handle(stub)? })
    }
}

/// Sends a control code to a service, [MS-SCMR] 3.1.4.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RControlService {
    /// Handle of the service.
    pub service: Handle,
    /// Such as [`SERVICE_CONTROL_STOP`](super::SERVICE_CONTROL_STOP).
    pub control: u32,
}

impl Call for RControlService {
    const NAME: &str = "RControlService";
    const OPNUM: u16 = 1;
    type Answer = ServiceStatusAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.fixed(&self.service.0);
        ndr.u32(self.control);
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        Ok(Self { service: Handle(ndr.fixed()?), control: ndr.u32()? })
    }
}

/// Marks a service for deletion; it goes with its last handle, once it is stopped. [MS-SCMR] 3.1.4.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RDeleteService {
    /// Handle of the service.
    pub service: Handle,
}

impl Call for RDeleteService {
    const NAME: &str = "RDeleteService";
    const OPNUM: u16 = 2;
    type Answer = ReturnCodeAnswer;

    fn encode(&self) -> Vec<u8> {
        encode_handle(&self.service)
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        Ok(Self { service: decode_handle(stub)? })
    }
}

/// Asks for a service's state, [MS-SCMR] 3.1.4.7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RQueryServiceStatus {
    /// Handle of the service.
    pub service: Handle,
}

impl Call for RQueryServiceStatus {
    const NAME: &str = "RQueryServiceStatus";
    const OPNUM: u16 = 6;
    type Answer = ServiceStatusAnswer;

    fn encode(&self) -> Vec<u8> {
        encode_handle(&self.service)
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        Ok(Self { service: decode_handle(stub)? })
    }
}

/// Creates a service, [MS-SCMR] 3.1.4.12. It has no load order group, tag or dependencies, and its account needs no
/// password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RCreateServiceW {
    /// Of the manager, with [`SC_MANAGER_CREATE_SERVICE`](super::SC_MANAGER_CREATE_SERVICE).
    pub manager: Handle,
    /// Name, unique on the host without regard to case.
    pub service_name: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// Access rights of the handle in the answer.
    pub desired_access: u32,
    /// Such as [`SERVICE_WIN32_OWN_PROCESS`](super::SERVICE_WIN32_OWN_PROCESS).
    pub service_type: u32,
    /// Such as [`SERVICE_DEMAND_START`](super::SERVICE_DEMAND_START).
    pub start_type: u32,
    /// Such as [`SERVICE_ERROR_NORMAL`](super::SERVICE_ERROR_NORMAL).
    pub error_control: u32,
    /// Command line; environment variables are expanded.
    pub binary_path_name: String,
    /// `None`: LocalSystem.
    pub account: Option<String>,
}

impl Call for RCreateServiceW {
    const NAME: &str = "RCreateServiceW";
    const OPNUM: u16 = 12;
    type Answer = CreateServiceAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.fixed(&self.manager.0);
        ndr.string(&self.service_name);
        ndr.unique_string(self.display_name.as_deref());
        ndr.words([self.desired_access, self.service_type, self.start_type, self.error_control]);
        ndr.string(&self.binary_path_name);
        let (load_order_group, tag, dependencies, dependencies_size) = (0, 0, 0, 0);
        ndr.words([load_order_group, tag, dependencies, dependencies_size]);
        ndr.unique_string(self.account.as_deref());
        let (password, password_size) = (0, 0);
        ndr.words([password, password_size]);
        ndr.into_stub()
    }

    /// Reads what [`Call::encode`] writes; the parameters that are always null are not looked at, but for those that
    /// stand before the account.
    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        Ok(Self {
            manager: Handle(ndr.fixed()?),
            service_name: ndr.string()?,
            display_name: ndr.unique_string()?,
            desired_access: ndr.u32()?,
            service_type: ndr.u32()?,
            start_type: ndr.u32()?,
            error_control: ndr.u32()?,
            binary_path_name: ndr.string()?,
            account: {
                skip_load_order_and_dependencies(&mut ndr)?;
                ndr.unique_string()?
            },
        })
    }
}

/// Asks for the services of a host, [MS-SCMR] 3.1.4.14.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct REnumServicesStatusW {
    /// Of the manager, with [`SC_MANAGER_ENUMERATE_SERVICE`](super::SC_MANAGER_ENUMERATE_SERVICE).
    pub manager: Handle,
    /// Which types, such as [`SERVICE_WIN32_OWN_PROCESS`](super::SERVICE_WIN32_OWN_PROCESS).
    pub service_type: u32,
    /// Which states, such as [`SERVICE_STATE_ALL`](super::SERVICE_STATE_ALL).
    pub service_state: u32,
    /// Room for the answer, in bytes; 262 144 at most.
    pub buffer_size: u32,
    /// Where the last answer ended, or 0; `None`: the answer does not tell.
    pub resume_index: Option<u32>,
}

impl Call for REnumServicesStatusW {
    const NAME: &str = "REnumServicesStatusW";
    const OPNUM: u16 = 14;
    type Answer = EnumServicesStatusAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.fixed(&self.manager.0);
        ndr.words([self.service_type, self.service_state, self.buffer_size]);
        ndr.pointer(self.resume_index.is_some());
        self.resume_index.iter().for_each(|index| ndr.u32(*index));
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        Ok(Self {
            manager: Handle(ndr.fixed()?),
            service_type: ndr.u32()?,
            service_state: ndr.u32()?,
            buffer_size: ndr.u32()?,
            resume_index: ndr.pointer()?.then(|| ndr.u32()).transpose()?,
        })
    }
}

/// Opens the service control manager, [MS-SCMR] 3.1.4.15, with its active database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ROpenSCManagerW {
    /// The host's own name; of no effect.
    pub machine_name: Option<String>,
    /// Access rights of the handle in the answer.
    pub desired_access: u32,
}

impl Call for ROpenSCManagerW {
    const NAME: &str = "ROpenSCManagerW";
    const OPNUM: u16 = 15;
    type Answer = HandleAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.unique_string(self.machine_name.as_deref());
        ndr.unique_string(None);
        ndr.u32(self.desired_access);
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        let machine_name = ndr.unique_string()?;
        let _database_name = ndr.unique_string()?;
        Ok(Self { machine_name, desired_access: ndr.u32()? })
    }
}

/// Opens a service, [MS-SCMR] 3.1.4.16.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ROpenServiceW {
    /// Handle of the service control manager.
    pub manager: Handle,
    /// Any case.
    pub service_name: String,
    /// Access rights of the handle in the answer.
    pub desired_access: u32,
}

impl Call for ROpenServiceW {
    const NAME: &str = "ROpenServiceW";
    const OPNUM: u16 = 16;
    type Answer = HandleAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.fixed(&self.manager.0);
        ndr.string(&self.service_name);
        ndr.u32(self.desired_access);
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        Ok(Self { manager: Handle(ndr.fixed()?), service_name: ndr.string()?, desired_access: ndr.u32()? })
    }
}

/// Starts a service, [MS-SCMR] 3.1.4.19.
#[derive(Clone, PartialEq, Eq)]
pub struct RStartServiceW {
    /// Of a service, with [`SERVICE_START`](super::SERVICE_START).
    pub service: Handle,
    /// For the service's own function, behind the service's name. At most 1024.
    pub arguments: Vec<String>,
}

/// Says how many arguments there are, not what: they may be secret.
impl fmt::Debug for RStartServiceW {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.arguments.len();
        formatter.debug_struct(Self::NAME).field("service", &self.service).field("arguments", &count).finish()
    }
}

impl Call for RStartServiceW {
    const NAME: &str = "RStartServiceW";
    const OPNUM: u16 = 19;
    type Answer = ReturnCodeAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.fixed(&self.service.0);
        ndr.count(self.arguments.len());
        ndr.pointer(!self.arguments.is_empty());
        if !self.arguments.is_empty() {
            ndr.count(self.arguments.len());
            self.arguments.iter().for_each(|_| ndr.pointer(true));
            self.arguments.iter().for_each(|argument| ndr.string(argument));
        }
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        let service = Handle(ndr.fixed()?);
        let _argument_count = ndr.u32()?;
        let mut arguments = Vec::new();
        if ndr.pointer()? {
            // Null pointers are no arguments.
            for present in ndr.pointer_array()? {
                if present {
                    arguments.push(ndr.string()?);
                }
            }
        }
        Ok(Self { service, arguments })
    }
}

/// Sets a service's description, SERVICE_CONFIG_DESCRIPTION of [MS-SCMR] 3.1.4.35.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RChangeServiceConfig2W {
    /// Of a service, with [`SERVICE_CHANGE_CONFIG`](super::SERVICE_CHANGE_CONFIG).
    pub service: Handle,
    /// Text for people; empty: none.
    pub description: String,
}

impl Call for RChangeServiceConfig2W {
    const NAME: &str = "RChangeServiceConfig2W";
    const OPNUM: u16 = 37;
    type Answer = ReturnCodeAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.fixed(&self.service.0);
        let (level, discriminant) = (SERVICE_CONFIG_DESCRIPTION, SERVICE_CONFIG_DESCRIPTION);
        ndr.words([level, discriminant]);
        ndr.pointer(true);
        ndr.unique_string(Some(&self.description));
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        let service = Handle(ndr.fixed()?);
        for level in [ndr.u32()?, ndr.u32()?] {
            if level != SERVICE_CONFIG_DESCRIPTION {
                return Err(NdrError::UnknownLevel { level });
            }
        }
        let description = if ndr.pointer()? { ndr.unique_string()? } else { None };
        Ok(Self { service, description: description.unwrap_or_default() })
    }
}

/// Asks for a service's state and its process, [MS-SCMR] 3.1.4.38.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RQueryServiceStatusEx {
    /// Handle of the service.
    pub service: Handle,
}

impl Call for RQueryServiceStatusEx {
    const NAME: &str = "RQueryServiceStatusEx";
    const OPNUM: u16 = 40;
    type Answer = ServiceStatusProcessAnswer;

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.fixed(&self.service.0);
        ndr.words([SC_STATUS_PROCESS_INFO, ServiceStatusProcess::SIZE]);
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        let service = Handle(ndr.fixed()?);
        match ndr.u32()? {
            SC_STATUS_PROCESS_INFO => Ok(Self { service }),
            level => Err(NdrError::UnknownLevel { level }),
        }
    }
}

fn encode_handle(handle: &Handle) -> Vec<u8> {
    handle.0.to_vec()
}

fn decode_handle(stub: &[u8]) -> Result<Handle, NdrError> {
    Ok(Handle(NdrReader::new(stub).fixed()?))
}

/// lpLoadOrderGroup, lpdwTagId, lpDependencies and its size.
fn skip_load_order_and_dependencies(ndr: &mut NdrReader<'_>) -> Result<(), NdrError> {
    ndr.unique_string()?;
    if ndr.pointer()? {
        ndr.u32()?;
    }
    if ndr.pointer()? {
        ndr.byte_array()?;
    }
    ndr.u32()?;
    Ok(())
}
