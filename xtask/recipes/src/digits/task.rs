//! Downstream tasks: how the pictures look, what is asked, how much data there is, how it is trained.

use rand::{Rng, seq::IndexedRandom};

use super::{
    canvas::Look,
    question::{DOWNSTREAM, Kind, Question, downstream, pretraining},
};

/// A downstream task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its name, and that of its directory.
    pub name: &'static str,
    /// How the digits look.
    pub look: Look,
    /// How questions are phrased and answered.
    pub language: Language,
    /// The kinds of questions.
    pub kinds: &'static [Kind],
    /// Pictures of the training split, with four questions each.
    pub images: usize,
    /// Pictures of the validation and of the test split, with two questions each.
    pub evaluated: [usize; 2],
    /// Added to the seeds of the splits, so that no two tasks share their pictures.
    pub seed: u64,
    /// Settings of `mars` that differ from those of the suite, as lines of TOML `key = value`.
    pub settings: &'static [(&'static str, &'static str)],
    /// Whether the task is kept from those who tune the defaults of policies.
    pub held_back: bool,
}

/// How questions are phrased and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// As in pre-training, answered mostly in digits.
    Known,
    /// In words that the model has never seen, answered in number words.
    New,
}

/// Kinds that pre-training asks for, too.
const KNOWN: [Kind; 5] = [Kind::What, Kind::Read, Kind::Largest, Kind::Even, Kind::Sum];

/// Kinds of which two of three are new.
const HARD: [Kind; 3] = [Kind::Sum, Kind::Smallest, Kind::Odd];

/// The task that `mars` runs on when it is given none.
pub const EMBEDDED: Task = Task {
    name: "embedded",
    look: Look::SHIFTED,
    language: Language::New,
    kinds: &DOWNSTREAM,
    images: 1024,
    evaluated: [128, 256],
    seed: 0,
    settings: &[],
    held_back: false,
};

/// The tasks of the comparison suite. Policies' defaults are tuned on those that are not held back.
pub const SUITE: [Task; 8] = [
    Task {
        name: "vision",
        look: Look { rotation: 30.0, contrast: 0.7, noise: 0.15 },
        language: Language::Known,
        kinds: &KNOWN,
        images: 256,
        seed: 100,
        ..EMBEDDED
    },
    Task { name: "language", look: Look::PLAIN, images: 256, seed: 200, ..EMBEDDED },
    Task {
        name: "both",
        images: 256,
        seed: 300,
        settings: &[
            ("train.steps", "64"),
            ("train.batch", "16"),
            ("train.eval_every", "4"),
            ("calibration.ranks", "[4, 8, 16, 32]"),
            ("calibration.joint", "5"),
        ],
        ..EMBEDDED
    },
    Task { name: "small", images: 64, seed: 400, ..EMBEDDED },
    Task {
        name: "large",
        images: 2048,
        seed: 500,
        settings: &[("train.steps", "144"), ("train.eval_every", "12")],
        ..EMBEDDED
    },
    Task { name: "fast", images: 256, seed: 600, settings: &[("train.learning_rate", "5e-3")], ..EMBEDDED },
    Task {
        name: "alpha",
        images: 256,
        seed: 700,
        settings: &[("lora.scale.kind", "\"alpha_over_rank\""), ("lora.scale.alpha", "16.0")],
        held_back: true,
        ..EMBEDDED
    },
    Task {
        name: "turned",
        look: Look { rotation: -25.0, contrast: 0.7, noise: 0.1 },
        kinds: &HARD,
        images: 128,
        seed: 800,
        settings: &[("train.learning_rate", "3e-3")],
        held_back: true,
        ..EMBEDDED
    },
];

/// Tasks with final runs of 1,200 steps or more, and splits that tell small differences: 1,536 validation and 3,072 test
/// samples.
pub const LONG: [Task; 5] = [
    Task { name: "long", evaluated: [768, 1536], ..EMBEDDED },
    Task {
        name: "long-few",
        images: 128,
        evaluated: [768, 1536],
        seed: 900,
        settings: &[("train.steps", "1200"), ("train.eval_every", "60")],
        ..EMBEDDED
    },
    Task {
        name: "long-fast",
        images: 1024,
        evaluated: [768, 1536],
        seed: 1000,
        settings: &[("train.steps", "1200"), ("train.eval_every", "60"), ("train.learning_rate", "5e-3")],
        ..EMBEDDED
    },
    Task {
        name: "long-alpha",
        evaluated: [768, 1536],
        seed: 1200,
        settings: &[
            ("train.steps", "1200"),
            ("train.eval_every", "60"),
            ("lora.scale.kind", "\"alpha_over_rank\""),
            ("lora.scale.alpha", "16.0"),
        ],
        ..EMBEDDED
    },
    Task {
        name: "long-turned",
        look: Look { rotation: -25.0, contrast: 0.7, noise: 0.1 },
        kinds: &HARD,
        evaluated: [768, 1536],
        seed: 1100,
        held_back: true,
        ..EMBEDDED
    },
];

/// Settings of the long tasks.
const LONG_SETTINGS: [(&str, &str); 9] = [
    ("data.train", "\"train.json\""),
    ("data.val", "\"val.json\""),
    ("data.test", "\"test.json\""),
    ("data.images", "\"images.zip\""),
    ("train.steps", "1600"),
    ("train.batch", "16"),
    ("train.eval_every", "80"),
    ("train.learning_rate", "1e-3"),
    ("run.workers", "64"),
];

/// Settings of every task of the suite.
const SETTINGS: [(&str, &str); 17] = [
    ("data.train", "\"train.json\""),
    ("data.val", "\"val.json\""),
    ("data.test", "\"test.json\""),
    ("data.images", "\"images.zip\""),
    ("train.steps", "96"),
    ("train.batch", "8"),
    ("train.eval_every", "8"),
    ("train.learning_rate", "2e-3"),
    ("search.ranks", "[2, 4, 8, 16, 32]"),
    ("calibration.ranks", "[4, 32]"),
    ("calibration.sizes", "[64, 256]"),
    ("calibration.steps", "16"),
    ("calibration.eval_every", "2"),
    ("calibration.joint", "4"),
    ("calibration.rule", "\"alone-val\""),
    ("run.workers", "64"),
    ("run.validation_samples", "64"),
];

impl Task {
    /// Different questions about one canvas, in random order.
    pub fn about(&self, labels: &[u8; 4], how_many: usize, rng: &mut impl Rng) -> Vec<Question> {
        let mut asked: Vec<Question> = Vec::with_capacity(how_many);
        while asked.len() < how_many {
            let kind = self.kinds.choose(rng).copied().unwrap_or(Kind::What);
            let next = match self.language {
                Language::New => downstream(kind, rng.random_range(0..4), labels),
                Language::Known => pretraining(kind, labels, rng),
            };
            asked.extend(next.filter(|q| !asked.iter().any(|other| other.text == q.text)));
        }
        asked
    }

    /// The configuration file that makes `mars` run the task from `directory`.
    pub fn configuration(&self, directory: &str) -> String {
        let mut lines = String::new();
        let long = LONG.iter().any(|task| task.name == self.name);
        let settings = if long { LONG_SETTINGS.as_slice() } else { &SETTINGS };
        for (key, value) in settings {
            let own = self.settings.iter().find(|(own, _)| own == key).map(|(_, value)| *value);
            let value = own.unwrap_or(value);
            match (key.strip_prefix("data."), value.strip_prefix('"')) {
                (Some(_), Some(file)) => lines += &format!("{key} = \"{directory}/{file}\n"),
                _ => lines += &format!("{key} = {value}\n"),
            }
        }
        for (key, value) in self.settings {
            if !settings.iter().any(|(other, _)| other == key) {
                lines += &format!("{key} = {value}\n");
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::HashSet;

    #[test]
    fn tasks_differ_in_name_and_pictures() {
        let all: Vec<&Task> = SUITE.iter().chain([&EMBEDDED]).collect();
        assert_eq!(all.iter().map(|task| task.name).collect::<HashSet<_>>().len(), all.len());
        assert_eq!(all.iter().map(|task| task.seed).collect::<HashSet<_>>().len(), all.len());
        assert!(SUITE.iter().filter(|task| task.held_back).count() >= 2);
        assert!(SUITE.iter().filter(|task| !task.held_back).count() >= 6);
    }

    #[test]
    fn questions_about_one_canvas_differ() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for task in SUITE.iter().chain([&EMBEDDED]) {
            for _ in 0..50 {
                let asked = task.about(&[1, 2, 3, 4], 4, &mut rng);
                assert_eq!(asked.iter().map(|q| &q.text).collect::<HashSet<_>>().len(), 4, "{}", task.name);
            }
        }
    }

    #[test]
    fn settings_of_a_task_go_before_those_of_the_suite() {
        let fast = SUITE.iter().find(|task| task.name == "fast").unwrap();
        let text = fast.configuration("there");
        assert!(text.contains("train.learning_rate = 5e-3") && !text.contains("2e-3"), "{text}");
        assert!(text.contains("data.train = \"there/train.json\""), "{text}");
        let alpha = SUITE.iter().find(|task| task.name == "alpha").unwrap();
        assert!(alpha.configuration(".").contains("lora.scale.kind = \"alpha_over_rank\""));
    }
}
