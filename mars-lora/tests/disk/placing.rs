//! Files and directories that appear whole or not at all.

use mars_lora::files::{NewDirectory, NewFile, create_directories, write};
use std::{fs, io::Write};
use tempfile::tempdir;

fn names(directory: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn nothing_is_seen_before_it_is_put_in_place_and_nothing_is_left_of_what_is_not() {
    let place = tempdir().unwrap();
    let path = place.path().join("result");
    write(&path, b"old").unwrap();
    let mut file = NewFile::beside(&path).unwrap();
    file.write_all(b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    drop(file);
    assert_eq!(names(place.path()), ["result"]);
    let mut file = NewFile::beside(&path).unwrap();
    file.write_all(b"new").unwrap();
    file.put().unwrap();
    assert_eq!((fs::read(&path).unwrap(), names(place.path())), (b"new".to_vec(), vec!["result".to_owned()]));

    let staged = NewDirectory::beside(&place.path().join("a/b")).unwrap();
    fs::create_dir(staged.path().join("inner")).unwrap();
    fs::write(staged.path().join("inner/x"), "x").unwrap();
    assert!(!place.path().join("a/b").exists());
    staged.put().unwrap();
    assert_eq!(names(&place.path().join("a")), ["b"]);
    assert_eq!(fs::read(place.path().join("a/b/inner/x")).unwrap(), b"x");
}

/// As after kills, and with the number of a process on another machine.
#[test]
fn leftovers_of_the_same_path_go_with_the_next_write_and_those_in_use_stay() {
    let place = tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let same = format!(".tmp-{}-report", std::process::id());
    for name in [".tmp-1-report", &same, ".tmp-1-other"] {
        fs::write(at(name), "half").unwrap();
    }
    fs::create_dir(at(".tmp-2-report")).unwrap();
    write(&at("report"), b"whole").unwrap();
    assert_eq!(names(place.path()), [".tmp-1-other", "report"]);

    let first = NewFile::beside(&at("report")).unwrap();
    let second = NewFile::beside(&at("report")).unwrap();
    assert_eq!(names(place.path()).len(), 4, "both are under construction");
    first.put().unwrap();
    second.put().unwrap();
    assert_eq!(names(place.path()), [".tmp-1-other", "report"]);
}

#[cfg(unix)]
#[test]
fn links_are_replaced_and_not_followed() {
    let place = tempdir().unwrap();
    let (link, target) = (place.path().join("report"), place.path().join("precious"));
    fs::write(&target, "data").unwrap();
    for to in [&target, &place.path().join("absent")] {
        std::os::unix::fs::symlink(to, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(!link.is_symlink() && fs::read(&link).unwrap() == b"new");
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(names(place.path()), ["precious"]);
    assert_eq!(fs::read(&target).unwrap(), b"data");
}

#[test]
fn what_is_in_the_way_of_a_directory_is_an_error() {
    let place = tempdir().unwrap();
    create_directories(&place.path().join("a/b/c")).unwrap();
    create_directories(&place.path().join("a/b/c")).unwrap();
    fs::write(place.path().join("file"), "x").unwrap();
    assert!(create_directories(&place.path().join("file/under")).is_err());
    assert!(create_directories(&place.path().join("file")).is_err());
    assert!(write(&place.path().join("absent/file"), b"x").is_err());
    assert!(write(&place.path().join("a"), b"x").is_err(), "a directory is not replaced by a file");
    assert_eq!(names(place.path()), ["a", "file"]);
}
