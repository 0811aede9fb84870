//! Names from files, safe to print.

/// The name with control characters (escape sequences, line breaks, direction marks) replaced and its length
/// bounded, so that a file cannot write on the user's terminal.
pub fn printable(name: &str) -> String {
    const LONGEST: usize = 200;
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown: String = name.chars().take(LONGEST).map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn control_characters_and_length() {
        assert_eq!(printable("a\x1b[31mb\nc"), "a\u{fffd}[31mb\u{fffd}c");
        assert_eq!(printable("디버그 ñ"), "디버그 ñ");
        assert_eq!(printable(&"x".repeat(300)).chars().count(), 201);
    }
}
