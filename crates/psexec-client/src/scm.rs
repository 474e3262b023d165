//! The host's service control manager, called through the pipe `svcctl`.
//!
//! [MS-SCMR] over [MS-RPCE] on an SMB pipe; one call at a time, as a connection without concurrent multiplexing
//! demands.
//!
//! [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
//! [MS-RPCE]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-rpce/290c38b1-92fe-4229-91e6-4fc376610c15
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::time::{Duration, Instant};

use msrpc::rpc::{self, ResponseAssembler};
use msrpc::scmr::{self, Answer, Call, EnumServiceStatus, Handle, REnumServicesStatusW};
use smb_client::{NtStatus, Pipe, PipeRead, Repetition, Tree, WhenDropped};

use crate::error::ErrorKind;
use crate::waiting::Pauses;

/// Bytes asked for when an answer goes on.
const READ_LENGTH: u32 = 65536;
/// The most room that REnumServicesStatusW takes, in bytes.
const MAX_ENUMERATION: u32 = 256 * 1024;
/// Room for services that appear between two calls, in bytes.
const SPARE_ROOM: u32 = 2048;
/// How long another program may keep the manager's database locked.
const LOCKED: Duration = Duration::from_secs(30);

/// An open and bound `svcctl` pipe.
pub(crate) struct ServiceManager {
    pipe: Pipe,
    max_fragment: u16,
    call_id: u32,
    /// A call was sent and its answer not yet received.
    calling: bool,
}

impl ServiceManager {
    /// Opens the pipe and binds, in one wait for the server; in more as long as every instance of the pipe is taken.
    pub(crate) async fn bind(ipc: &Tree) -> Result<Self, ErrorKind> {
        let mut pauses = Pauses::new();
        loop {
            match Self::try_bind(ipc).await {
                Err(ErrorKind::Status {
                    status: NtStatus::PIPE_NOT_AVAILABLE | NtStatus::INSTANCE_NOT_AVAILABLE,
                    ..
                }) => {
                    pauses.pause().await;
                }
                bound => return bound,
            }
        }
    }

    /// The bind is the last request of its compound, the only one that may take its time: [MS-SMB2] 3.3.5.2.7.2.
    async fn try_bind(ipc: &Tree) -> Result<Self, ErrorKind> {
        let call_id = 1;
        let bind = rpc::encode_bind(call_id, &scmr::INTERFACE);
        let (pipe, answer) = ipc.open_pipe_and_transceive(scmr::PIPE, &bind, Repetition::Harmless).await?;
        let context = rpc::decode_bind_answer(&answer.bytes, call_id)?;
        // Only the answer to a call says what it has done.
        let pipe = pipe.when_dropped(WhenDropped::Finish);
        Ok(ServiceManager { pipe, max_fragment: context.max_transmit, call_id, calling: false })
    }

    /// Calls a method; any return code but success is an error. A database that another program has locked is waited
    /// for: the call has done nothing then.
    pub(crate) async fn call<C: Call>(&mut self, call: &C) -> Result<C::Answer, ErrorKind> {
        let started = Instant::now();
        let mut pauses = Pauses::new();
        loop {
            let answer = self.exchange(call).await?;
            match answer.return_code() {
                scmr::ERROR_SUCCESS => return Ok(answer),
                scmr::ERROR_SERVICE_DATABASE_LOCKED if started.elapsed() < LOCKED => {
                    pauses.pause().await;
                }
                code => return Err(ErrorKind::ServiceManager { call: C::NAME, code }),
            }
        }
    }

    /// The services of some types, in any state. The host is asked first how much room they take: it sends as much as it is
    /// given, however little there is to say.
    pub(crate) async fn enumerate(
        &mut self,
        manager: Handle,
        service_type: u32,
    ) -> Result<Vec<EnumServiceStatus>, ErrorKind> {
        let mut call = REnumServicesStatusW {
            manager,
            service_type,
            service_state: scmr::SERVICE_STATE_ALL,
            buffer_size: 0,
            resume_index: None,
        };
        loop {
            let answer = self.exchange(&call).await?;
            match answer.return_code {
                scmr::ERROR_SUCCESS => return Ok(answer.services),
                scmr::ERROR_MORE_DATA if call.buffer_size < MAX_ENUMERATION => {
                    let room = call.buffer_size.saturating_add(answer.bytes_needed);
                    call.buffer_size = room.saturating_add(SPARE_ROOM).min(MAX_ENUMERATION);
                }
                code => return Err(ErrorKind::ServiceManager { call: REnumServicesStatusW::NAME, code }),
            }
        }
    }

    /// A call was given up in its middle: its answer would be taken for that of the next.
    pub(crate) fn is_out_of_step(&self) -> bool {
        self.calling
    }

    async fn exchange<C: Call>(&mut self, call: &C) -> Result<C::Answer, ErrorKind> {
        self.call_id += 1;
        self.calling = true;
        let stub = call.encode();
        let mut fragments = rpc::encode_request(self.call_id, C::OPNUM, &stub, self.max_fragment);
        let last = fragments.pop().unwrap_or_default();
        for fragment in fragments {
            self.pipe.write(fragment).await?;
        }
        let output = self.pipe.transceive(last).await?.bytes;

        let mut assembler = ResponseAssembler::new(self.call_id);
        let mut stub = assembler.push(&output)?;
        while stub.is_none() {
            match self.pipe.read(READ_LENGTH).await? {
                PipeRead::Data(more) => stub = assembler.push(&more.bytes)?,
                PipeRead::Ended => {
                    return Err(ErrorKind::Status { command: "READ", status: NtStatus::PIPE_BROKEN });
                }
            }
        }
        self.calling = false;
        Ok(C::decode_answer(&stub.unwrap_or_default())?)
    }

    /// Closes the pipe; the server closes the handles that were opened through it, [MS-SCMR] 3.1.4 (rundown).
    pub(crate) async fn close(self) -> Result<(), ErrorKind> {
        Ok(self.pipe.close().await?)
    }
}
