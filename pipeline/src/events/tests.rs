use super::*;

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

fn event(number: u64, what: What, processing_month: &str) -> Event {
    let (processing_month, on) = (month(processing_month), "2026-08-03".parse().unwrap());
    Event { number, what, processing_month, on, reason: None }
}

fn withdraw(number: u64, file_id: &str, record_no: Option<i64>, month: &str) -> Event {
    event(number, What::Withdraw { file_id: file_id.to_owned(), record_no }, month)
}

fn close(number: u64, month: &str, rejected: &[&str]) -> Event {
    let rejected_files = rejected.iter().map(|id| (*id).to_owned()).collect();
    event(number, What::Close { rejected_files }, month)
}

#[test]
fn withdrawals_hold_from_their_processing_month_on() {
    let events = [
        withdraw(1, "a", Some(3), "2026-08"),
        close(2, "2026-08", &[]),
        withdraw(3, "b", None, "2026-09"),
        withdraw(4, "a", None, "2026-10"),
    ];
    let as_of = |text: &str| Withdrawals::of(&events, Some(month(text)));
    assert_eq!(as_of("2026-07"), Withdrawals::default());
    let august = as_of("2026-08");
    assert_eq!(august.records("a").collect::<Vec<_>>(), [3]);
    assert!(august.holds("a", Some(3)) && !august.holds("a", Some(4)) && !august.holds("a", None));
    assert!(!august.file("b") && as_of("2026-09").file("b"));
    let all = Withdrawals::of(&events, None);
    assert!(all.file("a") && all.holds("a", Some(99)) && all.holds("b", None));
    assert_eq!(all.records("a").count(), 0, "the whole file is withdrawn");
    assert_eq!(all.files().collect::<Vec<_>>(), ["a", "b"]);
    let number = |file_id: &str, record_no| withdrawal(&events, file_id, record_no).map(|e| e.number);
    assert_eq!([number("a", Some(3)), number("a", Some(4)), number("a", None)], [Some(1), Some(4), Some(4)]);
    assert_eq!([number("b", Some(9)), number("c", None)], [Some(3), None]);
}

#[test]
fn closing_closes_earlier_months_too_and_remembers_what_stood_rejected() {
    let none = Closings::of(&[withdraw(1, "a", None, "2026-08")]);
    assert!(none.through.is_none() && !none.closed(month("2000-01")));
    let events = [close(1, "2026-08", &["x"]), close(2, "2026-06", &[]), close(3, "2026-09", &["x", "y"])];
    let closings = Closings::of(&events);
    assert_eq!(closings.through, Some(month("2026-09")));
    assert!(closings.closed(month("2026-07")) && closings.closed(month("2026-09")));
    assert!(!closings.closed(month("2026-10")));
    assert_eq!(closings.rejected_files["x"], month("2026-09"));
    assert_eq!(closings.rejected_files["y"], month("2026-09"));
}

#[test]
fn a_withdrawal_never_reaches_into_a_closed_month() {
    let on = "2026-08-03".parse().unwrap();
    let after = |events: &[Event]| month_of_withdrawal(on, &Closings::of(events)).to_string();
    assert_eq!(after(&[]), "2026-08");
    assert_eq!(after(&[close(1, "2026-07", &[])]), "2026-08");
    assert_eq!(after(&[close(1, "2026-08", &[])]), "2026-09");
    assert_eq!(after(&[close(1, "2026-11", &[])]), "2026-12");
}

#[test]
fn events_are_kept_whole_in_order_and_for_ever() {
    let data = tempfile::tempdir().unwrap();
    assert!(read(data.path()).unwrap().is_empty());
    let what = || What::Withdraw { file_id: "a".to_owned(), record_no: Some(2) };
    let (august, on) = (month("2026-08"), "2026-08-03".parse().unwrap());
    let reason = || Some("二重送付".to_owned());
    let first = keep(data.path(), &[], what(), august, on, reason()).unwrap();
    let kept = read(data.path()).unwrap();
    assert_eq!(kept, [first]);
    // The number is taken: nothing is overwritten.
    assert!(keep(data.path(), &[], what(), august.next(), on, None).is_err());
    assert_eq!(read(data.path()).unwrap(), kept);
    let part = folder(data.path()).join(".part-x");
    std::fs::write(&part, "{").unwrap();
    assert_eq!(read(data.path()).unwrap(), kept, "half an event never happened");
    let close = What::Close { rejected_files: vec!["b".to_owned()] };
    let second = keep(data.path(), &kept, close, august, on, None).unwrap();
    assert!(!part.exists());
    assert_eq!(read(data.path()).unwrap(), [kept[0].clone(), second]);
    std::fs::remove_file(folder(data.path()).join("00000001-withdraw.json")).unwrap();
    assert!(read(data.path()).unwrap_err().to_string().contains("backup"), "a hole is told");
}

fn reopen(number: u64, month: &str) -> Event {
    event(number, What::Reopen, month)
}

#[test]
fn a_reopening_opens_its_month_and_all_later_ones_until_they_are_closed_again() {
    let events = [
        close(1, "2026-05", &["april", "may"]),
        close(2, "2026-08", &["june"]),
        reopen(3, "2026-05"),
        close(4, "2026-06", &["june"]),
    ];
    let through = |count: usize| Closings::of(&events[..count]).through.unwrap().to_string();
    assert_eq!([1, 2, 3, 4].map(through), ["2026-05", "2026-08", "2026-04", "2026-06"]);
    let froze = |count: usize, file_id: &str, month: Option<&str>| {
        Closings::of(&events[..count]).froze(file_id, month.map(self::month))
    };
    // Closed: nothing of it may count. Open: that of open months may, not that of months that stay closed.
    assert!(froze(2, "may", Some("2026-05")) && froze(2, "june", Some("2026-06")));
    assert!(!froze(3, "may", Some("2026-05")) && !froze(3, "june", Some("2026-06")));
    assert!(froze(3, "april", Some("2026-04")) && froze(3, "may", Some("2026-03")) && froze(3, "may", None));
    // Closed again: only what stood rejected then.
    assert!(froze(4, "june", Some("2026-06")) && !froze(4, "may", Some("2026-05")));
    assert!(froze(4, "april", Some("2026-04")));
    for count in 0..=events.len() {
        let closings = Closings::of(&events[..count]);
        assert!(closings.rejected_files.values().all(|newest| closings.closed(*newest)));
    }
    assert_eq!(Closings::of(&[reopen(1, "2026-05")]), Closings::default(), "nothing was closed");
}

/// Random closings and reopenings, against what the rules say of every month and file one by one.
#[test]
fn closings_are_what_the_rules_say_of_every_month() {
    let mut state: u32 = 1;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let of = |number: u32| Month(month("2026-01").0 + number as i32);
    let (mut reopened, mut frozen) = (0, 0);
    for _ in 0..300 {
        let mut events: Vec<Event> = Vec::new();
        for number in 1..=6 {
            let (month, rejected) = (of(random(6)).to_string(), ["a", "b"][random(2) as usize]);
            let rejected: &[&str] = if random(2) == 0 { &[rejected] } else { &[] };
            let closes = random(2) == 0;
            events.push(if closes { close(number, &month, rejected) } else { reopen(number, &month) });
        }
        let closings = Closings::of(&events);
        let touches = |event: &&Event, month: Month| match event.what {
            What::Close { .. } => month <= event.processing_month,
            _ => month >= event.processing_month,
        };
        for month in (0..6).map(of) {
            let last = events.iter().rfind(|event| touches(event, month));
            let closed = last.is_some_and(|event| event.what != What::Reopen);
            // A reopening of what was not closed never happens; it would open nothing.
            assert_eq!(closings.closed(month), closed, "{month} {events:?}");
            reopened += usize::from(!closed && last.is_some());
            for file_id in ["a", "b"] {
                let names = |event: &Event| matches!(&event.what, What::Close { rejected_files } if rejected_files.iter().any(|id| id == file_id));
                let named = events.iter().rposition(|event| names(event) && month <= event.processing_month);
                let since = |at: usize| {
                    events[at..].iter().any(|event| event.what == What::Reopen && touches(&event, month))
                };
                let froze = named.is_some_and(|at| !since(at));
                assert_eq!(closings.froze(file_id, Some(month)), froze, "{file_id} {month} {events:?}");
                assert!(!froze || closed);
                frozen += usize::from(froze);
            }
        }
    }
    assert!(reopened > 300 && frozen > 300, "{reopened} {frozen}");
}

#[test]
fn a_withdrawal_after_a_reopening_may_reach_into_the_month_that_is_open_again() {
    let after = |on: &str, events: &[Event]| {
        month_of_withdrawal(on.parse().unwrap(), &Closings::of(events)).to_string()
    };
    let events = [close(1, "2026-06", &[]), reopen(2, "2026-05"), close(3, "2026-05", &[])];
    assert_eq!(after("2026-04-30", &events[..1]), "2026-07");
    assert_eq!(after("2026-04-30", &events[..2]), "2026-05");
    assert_eq!(after("2026-07-02", &events[..2]), "2026-07");
    assert_eq!(after("2026-04-30", &events), "2026-06");
}

#[test]
fn a_reopening_is_kept_with_its_reason_and_an_unknown_kind_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let on = "2026-08-03".parse().unwrap();
    let reason = Some("遅延分の取込み".to_owned());
    let kept = keep(data.path(), &[], What::Reopen, month("2026-05"), on, reason).unwrap();
    let path = folder(data.path()).join("00000001-reopen.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for says in
        ["\"kind\": \"reopen\"", "\"processing_month\": \"2026-05\"", "\"reason\": \"遅延分の取込み\""]
    {
        assert!(text.contains(says), "{text}");
    }
    assert_eq!(read(data.path()).unwrap(), [kept]);
    // As a program from before there were reopenings reads this one: no month is taken for closed that is not.
    std::fs::write(folder(data.path()).join("00000002-merge.json"), text.replace("reopen", "merge")).unwrap();
    let error = read(data.path()).unwrap_err().to_string();
    assert!(error.contains("00000002-merge.json") && error.contains("unknown variant `merge`"), "{error}");
}

#[test]
fn a_reason_is_shown_as_one_printable_line() {
    let with = |reason: Option<&str>| {
        let reason = reason.map(str::to_owned);
        Event { reason, ..withdraw(1, "a", None, "2026-08") }.reason_shown()
    };
    assert_eq!([with(None), with(Some("a\u{1b}b"))], ["", "a〓b"]);
}
