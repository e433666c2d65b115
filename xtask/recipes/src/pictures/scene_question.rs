//! Questions about drawn scenes. None of them is one of easy-VQA's, nor are their figures or all of their colours.

use image::RgbImage;
use rand::{Rng, seq::IndexedRandom};

use super::scene::{CELLS, COLOURS, FIGURES, Scene, Thing};
use crate::stream::{Phase, Sample};

const ROWS: [&str; CELLS] = ["top", "middle", "bottom"];
const COLUMNS: [&str; CELLS] = ["left", "centre", "right"];
const NUMBERS: [&str; 10] = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// A random question about a fresh scene.
///
/// Answers that list all cells, a word for each, teach the language model to look: they come first.
pub fn ask(phase: Phase, rng: &mut impl Rng) -> Sample {
    let kinds: &[&'static str] = match phase {
        Phase::Reading => &["colours", "colours", "figures", "figures", "cell", "row"],
        Phase::Everything => {
            &["colours", "figures", "cell", "row", "single", "count", "relation", "relation"]
        }
    };
    let kind = kinds.choose(rng).copied().unwrap_or("cell");
    if kind == "single" {
        let scene = Scene::single(rng);
        let at = scene.cells.iter().position(Option::is_some).unwrap_or_default();
        let answer = format!("{} at the {}", words(scene.cells[at]), cell(at));
        return sample(scene.image, kind, "describe the figure".into(), answer);
    }
    let scene = Scene::grid(0.6, rng);
    let (question, answer) = match kind {
        "colours" => ("read all colours".into(), all(&scene, |thing| COLOURS[thing.colour].0)),
        "figures" => ("read all figures".into(), all(&scene, |thing| FIGURES[thing.figure])),
        "cell" => cell_question(&scene, rng),
        "row" => row_question(&scene, rng),
        "count" => count_question(&scene, rng),
        _ => match relation_question(&scene, rng) {
            Some(asked) => asked,
            None => return ask(phase, rng),
        },
    };
    sample(scene.image, kind, question, answer)
}

fn all(scene: &Scene, word: impl Fn(Thing) -> &'static str) -> String {
    let words: Vec<&str> = scene.cells.iter().map(|c| c.map_or("none", &word)).collect();
    words.join(" ")
}

fn sample(image: RgbImage, kind: &'static str, question: String, answer: String) -> Sample {
    Sample { image: Some(image), kind, question, answer }
}

fn words(content: Option<Thing>) -> String {
    content.map_or_else(|| "nothing".into(), Thing::words)
}

fn cell(at: usize) -> String {
    format!("{} {}", ROWS[at / CELLS], COLUMNS[at % CELLS])
}

fn cell_question(scene: &Scene, rng: &mut impl Rng) -> (String, String) {
    let at = rng.random_range(0..scene.cells.len());
    (format!("what is at the {}?", cell(at)), words(scene.cells[at]))
}

fn row_question(scene: &Scene, rng: &mut impl Rng) -> (String, String) {
    let row = rng.random_range(0..CELLS);
    let cells = &scene.cells[row * CELLS..(row + 1) * CELLS];
    let answer: Vec<String> = cells.iter().map(|c| words(*c)).collect();
    (format!("read the {} row", ROWS[row]), answer.join(", "))
}

fn count_question(scene: &Scene, rng: &mut impl Rng) -> (String, String) {
    let present: Vec<Thing> = scene.cells.iter().flatten().copied().collect();
    let fallback = Thing { figure: 0, colour: 0 };
    let thing = present.choose(rng).copied().unwrap_or(fallback);
    let (what, count) = if rng.random_bool(0.5) {
        (FIGURES[thing.figure], present.iter().filter(|t| t.figure == thing.figure).count())
    } else {
        (COLOURS[thing.colour].0, present.iter().filter(|t| t.colour == thing.colour).count())
    };
    (format!("how many are {what}?"), NUMBERS[count].into())
}

/// Whether one of two things is above, or left of, the other; none where no two things can be told apart so.
fn relation_question(scene: &Scene, rng: &mut impl Rng) -> Option<(String, String)> {
    let once = |at: &usize| {
        let thing = scene.cells[*at];
        thing.is_some() && scene.cells.iter().filter(|c| **c == thing).count() == 1
    };
    let places: Vec<usize> = (0..scene.cells.len()).filter(once).collect();
    let (&a, &b) = (places.choose(rng)?, places.choose(rng)?);
    let vertical = rng.random_bool(0.5);
    let line = |at: usize| if vertical { at / CELLS } else { at % CELLS };
    if line(a) == line(b) {
        return None;
    }
    let relation = if vertical { "above" } else { "left of" };
    let question = format!("is the {} {relation} the {}?", words(scene.cells[a]), words(scene.cells[b]));
    Some((question, if line(a) < line(b) { "yes" } else { "no" }.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;

    #[test]
    fn relations_are_balanced_and_every_kind_is_asked() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        let mut yes = 0;
        for _ in 0..6000 {
            let sample = ask(Phase::Everything, &mut rng);
            *kinds.entry(sample.kind).or_default() += 1;
            yes += usize::from(sample.answer == "yes");
        }
        assert_eq!(
            kinds.keys().copied().collect::<Vec<_>>(),
            ["cell", "colours", "count", "figures", "relation", "row", "single"]
        );
        let share = yes as f64 / kinds["relation"] as f64;
        assert!((share - 0.5).abs() < 0.08, "{share}");
    }
}
