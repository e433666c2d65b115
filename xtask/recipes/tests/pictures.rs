//! The tasks on pictures and their model, from a few hundred generated pictures.
#![allow(clippy::unwrap_used)]

use std::{collections::HashSet, path::Path};

use image::{Rgb, RgbImage};
use mars_recipes::{
    archive,
    pictures::{clipart::Parts, task},
};
use serde_json::Value;

/// What `pictures.py` writes, of plain colours.
fn generated(directory: &Path) {
    let paint = |path: &Path, side: u32, n: u32| {
        RgbImage::from_pixel(side, side, Rgb([(n * 7 % 256) as u8, (n % 256) as u8, 200]))
            .save(path)
            .unwrap();
    };
    let (clipart, easy) = (directory.join("clipart"), directory.join("easyvqa"));
    let mut rows = Vec::new();
    std::fs::create_dir_all(clipart.join("images")).unwrap();
    for n in 0..200 {
        let file = format!(
            "{n:04}_thing-{}.png",
            "abcdefgh".chars().nth(n % 8).unwrap().to_string().repeat(1 + n / 16)
        );
        paint(&clipart.join("images").join(&file), 48, n as u32);
        let kinds = [
            ("name", format!("thing {n}")),
            ("section", "things".into()),
            ("keywords", format!("thing, odd {}", n % 9)),
        ];
        for (kind, answer) in kinds {
            rows.push(archive::sample(&format!("clipart-{n:04}-{kind}"), &file, "?", &answer));
        }
    }
    std::fs::write(clipart.join("all.json"), archive::list(&rows)).unwrap();
    std::fs::create_dir_all(easy.join("images")).unwrap();
    for (split, pictures) in [("train", 30), ("test", 10)] {
        let mut rows = Vec::new();
        for n in 0..pictures {
            let file = format!("{split}{n}.png");
            paint(&easy.join("images").join(&file), 64, n);
            for (q, answer) in ["yes", "no", "red", "circle", "yes"].into_iter().enumerate() {
                rows.push(archive::sample(
                    &format!("easyvqa-{split}-{n}-{q}"),
                    &file,
                    &format!("Question {q}?"),
                    answer,
                ));
            }
        }
        std::fs::write(easy.join(format!("{split}.json")), archive::list(&rows)).unwrap();
    }
}

fn shown(task: &Path, split: &str) -> HashSet<String> {
    let list: Vec<Value> =
        serde_json::from_slice(&std::fs::read(task.join(format!("{split}.json"))).unwrap()).unwrap();
    assert!(!list.is_empty(), "{split} of {}", task.display());
    list.iter().map(|row| row["image"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn splits_share_no_picture_with_each_other_nor_with_pre_training() {
    let place = tempfile::tempdir().unwrap();
    let (data, out) = (place.path().join("data"), place.path().join("out"));
    generated(&data);
    task::write(&data, &out).unwrap();
    let parts = Parts::read(&data.join("clipart")).unwrap();
    let learned: HashSet<String> =
        parts.pretraining.iter().chain(&parts.check).map(|p| p.file.clone()).collect();
    for name in ["long-clipart", "long-shapes"] {
        let task = out.join(name);
        let [train, val, test] = ["train", "val", "test"].map(|split| shown(&task, split));
        assert!(train.is_disjoint(&val) && train.is_disjoint(&test) && val.is_disjoint(&test), "{name}");
        let all: HashSet<String> = [train, val, test].into_iter().flatten().collect();
        assert!(all.is_disjoint(&learned), "{name}");
        let archive = std::fs::File::open(task.join("images.zip")).unwrap();
        let archive = zip::ZipArchive::new(archive).unwrap();
        assert_eq!(archive.file_names().map(str::to_owned).collect::<HashSet<_>>(), all, "{name}");
        let settings = std::fs::read_to_string(task.join("mars.toml")).unwrap();
        assert!(settings.contains("train.steps = 1200") && settings.contains("/model\""), "{settings}");
    }
}

#[test]
fn missing_data_are_named() {
    let place = tempfile::tempdir().unwrap();
    let error = task::write(place.path(), &place.path().join("out")).unwrap_err().to_string();
    assert!(error.contains("pictures.py"), "{error}");
}

#[cfg(feature = "pretrain")]
#[test]
fn two_steps_of_pre_training_make_a_model_that_opens() {
    use mars_recipes::{
        pictures::model,
        pretrain::{Recipe, schedule::Schedule},
    };
    let place = tempfile::tempdir().unwrap();
    let (data, directory) = (place.path().join("data"), place.path().join("model"));
    generated(&data);
    let short = Schedule { steps: 2, warmup: 1, peak: 1e-3, last: 1e-4 };
    let recipe = Recipe { batch: 2, reading: short, answering: short, ..Recipe::default() };
    model::write(&data, &directory, &recipe).unwrap();
    let weights = std::fs::metadata(directory.join("model.safetensors")).unwrap().len();
    assert!((4 * 1_000_000..4 * 4_000_000).contains(&weights), "{weights} bytes");
}
