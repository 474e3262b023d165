//! Whether the host is still there. Time is passed in.
use std::time::{Duration, Instant};

/// A host that has sent nothing for this long while we wait is asked for an ECHO.
const PROBE_AFTER: Duration = Duration::from_secs(10);
/// A host that has sent nothing for this long, in spite of the ECHO, is given up, unless more is granted.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// Fewer bytes of a frame than this are no sign of life: they may be all of it that ever comes.
const TRICKLE: usize = 4096;

/// A process may be silent for days; its host may not.
pub(crate) struct Liveness {
    /// Since when we wait for a sign of life.
    quiet_since: Instant,
    is_probing: bool,
    give_up_after: Duration,
    /// Bytes that have come since the last sign of life.
    trickled: usize,
}

/// What is to be done about a host's silence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing, for now.
    Wait,
    /// Ask for a sign of life.
    Probe,
    /// The host has been silent for so long that it counts as gone.
    GiveUp(Duration),
}

impl Liveness {
    pub(crate) fn new(now: Instant) -> Self {
        Liveness { quiet_since: now, is_probing: false, give_up_after: GIVE_UP_AFTER, trickled: 0 }
    }

    /// From now on the host is given up only when it has been silent for this long.
    pub(crate) fn grant(&mut self, silence: Duration) {
        self.give_up_after = silence;
    }

    /// Something is asked for; before, nothing was waited for.
    pub(crate) fn start_waiting(&mut self, now: Instant) {
        self.quiet_since = now;
    }

    /// The host was asked for a sign of life.
    pub(crate) fn probed(&mut self) {
        self.is_probing = true;
    }

    /// So many bytes have arrived, `completing` frames or only some of one.
    pub(crate) fn arrived(&mut self, count: usize, completing: bool, now: Instant) {
        self.trickled = self.trickled.saturating_add(count);
        if completing || self.trickled >= TRICKLE {
            *self = Liveness { give_up_after: self.give_up_after, ..Liveness::new(now) };
        }
    }

    /// What to do as long as something is waited for.
    pub(crate) fn verdict(&self, now: Instant) -> Verdict {
        let quiet = now.saturating_duration_since(self.quiet_since);
        if quiet >= self.give_up_after {
            Verdict::GiveUp(quiet)
        } else if quiet >= PROBE_AFTER && !self.is_probing {
            Verdict::Probe
        } else {
            Verdict::Wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_silent_host_is_asked_once_and_then_given_up() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.verdict(start + seconds(9)), Verdict::Wait);
        assert_eq!(liveness.verdict(start + seconds(10)), Verdict::Probe);
        liveness.probed();
        assert_eq!(liveness.verdict(start + seconds(29)), Verdict::Wait);
        assert_eq!(liveness.verdict(start + seconds(31)), Verdict::GiveUp(seconds(31)));
    }

    #[test]
    fn a_host_may_be_granted_a_longer_silence() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        liveness.grant(seconds(120));
        liveness.arrived(68, true, start);
        liveness.probed();
        assert_eq!(liveness.verdict(start + seconds(119)), Verdict::Wait);
        assert_eq!(liveness.verdict(start + seconds(120)), Verdict::GiveUp(seconds(120)));
    }

    #[test]
    fn an_answer_makes_it_live_again() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        liveness.probed();
        liveness.arrived(68, true, start + seconds(12));
        assert_eq!(liveness.verdict(start + seconds(21)), Verdict::Wait);
        assert_eq!(liveness.verdict(start + seconds(22)), Verdict::Probe);
    }

    #[test]
    fn a_trickle_is_no_sign_of_life_and_a_long_frame_is() {
        let start = Instant::now();
        let mut trickling = Liveness::new(start);
        for second in 1..=30 {
            trickling.arrived(1, false, start + seconds(second));
        }
        assert_eq!(trickling.verdict(start + seconds(30)), Verdict::GiveUp(seconds(30)));

        let mut loading = Liveness::new(start);
        for second in [9, 18, 27, 36] {
            loading.arrived(TRICKLE, false, start + seconds(second));
        }
        assert_eq!(loading.verdict(start + seconds(40)), Verdict::Wait);
    }

    #[test]
    fn silence_counts_from_the_question() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        liveness.start_waiting(start + seconds(3600));
        assert_eq!(liveness.verdict(start + seconds(3609)), Verdict::Wait);
    }
}
