//! Samples that cannot be used and are left out.

use crate::kit::{file, fixture, item};
use mars_vlm::data::{
    CheckOptions, Dataset, ImageRef, ImageStore, LeaveOut, ProblemKind, ReadOptions, Sample, check,
};
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

/// Whether samples with these images, one each, can be used without the bad ones, and how many are left out then: what
/// dividing and checking agree on.
#[cfg(unix)]
fn usable(dir: &Path, names: &[&str]) -> (bool, usize) {
    let items: Vec<String> =
        names.iter().map(|name| item(name, &format!(r#""image":"{name}","#), "<image>q", "a")).collect();
    let (_data, path) = file("data.jsonl", &items.join("\n"));
    let store = images(dir);
    let processor = Processor::from_dir(&fixture("split")).unwrap();
    let options = CheckOptions { leave_out: BAD, ..CheckOptions::default() };
    let report = check(&path, &store, Some(&processor), &options, &|_, _| {}).unwrap();
    match BAD.divide(Dataset::read(&path).unwrap().samples, &store, &processor) {
        Ok((kept, left)) => {
            assert_eq!((left.len(), kept.is_empty()), (report.left_out, !report.ok), "{:?}", report.problems);
        }
        Err(error) => {
            assert!(!report.ok && matches!(error, mars_vlm::Error::Io { .. }), "{error}");
            let kinds: Vec<ProblemKind> = report.problems.iter().map(|problem| problem.kind).collect();
            assert!(kinds.contains(&ProblemKind::ImageUnavailable), "{kinds:?}");
        }
    }
    (report.ok, report.left_out)
}

#[cfg(unix)]
#[test]
fn links_that_lead_to_each_other_are_a_missing_image() {
    let dir = tempfile::tempdir().unwrap();
    for (link, to) in [("one.png", "two.png"), ("two.png", "one.png")] {
        std::os::unix::fs::symlink(to, dir.path().join(link)).unwrap();
    }
    assert_eq!(usable(dir.path(), &["square.png", "one.png"]), (true, 1));
    assert_eq!(usable(dir.path(), &["one.png", "two.png"]), (false, 2));
    let error = images(dir.path()).load(&ImageRef::Path("one.png".into())).unwrap_err();
    assert!(matches!(error, mars_vlm::Error::ImageMissing { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn an_image_that_the_system_refuses_is_no_bad_sample() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let locked = dir.path().join("locked.png");
    fs::write(&locked, "").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    for name in ["locked.png", "/proc/self/mem"] {
        let place = dir.path().join(name);
        if !place.exists() || fs::read(&place).is_ok() {
            continue; // The superuser may read all files, and only Linux has the second.
        }
        assert_eq!(usable(dir.path(), &["square.png", name]), (false, 0), "{name}");
        assert_eq!(usable(dir.path(), &["square.png", name, "no.png"]), (false, 1), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn the_first_defect_of_a_sample_decides() {
    let dir = tempfile::tempdir().unwrap();
    let odd = "/proc/self/mem";
    if fs::metadata(odd).is_err() || fs::read(odd).is_ok() {
        return; // Not on Linux.
    }
    let store = images(dir.path());
    let processor = Processor::from_dir(&fixture("split")).unwrap();
    let two = |first: &str, second: &str| format!(r#""image":["{first}","{second}"],"#);
    for (images, question, left) in [
        (two("no.png", odd), "<image><image>q", true),
        (two(odd, "no.png"), "<image><image>q", false),
        (two(odd, "square.png"), "<image>q", true),
    ] {
        let good = item("good", r#""image":"square.png","#, "<image>q", "a");
        let (_data, path) = file("data.jsonl", &format!("{good}\n{}", item("bad", &images, question, "a")));
        let options = CheckOptions { leave_out: BAD, ..CheckOptions::default() };
        let report = check(&path, &store, Some(&processor), &options, &|_, _| {}).unwrap();
        let divided = BAD.divide(Dataset::read(&path).unwrap().samples, &store, &processor);
        assert_eq!((report.ok, divided.is_ok()), (left, left), "{images} {question}");
    }
}
