//! Parquet files as pyarrow writes them, beside the same rows as JSON lines (`tests/oracle/parquet_rows.py`).

use crate::kit::fixture;
use mars_vlm::data::{CheckOptions, Dataset, Format, ImageRef, ImageStore, ReadOptions, Sample, Unit, check};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

fn parquet(name: &str) -> PathBuf {
    fixture("../parquet").join(name)
}

/// Rows and lines must be the same samples, with the same images.
fn assert_equal(table: &Path, lines: &Path) -> Vec<Sample> {
    let (rows, expected) = (Dataset::read(table).unwrap().samples, Dataset::read(lines).unwrap().samples);
    assert_eq!(rows.len(), expected.len(), "{}", table.display());
    let store = ImageStore::open(&fixture("images")).unwrap();
    for (row, line) in rows.iter().zip(&expected) {
        assert_eq!((&row.id, &row.turns), (&line.id, &line.turns));
        assert_eq!(row.images.len(), line.images.len(), "{}", row.id);
        assert!(row.problems().is_empty(), "{:?}", row.problems());
        for (image, named) in row.images.iter().zip(&line.images) {
            assert_eq!(store.load(image).unwrap(), store.load(named).unwrap(), "{image} and {named}");
            assert_eq!(store.size(image).unwrap(), store.size(named).unwrap());
            assert_eq!(store.fingerprint(image).unwrap(), store.fingerprint(named).unwrap());
        }
    }
    rows
}

#[test]
fn rows_are_the_samples_that_the_same_json_lines_are() {
    let rows = assert_equal(&parquet("messages.parquet"), &parquet("messages.jsonl"));
    let places: Vec<(usize, usize)> = rows.iter().map(|row| (row.origin.line, row.origin.index)).collect();
    assert_eq!(places, (0..20).map(|k| (k + 1, k)).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row.origin.unit == Unit::Row));
    let images = || rows.iter().flat_map(|row| &row.images);
    assert!(images().any(|image| matches!(image, ImageRef::Path(_))), "images that are only named");
    assert!(images().any(|image| matches!(image, ImageRef::Blob(_))), "images in the table");
    assert_equal(&parquet("conversations.parquet"), &parquet("conversations.jsonl"));
}

#[test]
fn a_folder_is_read_as_a_whole_or_by_parts() {
    let folder = parquet("shards");
    let part = |name: &str| PathBuf::from(format!("{}#{name}", folder.display()));
    assert_eq!(Format::detect(&folder).unwrap(), Format::Parquet);
    assert_eq!(Dataset::parts(&folder, &ReadOptions::default()).unwrap(), ["test", "train"]);
    let texts = |path: &Path| -> Vec<String> {
        let samples = Dataset::read(path).unwrap().samples;
        samples.iter().map(|sample| format!("{:?} {}", sample.turns, sample.images.len())).collect()
    };
    assert_eq!(texts(&part("train")), texts(&parquet("train.jsonl")));
    assert_eq!(texts(&part("test")), texts(&parquet("test.jsonl")));
    assert_eq!(texts(&folder).len(), 6);
    let samples = Dataset::read(&folder).unwrap().samples;
    let images: HashSet<&ImageRef> = samples.iter().flat_map(|sample| &sample.images).collect();
    assert_eq!(images.len(), 1, "one image in many rows is one image");
    let unknown = Dataset::read(&part("dev")).unwrap_err().to_string();
    assert!(unknown.contains("\"dev\"") && unknown.contains("train"), "{unknown}");
    let store = ImageStore::for_data(&part("train"), None).unwrap();
    let report = check(&part("train"), &store, None, &CheckOptions::default(), &|_, _| {}).unwrap();
    assert_eq!((report.ok, report.samples, report.image_sizes.unwrap().count), (true, 5, 1));
}

#[test]
fn faults_are_told_by_row_and_broken_files_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(folder.path()).unwrap();
    // Named images are looked for beside the table, where there are none.
    let report = check(&parquet("messages.parquet"), &store, None, &CheckOptions::default(), &|_, _| {});
    let report = report.unwrap();
    // Items 3, 6, 9, 15 and 18 name 3, 2, 1, 3 and 2 images.
    assert_eq!(report.problem_count, 11);
    let told = report.problems[0].to_string();
    assert!(
        told.contains("messages.parquet row 4 (item 3, id \"row-3\")") && told.contains("wide.png"),
        "{told}"
    );
    let columns = Dataset::read(&parquet("other.parquet")).unwrap_err().to_string();
    assert!(columns.contains("\"question\"") && columns.contains("conversations"), "{columns}");

    let whole = fs::read(parquet("messages.parquet")).unwrap();
    let path = folder.path().join("cut.parquet");
    for end in (0..whole.len()).step_by(whole.len() / 40) {
        fs::write(&path, &whole[..end]).unwrap();
        let error = Dataset::read(&path).unwrap_err().to_string();
        assert!(error.contains("cut.parquet"), "{error}");
    }
    // Bytes that are wrong give samples or an error with the name of the file, whatever they are.
    for at in (4..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        if let Err(e) = Dataset::read(&path) {
            assert!(e.to_string().contains("cut.parquet"), "byte {at}: {e}");
        }
    }
}
