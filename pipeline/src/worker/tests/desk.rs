//! One file at the desk, at moments that cannot be hit from outside.

use super::super::desk::{Desk, Done};
use super::super::inbox::{Ready, shape_of};
use super::super::tasks::{Task, What};
use super::*;
use crate::take_in::Candidate;

fn desk(home: &Home) -> Desk {
    let log: Arc<Memory> = Arc::clone(&home.log);
    Desk::open(Arc::new(home.options()), log).unwrap()
}

fn task(path: &Path) -> Task {
    let what = What::Inbox(Ready { path: path.to_owned(), shape: shape_of(path).unwrap() });
    Task { what, candidate: None, failures: 0 }
}

#[test]
fn a_file_that_changes_on_the_way_is_no_error_and_nothing_arrived() {
    let home = Home::new();
    let desk = desk(&home);
    home.put("a.csv", "text");
    let path = home.inbox("a.csv");
    // Since it was ready.
    let mut grown = task(&path);
    home.put("a.csv", "more text");
    assert_eq!(desk.work(&mut grown).unwrap(), Done::Changed);
    // Since it was hashed, with size and time as before.
    let mut rewritten = task(&path);
    rewritten.candidate = Some(Candidate { file_id: "0".repeat(64), ..Candidate::at(&path).unwrap() });
    assert_eq!(desk.work(&mut rewritten).unwrap(), Done::Changed);
    // It is taken away.
    let mut gone = task(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(desk.work(&mut gone).unwrap(), Done::Changed);
    assert!(home.log.seals().is_empty() && home.claims().is_empty());
    assert!(home.archive().arrivals_but(|_| false).unwrap().is_empty());
}

#[test]
fn what_failed_is_not_hashed_again() {
    let home = Home::new();
    let desk = desk(&home);
    home.put("a.csv", "text");
    let mut task = task(&home.inbox("a.csv"));
    home.log.fails.store(1, Ordering::SeqCst);
    assert!(desk.work(&mut task).is_err());
    assert!(task.candidate.is_some());
    assert!(matches!(desk.work(&mut task).unwrap(), Done::Sent(_)));
    assert_eq!(desk.work(&mut task).unwrap(), Done::Known(None), "its own doing");
}

#[test]
fn what_another_has_in_hand_is_left_to_it() {
    let home = Home::new();
    let (one, other) = (desk(&home), desk(&home));
    home.put("a.csv", "text");
    let mut task = task(&home.inbox("a.csv"));
    let claim = other.claims.claim(&hash_file(&home.inbox("a.csv")).unwrap()).unwrap();
    assert_eq!(one.work(&mut task).unwrap(), Done::Elsewhere);
    drop(claim);
    assert!(matches!(one.work(&mut task).unwrap(), Done::Sent(_)));
}

#[test]
fn a_note_that_cannot_be_written_sends_the_file_again_as_it_was() {
    let home = Home::new();
    let desk = desk(&home);
    home.put("a.csv", "text");
    let file_id = hash_file(&home.inbox("a.csv")).unwrap();
    let note = home.archive().path(&file_id).with_extension("sent");
    std::fs::create_dir_all(note.join("in the way")).unwrap();
    let mut task = task(&home.inbox("a.csv"));
    assert!(desk.work(&mut task).is_err());
    std::fs::remove_dir_all(&note).unwrap();
    assert!(matches!(desk.work(&mut task).unwrap(), Done::Sent(_)));
    let seals = home.log.seals();
    assert_eq!((seals.len(), &seals[0]), (2, &seals[1]));
}
