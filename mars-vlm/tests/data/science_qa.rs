//! ScienceQA: prompts, parts, images, and problems that are none.

use crate::kit::{fixture, paths, shown};
use mars_vlm::data::{CheckOptions, Dataset, Format, ImageStore, PromptFormat, ReadOptions, Sample, check};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const PROBLEMS: &str = r#"{
  "1": {
    "question": "Which is soft?", "choices": ["a stone", "wool"], "answer": 1, "hint": "Look at  the picture.",
    "image": "image.png", "task": "closed choice", "grade": "grade2", "lecture": "Soft things give way.\nHard ones do not.",
    "solution": "Wool gives way.", "split": "train"
  },
  "2": {"question": "What is 1 + 1?", "choices": ["1", "2", "3"], "answer": 1, "hint": "", "image": null,
    "lecture": "", "solution": "", "split": "val"},
  "30": {"question": "Who?", "choices": ["I", "You"], "answer": 0, "hint": "N/A", "image": "image.png",
    "lecture": "L.", "solution": "", "split": "test"}
}"#;
const SPLITS: &str = r#"{"train": ["1"], "val": ["2"], "test": ["30"], "trainval": ["2", "1"], "none": []}"#;

/// The folder of a data set as it is published.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let image = fs::read(fixture("images/wide.png")).unwrap();
    for place in ["images/train/1", "images/test/30"] {
        fs::create_dir_all(dir.path().join(place)).unwrap();
        fs::write(dir.path().join(place).join("image.png"), &image).unwrap();
    }
    fs::write(dir.path().join("problems.json"), PROBLEMS).unwrap();
    fs::write(dir.path().join("pid_splits.json"), SPLITS).unwrap();
    dir
}

fn read(path: &Path, form: &str) -> Vec<Sample> {
    let options = ReadOptions { science_qa: form.parse().unwrap(), ..ReadOptions::default() };
    Dataset::read_with(path, &options).unwrap().samples
}

fn ids(samples: &[Sample]) -> Vec<&str> {
    samples.iter().map(|sample| sample.id.as_str()).collect()
}

#[test]
fn problems_become_samples_by_folder_file_and_part() {
    let dir = folder();
    let part = |name: &str| PathBuf::from(format!("{}#{name}", dir.path().display()));
    for path in [dir.path().to_path_buf(), dir.path().join("problems.json")] {
        assert_eq!(Format::detect(&path).unwrap(), Format::ScienceQa);
        let all = Dataset::read(&path).unwrap().samples;
        assert_eq!(ids(&all), ["1", "2", "30"]);
        assert_eq!(all.iter().map(|sample| sample.origin.line).collect::<Vec<_>>(), [2, 7, 9]);
        assert!(all.iter().all(|sample| sample.problems().is_empty()));
        assert_eq!((paths(&all[0]), paths(&all[2])), (vec!["train/1/image.png"], vec!["test/30/image.png"]));
        assert!(all[1].images.is_empty());
        let names = Dataset::parts(&path, &ReadOptions::default()).unwrap();
        assert_eq!(names, ["train", "val", "test", "trainval", "none"]);
        // The official images are found without being named.
        let store = ImageStore::for_data(&path, None).unwrap();
        assert_eq!(store.size(&all[0].images[0]).unwrap(), (70, 25));
    }
    assert_eq!(ids(&Dataset::read(&part("trainval")).unwrap().samples), ["2", "1"]);
    assert!(Dataset::parts(&part("trainval"), &ReadOptions::default()).unwrap().is_empty());
    let store = ImageStore::for_data(&part("test"), None).unwrap();
    let report = check(&part("test"), &store, None, &CheckOptions::default(), &|_, _| {}).unwrap();
    assert!(report.ok && report.samples == 1, "{report:?}");
    let unknown = Dataset::read(&part("dev")).unwrap_err().to_string();
    assert!(unknown.contains("\"dev\"") && unknown.contains("trainval"), "{unknown}");
    assert!(Dataset::read(&part("none")).unwrap_err().to_string().contains("no sample"));
    // Under another name the content tells.
    let copy = dir.path().join("questions.json");
    fs::copy(dir.path().join("problems.json"), &copy).unwrap();
    assert_eq!(Format::detect(&copy).unwrap(), Format::ScienceQa);
    let forced = ReadOptions { format: Some(Format::Json), ..ReadOptions::default() };
    assert!(Dataset::read_with(&copy, &forced).unwrap_err().to_string().contains("conversations"));
}

/// What LLaVA's converter writes for these problems, but for the blank that it leaves before an answer without reasons.
#[test]
fn prompts_are_those_of_llava() {
    let dir = folder();
    let options = "Options: (A) a stone (B) wool";
    let lecture = "Soft things give way.\nHard ones do not.";
    for (form, question, answer) in [
        (
            "QCM-LEA",
            format!("Which is soft?\nContext: Look at the picture.\n{options}[]"),
            format!("{lecture} Wool gives way. The answer is B."),
        ),
        (
            "QCM-A",
            format!("Which is soft?\nContext: Look at the picture.\n{options}[]"),
            "The answer is B.".into(),
        ),
        (
            "CQM-ALE",
            format!("Context: Look at the picture.\nQuestion: Which is soft?\n{options}[]"),
            format!("The answer is B. BECAUSE: {lecture} Wool gives way."),
        ),
        (
            "QCLEM-EA",
            format!(
                "Which is soft?\nContext: Look at the picture.\nBECAUSE: {lecture} Wool gives way.\n{options}[]"
            ),
            "Wool gives way. The answer is B.".into(),
        ),
        (
            "QCME-LEPA",
            format!("Which is soft?\nContext: Look at the picture.\n{options}\nBECAUSE: Wool gives way.[]"),
            format!("LECTURE: {lecture}\nSOLUTION: Wool gives way.\n###\nANSWER: B."),
        ),
    ] {
        let samples = read(dir.path(), form);
        assert_eq!((shown(&samples[0], 0), shown(&samples[0], 1)), (question, answer), "{form}");
    }
    let plain = read(dir.path(), "QCML-LEA");
    assert_eq!(shown(&plain[1], 0), "What is 1 + 1?\nContext: N/A\nOptions: (A) 1 (B) 2 (C) 3");
    assert_eq!(shown(&plain[1], 1), "The answer is B.");
    assert_eq!(shown(&read(dir.path(), "QCM-LEPA")[1], 1), "###\nANSWER: B.");
    assert_eq!(PromptFormat::default().to_string(), "QCM-LEA");
    for name in ["", "QCM", "QCM-", "QCM-AL", "qcm-a", "MCQ-A"] {
        let error = name.parse::<PromptFormat>().unwrap_err().to_string();
        assert!(error.contains(&format!("\"{name}\"")) && error.contains("QCLEM") && error.contains("LEPA"));
    }
}

#[test]
fn problems_that_are_none_are_named_by_line_and_pid() {
    let dir = folder();
    let path = dir.path().join("problems.json");
    for (entry, part) in [
        ("3", "found invalid type"),
        (r#"{"choices": ["a"], "answer": 0}"#, "missing field `question`"),
        (r#"{"question": "q", "choices": "a", "answer": 0}"#, "expected a sequence"),
        (r#"{"question": "q", "choices": ["a"], "answer": "A"}"#, "answer"),
        (r#"{"question": "q", "choices": [], "answer": 0}"#, "1 to 26 choices, found 0"),
        (r#"{"question": "q", "choices": ["a", "b"], "answer": 2}"#, "2 for 2 choices"),
        (r#"{"question": "q", "choices": ["a"], "answer": -1}"#, "invalid value"),
        (r#"{"question": "q", "choices": ["a"], "answer": 0, "image": "image.png"}"#, "split"),
    ] {
        fs::write(
            &path,
            format!(
                "{{\n\"7\": {{\"question\": \"q\", \"choices\": [\"a\"], \"answer\": 0}},\n\"8\": {entry}}}"
            ),
        )
        .unwrap();
        let error = Dataset::read(&path).unwrap_err().to_string();
        for told in ["problems.json line 3", "id \"8\"", part] {
            assert!(error.contains(told), "{entry}: {error}");
        }
        let (data, problems) = Dataset::read_all(&path, &ReadOptions::default()).unwrap();
        assert_eq!((data.samples.len(), problems.len()), (1, 1), "{entry}");
    }
    // A part that names what there is not.
    let lost = Dataset::read(&PathBuf::from(format!("{}#train", path.display()))).unwrap_err().to_string();
    assert!(lost.contains("id \"1\"") && lost.contains("\"train\""), "{lost}");
    fs::write(dir.path().join("pid_splits.json"), r#"{"train": 3}"#).unwrap();
    let wrong = Dataset::parts(&path, &ReadOptions::default()).unwrap_err().to_string();
    assert!(wrong.contains("pid_splits.json") && wrong.contains("\"train\""), "{wrong}");
    fs::remove_file(dir.path().join("pid_splits.json")).unwrap();
    let missing = Dataset::read(&PathBuf::from(format!("{}#train", path.display()))).unwrap_err().to_string();
    assert!(missing.contains("pid_splits.json"), "{missing}");
    for end in 1..PROBLEMS.len() {
        fs::write(&path, &PROBLEMS.as_bytes()[..end]).unwrap();
        let error = Dataset::read(&path).unwrap_err().to_string();
        assert!(error.contains("problems.json"), "{error}");
    }
}
