//! Images that claim or unpack to more than any memory holds, what is no regular file, and more templates without bound.

use super::case::{
    Base::{Llava, Whole},
    Case,
};
use serde_json::json;

const IMAGE: &str = "data/square.png";

fn image(name: &'static str, says: &'static str, bytes: Vec<u8>) -> Case {
    Case::new(Whole, IMAGE, name, says, move |file| file.put(&bytes))
}

/// A TIFF of one directory: tag, type, count and value of each entry.
fn tiff(entries: &[(u16, u16, u32, u32)]) -> Vec<u8> {
    let mut all = [b"II*\0\x08\0\0\0".as_slice(), &(entries.len() as u16).to_le_bytes()].concat();
    for (tag, kind, count, value) in entries {
        all.extend([&tag.to_le_bytes()[..], &kind.to_le_bytes()].concat());
        all.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    all.extend([0; 16]);
    all
}

/// A TIFF of RGB in one strip that is not there.
fn rgb_tiff(width: u32, height: u32, strip: (u32, u32)) -> Vec<u8> {
    tiff(&[
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, strip.0, 8),
        (277, 3, 1, 3),
        (279, 4, strip.0, strip.1),
    ])
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    [b"RIFF".as_slice(), &(chunks.len() as u32 + 4).to_le_bytes(), b"WEBP", chunks].concat()
}

/// The head of an extended WebP with sides of `side` + 1 pixels.
fn extended(side: u32, flags: u8) -> Vec<u8> {
    let side = &side.to_le_bytes()[..3];
    [b"VP8X\x0a\0\0\0".as_slice(), &[flags, 0, 0, 0], side, side].concat()
}

fn bmp(width: i32, height: i32) -> Vec<u8> {
    let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
    [b"BM".as_slice(), &[0; 8], &[54, 0, 0, 0, 40, 0, 0, 0], &sides, &[1, 0, 24, 0], &[0; 24]].concat()
}

fn gif(canvas: u16, frame: u16, rest: &[u8]) -> Vec<u8> {
    let (canvas, frame) = (canvas.to_le_bytes(), frame.to_le_bytes());
    let image = [b"\x2c\0\0\0\0".as_slice(), &frame, &frame, b"\0\x02\x02\x44\x01\0;"].concat();
    [b"GIF89a".as_slice(), &canvas, &canvas, b"\x80\0\0\0\0\0\xff\xff\xff", rest, &image].concat()
}

fn claims() -> Vec<Case> {
    let words =
        [b"\x21\xfe".as_slice(), &[b"\xff".as_slice(), &[b'a'; 255]].concat().repeat(100_000)].concat();
    vec![
        image("a GIF whose frame exceeds its canvas", "more than the 89478485", gif(1, u16::MAX, b"")),
        image("a GIF of nothing but comments", "cannot be decoded", gif(1, 1, &words)),
        image("a GIF without a frame", "cannot be decoded", gif(9000, 9000, b";")),
        image("a TIFF of four milliards a side", "pixels", rgb_tiff(4_000_000_000, 4_000_000_000, (1, 1))),
        image("a TIFF without its pixels", "cannot be decoded", rgb_tiff(9400, 9400, (1, 1))),
        image("a TIFF of a milliard strips", "cannot be decoded", rgb_tiff(4, 4, (0x3fff_ffff, 8))),
        image("a TIFF whose directory says nothing", "cannot be decoded", tiff(&[(256, 4, 1, 4)])),
        image("a TIFF of zero strips", "cannot be decoded", rgb_tiff(4, 4, (0, 0))),
        image(
            "a WebP of sixteen million a side",
            "cannot be decoded",
            riff(&[extended(0xff_ffff, 0), b"VP8L\x05\0\0\0\x2f\0\0\0\0\0".to_vec()].concat()),
        ),
        image(
            "a WebP of empty frames",
            "cannot be decoded",
            riff(
                &[
                    extended(8999, 2),
                    b"ANIM\x06\0\0\0\0\0\0\0\0\0".to_vec(),
                    [b"ANMF\x10\0\0\0".as_slice(), &[0; 16]].concat().repeat(50_000),
                ]
                .concat(),
            ),
        ),
        image(
            "a lossless WebP without its pixels",
            "cannot be decoded",
            riff(b"VP8L\x06\0\0\0\x2f\xff\xff\xff\x0f\0"),
        ),
        image("a BMP of two milliards a side", "more than the 89478485", bmp(2_000_000_000, 2_000_000_000)),
        image("a BMP of the least height", "cannot be decoded", bmp(4, i32::MIN)),
        image("a BMP without its pixels", "cannot be decoded", bmp(9400, 9400)),
        image("a PBM without its pixels", "cut off", b"P4\n70000000 1\n".to_vec()),
        image("a PPM of nothing but blanks", "cut off", [b"P6\n".as_slice(), &[b' '; 20 << 20]].concat()),
        image("a plain PPM without its pixels", "cut off", b"P3\n9400 9400\n255\n1 2 3".to_vec()),
    ]
}

fn templates() -> Vec<Case> {
    let template = |name, says, source: &str| {
        let source = source.to_owned();
        Case::new(Whole, "model/chat_template.jinja", name, says, move |file| file.put(&source))
    };
    let long = format!("{{{{ {} }}}}", "a".repeat(1 << 19));
    vec![
        template("thirty million words", "MiB", "{{ ('a ' * 30000000).split() | length }}"),
        template("words from the end", "MiB", "{{ ('a,' * 30000000).rsplit(',') | length }}"),
        template(
            "a path of millions of names",
            "more than",
            "{{ messages | map(attribute='a.' * 30000000) | list }}",
        ),
        template(
            "thirty million keys to sort by",
            "more than",
            "{{ messages | sort(attribute='a,' * 30000000) }}",
        ),
        template(
            "separators of millions of characters",
            "more than",
            "{{ [1] | tojson(separators='a' * 30000000) }}",
        ),
        template("thirty million empty lines", "MiB", "{{ ('\\n' * 30000000) | indent }}"),
        template("a name of half a megabyte", "a name of 524288 bytes", &long),
        template(
            "a missing key of megabytes again and again",
            "steps",
            "{% set k = 'a' * 9000000 %}{% for i in range(99999) %}{% for j in range(99999) %}\
             {{ {}[k] is defined }}{% endfor %}{% endfor %}",
        ),
        template(
            "a sort of what has no order",
            "not supported",
            "{{ ([1] * 99 + ['a'] + [2] * 99) | sort }}",
        ),
        template("indentation in JSON", "MiB", "{{ [[[1]]] | tojson(indent=99999999999) }}"),
        template("a width by star", "MiB", "{{ '%*d' % (99999999999, 1) }}"),
    ]
}

fn tokenizers() -> Vec<Case> {
    let bpe = |vocabulary: serde_json::Value| json!({"type": "BPE", "vocab": vocabulary, "merges": ["a a"]});
    let lacks = bpe(json!({"a": 0}));
    vec![Case::new(
        Whole,
        "model/tokenizer.json",
        "a merge of a symbol with itself",
        "the tokenizer library fails",
        move |file| {
            file.set("model", lacks.clone());
        },
    )]
}

/// What may never end, or cannot be read as a file.
#[cfg(unix)]
fn special() -> Vec<Case> {
    let mut all = Vec::new();
    for (base, path) in [
        (Whole, "data/train.json"),
        (Whole, IMAGE),
        (Whole, "model/config.json"),
        (Whole, "model/preprocessor_config.json"),
        (Whole, "model/chat_template.jinja"),
        (Whole, "model/tokenizer.json"),
        (Whole, "model/tokenizer_config.json"),
        (Whole, "model/model.safetensors"),
        (Llava, "adapter/adapter_config.json"),
        (Llava, "adapter/adapter_model.safetensors"),
    ] {
        all.push(Case::new(base, path, "a named pipe", "it is a pipe", |file| {
            file.remove();
            assert!(std::process::Command::new("mkfifo").arg(file.path()).status().unwrap().success());
        }));
        all.push(Case::new(base, path, "a device without end", "it is a device", |file| {
            file.remove();
            std::os::unix::fs::symlink("/dev/zero", file.path()).unwrap();
        }));
        all.push(Case::new(base, path, "a socket", "it is a socket", |file| {
            file.remove();
            std::os::unix::net::UnixListener::bind(file.path()).unwrap();
        }));
    }
    all
}

#[cfg(not(unix))]
fn special() -> Vec<Case> {
    Vec::new()
}

pub(super) fn cases() -> Vec<Case> {
    [claims(), templates(), tokenizers(), special()].into_iter().flatten().collect()
}
