//! LLaVA JSON with one question each, and the order in which pictures are divided.

use std::path::Path;

use anyhow::{Context, Result, bail};
use image::RgbImage;
use serde_json::Value;

/// A question about a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The last word of the id: what kind of question it is.
    pub kind: String,
    /// Name of the file.
    pub picture: String,
    /// What is asked, without the mark of the picture.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// The rows of a file.
///
/// # Errors
/// When it cannot be read or is not such a list; the message names the first wrong entry.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let content = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let rows: Vec<Value> =
        serde_json::from_slice(&content).with_context(|| format!("{} is no JSON list", path.display()))?;
    rows.iter()
        .enumerate()
        .map(|(n, row)| parse(row).with_context(|| format!("{}: entry {n}", path.display())))
        .collect()
}

fn parse(row: &Value) -> Result<Row> {
    let text = |place: &str| {
        let found = row.pointer(place).and_then(Value::as_str);
        found.with_context(|| format!("no text at {place}"))
    };
    let picture = text("/image")?.to_owned();
    if picture.contains(['/', '\\']) {
        bail!("the picture {picture:?} is not a plain file name");
    }
    Ok(Row {
        kind: text("/id")?.rsplit('-').next().unwrap_or_default().to_owned(),
        picture,
        question: text("/conversations/0/value")?.replace("<image>", "").trim().to_owned(),
        answer: text("/conversations/1/value")?.trim().to_owned(),
    })
}

/// Pixels of a PNG.
///
/// # Errors
/// When it cannot be read.
pub fn picture(path: &Path) -> Result<RgbImage> {
    Ok(image::open(path).with_context(|| format!("reading {}", path.display()))?.to_rgb8())
}

/// A number of 0..1 that depends on the name alone, evenly spread over different names.
pub fn place(name: &str) -> f64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mixed = (hash ^ (hash >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 29)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spread_evenly() {
        let mut tenths = [0; 10];
        for n in 0..10_000 {
            tenths[(place(&format!("picture-{n}")) * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|&count| (900..1100).contains(&count)), "{tenths:?}");
    }
}
