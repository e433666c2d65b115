//! Results on stdout: text for people, JSON for machines.

use crate::escape;
use mars::Error;
use serde::Serialize;
use std::{
    io::{self, Write},
    path::Path,
};

/// Prints a text and a line end.
pub(crate) fn text(text: impl AsRef<str>) -> Result<(), Error> {
    write(&escape::text(text.as_ref()))
}

fn write(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(Error::io("write to", Path::new("stdout")))
}

/// Prints a value as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Error::failed("the result cannot be written as JSON").because(error))?;
    write(&escape::json(&json))
}

/// Lays rows out in columns, the first row as header. Of a cell with several lines the first and the last are shown: of the output
/// of a command that failed the last says why.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let header = header.iter().map(|name| (*name).to_owned()).collect();
    let rows = std::iter::once(header).chain(rows);
    let rows: Vec<Vec<String>> = rows.map(|row| row.into_iter().map(in_one_line).collect()).collect();
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

fn in_one_line(text: String) -> String {
    if !text.contains('\n') {
        return text;
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let ends = lines.next().into_iter().chain(lines.next_back());
    ends.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_cell_is_one_line_with_the_last_words() {
        let why = "exit code 1; the end of its stderr:\n  Traceback:\n    line 3\n  out of memory\n\n";
        for (cell, shown) in [
            (why, "exit code 1; the end of its stderr: out of memory"),
            ("a\n\n", "a"),
            ("\n", ""),
            (" a b", " a b"),
        ] {
            assert_eq!(table(&["end"], [vec![cell.to_owned()]]), format!("end\n{shown}"));
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [["a", "10"].map(str::to_owned).to_vec()];
        assert_eq!(table(&["policy", "n"], rows), "policy  n\na       10");
    }
}
