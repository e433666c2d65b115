//! `long-shapes`: questions of easy-VQA as published, its test split as the test split.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::rows::{self, Row, place};

/// Questions of each picture.
const EACH: usize = 4;

/// Training, validation and test questions: of 1,024, 256 and all published test pictures, four each where there are as many.
///
/// # Errors
/// When a file is missing or wrong.
pub fn splits(directory: &Path) -> Result<[Vec<Row>; 3]> {
    let published = by_picture(rows::read(&directory.join("train.json"))?);
    let test = by_picture(rows::read(&directory.join("test.json"))?);
    let mut train: Vec<_> = published.into_iter().collect();
    train.sort_by(|a, b| place(&a.0).total_cmp(&place(&b.0)));
    let val = train.split_off(train.len() * 4 / 5);
    let chosen =
        |pictures: Vec<(String, Vec<Row>)>, seed| drawn(pictures, &mut ChaCha8Rng::seed_from_u64(seed));
    let first = |mut pictures: Vec<_>, n| {
        pictures.truncate(n);
        pictures
    };
    Ok([chosen(first(train, 1024), 21), chosen(first(val, 256), 22), chosen(test.into_iter().collect(), 23)])
}

fn by_picture(rows: Vec<Row>) -> BTreeMap<String, Vec<Row>> {
    let mut pictures: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        pictures.entry(row.picture.clone()).or_default().push(row);
    }
    pictures
}

fn drawn(pictures: Vec<(String, Vec<Row>)>, rng: &mut ChaCha8Rng) -> Vec<Row> {
    let mut rows = Vec::new();
    for (_, mut asked) in pictures {
        asked.shuffle(rng);
        asked.truncate(EACH);
        for mut row in asked {
            let whether = ["yes", "no"].contains(&row.answer.as_str());
            row.kind = if whether { "whether" } else { "what" }.into();
            rows.push(row);
        }
    }
    rows
}
