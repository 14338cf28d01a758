//! What is withdrawn, as findings (F11): those who sent it and those who look for it are told.

use crate::facts::Withdrawn;
use tsumiage_schemas::{Code, Finding, Spec};

/// The findings with their file's number, in the order given.
pub fn findings(withdrawn: &[Withdrawn], spec: &Spec) -> Vec<(i32, Finding)> {
    let finding = |what: &Withdrawn| {
        let Withdrawn { seq, record_no, on, processing_month, reason, .. } = what;
        let finding = Finding {
            code: Code::F11,
            severity: spec.catalogue.severity(Code::F11),
            record_no: *record_no,
            byte_offset: None,
            insurer_no: None,
            insured_no: None,
            movement_date: None,
            item: None,
            count: 1,
            detail: format!("withdrawn:{on},{processing_month},{reason}"),
        };
        (*seq, finding)
    };
    withdrawn.iter().map(finding).collect()
}
