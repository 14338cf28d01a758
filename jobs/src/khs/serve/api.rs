//! All that answers need, and what is done with every one of them: it is written down before it goes.

use super::Interface;
use super::addresses::Bases;
use super::answer::{Reply, Values};
use super::audit::{Audit, Seen};
use super::metrics::Metrics;
use super::refusal::Refusal;
use super::signing::Signer;
use super::state::State;
use crate::khs::settings::KhsSettings;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use tsumiage_schemas::Day;
use tsumiage_schemas::khs::{Khs, Message};

/// Tells which day it is in Japan.
pub type Today = dyn Fn() -> Day + Send + Sync;

/// All that answers need.
pub struct Api {
    /// Messages.
    pub khs: Khs,
    /// Settings.
    pub settings: KhsSettings,
    /// What is served.
    pub state: State,
    /// Signs download addresses.
    pub signer: Signer,
    /// What they begin with.
    pub bases: Bases,
    /// Audit log.
    pub audit: Audit,
    /// What is wrong.
    pub troubles: Troubles,
    /// What is counted.
    pub metrics: Metrics,
    /// The day.
    pub today: Box<Today>,
    /// To the operator.
    pub tell: Mutex<Sender<String>>,
}

/// What is wrong until it is well again; each is told once.
#[derive(Debug, Default)]
pub struct Troubles {
    /// The last line of the audit log could not be written.
    pub unaudited: AtomicBool,
    /// The audit log was moved away, and no new one can be begun.
    pub not_followed: AtomicBool,
    /// The program has a fault where it looks for what changed.
    pub not_looked: AtomicBool,
}

impl Api {
    /// The response of an interface; what is none of them has the shorter form.
    fn response_of(&self, interface: Interface) -> &Message {
        if interface == Interface::Json { &self.khs.json_response } else { &self.khs.file_response }
    }

    /// The request of an interface.
    pub fn request_of(&self, interface: Interface) -> &Message {
        if interface == Interface::Json { &self.khs.json_request } else { &self.khs.file_request }
    }

    /// What an answer repeats.
    pub fn values<'a>(&'a self, seen: &'a Seen) -> Values<'a> {
        Values {
            insurer_no: seen.insurer_no.as_deref(),
            insured_no: seen.insured_no.as_deref(),
            file_if_id: &self.settings.file_if_id,
            ..Values::default()
        }
    }

    /// The answer that refuses.
    pub fn refused(&self, seen: &Seen, refusal: Refusal) -> Reply {
        refusal.reply(self.response_of(seen.interface), self.values(seen))
    }

    /// The reply once it is written down; another one if it cannot be.
    pub fn audited(&self, seen: &Seen, reply: Reply) -> Reply {
        match self.audit.write(seen, reply.result(), reply.status.as_u16(), reply.records) {
            Ok(()) => reply,
            Err(error) => {
                self.cannot_audit(&error);
                self.refused(seen, Refusal::unavailable())
            }
        }
    }

    /// The audit log cannot be written: told once, until [`look`](super::looking::look) finds that it can be again.
    pub fn cannot_audit(&self, error: &io::Error) {
        if !self.troubles.unaudited.swap(true, Ordering::Relaxed) {
            let path = self.audit.path().display();
            self.tell(format!("{path}: {error}: requests are refused while the audit log cannot be written"));
        }
    }

    /// Tells the operator.
    pub fn tell(&self, text: String) {
        let tell = self.tell.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = tell.send(text); // nobody listens at the end
    }

    /// Why the server is not well, if it is so.
    pub fn fault(&self) -> Option<&'static str> {
        let Troubles { unaudited, not_followed, not_looked } = &self.troubles;
        let troubles = [
            (unaudited, "the audit log cannot be written"),
            (
                not_followed,
                "the audit log was moved away and no new one can be begun; lines go into the old one",
            ),
            (not_looked, "a fault of the program; what changed may not be served"),
        ];
        let trouble = troubles.into_iter().find(|(is_there, _)| is_there.load(Ordering::Relaxed));
        trouble.map(|(_, what)| what).or_else(|| self.state.fault())
    }
}
