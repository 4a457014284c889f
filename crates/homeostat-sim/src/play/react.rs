//! What people and the world do because of what was committed: they look on, and make it worse.

use homeostat_core::approval::{Asked, Digest};
use homeostat_core::command::Command as WordOf;
use homeostat_core::fact::{Fact, What};
use homeostat_core::incident::{End, Incident, Stage};
use homeostat_core::name::IncidentId;
use homeostat_core::operator::Operator;
use homeostat_core::time::Span;

use super::{Command, Happening, Play};
use crate::people::{self, PEOPLE};

impl Play<'_> {
    /// Lets people and the world do what a fact makes them do.
    pub(super) fn react(&mut self, fact: &Fact) {
        if self.calm {
            if let What::ApprovalAsked { incident, asked, .. } = &fact.what {
                self.ask_person(*incident, asked);
            }
            return;
        }
        match &fact.what {
            What::ApprovalAsked { incident, asked, .. } => {
                self.ask_person(*incident, asked);
                self.ask_people(*incident, asked);
                self.meddle(*incident);
            }
            What::ApprovalStands { approval } => {
                let mut dice = self.fate.of("revoked", &[approval.id.0]);
                if dice.percent(25) {
                    let after = dice.seconds(60, 7_200);
                    self.post(self.now + after, Happening::Commands(Command::Revoke(approval.id)));
                }
            }
            What::TurnedWorse { incident, .. } => {
                let mut dice = self.fate.of("alarmed", &[incident.0]);
                if dice.percent(20) {
                    let lasts = dice.seconds(30, 1_800);
                    self.post(self.now, Happening::Commands(Command::Pause));
                    self.post(self.now + lasts, Happening::Commands(Command::Resume));
                }
            }
            What::OrderIssued { order } => self.remove_policy(order.id.incident),
            What::VerificationBegan { incident, .. } => self.flicker(*incident),
            _ => {}
        }
    }

    /// A person who is asked may agree, object, or not care; and may have seen something else.
    fn ask_person(&mut self, incident: IncidentId, asked: &Asked) {
        let mut dice = self.fate.of("person", &[incident.0, u64::from(asked.order.attempt)]);
        let command = match dice.below(10) {
            0..6 => WordOf::Approve,
            6..8 => WordOf::Reject,
            _ => return,
        };
        let seen = match dice.below(4) {
            0 => Some(Digest::of(&asked.order.undo(), &asked.action)),
            1 => Some(asked.digest),
            _ => None,
        };
        let wait = if dice.percent(70) { dice.seconds(1, 60) } else { dice.seconds(60, 2_400) };
        let word = Happening::Commands(Command::Word(incident, command, seen));
        self.post(self.now + wait, word);
    }

    /// Where people have names, some of them agree, one after the other, and now and then one of them
    /// twice; or ahead, for what comes next.
    fn ask_people(&mut self, incident: IncidentId, asked: &Asked) {
        if !self.script.people {
            return;
        }
        let run = [incident.0, u64::from(asked.order.attempt), self.now.micros().unsigned_abs()];
        let mut dice = self.fate.of("agree", &run);
        let ahead = dice.percent(50).then(|| people::terms(&mut dice));
        for who in 0..PEOPLE.len() {
            for _ in 0..if dice.percent(25) { 2 } else { 1 } {
                let longest = if dice.percent(80) { 60 } else { 1_200 };
                let wait = dice.seconds(1, longest);
                if dice.percent(70) {
                    let agree = Command::Agree(incident, who, ahead);
                    self.post(self.now + wait, Happening::Commands(agree));
                }
            }
        }
    }

    /// Who says a word: where people have names, one of them has things tried again now and then.
    pub(super) fn who_says(&self, incident: IncidentId, word: WordOf) -> Operator {
        let by_name = word == WordOf::Retry && incident.0.is_multiple_of(2);
        if by_name && self.script.people { people::operator(1) } else { "sre".into() }
    }

    /// Somebody approves during a pause, and the configuration is changed before it is over.
    fn meddle(&mut self, incident: IncidentId) {
        let mut dice = self.fate.of("meddle", &[incident.0, self.now.micros().unsigned_abs()]);
        if !dice.percent(15) {
            return;
        }
        let book = usize::try_from(dice.below(self.books.len() as u64)).unwrap_or(0);
        let (first, then) = (dice.seconds(1, 10), dice.seconds(1, 10));
        let then = first.saturating_add(then);
        let last = then.saturating_add(dice.seconds(0, 10));
        for (after, command) in [
            (Span::ZERO, Command::Pause),
            (first, Command::Word(incident, WordOf::Approve, None)),
            (then, Command::Reload(book)),
            (last, Command::Resume),
        ] {
            self.post(self.now + after, Happening::Commands(command));
        }
    }

    /// The policy is removed while it acts, where there is a book without it.
    fn remove_policy(&mut self, incident: IncidentId) {
        let mut dice = self.fate.of("removed", &[incident.0, self.now.micros().unsigned_abs()]);
        let policy = self.folded.incident(incident).map(|incident| incident.policy.clone());
        let (Some(policy), true) = (policy, dice.percent(4)) else { return };
        let without = self.books.iter().position(|book| book.policy(&policy).is_none());
        if let Some(without) = without {
            self.oracle.met.count("policy removed while it acts");
            let (gone, back) = (dice.seconds(0, 60), dice.seconds(60, 3_600));
            self.post(self.now + gone, Happening::Commands(Command::Reload(without)));
            self.post(self.now + back, Happening::Commands(Command::Reload(0)));
        }
    }

    /// What is being proven looks well for a moment, and is ill again; or its labels change.
    fn flicker(&mut self, incident: IncidentId) {
        let mut dice = self.fate.of("flicker", &[incident.0, self.now.micros().unsigned_abs()]);
        if !dice.percent(12) {
            return;
        }
        let incident = self.folded.incident(incident);
        let instance = incident.and_then(|incident| incident.target.get("instance"));
        let parts = self.world.on_instance(instance.unwrap_or_default());
        let carrier = parts.iter().find(|part| self.script.cast[**part].carries).copied();
        if let Some(part) = carrier.filter(|_| dice.percent(50)) {
            return self.post(self.now + dice.seconds(1, 40), Happening::Revalued { part });
        }
        let Some(part) = parts.first().copied() else { return };
        let well = dice.seconds(1, 20);
        let ill = well.saturating_add(dice.seconds(2, 40));
        self.post(self.now + well, Happening::Turns { part, ill: false });
        self.post(self.now + ill, Happening::Turns { part, ill: true });
    }

    /// Whoever looks on as the engine comes back may cancel what runs, or change the configuration.
    pub(super) fn look_on(&mut self) {
        let mut dice = self.fate.of("look on", &[u64::from(self.life)]);
        if self.calm {
            return;
        }
        if dice.percent(20)
            && let Some(incident) = self.fitting(WordOf::Cancel, 0)
        {
            let word = Command::Word(incident, WordOf::Cancel, None);
            self.post(self.now, Happening::Commands(word));
        }
        if dice.percent(15) {
            let book = usize::try_from(dice.below(self.books.len() as u64)).unwrap_or(0);
            self.post(self.now, Happening::Commands(Command::Reload(book)));
        }
        // Or pause first, so that what did not start waits, and change it then.
        if dice.percent(15) {
            let book = usize::try_from(dice.below(self.books.len() as u64)).unwrap_or(0);
            let (changed, over) = (dice.seconds(1, 10), dice.seconds(10, 30));
            self.post(self.now, Happening::Commands(Command::Pause));
            self.post(self.now + changed, Happening::Commands(Command::Reload(book)));
            self.post(self.now + over, Happening::Commands(Command::Resume));
        }
    }

    /// About which incident an operator says a word: half of them look before, and say it about one
    /// that it fits.
    pub(super) fn addressed(&self, word: WordOf, back: u64) -> IncidentId {
        let last = self.folded.next_incident().0.saturating_sub(1);
        let any = IncidentId(last.saturating_sub(back).max(1));
        if back.is_multiple_of(2) { self.fitting(word, back / 2).unwrap_or(any) } else { any }
    }

    fn fitting(&self, word: WordOf, skipped: u64) -> Option<IncidentId> {
        let fits = |incident: &&Incident| match (word, &incident.stage) {
            (WordOf::Approve | WordOf::Reject, Stage::AwaitingApproval(_))
            | (WordOf::Cancel, Stage::Acting(_) | Stage::Verifying(_) | Stage::Lost { .. }) => true,
            (WordOf::Retry, Stage::Closed { closing, .. }) => closing.outcome != End::Healed,
            _ => false,
        };
        let fitting: Vec<IncidentId> =
            self.folded.incidents().filter(fits).map(|incident| incident.id).collect();
        let skipped = usize::try_from(skipped).unwrap_or(0);
        fitting.get(skipped).or(fitting.first()).copied()
    }
}
