//! Faults of Wine's service control manager, seen in 8.0, mended on the way. A client that gets along with them would show
//! nothing of how it gets along with Windows. An answer without the fault is left as it is.
//!
//! - Every answer bears call id 1: the request's is put back.
//! - RQueryServiceStatus (opnum 6) is answered with ERROR_CALL_NOT_IMPLEMENTED: RQueryServiceStatusEx
//!   (opnum 40) is asked instead, and its answer cut down. [MS-SCMR] 3.1.4.7, 3.1.4.37.
//! - RStartServiceW (opnum 19) gives up after three seconds with ERROR_SERVICE_DATABASE_LOCKED while other
//!   services start, where Windows, since Vista, waits for its turn: it is asked again. [MS-SCMR] 3.1.4.19.
//!
//! [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const REQUEST: u8 = 0;
const RESPONSE: u8 = 2;
const FIRST_AND_LAST: u8 = 3;
const CONTROL_SERVICE: u16 = 1;
const QUERY_STATUS: u16 = 6;
const CREATE_SERVICE: u16 = 12;
const START_SERVICE: u16 = 19;
const QUERY_STATUS_EX: u16 = 40;

/// PDU header, allocation hint, context, opnum.
const REQUEST_HEADER: usize = 24;
const RESPONSE_HEADER: usize = 24;
const SERVICE_HANDLE: usize = 20;
const SERVICE_STATUS: usize = 28;
const SERVICE_STATUS_PROCESS: usize = 36;

const ERROR_SUCCESS: u32 = 0;
const ERROR_SERVICE_DATABASE_LOCKED: u32 = 1055;

const SERVICE_WIN32_OWN_PROCESS: u32 = 0x10;
const SERVICE_RUNNING: u32 = 4;

/// Calls that are answered without asking Wine, which has no way to be in the state that Windows refuses them in. With
/// the code 0 they are answered as if they had been carried out: RControlService as of a service that runs on.
pub(crate) struct Refusal {
    opnum: u16,
    code: u32,
    count: u32,
}

static REFUSALS: Mutex<Vec<Refusal>> = Mutex::new(Vec::new());

pub(crate) fn refuse(calls: impl Iterator<Item = Refusal>) {
    refusals().extend(calls);
}

impl Refusal {
    /// `OPNUM:CODE:COUNT`
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(':').map(|number| number.parse::<u32>().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { opnum: u16::try_from(next()?).ok()?, code: next()?, count: next()? })
    }
}

/// The answer to a request that is to be refused.
pub(crate) fn refusal(request: &[u8]) -> Option<Vec<u8>> {
    let opnum = opnum(request)?;
    let mut refusals = refusals();
    let refusal = refusals.iter_mut().find(|refusal| refusal.opnum == opnum && refusal.count > 0)?;
    refusal.count -= 1;
    // What comes before the return code.
    let results = match opnum {
        // Of a method that fails: no tag, and a handle of zeros.
        CREATE_SERVICE => vec![0; 4 + SERVICE_HANDLE],
        CONTROL_SERVICE => {
            let mut status = [SERVICE_WIN32_OWN_PROCESS, SERVICE_RUNNING].map(u32::to_le_bytes).concat();
            if refusal.code != ERROR_SUCCESS {
                status.fill(0);
            }
            status.resize(SERVICE_STATUS, 0);
            status
        }
        _ => Vec::new(),
    };
    let mut pdu = request[..16].to_vec();
    pdu[2] = RESPONSE;
    pdu.resize(RESPONSE_HEADER, 0);
    pdu.extend_from_slice(&results);
    pdu.extend_from_slice(&refusal.code.to_le_bytes());
    set_lengths(&mut pdu);
    Some(pdu)
}

/// A method whose calls take their time, as on a host under load, where calls through other pipes overtake them.
pub(crate) struct Delay {
    opnum: u16,
    /// From the request until it is carried out.
    before: Duration,
    /// From then until the answer is handed back.
    after: Duration,
}

static DELAYS: Mutex<Vec<Delay>> = Mutex::new(Vec::new());

pub(crate) fn delay(calls: impl Iterator<Item = Delay>) {
    DELAYS.lock().unwrap_or_else(PoisonError::into_inner).extend(calls);
}

impl Delay {
    /// `OPNUM+BEFORE+AFTER`, in milliseconds
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('+').map(|number| number.parse::<u16>().ok());
        let mut next = || numbers.next().flatten();
        let opnum = next()?;
        let mut time = || Some(Duration::from_millis(next()?.into()));
        Some(Self { opnum, before: time()?, after: time()? })
    }
}

/// How long a request waits until it is carried out, with its method's number, and its answer until it is handed back.
pub(crate) fn delays(request: &[u8]) -> Option<(u16, Duration, Duration)> {
    let opnum = opnum(request)?;
    let delays = DELAYS.lock().unwrap_or_else(PoisonError::into_inner);
    delays.iter().find(|delay| delay.opnum == opnum).map(|delay| (opnum, delay.before, delay.after))
}

/// The number of the method that a PDU calls, if it does.
fn opnum(pdu: &[u8]) -> Option<u16> {
    let is_request = pdu.len() >= REQUEST_HEADER && pdu[0] == 5 && pdu[2] == REQUEST;
    is_request.then(|| u16::from_le_bytes([pdu[22], pdu[23]]))
}

fn refusals() -> MutexGuard<'static, Vec<Refusal>> {
    REFUSALS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has to be known of the request when its answer comes; svcctl has one call under way at a time.
#[derive(Default)]
pub(crate) struct Repair {
    call_id: [u8; 4],
    status_asked: bool,
    start_asked: Option<Vec<u8>>,
    /// How long its answer waits until it is handed back.
    pub(crate) answer_delay: Duration,
}

impl Repair {
    pub(crate) fn request(&mut self, pdu: &mut Vec<u8>) {
        if pdu.len() < REQUEST_HEADER || pdu[0] != 5 {
            return;
        }
        self.call_id.copy_from_slice(&pdu[12..16]);
        let unsigned = pdu[10..12] == [0, 0];
        let whole = pdu[2] == REQUEST && pdu[3] & FIRST_AND_LAST == FIRST_AND_LAST && unsigned;
        let asks = |opnum: u16| whole && pdu[22..24] == opnum.to_le_bytes();
        self.start_asked = asks(START_SERVICE).then(|| pdu.clone());
        self.status_asked = asks(QUERY_STATUS) && pdu.len() == REQUEST_HEADER + SERVICE_HANDLE;
        if self.status_asked {
            pdu[22..24].copy_from_slice(&QUERY_STATUS_EX.to_le_bytes());
            pdu.extend_from_slice(&0_u32.to_le_bytes()); // SC_STATUS_PROCESS_INFO
            pdu.extend_from_slice(&(SERVICE_STATUS_PROCESS as u32).to_le_bytes());
            set_lengths(pdu);
        }
    }

    /// Mends an answer, unless there is something else to be asked instead.
    pub(crate) fn response(&mut self, pdu: &mut Vec<u8>) -> Option<Vec<u8>> {
        if pdu.len() < 16 || pdu[0] != 5 {
            return None;
        }
        if self.start_asked.is_some()
            && pdu.get(RESPONSE_HEADER..) == Some(&ERROR_SERVICE_DATABASE_LOCKED.to_le_bytes())
        {
            return self.start_asked.clone();
        }
        pdu[12..16].copy_from_slice(&self.call_id);
        // buffer length, the buffer, bytes needed, return value
        let whole = RESPONSE_HEADER + 4 + SERVICE_STATUS_PROCESS + 4 + 4;
        if self.status_asked && pdu[2] == RESPONSE && pdu.len() == whole {
            // SERVICE_STATUS is the front of SERVICE_STATUS_PROCESS.
            let status = RESPONSE_HEADER + 4..RESPONSE_HEADER + 4 + SERVICE_STATUS;
            let shorter = [&pdu[..RESPONSE_HEADER], &pdu[status], &pdu[whole - 4..]].concat();
            *pdu = shorter;
            set_lengths(pdu);
        }
        None
    }
}

fn set_lengths(pdu: &mut [u8]) {
    let length = pdu.len() as u16;
    let allocation_hint = (pdu.len() - REQUEST_HEADER) as u32;
    pdu[8..10].copy_from_slice(&length.to_le_bytes());
    pdu[16..20].copy_from_slice(&allocation_hint.to_le_bytes());
}
