//! The two tasks as files.

use std::{collections::HashMap, path::Path};

use anyhow::{Context, Result};
use rand::{
    Rng, SeedableRng,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::ChaCha8Rng;

use super::{
    clipart::{Parts, Picture},
    rows::Row,
    shapes,
};
use crate::archive::{self, Archive};

const SPLITS: [&str; 3] = ["train", "val", "test"];
/// Most samples of the splits.
const MOST: [usize; 3] = [4096, 1024, 4000];
/// Fewest training pictures of a keyword.
const LEARNED: usize = 5;
/// Questions which of two words fits, for each picture of the splits.
const WORDS: [usize; 3] = [3, 2, 2];

/// Writes `long-clipart` and `long-shapes` into directories of `place`, each with a `mars.toml` that names `place/model`.
/// `source` has what `pictures.py` wrote; a task whose data are missing there is left out.
///
/// # Errors
/// When a file is wrong or cannot be written, or no task can be made.
pub fn write(source: &Path, place: &Path) -> Result<()> {
    let (clipart, easy) = (source.join("clipart"), source.join("easyvqa"));
    anyhow::ensure!(
        clipart.is_dir() || easy.is_dir(),
        "{} has neither clipart nor easyvqa: xtask/recipes/pictures.py makes them",
        source.display()
    );
    if clipart.is_dir() {
        let parts = Parts::read(&clipart)?;
        write_task(place, "long-clipart", &clipart.join("images"), &keywords(&parts))?;
    }
    if easy.is_dir() {
        write_task(place, "long-shapes", &easy.join("images"), &shapes::splits(&easy)?)?;
    }
    Ok(())
}

/// Questions for the keywords of a picture, and which of two words fits it; the other word is a keyword of another picture of
/// the split, so that the words alone say little about the answer. Keywords of fewer than five training pictures are left out.
pub fn keywords(parts: &Parts) -> [Vec<Row>; 3] {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in parts.train.iter().flat_map(|p| &p.keywords) {
        *counts.entry(word).or_default() += 1;
    }
    let learned = |picture: &Picture| {
        let often = |word: &&String| counts.get(word.as_str()).is_some_and(|&count| count >= LEARNED);
        Picture { keywords: picture.keywords.iter().filter(often).cloned().collect(), ..picture.clone() }
    };
    let splits = [&parts.train, &parts.val, &parts.test];
    std::array::from_fn(|n| {
        let mut rng = ChaCha8Rng::seed_from_u64(31 + n as u64);
        let pictures: Vec<Picture> =
            splits[n].iter().map(learned).filter(|p| !p.keywords.is_empty()).collect();
        let mut rows: Vec<Row> =
            pictures.iter().flat_map(|p| about(p, &pictures, WORDS[n], &mut rng)).collect();
        rows.shuffle(&mut rng);
        rows.truncate(MOST[n]);
        rows
    })
}

fn about(picture: &Picture, others: &[Picture], choices: usize, rng: &mut impl Rng) -> Vec<Row> {
    let row = |kind: &str, question: String, answer: String| Row {
        kind: kind.into(),
        picture: picture.file.clone(),
        question,
        answer,
    };
    let mut rows =
        vec![row("keywords", "Give keywords for this picture.".into(), picture.keywords.join(", "))];
    // Where every other word is one of its own, fewer questions are asked.
    for _ in 0..4 * choices {
        let other = others.choose(rng).and_then(|p| p.keywords.choose(rng));
        let (Some(own), Some(other)) = (picture.keywords.choose(rng), other) else { continue };
        if rows.len() > choices || picture.keywords.contains(other) {
            continue;
        }
        let (first, second) = if rng.random_bool(0.5) { (own, other) } else { (other, own) };
        let question = format!("Is it filed under {first} or {second}?");
        if rows.iter().all(|r| r.question != question) {
            rows.push(row("choice", question, own.clone()));
        }
    }
    rows
}

fn write_task(place: &Path, name: &str, images: &Path, splits: &[Vec<Row>; 3]) -> Result<()> {
    let directory = place.join(name);
    let mut pictures: Vec<&str> = splits.iter().flatten().map(|r| r.picture.as_str()).collect();
    pictures.sort_unstable();
    pictures.dedup();
    let mut archive = Archive::default();
    for picture in pictures {
        let path = images.join(picture);
        let content = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        archive.add(picture, &content)?;
    }
    crate::write_file(&directory.join("images.zip"), &archive.finish()?)?;
    for (split, rows) in SPLITS.iter().zip(splits) {
        let id = |n: usize, row: &Row| format!("{split}{n:04}-{}", row.kind);
        let sample =
            |(n, row): (usize, &Row)| archive::sample(&id(n, row), &row.picture, &row.question, &row.answer);
        let samples: Vec<_> = rows.iter().enumerate().map(sample).collect();
        crate::write_file(&directory.join(format!("{split}.json")), &archive::list(&samples))?;
    }
    crate::write_file(&directory.join("mars.toml"), configuration(place, name)?.as_bytes())
}

/// Final runs of 1,200 steps; otherwise as the long tasks on digits.
fn configuration(place: &Path, name: &str) -> Result<String> {
    let place = place.to_str().with_context(|| format!("{} is not UTF-8", place.display()))?;
    let quoted = |path: String| serde_json::Value::from(path).to_string();
    let file = |key: &str, name: &str, file: &str| {
        format!("data.{key} = {}\n", quoted(format!("{place}/{name}/{file}")))
    };
    let mut lines = format!("model.dir = {}\n", quoted(format!("{place}/model")));
    for split in SPLITS {
        lines += &file(split, name, &format!("{split}.json"));
    }
    lines += &file("images", name, "images.zip");
    lines += "train.steps = 1200\ntrain.batch = 16\ntrain.eval_every = 60\ntrain.learning_rate = 1e-3\nrun.workers = 64\n";
    Ok(lines)
}
