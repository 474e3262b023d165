//! What the methods return.
//!
//! [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
use alloc::{string::String, vec::Vec};

use wire::{EndOfInput, Reader, Writer, decode_utf16_lossy, utf16_units};

use super::call::{Answer, Handle};
use crate::ndr::{NdrError, NdrReader, NdrWriter};

/// Results of a call that only succeeds or fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnCodeAnswer {
    /// Win32 error code, 0: success.
    pub return_code: u32,
}

impl Answer for ReturnCodeAnswer {
    fn return_code(&self) -> u32 {
        self.return_code
    }

    fn encode(&self) -> Vec<u8> {
        self.return_code.to_le_bytes().to_vec()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        Ok(Self { return_code: NdrReader::new(stub).u32()? })
    }
}

/// Results of a call that returns a handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandleAnswer {
    /// What was opened.
    pub handle: Handle,
    /// Win32 error code, 0: success.
    pub return_code: u32,
}

impl Answer for HandleAnswer {
    fn return_code(&self) -> u32 {
        self.return_code
    }

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.fixed(&self.handle.0);
        ndr.u32(self.return_code);
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        Ok(Self { handle: Handle(ndr.fixed()?), return_code: ndr.u32()? })
    }
}

/// Results of [`RCreateServiceW`](super::RCreateServiceW).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateServiceAnswer {
    /// Tag within the load order group, if one was asked for.
    pub tag_id: Option<u32>,
    /// The new service.
    pub handle: Handle,
    /// Win32 error code, 0: success.
    pub return_code: u32,
}

impl Answer for CreateServiceAnswer {
    fn return_code(&self) -> u32 {
        self.return_code
    }

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.pointer(self.tag_id.is_some());
        self.tag_id.iter().for_each(|tag| ndr.u32(*tag));
        ndr.fixed(&self.handle.0);
        ndr.u32(self.return_code);
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        Ok(Self {
            tag_id: ndr.pointer()?.then(|| ndr.u32()).transpose()?,
            handle: Handle(ndr.fixed()?),
            return_code: ndr.u32()?,
        })
    }
}

/// Results of a call that returns a service's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatusAnswer {
    /// The state.
    pub status: ServiceStatus,
    /// Win32 error code, 0: success.
    pub return_code: u32,
}

impl Answer for ServiceStatusAnswer {
    fn return_code(&self) -> u32 {
        self.return_code
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.status.write(&mut writer);
        writer.u32(self.return_code);
        writer.into_bytes()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut reader = Reader::new(stub);
        Ok(Self { status: ServiceStatus::read(&mut reader)?, return_code: reader.u32()? })
    }
}

/// State of a service: SERVICE_STATUS, [MS-SCMR] 2.2.47.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceStatus {
    /// Such as [`SERVICE_WIN32_OWN_PROCESS`](super::SERVICE_WIN32_OWN_PROCESS).
    pub service_type: u32,
    /// Such as [`SERVICE_RUNNING`](super::SERVICE_RUNNING).
    pub current_state: u32,
    /// Such as [`SERVICE_ACCEPT_STOP`](super::SERVICE_ACCEPT_STOP).
    pub controls_accepted: u32,
    /// Why it stopped or did not start: a Win32 error code.
    pub win32_exit_code: u32,
    /// Its own code, if [`win32_exit_code`](Self::win32_exit_code) is ERROR_SERVICE_SPECIFIC_ERROR.
    pub service_specific_exit_code: u32,
    /// Grows while a pending state makes progress.
    pub check_point: u32,
    /// How long a pending state takes, in milliseconds.
    pub wait_hint: u32,
}

impl ServiceStatus {
    fn write(&self, writer: &mut Writer) {
        writer.u32(self.service_type);
        writer.u32(self.current_state);
        writer.u32(self.controls_accepted);
        writer.u32(self.win32_exit_code);
        writer.u32(self.service_specific_exit_code);
        writer.u32(self.check_point);
        writer.u32(self.wait_hint);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, EndOfInput> {
        Ok(Self {
            service_type: reader.u32()?,
            current_state: reader.u32()?,
            controls_accepted: reader.u32()?,
            win32_exit_code: reader.u32()?,
            service_specific_exit_code: reader.u32()?,
            check_point: reader.u32()?,
            wait_hint: reader.u32()?,
        })
    }
}

/// Results of [`RQueryServiceStatusEx`](super::RQueryServiceStatusEx).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatusProcessAnswer {
    /// The state; zeros if the call failed.
    pub status: ServiceStatusProcess,
    /// Size of the state, in bytes.
    pub bytes_needed: u32,
    /// Win32 error code, 0: success.
    pub return_code: u32,
}

impl Answer for ServiceStatusProcessAnswer {
    fn return_code(&self) -> u32 {
        self.return_code
    }

    fn encode(&self) -> Vec<u8> {
        let mut buffer = Writer::new();
        self.status.write(&mut buffer);
        let mut ndr = NdrWriter::new();
        ndr.byte_array(&buffer.into_bytes());
        ndr.words([self.bytes_needed, self.return_code]);
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        let buffer = ndr.byte_array()?;
        let bytes_needed = ndr.u32()?;
        let return_code = ndr.u32()?;
        let status = match ServiceStatusProcess::read(&mut Reader::new(buffer)) {
            Ok(status) => status,
            Err(EndOfInput) if return_code != 0 => ServiceStatusProcess::default(),
            Err(EndOfInput) => return Err(NdrError::Truncated),
        };
        Ok(Self { status, bytes_needed, return_code })
    }
}

/// State of a service and its process: SERVICE_STATUS_PROCESS, [MS-SCMR] 2.2.49.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceStatusProcess {
    /// The state.
    pub status: ServiceStatus,
    /// Process id of the service; 0: none.
    pub process_id: u32,
    /// 1: runs in a system process.
    pub service_flags: u32,
}

impl ServiceStatusProcess {
    /// Bytes on the wire.
    pub(super) const SIZE: u32 = 36;

    fn write(&self, writer: &mut Writer) {
        self.status.write(writer);
        writer.u32(self.process_id);
        writer.u32(self.service_flags);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, EndOfInput> {
        Ok(Self {
            status: ServiceStatus::read(reader)?,
            process_id: reader.u32()?,
            service_flags: reader.u32()?,
        })
    }
}

/// Results of [`REnumServicesStatusW`](super::REnumServicesStatusW).
///
/// With [`ERROR_MORE_DATA`](super::ERROR_MORE_DATA) the services are a part of all, to be continued at
/// [`resume_index`](Self::resume_index).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumServicesStatusAnswer {
    /// The services that fit into the buffer.
    pub services: Vec<EnumServiceStatus>,
    /// Room that the remaining services need, in bytes.
    pub bytes_needed: u32,
    /// Where to go on, if the call asked for it.
    pub resume_index: Option<u32>,
    /// Win32 error code, 0: success.
    pub return_code: u32,
}

impl Answer for EnumServicesStatusAnswer {
    fn return_code(&self) -> u32 {
        self.return_code
    }

    fn encode(&self) -> Vec<u8> {
        let mut ndr = NdrWriter::new();
        ndr.byte_array(&encode_services(&self.services));
        ndr.u32(self.bytes_needed);
        ndr.u32(u32::try_from(self.services.len()).unwrap_or(u32::MAX));
        ndr.pointer(self.resume_index.is_some());
        self.resume_index.iter().for_each(|index| ndr.u32(*index));
        ndr.u32(self.return_code);
        ndr.into_stub()
    }

    fn decode(stub: &[u8]) -> Result<Self, NdrError> {
        let mut ndr = NdrReader::new(stub);
        let buffer = ndr.byte_array()?;
        let bytes_needed = ndr.u32()?;
        let count = ndr.u32()?;
        Ok(Self {
            services: decode_services(buffer, count)?,
            bytes_needed,
            resume_index: ndr.pointer()?.then(|| ndr.u32()).transpose()?,
            return_code: ndr.u32()?,
        })
    }
}

/// One service of many: ENUM_SERVICE_STATUSW, [MS-SCMR] 2.2.11.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumServiceStatus {
    /// Name. U+FFFD stands for what is not UTF-16, lest one odd service hides all others.
    pub service_name: String,
    /// Name for people, likewise.
    pub display_name: String,
    /// Its state.
    pub status: ServiceStatus,
}

impl EnumServiceStatus {
    /// Bytes on the wire, without the names.
    const SIZE: usize = 36;
}

/// The fixed parts, then the names at the offsets that the fixed parts tell.
fn encode_services(services: &[EnumServiceStatus]) -> Vec<u8> {
    let mut fixed = Writer::new();
    let mut names = Writer::new();
    for service in services {
        for name in [&service.service_name, &service.display_name] {
            fixed.count(services.len() * EnumServiceStatus::SIZE + names.position());
            names.utf16(name);
            names.u16(0);
        }
        service.status.write(&mut fixed);
    }
    fixed.bytes(&names.into_bytes());
    fixed.into_bytes()
}

fn decode_services(buffer: &[u8], count: u32) -> Result<Vec<EnumServiceStatus>, NdrError> {
    let mut names = Names { buffer, budget: buffer.len().saturating_mul(2) };
    let mut fixed = Reader::new(Reader::new(buffer).elements(count, EnumServiceStatus::SIZE)?);
    let mut services = Vec::with_capacity(fixed.remaining() / EnumServiceStatus::SIZE);
    while fixed.remaining() > 0 {
        services.push(EnumServiceStatus {
            service_name: names.read(fixed.u32()?)?,
            display_name: names.read(fixed.u32()?)?,
            status: ServiceStatus::read(&mut fixed)?,
        });
    }
    Ok(services)
}

/// Reads names out of a buffer, by offset.
///
/// Nothing keeps a malicious host from pointing every service to one long name, so there is a budget for all of them:
/// twice the buffer, since a host may share a name that is also the display name.
struct Names<'a> {
    buffer: &'a [u8],
    budget: usize,
}

impl Names<'_> {
    fn read(&mut self, offset: u32) -> Result<String, NdrError> {
        let invalid = || NdrError::InvalidOffset { offset };
        let start = usize::try_from(offset).map_err(|_| invalid())?;
        let tail = self.buffer.get(start..).ok_or_else(invalid)?;
        let length = utf16_units(tail).position(|unit| unit == 0).ok_or_else(invalid)? * 2;
        self.budget = self.budget.checked_sub(length).ok_or_else(invalid)?;
        Ok(decode_utf16_lossy(&tail[..length]))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned, vec};

    use super::*;

    /// A buffer with `count` services, whose names all lie at `offset`, and `names` behind them.
    fn buffer(count: u32, offset: u32, names: &str) -> Vec<u8> {
        let mut writer = Writer::new();
        for _ in 0..count {
            writer.u32(offset);
            writer.u32(offset);
            ServiceStatus::default().write(&mut writer);
        }
        writer.utf16(names);
        writer.into_bytes()
    }

    #[test]
    fn names_must_end_within_the_buffer() {
        assert_eq!(decode_services(&buffer(1, 36, "a"), 1), Err(NdrError::InvalidOffset { offset: 36 }));
        assert_eq!(decode_services(&buffer(1, 41, "a\0"), 1), Err(NdrError::InvalidOffset { offset: 41 }));
        assert_eq!(
            decode_services(&buffer(1, u32::MAX, "a\0"), 1),
            Err(NdrError::InvalidOffset { offset: u32::MAX })
        );
        assert_eq!(decode_services(&buffer(1, 36, "a\0"), 2), Err(NdrError::Truncated));
        assert_eq!(decode_services(&buffer(0, 0, ""), u32::MAX), Err(NdrError::Truncated));
    }

    #[test]
    fn a_name_may_also_be_the_display_name() {
        let services = decode_services(&buffer(1, 36, "name\0"), 1).expect("a valid buffer");
        let status = ServiceStatus::default();
        let [service_name, display_name] = ["name".to_owned(), "name".to_owned()];
        assert_eq!(services, [EnumServiceStatus { service_name, display_name, status }]);
    }

    #[test]
    fn many_services_cannot_share_one_long_name() {
        let long = "x".repeat(1000) + "\0";
        assert_eq!(
            decode_services(&buffer(10, 360, &long), 10),
            Err(NdrError::InvalidOffset { offset: 360 })
        );
    }

    #[test]
    fn an_odd_name_does_not_hide_the_others() {
        let mut bytes = buffer(1, 36, "");
        bytes.extend([0x00, 0xd8, b'a', 0, 0, 0]);
        let services = decode_services(&bytes, 1).expect("a valid buffer");
        assert_eq!(services[0].service_name, "\u{fffd}a");
    }

    #[test]
    fn a_failed_query_needs_no_status() {
        let decode = |return_code: u32| {
            let words = [0, 36, return_code];
            ServiceStatusProcessAnswer::decode(&words.map(u32::to_le_bytes).concat())
        };
        assert_eq!(
            decode(122),
            Ok(ServiceStatusProcessAnswer {
                status: ServiceStatusProcess::default(),
                bytes_needed: 36,
                return_code: 122
            })
        );
        assert_eq!(decode(0), Err(NdrError::Truncated));
    }

    #[test]
    fn an_empty_list_needs_no_buffer() {
        let answer = EnumServicesStatusAnswer {
            services: vec![],
            bytes_needed: 0,
            resume_index: Some(0),
            return_code: 0,
        };
        assert_eq!(EnumServicesStatusAnswer::decode(&answer.encode()), Ok(answer));
    }
}
