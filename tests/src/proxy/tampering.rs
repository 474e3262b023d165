//! What can be done to a frame on its way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::frame::{self, Command};

/// Who sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client that connected to the proxy.
    Client,
    /// The host that the proxy connected to.
    Server,
}

/// One thing that is done to the frames of a connection.
#[derive(Clone, Debug)]
pub struct Tampering {
    /// Whose frames it is done to.
    pub sender: Sender,
    /// Which of them.
    pub when: When,
    /// What is done.
    pub action: Action,
}

/// Which frames of a sender are meant; they are counted from 1, on each connection anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The frame of this number.
    Frame(u32),
    /// The frame of this number among those that hold an unencrypted message of this command, interim answers
    /// excluded.
    Message(Command, u32),
    /// The frame of this number among those that are unencrypted interim answers, STATUS_PENDING.
    Interim(u32),
    /// The frame of this number among the encrypted ones.
    Encrypted(u32),
    /// All of them.
    Always,
}

/// What is done to a frame. Frames before and after it pass unaltered, unless stated otherwise.
#[derive(Clone)]
pub enum Action {
    /// Flips a bit of the byte at this offset; behind the end, the offset starts again.
    FlipBit(usize),
    /// Flips a bit of the last byte.
    FlipLastBit,
    /// Changes the frame at will.
    Alter(Alteration),
    /// Passes only so many bytes, as a frame of this length.
    Truncate(usize),
    /// Passes a frame of the same length that holds other bytes, which follow from a seed.
    Garbage,
    /// Passes the frame's length and half of it, and nothing after that.
    Half,
    /// Announces a frame of 16 MiB, and passes this one and all that follow as a part of that.
    HugeLength,
    /// Passes everything but this frame.
    Drop,
    /// Passes it twice.
    Replay,
    /// Passes the one before it once more in its place.
    ReplayPrevious,
    /// Passes it after the one that follows it.
    Swap,
    /// Passes it so much later than those before it; those behind it overtake it.
    Late(Duration),
    /// Sends it back, and passes it too.
    Reflect,
    /// Passes neither this frame nor any other of the same sender.
    Mute,
    /// Passes this frame and nothing after it, in either direction.
    VanishAfter,
    /// Passes it, and closes the connections to both sides.
    CutAfter,
    /// Passes it, and resets the connections to both sides.
    ResetAfter,
}

/// A change of one frame, its length excluded.
pub type Alteration = Arc<dyn Fn(&mut Vec<u8>) + Send + Sync>;

impl Action {
    /// An [`Action::Alter`].
    pub(super) fn alter(change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Self {
        Self::Alter(Arc::new(change))
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::FlipBit(at) => return write!(f, "FlipBit({at})"),
            Action::Truncate(length) => return write!(f, "Truncate({length})"),
            Action::Late(time) => return write!(f, "Late({time:?})"),
            Action::FlipLastBit => "FlipLastBit",
            Action::Alter(_) => "Alter",
            Action::Garbage => "Garbage",
            Action::Half => "Half",
            Action::HugeLength => "HugeLength",
            Action::Drop => "Drop",
            Action::Replay => "Replay",
            Action::ReplayPrevious => "ReplayPrevious",
            Action::Swap => "Swap",
            Action::Reflect => "Reflect",
            Action::Mute => "Mute",
            Action::VanishAfter => "VanishAfter",
            Action::CutAfter => "CutAfter",
            Action::ResetAfter => "ResetAfter",
        })
    }
}

/// What is left to do for a link, in this order.
pub(super) enum Deed {
    Send(Vec<u8>),
    /// Nothing passes any more, in either direction, but this.
    Vanish,
    SendLast(Vec<u8>),
    Cut,
    Reset,
    /// The sender has closed his side.
    End,
}

/// What becomes of one frame.
pub(super) struct Treated {
    pub(super) tampered: bool,
    /// For the other side.
    pub(super) onwards: Vec<Deed>,
    /// For the other side, so much later.
    pub(super) late: Vec<(Duration, Deed)>,
    /// For the sender himself.
    pub(super) back: Vec<Deed>,
}

/// Treats the frames of one sender on one connection.
pub(super) struct Tamperer {
    tampering: Vec<(Tampering, u32)>,
    previous: Vec<u8>,
    /// A frame that waits for the next one to go first.
    held: Option<Vec<u8>>,
    mute: bool,
    /// What passes belongs to a frame announced before, and bears no lengths that anybody reads.
    inside_frame: bool,
}

impl Tamperer {
    pub(super) fn new(sender: Sender, tampering: &[Tampering]) -> Self {
        let own = tampering.iter().filter(|tampering| tampering.sender == sender);
        let tampering = own.map(|tampering| (tampering.clone(), 0)).collect();
        Self { tampering, previous: Vec::new(), held: None, mute: false, inside_frame: false }
    }

    pub(super) fn treat(&mut self, frame: Vec<u8>) -> Treated {
        let mut treated =
            Treated { tampered: false, onwards: Vec::new(), late: Vec::new(), back: Vec::new() };
        let actions = self.actions(&frame);
        if self.mute {
            return treated;
        }
        let original = frame.clone();
        let mut frame = Some(frame);
        // Whether this is the last frame, and what ends the connections then.
        let mut last: Option<Option<Deed>> = None;
        for action in actions {
            treated.tampered = true;
            let Some(mut bytes) = frame.take() else { break };
            match action {
                Action::FlipBit(at) => flip(&mut bytes, at),
                Action::FlipLastBit => {
                    let last = bytes.len().saturating_sub(1);
                    flip(&mut bytes, last);
                }
                Action::Alter(change) => change(&mut bytes),
                Action::Truncate(length) => bytes.truncate(length),
                Action::Garbage => bytes = garbage(bytes.len()),
                Action::Half => {
                    let half = 4 + bytes.len() / 2;
                    treated.onwards.push(Deed::Send(framed(&bytes)[..half].to_vec()));
                    self.mute = true;
                    continue;
                }
                Action::HugeLength => {
                    treated.onwards.push(Deed::Send(vec![0, 0xff, 0xff, 0xff]));
                    self.inside_frame = true;
                }
                Action::Drop => continue,
                Action::Replay => treated.onwards.push(Deed::Send(self.wire(&bytes))),
                Action::ReplayPrevious => bytes.clone_from(&self.previous),
                Action::Swap => {
                    self.held = Some(bytes);
                    self.previous = original;
                    return treated;
                }
                Action::Late(time) => {
                    treated.late.push((time, Deed::Send(self.wire(&bytes))));
                    continue;
                }
                Action::Reflect => treated.back.push(Deed::Send(framed(&bytes))),
                Action::Mute => {
                    self.mute = true;
                    continue;
                }
                Action::VanishAfter => last = Some(None),
                Action::CutAfter => last = Some(Some(Deed::Cut)),
                Action::ResetAfter => last = Some(Some(Deed::Reset)),
            }
            frame = Some(bytes);
        }
        if last.is_some() {
            treated.onwards.push(Deed::Vanish);
        }
        for bytes in frame.into_iter().chain(self.held.take()) {
            let bytes = self.wire(&bytes);
            treated.onwards.push(if last.is_some() { Deed::SendLast(bytes) } else { Deed::Send(bytes) });
        }
        treated.onwards.extend(last.flatten());
        self.previous = original;
        treated
    }

    /// What is to be done to this frame.
    fn actions(&mut self, frame: &[u8]) -> Vec<Action> {
        let mut actions = Vec::new();
        for (tampering, seen) in &mut self.tampering {
            let (kind, number) = match tampering.when {
                When::Always => (true, None),
                When::Frame(number) => (true, Some(number)),
                When::Message(command, number) => (frame::contains(frame, command), Some(number)),
                When::Interim(number) => (frame::is_interim(frame), Some(number)),
                When::Encrypted(number) => (frame::is_encrypted(frame), Some(number)),
            };
            *seen += u32::from(kind);
            if kind && number.is_none_or(|number| number == *seen) {
                actions.push(tampering.action.clone());
            }
        }
        actions
    }

    fn wire(&self, frame: &[u8]) -> Vec<u8> {
        if self.inside_frame { frame.to_vec() } else { framed(frame) }
    }
}

/// A frame as it is on the wire, with its length.
pub(super) fn framed(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).expect("a frame has at most 16 MiB");
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    bytes
}

fn flip(bytes: &mut [u8], at: usize) {
    if let Some(byte) = at.checked_rem(bytes.len()).and_then(|at| bytes.get_mut(at)) {
        *byte ^= 1;
    }
}

/// Bytes without a pattern, the same every time: xorshift.
fn garbage(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}
