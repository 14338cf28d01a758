//! The messages of all findings: whole, in their language, and saying what to do.

#![allow(clippy::unwrap_used)] // a test may fail loudly

use tsumiage_schemas::data::FILES;
use tsumiage_schemas::{Code, Spec};

/// Latin words that a Japanese message may hold: forms of dates, names of characters, codes and files.
const NAMES: [&str; 22] = [
    "YYYYMMDD", "YYYYMM", "YYYY", "MM", "DD", "JIS", "CR", "LF", "CRLF", "ZIP", "Zip", "LZH", "gzip",
    "Excel", "xlsx", "xls", "Word", "doc", "PDF", "HTML", "XML", "RTF",
];
const ENCODINGS: [&str; 2] = ["UTF", "BOM"];

fn detail_keys() -> Vec<&'static str> {
    let text = FILES.iter().find(|(path, _)| *path == "details.csv").unwrap().1;
    text.lines().skip(1).map(|line| line.split_once(',').unwrap().0).collect()
}

/// Both messages of every code, for an item or the file, with every kind of detail.
fn messages() -> Vec<(String, String, String)> {
    let spec = Spec::embedded().unwrap();
    let mut messages = Vec::new();
    for code in Code::ALL {
        let (ja, en) = spec.catalogue.messages(*code, "care_level", "要介護状態区分コード", "123");
        messages.push((format!("{code}"), ja, en));
        let (ja, en) = spec.catalogue.messages(*code, "care_level", "要介護状態区分コード", "");
        messages.push((format!("{code} without detail"), ja, en));
        for key in detail_keys() {
            let (ja, en) = spec.catalogue.messages(*code, "", "", &format!("{key}:77,78,79"));
            messages.push((format!("{code} {key}"), ja, en));
        }
    }
    messages
}

/// Words of Latin letters alone; `0x1A` or `CP932` are none.
fn latin_words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic()))
}

#[test]
fn japanese_messages_are_japanese() {
    for (what, ja, _) in messages() {
        for word in latin_words(&ja) {
            assert!(NAMES.contains(&word) || ENCODINGS.contains(&word), "{what}: {word} in {ja}");
        }
        assert!(ja.ends_with('。'), "{what}: {ja}");
        let says_what_to_do = ja.contains("ください。") || ja.contains("対応は不要です。");
        assert!(says_what_to_do && ja.matches('。').count() >= 2, "{what}: {ja}");
    }
}

#[test]
fn english_messages_are_english() {
    for (what, _, en) in messages() {
        assert!(en.is_ascii() && en.ends_with('.'), "{what}: {en}");
        assert!(en.matches(". ").count() >= 1, "{what} does not say what to do: {en}");
    }
}

#[test]
fn nothing_is_left_unfilled() {
    for (what, ja, en) in messages() {
        for text in [&ja, &en] {
            let broken = ["{", "}", "（）", "()", "「」", "  ", "、。", " ."];
            assert!(!broken.iter().any(|broken| text.contains(broken)), "{what}: {text}");
        }
    }
    let spec = Spec::embedded().unwrap();
    for code in Code::ALL {
        let entry = spec.catalogue.entry(*code);
        let places = |text: &str| ["{item}", "{detail}"].map(|place| text.matches(place).count());
        assert_eq!(places(&entry.message_ja), places(&entry.message_en), "{code}");
        assert!(places(&entry.message_ja)[1] == 1 || *code == Code::F07, "{code} shows its detail once");
    }
}

#[test]
fn every_detail_has_texts_of_its_own() {
    let spec = Spec::embedded().unwrap();
    for key in detail_keys() {
        let (ja, en) = spec.catalogue.messages(Code::F01, "", "", key);
        assert!(!ja.contains(&format!("（{key}）")) && !en.contains(&format!("({key})")), "{key}: {ja} {en}");
    }
    // As the value of an item the same word is a value.
    assert!(spec.catalogue.messages(Code::R04, "sex", "性別コード", "empty").0.contains("（empty）"));
}
