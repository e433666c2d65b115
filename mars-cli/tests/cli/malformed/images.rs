//! Images that do not decode, are not there, or are too much for any memory.

use super::case::{Base::Whole, Case, Target};

const IMAGE: &str = "data/square.png";
const DATA: &str = "data/train.json";

fn broken(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Whole, IMAGE, name, says, spoil)
}

/// Names another image in the first sample.
fn other(name: &'static str, image: &'static str, says: &'static str) -> Case {
    Case::new(Whole, DATA, name, says, move |file| file.set("0/image", image))
}

/// A chunk of a PNG.
pub(super) fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [length.as_slice(), &body, &crc(&body).to_be_bytes()].concat()
}

/// A PNG of this size whose data are of a single pixel.
fn png(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    // zlib: a stored block of a filter byte and three values.
    let data = [0x78, 0x01, 0x01, 0x04, 0x00, 0xfb, 0xff, 0, 1, 2, 3, 0x00, 0x0e, 0x00, 0x07];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &data), chunk(b"IEND", &[])]
        .concat()
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    };
    !bytes.iter().fold(u32::MAX, step)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        broken("missing", "not found", |file| file.remove()),
        broken("empty", "the file is empty", |file| file.put("")),
        broken("prose", "no known image format", |file| file.put("a picture of a cat")),
        broken("a folder", "it is a folder", |file| file.make_folder()),
        broken("cut in half", "cannot be decoded", |file| file.halve()),
        broken("a signature alone", "cannot be decoded", |file| file.cut(8)),
        broken("no end", "cannot be decoded", |file| file.cut(file.bytes().len() - 40)),
        broken("a changed byte", "cannot be decoded", |file| {
            let mut bytes = file.bytes();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
            file.put(bytes);
        }),
        broken("no pixels", "cannot be decoded", |file| file.put(png(0, 0))),
        broken("more pixels than data", "cannot be decoded", |file| file.put(png(100, 100))),
        broken("pixels beyond memory", "1000000 x 1000000", |file| file.put(png(1_000_000, 1_000_000))),
        broken("a side beyond the format", "cannot be decoded", |file| file.put(png(u32::MAX, 1))),
        broken("a GIF", "cannot be decoded", |file| file.put(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;")),
        broken("a BMP", "cannot be decoded", |file| {
            file.put(b"BM\x1a\x00\x00\x00\x00\x00\x00\x00\x1a\x00\x00\x00")
        }),
        broken("a vector drawing", "no known image format", |file| file.put("<svg xmlns='x'/>")),
        Case::new(Whole, "data/turned.jpg", "cut in half", "cut off", |file| file.halve()),
        Case::new(Whole, "data/turned.jpg", "a beginning alone", "cut off", |file| file.cut(2)),
        Case::new(Whole, "data/turned.jpg", "a JPEG of noise", "cannot be decoded", |file| {
            file.put([b"\xff\xd8\xff\xda\x00\x02".to_vec(), vec![0x5a; 64], b"\xff\xd9".to_vec()].concat());
        }),
        Case::new(Whole, "data/turned.jpg", "pixels that its bytes cannot hold", "13000 x 13000", |file| {
            let mut bytes = file.bytes();
            let at = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
            bytes[at + 5..at + 9].copy_from_slice(&[0x32, 0xc8, 0x32, 0xc8]);
            file.put(bytes);
        }),
        broken("a GIF of more pixels than are decoded", "more than the 89478485", |file| {
            let frame = b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\0;";
            file.put([b"GIF89a\xff\xff\xff\xff\0\0\0".as_slice(), frame].concat());
        }),
        broken("a PPM of more pixels than are decoded", "more than the 89478485", |file| {
            file.put("P6\n20000 20000\n255\n")
        }),
        Case::new(Whole, "data/lossless.webp", "cut in half", "cannot be decoded", |file| file.halve()),
        Case::new(Whole, "data/lossless.webp", "a RIFF of sounds", "no known image format", |file| {
            file.put(b"RIFF\x10\x00\x00\x00WAVEfmt \x00\x00\x00\x00");
        }),
        other("a name that is nowhere", "nowhere.png", "nowhere.png"),
        other("a name with a zero byte", "square\0.png", "line 1"),
        other("a name longer than names may be", LONG, "line 1"),
        other("an address in the network", "https://example.org/cat.png", "download it"),
        other("data that are not base64", "data:image/png;base64,@@@@", "not base64"),
        other("data that are no image", "data:image/png;base64,AAAA", "no known image format"),
        other("data in another coding", "data:image/png,%89PNG", ";base64,"),
    ]
}

/// Three hundred letters.
const LONG: &str = concat!(
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
);
