//! Errors as the user sees them.

use std::io;

/// An error and its causes on one line, hints below; a cause that the error tells already is not told twice.
pub fn in_words(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            let between = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{between}{cause}");
        }
    }
    text
}

/// Whether nobody reads our standard output any more, as behind `| head`.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let told = anyhow!("no such file").context("cannot read a.jpg: no such file");
        assert_eq!(in_words(&told), "cannot read a.jpg: no such file");
        let more = anyhow!("it is empty\nhint: fill it").context("cannot read a.jpg");
        assert_eq!(in_words(&more), "cannot read a.jpg: it is empty\nhint: fill it");
    }
}
