//! Columns of text.

use std::io;

use crate::out;

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Prints rows, under a header where there is one, each column as wide as its widest cell.
pub fn print_table<const N: usize>(
    header: Option<[&str; N]>,
    align: &[Align; N],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let header = header.map(|names| names.map(str::to_owned));
    let rows: Vec<[String; N]> = header.into_iter().chain(rows).collect();
    lines(&rows, align).iter().try_for_each(out::line)
}

fn lines<const N: usize>(rows: &[[String; N]], align: &[Align; N]) -> Vec<String> {
    let widest = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(widest);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).zip(align).map(|((cell, width), align)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "ms"], ["grün", "1.25"], ["b", "10.00"]].map(|row| row.map(str::to_owned));
        assert_eq!(lines(&rows, &[Align::Left, Align::Right]), ["a        ms", "grün   1.25", "b     10.00"]);
    }
}
