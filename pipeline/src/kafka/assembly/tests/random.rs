//! Random logs: several workers' attempts at several files, read with restarts, against a naive model.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

/// One attempt of a worker at a file.
#[derive(Clone, Debug)]
struct Work {
    file: u8,
    reading: u32,
    partition: u8,
    batches: u32,
    /// The worker is killed before this message; the seal is the last.
    killed_at: Option<u32>,
    /// The message of this number does not reach the log.
    lost: Option<u32>,
}

fn work() -> impl Strategy<Value = Work> {
    let numbers = (0..3_u8, 1..=3_u32, 0..3_u8, 0..4_u32);
    let fates = (proptest::option::weighted(0.3, 0..4_u32), proptest::option::weighted(0.1, 0..4_u32));
    (numbers, fates).prop_map(|((file, reading, partition, batches), (killed_at, lost))| Work {
        file,
        reading,
        partition,
        batches,
        killed_at,
        lost,
    })
}

/// A message: number within the attempt; the one after the last batch is the seal.
type Message = (usize, u32);

/// Choices made beforehand, so that a failure can be made smaller.
struct Choices(VecDeque<u8>);

impl Choices {
    fn below(&mut self, n: usize) -> usize {
        usize::from(self.0.pop_front().unwrap_or(0)) % n.max(1)
    }
}

/// The log of every partition: attempts interleaved, here and there a message twice, or before the one it
/// should follow.
fn logs(works: &[Work], choices: &mut Choices) -> BTreeMap<i32, Vec<Message>> {
    let mut logs: BTreeMap<i32, Vec<Message>> = BTreeMap::new();
    let mut left: Vec<(usize, u32)> = (0..works.len()).map(|at| (at, 0)).collect();
    while !left.is_empty() {
        let chosen = choices.below(left.len());
        let (at, number) = left[chosen];
        let work = &works[at];
        left[chosen].1 += 1;
        if number >= work.batches || work.killed_at == Some(number + 1) {
            left.remove(chosen);
        }
        if work.lost == Some(number) || work.killed_at == Some(0) {
            continue;
        }
        let log = logs.entry(i32::from(work.partition)).or_default();
        log.push((at, number));
        match choices.below(10) {
            0 => log.push((at, number)),
            1 => log.push(log[choices.below(log.len())]),
            2 if log.len() > 1 => {
                let last = log.len() - 1;
                log.swap(last, last - 1 - choices.below(last.min(3)));
            }
            _ => {}
        }
    }
    logs
}

fn taken(works: &[Work], (at, number): Message) -> Taken {
    let work = &works[at];
    let (file, attempt) = (format!("file {}", work.file), format!("attempt {at}"));
    if number < work.batches {
        batch(&file, &attempt, work.reading, number)
    } else {
        seal(&file, &attempt, work.reading, work.batches)
    }
}

/// What a ledger would hold, and how far it has read.
#[derive(Clone, Default)]
struct Committed {
    files: Vec<Given>,
    next: BTreeMap<i32, i64>,
}

/// A file that was given out: its attempt, and which messages its batches were.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    at: usize,
    batches: Vec<Message>,
}

/// A sink that is killed and begins again from what is committed.
struct Sink {
    assembly: Assembly<Message>,
    given: Vec<Given>,
    /// What this run has read: partition, offset, message.
    read: Vec<(i32, i64, Message)>,
}

impl Sink {
    fn begin(works: &[Work], committed: &Committed) -> Sink {
        let mut assembly = Assembly::new(committed.next.clone());
        for file in &committed.files {
            assembly.known(&format!("file {}", works[file.at].file), works[file.at].reading);
        }
        Sink { assembly, given: Vec::new(), read: Vec::new() }
    }

    fn take(&mut self, works: &[Work], partition: i32, offset: i64, message: Message) {
        let taken = taken(works, message);
        let Ok(step) = self.assembly.take(partition, offset, Ok(taken), || Ok::<_, Infallible>(message));
        if let Step::Whole(file) = step {
            let batches = file.batches.into_iter().map(|(_, kept)| kept).collect();
            self.given.push(Given { at: message.0, batches });
        }
        self.read.push((partition, offset, message));
    }

    /// Nothing that a later run needs lies below the low watermark, and nothing holds it back needlessly.
    fn check_low(&self, works: &[Work], committed: &Committed) {
        let known = highest(works, committed.files.iter().chain(&self.given));
        let mut expected = committed.next.clone();
        for (partition, offset, _) in &self.read {
            expected.insert(*partition, offset + 1);
        }
        for (partition, offset, (at, _)) in &self.read {
            if known.get(&works[*at].file).is_none_or(|known| *known < works[*at].reading) {
                let low = expected.entry(*partition).or_default();
                *low = *offset.min(low);
            }
        }
        assert_eq!(self.assembly.low_watermark(), expected);
    }
}

/// The highest reading of every file.
fn highest<'g>(works: &[Work], given: impl Iterator<Item = &'g Given>) -> BTreeMap<u8, u32> {
    let mut highest = BTreeMap::new();
    for work in given.map(|given| &works[given.at]) {
        let reading: &mut u32 = highest.entry(work.file).or_default();
        *reading = work.reading.max(*reading);
    }
    highest
}

/// Attempts whose messages are all in these logs.
fn complete(works: &[Work], messages: &[Message]) -> Vec<usize> {
    let there: BTreeSet<Message> = messages.iter().copied().collect();
    let all = |at: &usize| (0..=works[*at].batches).all(|number| there.contains(&(*at, number)));
    (0..works.len()).filter(all).collect()
}

/// What must be given out if these messages are read in this order and nothing is killed.
fn naive(works: &[Work], messages: &[Message]) -> Vec<usize> {
    let when = |at: usize| {
        let first = |number| messages.iter().position(|message| *message == (at, number)).unwrap();
        (0..=works[at].batches).map(first).max()
    };
    let mut attempts = complete(works, messages);
    attempts.sort_by_key(|at| when(*at));
    let mut known: BTreeMap<u8, u32> = BTreeMap::new();
    attempts.retain(|at| {
        let (file, reading) = (works[*at].file, works[*at].reading);
        let counts = known.get(&file).is_none_or(|known| *known < reading);
        if counts {
            known.insert(file, reading);
        }
        counts
    });
    attempts
}

/// Reads all logs to their ends, with commits and kills in between; gives the messages in the order in which
/// they were read.
fn read_all(
    works: &[Work],
    logs: &BTreeMap<i32, Vec<Message>>,
    choices: &mut Choices,
    kills: bool,
) -> (Committed, Vec<Message>) {
    let mut committed = Committed::default();
    let mut sink = Sink::begin(works, &committed);
    let mut at = committed.next.clone();
    let mut order = Vec::new();
    loop {
        let more = |(p, log): &(&i32, &Vec<Message>)| *at.get(*p).unwrap_or(&0) < log.len() as i64;
        let open: Vec<_> = logs.iter().filter(more).collect();
        let Some((partition, log)) = open.get(choices.below(open.len())) else { break };
        let offset = at.entry(**partition).or_insert(0);
        let message = log[*offset as usize];
        sink.take(works, **partition, *offset, message);
        order.push(message);
        *offset += 1;
        sink.check_low(works, &committed);
        match choices.below(8) {
            0 => {
                committed.next = sink.assembly.low_watermark();
                committed.files.append(&mut sink.given);
            }
            1 if kills => {
                sink = Sink::begin(works, &committed);
                at = committed.next.clone();
            }
            2 => *offset -= 1, // the broker sends it again
            _ => {}
        }
    }
    committed.files.append(&mut sink.given);
    (committed, order)
}

/// Every file is whole, made of its own batches, and each reading of a file comes once and after lower ones.
fn check_files(works: &[Work], files: &[Given]) {
    let mut known: BTreeMap<u8, u32> = BTreeMap::new();
    for file in files {
        let work = &works[file.at];
        let expected: Vec<Message> = (0..work.batches).map(|number| (file.at, number)).collect();
        assert_eq!(file.batches, expected, "of {work:?}");
        let before = known.insert(work.file, work.reading).unwrap_or(0);
        assert!(before < work.reading, "{before} before {work:?}");
    }
}

fn inputs() -> impl Strategy<Value = (Vec<Work>, Vec<u8>)> {
    (proptest::collection::vec(work(), 0..10), proptest::collection::vec(any::<u8>(), 0..600))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn like_the_model_without_kills((works, choices) in inputs()) {
        let mut choices = Choices(choices.into());
        let logs = logs(&works, &mut choices);
        let (committed, order) = read_all(&works, &logs, &mut choices, false);
        check_files(&works, &committed.files);
        let given: Vec<usize> = committed.files.iter().map(|file| file.at).collect();
        prop_assert_eq!(given, naive(&works, &order));
    }

    #[test]
    fn nothing_is_lost_or_doubled_by_kills((works, choices) in inputs()) {
        let mut choices = Choices(choices.into());
        let logs = logs(&works, &mut choices);
        let (committed, _) = read_all(&works, &logs, &mut choices, true);
        check_files(&works, &committed.files);
        let mut expected: BTreeMap<u8, u32> = BTreeMap::new();
        for at in complete(&works, &logs.into_values().flatten().collect::<Vec<_>>()) {
            let reading = expected.entry(works[at].file).or_default();
            *reading = works[at].reading.max(*reading);
        }
        prop_assert_eq!(highest(&works, committed.files.iter()), expected);
    }
}
