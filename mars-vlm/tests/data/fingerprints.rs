//! Digests of data sets: what they are of, and that they are what campaigns on disk hold.

use crate::kit::{file, fixture};
use base64::{Engine, prelude::BASE64_STANDARD};
use mars_vlm::data::{Dataset, Fractions, ImageRef, ImageStore, Part, Sample, fingerprint, split};
use std::fs;

/// Quotes, escapes, line ends, control characters, combining marks, zero-width and unassigned characters, emoji;
/// several parts, two images, a turn without parts, an empty text, no image at all.
const TEXTS: &str = r#"[
 {"messages": [
   {"role": "system", "content": "Say \"yes\" or 'no'.\nBack\\slash\ttab\r\u0000\u0007\u001b\u007f"},
   {"role": "user", "content": [{"type": "image", "path": "tiny.png"}, {"type": "text", "text": "Größe, 東京, 🎲?"},
     {"type": "image", "path": "grey.png"}, {"type": "text", "text": "e\u0301 \u0301x \u200b\u200d\u00ad\u2028\ufeff\ue000\uffff"}]},
   {"role": "assistant", "content": "a, b] [Image, Text(\"c\")]"},
   {"role": "user", "content": []},
   {"role": "assistant", "content": ""}]},
 {"image": "tiny.png", "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "dot"}]},
 {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}
]"#;

fn texts() -> Vec<Sample> {
    let (_dir, path) = file("texts.json", TEXTS);
    Dataset::read(&path).unwrap().samples
}

fn images() -> ImageStore {
    ImageStore::open(&fixture("images")).unwrap()
}

/// The digests of version 0.1.0, which are in the campaigns that were made with it.
#[test]
fn digests_are_those_of_campaigns_on_disk() {
    let chats = Dataset::read(&fixture("chats.json")).unwrap().samples;
    assert_eq!(fingerprint(&chats, &images()).unwrap(), "52d4abf8332389bf");
    assert_eq!(fingerprint(&texts(), &images()).unwrap(), "164440d9cb5874af");
    assert_eq!(fingerprint(&[], &images()).unwrap(), "af1349b9f5f9a1a6");
}

#[test]
fn names_and_places_do_not_count_and_contents_do() {
    let (samples, store) = (texts(), images());
    let digest = fingerprint(&samples, &store).unwrap();
    let mut other = samples.clone();
    other[0].id = "renamed".into();
    other[0].origin.line = 99;
    let bytes = fs::read(fixture("images/tiny.png")).unwrap();
    other[0].images[0] = ImageRef::Inline(BASE64_STANDARD.encode(bytes).into());
    assert_eq!(fingerprint(&other, &store).unwrap(), digest);

    let change = |edit: fn(&mut Vec<Sample>)| {
        let mut other = samples.clone();
        edit(&mut other);
        assert_ne!(fingerprint(&other, &store).unwrap(), digest);
    };
    change(|samples| samples.swap(1, 2));
    change(|samples| samples[0].images.swap(0, 1));
    change(|samples| samples[0].turns[1].parts.swap(0, 1));
    change(|samples| samples[2].turns[0].parts = vec![Part::Text("hi".into())]);
    change(|samples| samples[2].turns[0].parts = vec![Part::Text("H".into()), Part::Text("i".into())]);
}

#[test]
fn an_image_is_read_for_its_digest_once() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["tiny.png", "grey.png"] {
        fs::copy(fixture("images").join(name), dir.path().join(name)).unwrap();
    }
    let samples = texts();
    let digest = fingerprint(&samples, &images()).unwrap();
    let [split_first, decoded_first] = [0, 1].map(|_| ImageStore::open(dir.path()).unwrap());
    split(&samples, &split_first, Fractions { val: 0.0, test: 0.3 }, 0).unwrap();
    for image in samples.iter().flat_map(|sample| &sample.images) {
        decoded_first.load(image).unwrap();
    }
    // What was read for a split, or to be decoded, is not read again.
    for name in ["tiny.png", "grey.png"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert_eq!(fingerprint(&samples, &split_first).unwrap(), digest);
    assert_eq!(fingerprint(&samples, &decoded_first).unwrap(), digest);
    assert!(fingerprint(&samples, &ImageStore::open(dir.path()).unwrap()).is_err());
}
