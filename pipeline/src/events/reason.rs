//! The reason of an event: the user's words, which are kept for ever and shown to people, in lists and on terminals.
//!
//! Promise: what is kept is one line of printable characters, short, without anything that looks like an insured
//! number; what is shown is so too, whatever an archive holds.

/// Most characters of a reason.
const MOST: usize = 200;

/// So many digits in a row may be an insured number (被保険者番号).
const INSURED_NO: usize = 10;

/// A reason as it is kept: one line without blanks around it.
///
/// # Errors
/// Why it cannot be kept, as the end of a sentence that begins with what it is.
pub fn checked(text: &str) -> Result<String, String> {
    let line: String = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).collect();
    let line = line.trim();
    if line.is_empty() {
        return Err("wants a text: it is kept for those who ask later".to_owned());
    }
    if line.chars().any(is_unprintable) {
        return Err("holds a control character; write it as plain text".to_owned());
    }
    let characters = line.chars().count();
    if characters > MOST {
        return Err(format!("has {characters} characters; at most {MOST} are kept"));
    }
    if most_digits_in_a_row(line) >= INSURED_NO {
        let what = "holds ten digits in a row, which may be an insured number; it is kept for ever and shown to others";
        return Err(what.to_owned());
    }
    Ok(line.to_owned())
}

/// A reason as it can be shown anywhere: what no terminal should see becomes 〓, and what is too long is cut (…).
pub fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(MOST).map(|c| if is_unprintable(c) { '〓' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and those without a width that turn the direction of a line or break it.
fn is_unprintable(c: char) -> bool {
    let invisible = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}');
    c.is_control() || invisible
}

fn most_digits_in_a_row(text: &str) -> usize {
    let is_digit = |c: char| c.is_ascii_digit() || ('０'..='９').contains(&c);
    text.split(|c| !is_digit(c)).map(|digits| digits.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_one_printable_line_without_insured_numbers() {
        assert_eq!(checked(" 誤送付\r\n\"二重\", 141003 ").unwrap(), "誤送付  \"二重\", 141003");
        assert_eq!(checked(&"字".repeat(MOST)).unwrap().chars().count(), MOST);
        for (wrong, says) in [
            ("", "wants a text"),
            (" \n\u{3000}", "wants a text"),
            ("a\u{1b}[31mb", "control character"),
            ("a\u{202e}b", "control character"),
            ("a\0", "control character"),
            (&"字".repeat(MOST + 1), "201 characters"),
            ("被保険者0000000010の分", "ten digits"),
            ("被保険者００００００００１０の分", "ten digits"),
            ("1410030000000010", "ten digits"),
        ] {
            let fault = checked(wrong).unwrap_err();
            assert!(fault.contains(says), "{wrong:?}: {fault}");
        }
        assert!(checked("2026-07-01 から 123456789 件").is_ok());
    }

    #[test]
    fn what_is_shown_is_printable_whatever_an_archive_holds() {
        assert_eq!(shown("誤送付"), "誤送付");
        assert_eq!(shown("a\n\u{1b}[2J\u{202e}b"), "a〓〓[2J〓b");
        assert_eq!(shown(&"x".repeat(MOST + 5)), "x".repeat(MOST) + "…");
    }
}
