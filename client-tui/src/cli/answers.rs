//! Answers to questions on the terminal: what is not understood is asked again, with the words that are.

use std::io;

use towpath_protocol::display::DisplayName;

use super::output;

/// Asks until the answer is yes or no. An empty line and the end of the input mean no.
pub(super) async fn confirmed(question: &str) -> io::Result<bool> {
    loop {
        let Some(answer) = output::ask(question).await? else { return Ok(false) };
        match yes_or_no(&answer) {
            Some(is_yes) => return Ok(is_yes),
            None => not_understood(&answer, "y/n"),
        }
    }
}

/// Tells which words would be understood; the question is to be asked again.
pub(super) fn not_understood(answer: &str, accepted: &str) {
    let answer = DisplayName::new(answer.as_bytes());
    output::note(&format!("tow: '{answer}' is no answer here; type {accepted}"));
}

fn yes_or_no(answer: &str) -> Option<bool> {
    match answer.to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" | "" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_yes_and_only_a_clear_no_is_no() {
        for (answer, meant) in [
            ("y", Some(true)),
            ("YES", Some(true)),
            ("n", Some(false)),
            ("No", Some(false)),
            ("", Some(false)),
            ("yy", None),
            ("yes please", None),
            ("o", None),
            ("nein", None),
        ] {
            assert_eq!(yes_or_no(answer), meant, "{answer}");
        }
    }
}
