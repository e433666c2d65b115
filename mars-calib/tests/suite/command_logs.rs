//! Curves of other tools as a trainer of commands finds them: JSON lines, event files of TensorBoard, names of losses.

use crate::spec;
use mars_calib::{
    CommandOptions, CommandTrainer, CurvePoint, Error, RunEnd, RunSpec, Silent, Trainer,
    command::{CurveFormat, CurveSource, Curves},
};
use std::{fs, path::Path};
use tempfile::tempdir;

/// Two event files written by TensorBoard's own writers (`tests/oracle/tensorboard_events.py`).
fn events() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensorboard");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn val(curves: &Curves) -> Vec<(usize, f64)> {
    curves.val.iter().map(|point| (point.step, point.loss)).collect()
}

#[test]
fn event_files_of_a_run_and_of_its_continuation_are_one_curve() {
    let folder = tempdir().unwrap();
    let inner = folder.path().join("runs/Nov27_host");
    fs::create_dir_all(&inner).unwrap();
    for (name, bytes) in events() {
        fs::write(inner.join(name), bytes).unwrap();
    }
    for (path, format) in [
        (folder.path(), CurveFormat::Auto),
        (folder.path(), CurveFormat::TensorBoard),
        (&inner, CurveFormat::Auto),
    ] {
        let curves = Curves::find(path, format).unwrap().unwrap();
        // The not-a-number of step 15 was trained again.
        assert_eq!(val(&curves), [(0, 3.25), (5, 2.75), (10, 2.5), (15, 2.25), (20, 2.125), (25, 2.0)]);
        assert_eq!((curves.train[1].step, curves.train[1].loss), (5, 2.625));
        assert!(curves.train[3].loss.is_nan() && curves.train.len() == 4);
    }
    assert!(Curves::find(folder.path(), CurveFormat::TrainerState).unwrap().is_none());
}

#[test]
fn an_event_file_cut_anywhere_is_read_up_to_there_and_a_changed_byte_is_found() {
    let folder = tempdir().unwrap();
    let (name, whole) = events().remove(0);
    let path = folder.path().join(&name);
    let mut most = 0;
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let curves = Curves::find(&path, CurveFormat::Auto).unwrap().unwrap();
        assert!(curves.val.len() >= most && curves.val.len() <= 4, "{length}");
        most = curves.val.len();
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        let error = Curves::find(&path, CurveFormat::Auto).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { why, .. } if why.contains("checksum")), "{at}: {error}");
    }
}

#[test]
fn lengths_that_no_file_has_take_no_memory() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("events.out.tfevents.1.host");
    let (_, whole) = events().remove(0);
    let mut header = u64::MAX.to_le_bytes().to_vec();
    // CRC-32C of eight bytes of 0xff, masked, by the reference implementation of TFRecord.
    let masked = crc32c::crc32c(&header).rotate_right(15).wrapping_add(0xa282_ead8);
    header.extend(masked.to_le_bytes());
    header.extend(&whole);
    fs::write(&path, header).unwrap();
    assert!(Curves::find(&path, CurveFormat::Auto).unwrap().unwrap().val.is_empty());
}

#[test]
fn json_lines_of_several_tools_are_read() {
    let folder = tempdir().unwrap();
    let swift = "{\"loss\": 3.5, \"grad_norm\": 1.0, \"global_step/max_steps\": \"5/10\", \"percentage\": \"50.00%\"}\n\
                 {\"eval_loss\": 3.0, \"global_step/max_steps\": \"5/10\"}\n\
                 {\"eval_loss\": NaN, \"eval_token_acc\": 0.5, \"global_step/max_steps\": \"10/10\"}\n\
                 {\"train_runtime\": 3.1, \"train_loss\": 3.2, \"global_step/max_steps\": \"10/10\"}\n";
    let factory = "{\"current_steps\": 5, \"total_steps\": 10, \"loss\": 3.5, \"lr\": 0.1}\n\
                   {\"current_steps\": 5, \"total_steps\": 10, \"eval_loss\": 3.0}\n\
                   {\"current_steps\": 10, \"total_steps\": 10, \"eval_loss\": NaN}\n";
    let own = "{\"step\": 5, \"loss\": 3.5, \"split\": \"train\"}\n\n{\"step\": 5, \"loss\": 3.0, \"split\": \"val\"}\n\
               {\"step\": 10, \"loss\": \"NaN\", \"split\": \"val\"}\n{\"step\": 10, \"lo";
    for (name, text) in [("logging.jsonl", swift), ("trainer_log.jsonl", factory), ("curve.jsonl", own)] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        for place in [&path, folder.path()] {
            let curves = Curves::find(place, CurveFormat::Auto).unwrap().unwrap();
            assert_eq!((curves.val[0].step, curves.val[0].loss), (5, 3.0), "{name}");
            assert!(curves.val[1].step == 10 && curves.val[1].loss.is_nan(), "{name}");
            assert_eq!((curves.train.len(), curves.train[0].loss), (1, 3.5), "{name}");
        }
        fs::remove_file(&path).unwrap();
    }
    let path = folder.path().join("log.txt");
    fs::write(&path, "{\"step\": 1, \"eval_loss\": 2}\nstep 2: loss 3\n{\"step\": 3}\n").unwrap();
    let error = Curves::find(&path, CurveFormat::JsonLines).unwrap_err().to_string();
    assert!(error.contains("log.txt") && error.contains("line 2"), "{error}");
}

#[test]
fn a_trainer_state_may_name_its_one_validation_set() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("trainer_state.json");
    let read = |history: &str| {
        fs::write(&path, format!("{{\"log_history\": [{history}]}}")).unwrap();
        Curves::find(folder.path(), CurveFormat::Auto)
    };
    let curves =
        read(r#"{"step": 5, "eval_charts_loss": 2.0}, {"step": 5, "eval_charts_runtime": 1.0}"#).unwrap();
    assert_eq!(val(&curves.unwrap()), [(5, 2.0)]);
    let error =
        read(r#"{"step": 5, "eval_a_loss": 2.0}, {"step": 5, "eval_b_loss": 1.0}"#).unwrap_err().to_string();
    assert!(error.contains("(a, b)"), "{error}");
}

#[test]
fn what_a_resumed_trainer_appends_to_is_kept_but_old_news_are_no_news() {
    let out = tempdir().unwrap();
    let run = spec(0, 8, 10);
    let place = out.path().join(run.id().as_str());
    fs::create_dir_all(&place).unwrap();
    let log = place.join("curve.jsonl");
    fs::write(&log, "{\"step\": 0, \"eval_loss\": 3}\n").unwrap();
    let train = |script: &str| {
        let curve = CurveSource { path: "{out}/curve.jsonl".into(), ..CurveSource::default() };
        let options = CommandOptions { curve, ..CommandOptions::new(script) };
        CommandTrainer::new(options, out.path())
            .unwrap()
            .train(std::slice::from_ref(&run), &mut Silent)
            .remove(0)
    };
    let idle = train("true {out}");
    assert!(matches!(&idle.end, RunEnd::Failed { why } if why.contains("nothing new")), "{}", idle.end);
    let script = r#"sh -c 'echo "{{\"step\": 10, \"eval_loss\": 2}}" >> "$0/curve.jsonl"' {out}"#;
    let record = train(script);
    assert_eq!(record.end, RunEnd::Finished);
    assert_eq!(record.val.iter().map(|p| (p.step, p.loss)).collect::<Vec<_>>(), [(0, 3.0), (10, 2.0)]);
    // A whole curve is one, whenever it was written.
    assert_eq!(train("true {out}").end, RunEnd::Finished);
}

#[test]
fn event_files_of_a_run_behind_those_of_the_run_that_it_goes_on_from_are_one_curve() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensorboard");
    let out = tempdir().unwrap();
    let short = spec(8, 8, 15);
    let long = RunSpec { steps: 25, continues: Some(short.id()), ..short.clone() };
    let [first, second] = [0, 1].map(|at| folder.join(&events()[at].0).display().to_string());
    for (told, whole) in [("{continues}", true), ("", false)] {
        let script = format!(
            "sh -c '[ $1 = 15 ] && cp \"{first}\" \"$0\" || cp \"{second}\" \"$0\"' {{out}} {{steps}} {told}"
        );
        let mut trainer = CommandTrainer::new(script.as_str(), out.path().join(told)).unwrap();
        let records = trainer.train(&[short.clone(), long.clone()], &mut Silent);
        assert_eq!(records[1].end, RunEnd::Finished);
        let steps = |points: &[CurvePoint]| points.iter().map(|point| point.step).collect::<Vec<_>>();
        let val = steps(&records[1].val);
        assert_eq!(val, if whole { vec![0, 5, 10, 15, 20, 25] } else { vec![15, 20, 25] });
        assert_eq!(steps(&records[1].train).first() == steps(&records[0].train).first(), whole);
        assert_eq!(records[1].samples_seen, 100);
    }
}
