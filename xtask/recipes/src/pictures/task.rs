//! The two tasks as files.

use std::path::Path;

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
/// Questions whether a word is a keyword, for each picture of the splits.
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

/// Questions for the keywords of a picture, and whether a word is one of them; half of these words are those of another
/// picture of the split, so that a word alone says next to nothing about the answer.
pub fn keywords(parts: &Parts) -> [Vec<Row>; 3] {
    let splits = [&parts.train, &parts.val, &parts.test];
    std::array::from_fn(|n| {
        let mut rng = ChaCha8Rng::seed_from_u64(31 + n as u64);
        let pictures = splits[n];
        let mut rows: Vec<Row> =
            pictures.iter().flat_map(|p| about(p, pictures, WORDS[n], &mut rng)).collect();
        rows.shuffle(&mut rng);
        rows.truncate(MOST[n]);
        rows
    })
}

fn about(picture: &Picture, others: &[Picture], words: usize, rng: &mut impl Rng) -> Vec<Row> {
    let row = |kind: &str, question: String, answer: String| Row {
        kind: kind.into(),
        picture: picture.file.clone(),
        question,
        answer,
    };
    let mut rows =
        vec![row("keywords", "Give keywords for this picture.".into(), picture.keywords.join(", "))];
    for _ in 0..words {
        let own = rng.random_bool(0.5);
        let from = if own { Some(picture) } else { others.choose(rng) };
        let Some(word) = from.and_then(|p| p.keywords.choose(rng)) else { continue };
        if !own && picture.keywords.contains(word) {
            continue;
        }
        let question = format!("Is it filed under {word}?");
        if rows.iter().all(|r| r.question != question) {
            rows.push(row("word", question, if own { "yes" } else { "no" }.into()));
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
