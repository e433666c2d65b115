//! Samples that cannot be used and are left out.

use crate::kit::{file, fixture, item};
use mars_vlm::data::{CheckOptions, Dataset, ImageStore, LeaveOut, ProblemKind, ReadOptions, Sample, check};
use mars_vlm::processor::Processor;
use std::fs;
use std::path::Path;

const BAD: LeaveOut = LeaveOut { too_long: false, bad: true };
const LONG: LeaveOut = LeaveOut { too_long: true, bad: false };
const BOTH: LeaveOut = LeaveOut { too_long: true, bad: true };

/// Good and bad samples, two to a line that is none.
fn items() -> String {
    let square = r#""image":"square.png","#;
    let all = [
        item("good", square, "<image>q", "a"),
        item("gone", r#""image":"no.png","#, "<image>q", "a"),
        item("cut", r#""image":"cut.png","#, "<image>q", "a"),
        item("silent", "", "q", " "),
        item("placeless", square, "q", "<image>"),
        item("long", "", &"word ".repeat(200), "a"),
        r#"{"id":"formless"}"#.to_owned(),
        "{\"id\":\"broken".to_owned(),
        item("text", "", "q", "a"),
    ];
    all.join("\n")
}

/// The images of the fixtures, and one that is cut off.
fn images(dir: &Path) -> ImageStore {
    let square = fs::read(fixture("images/square.png")).unwrap();
    fs::write(dir.join("square.png"), &square).unwrap();
    fs::write(dir.join("cut.png"), &square[..square.len() / 2]).unwrap();
    ImageStore::open(dir).unwrap()
}

fn ids(samples: &[Sample]) -> Vec<&str> {
    samples.iter().map(|sample| sample.id.as_str()).collect()
}

#[test]
fn what_is_covered_is_left_out_and_nothing_else() {
    let (dir, path) = file("data.jsonl", &items());
    let store = images(dir.path());
    let processor = Processor::from_dir(&fixture("split")).unwrap().with_max_len(100);
    let (data, unread) = Dataset::read_all(&path, &ReadOptions::default()).unwrap();
    assert_eq!((data.samples.len(), unread.len()), (7, 2));
    let divide = |which: LeaveOut| which.divide(data.samples.clone(), &store, &processor).unwrap();

    let (kept, left) = divide(LeaveOut::default());
    assert_eq!((kept, left.len()), (data.samples.clone(), 0));
    let (kept, left) = divide(LONG);
    assert_eq!(ids(&kept), ["good", "gone", "cut", "silent", "placeless", "text"]);
    assert_eq!(left[0].kind, ProblemKind::TooLong);
    let (kept, left) = divide(BAD);
    assert_eq!(ids(&kept), ["good", "long", "text"]);
    let kinds: Vec<ProblemKind> = left.iter().map(|problem| problem.kind).collect();
    use ProblemKind::{EmptyAnswer, ImageMissing, ImageUnreadable, Placeholders};
    assert_eq!(kinds, [ImageMissing, ImageUnreadable, EmptyAnswer, Placeholders]);
    let (kept, left) = divide(BOTH);
    assert_eq!((ids(&kept), left.len()), (vec!["good", "text"], 5));
    for sample in &kept {
        processor.encode(sample, &store).unwrap();
    }
}

#[test]
fn a_check_counts_samples_and_says_whether_the_rest_can_be_used() {
    let (dir, path) = file("data.jsonl", &items());
    let store = images(dir.path());
    let processor = Processor::from_dir(&fixture("split")).unwrap().with_max_len(100);
    let report = |leave_out| {
        let options = CheckOptions { leave_out, ..CheckOptions::default() };
        check(&path, &store, Some(&processor), &options, &|_, _| {}).unwrap()
    };
    for (which, ok, left_out) in
        [(LeaveOut::default(), false, 0), (LONG, false, 1), (BAD, false, 6), (BOTH, true, 7)]
    {
        let report = report(which);
        assert_eq!((report.ok, report.left_out), (ok, left_out), "{which:?}");
        assert_eq!((report.samples, report.bad_samples), (9, 7));
        // One sample has two problems: a place in its answer, and an image without a place.
        assert!(report.problem_count >= report.bad_samples);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["bad_samples"], &json["left_out"]), (&7.into(), &left_out.into()));
    }
    let (_dir, path) = file("data.jsonl", &item("gone", r#""image":"no.png","#, "q", "<image>"));
    let options = CheckOptions { leave_out: BOTH, ..CheckOptions::default() };
    let nothing = check(&path, &store, None, &options, &|_, _| {}).unwrap();
    assert!(nothing.problem_count >= 2);
    assert_eq!((nothing.ok, nothing.samples, nothing.bad_samples, nothing.left_out), (false, 1, 1, 1));
}

#[cfg(unix)]
#[test]
fn an_image_that_the_system_refuses_is_no_bad_sample() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, path) = file("data.jsonl", &item("locked", r#""image":"square.png","#, "<image>q", "a"));
    let store = images(dir.path());
    let place = dir.path().join("square.png");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&place).is_ok() {
        return; // The superuser reads everything.
    }
    let processor = Processor::from_dir(&fixture("split")).unwrap();
    let samples = Dataset::read(&path).unwrap().samples;
    assert!(matches!(BAD.divide(samples, &store, &processor), Err(mars_vlm::Error::Io { .. })));
}
