//! Results on stdout: text for people, JSON for machines.

use anyhow::{Context, Result};
use serde::Serialize;
use std::io::{self, Write};

/// Prints a text and a line end.
pub(crate) fn text(text: impl AsRef<str>) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", text.as_ref()).and_then(|()| stdout.flush()).context("cannot write to stdout")
}

/// Prints a value as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    text(serde_json::to_string_pretty(value).context("cannot write the result as JSON")?)
}

/// Lays rows out in columns, the first row as header.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up() {
        let rows = [["policy", "n"], ["a", "10"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "policy  n\na       10");
    }
}
