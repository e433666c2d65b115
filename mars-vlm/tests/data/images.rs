//! Images from everywhere, and images that are not there.

use crate::kit::{fixture, read};
use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, Crc, write::ZlibEncoder};
use mars_vlm::Error;
use mars_vlm::data::{ImageRef, ImageStore};
use sha2::Digest;
use std::{
    fs,
    io::{Read, Write},
};

#[test]
fn images_come_from_folders_archives_and_the_data_file_itself() {
    let path = |name: &str| ImageRef::Path(name.into());
    let folder = ImageStore::open(&fixture("images")).unwrap();
    let archive = ImageStore::open(&fixture("images.zip")).unwrap();
    let encoded = BASE64_STANDARD.encode(fs::read(fixture("images/wide.png")).unwrap());
    let wide = folder.load(&path("wide.png")).unwrap();
    assert_eq!((wide.width(), wide.height()), (70, 25));
    let absolute = path(fixture("images/wide.png").to_str().unwrap());
    for (store, image) in [
        (&archive, path("wide.png")),
        (&archive, path("images/wide.png")),
        (&archive, path("./wide.png")),
        (&archive, absolute),
        (&archive, ImageRef::Inline(encoded.as_str().into())),
        (&folder, ImageRef::Inline(encoded.trim_end_matches('=').into())),
    ] {
        assert_eq!(store.load(&image).unwrap(), wide, "{image}");
        assert_eq!(store.size(&image).unwrap(), (70, 25));
        assert_eq!(store.fingerprint(&image).unwrap(), folder.fingerprint(&path("wide.png")).unwrap());
    }
    let text = format!(
        r#"[{{"messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{encoded}"}}}}]}}]}}]"#
    );
    let inline = read("inline.json", &text);
    assert_eq!(folder.load(&inline[0].images[0]).unwrap(), wide);
    assert_eq!(ImageStore::for_data(&fixture("chats.json"), None).unwrap().path(), fixture(""));
    // Upright by EXIF: the file lies on its side.
    let turned = folder.load(&path("turned.jpg")).unwrap();
    assert_eq!((turned.width(), turned.height()), (32, 48));
    assert_eq!(folder.size(&path("turned.jpg")).unwrap(), (32, 48));
}

#[test]
fn missing_and_broken_images_are_named_with_their_store() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    let whole = fs::read(fixture("images/square.png")).unwrap();
    put("cut.png", &whole[..whole.len() / 2]);
    put("empty.png", b"");
    put("text.png", b"not an image");
    let store = ImageStore::open(dir.path()).unwrap();
    let load = |name: &str| store.load(&ImageRef::Path(name.into())).unwrap_err();
    let place = dir.path().display().to_string();
    for name in ["cut.png", "empty.png", "text.png"] {
        let error = load(name);
        assert!(matches!(error, Error::ImageDecode { .. }), "{error}");
        assert!(error.to_string().contains(name) && error.to_string().contains(&place), "{error}");
    }
    assert!(load("empty.png").to_string().contains("empty"));
    let missing = load("none.png");
    assert!(matches!(missing, Error::ImageMissing { .. }));
    assert!(missing.to_string().contains("none.png") && missing.to_string().contains(&place));
    let inline = store.load(&ImageRef::Inline("@@@@".into())).unwrap_err().to_string();
    assert!(inline.contains("base64"), "{inline}");
    let archive = ImageStore::open(&fixture("images.zip")).unwrap();
    let missing = archive.load(&ImageRef::Path("none.png".into())).unwrap_err().to_string();
    assert!(missing.contains("none.png") && missing.contains("images.zip"), "{missing}");
    put("no.zip", b"PK but not really");
    let error = ImageStore::open(&dir.path().join("no.zip")).unwrap_err().to_string();
    assert!(error.contains("no.zip") && error.contains("zip archive"), "{error}");
    let error = ImageStore::open(&dir.path().join("absent")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("absent"));
}

/// Every kind of image against Pillow (`mars-vlm/tests/oracle/images.py`): the same pixels, and the same refusals.
#[test]
fn pixels_are_those_of_pillow() {
    let folder = fixture("../images");
    let expected: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let store = ImageStore::open(&folder).unwrap();
    let mut wrong = Vec::new();
    for (name, expected) in expected.as_object().unwrap() {
        let image = ImageRef::Path(name.as_str().into());
        let found = store.load(&image).map(|image| {
            let digest = sha2::Sha256::digest(image.pixels());
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            serde_json::json!({"width": image.width(), "height": image.height(), "sha256": digest})
        });
        match found {
            Ok(found) if found == *expected => {
                let (width, height) = store.size(&image).unwrap();
                assert_eq!((width.into(), height.into()), (found["width"].clone(), found["height"].clone()));
            }
            Err(_) if expected.is_null() => {}
            other => wrong.push(format!("{name}: {other:?} instead of {expected}")),
        }
    }
    assert!(expected.as_object().unwrap().len() >= 115);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn images_that_would_take_much_memory_are_refused_by_their_headers() {
    let dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    let mut claims = fs::read(fixture("../images/420.jpg")).unwrap();
    let at = claims.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    claims[at + 5..at + 9].copy_from_slice(&[0x32, 0xc8, 0x32, 0xc8]);
    let frame = b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\0;";
    let gif = [b"GIF89a\xff\xff\xff\xff\0\0\0".as_slice(), frame].concat();
    let bmp = {
        let mut bmp = fs::read(fixture("../images/colour.bmp")).unwrap();
        bmp[18..26].copy_from_slice(&[0, 0, 1, 0, 0, 0, 1, 0]);
        bmp
    };
    for (name, bytes, says) in [
        ("a.jpg", claims.as_slice(), "13000 x 13000"),
        ("a.gif", &gif, "65535 x 65535"),
        ("a.bmp", &bmp, "65536 x 65536"),
        ("a.ppm", b"P6 20000 20000 255 ", "20000 x 20000"),
    ] {
        fs::write(dir.path().join(name), bytes).unwrap();
        let error = store.load(&ImageRef::Path(name.into())).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(name), "{error}");
    }
    fs::File::create(dir.path().join("long.png")).unwrap().set_len(1 << 30).unwrap();
    let error = store.load(&ImageRef::Path("long.png".into())).unwrap_err().to_string();
    assert!(error.contains("1073741824 bytes long"), "{error}");
}

#[test]
fn the_xmp_of_a_png_is_unpacked_up_to_a_mebibyte() {
    let whole = fs::read(fixture("images/wide.png")).unwrap();
    let store = ImageStore::open(&fixture("images")).unwrap();
    for (length, size) in [(1 << 20, (25, 70)), ((1 << 20) + 1, (70, 25)), (1 << 28, (70, 25))] {
        let mut text = ZlibEncoder::new(Vec::new(), Compression::fast());
        let turned = b"tiff:Orientation=\"6\"";
        text.write_all(turned).unwrap();
        std::io::copy(&mut std::io::repeat(b' ').take(length - turned.len() as u64), &mut text).unwrap();
        let body = [b"zTXtXML:com.adobe.xmp\0\0".as_slice(), &text.finish().unwrap()].concat();
        let mut sum = Crc::new();
        sum.update(&body);
        let long = (body.len() as u32 - 4).to_be_bytes();
        // After the header.
        let png = [&whole[..33], &long, &body, &sum.sum().to_be_bytes(), &whole[33..]].concat();
        let image = ImageRef::Inline(BASE64_STANDARD.encode(png).into());
        assert_eq!(store.size(&image).unwrap(), size, "{length}");
        let image = store.load(&image).unwrap();
        assert_eq!((image.width(), image.height()), size, "{length}");
    }
}

#[test]
fn the_xmp_of_a_tiff_is_read_whole() {
    let mut tiff = fs::read(fixture("../images/xmp.tif")).unwrap();
    let store = ImageStore::open(&fixture("../images")).unwrap();
    let tag = tiff.windows(4).position(|part| part == [0xbc, 2, 1, 0]).unwrap();
    let xmp = [" ".repeat(1 << 20).as_bytes(), b"tiff:Orientation=\"6\""].concat();
    let start = tiff.len() as u32;
    tiff[tag + 8..tag + 12].copy_from_slice(&start.to_le_bytes());
    tiff.extend_from_slice(&xmp);
    // More than the file has is not read.
    for (length, size) in [(xmp.len() as u32, (7, 10)), (u32::MAX, (10, 7))] {
        tiff[tag + 4..tag + 8].copy_from_slice(&length.to_le_bytes());
        let image = ImageRef::Inline(BASE64_STANDARD.encode(&tiff).into());
        assert_eq!(store.size(&image).unwrap(), size, "{length}");
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_no_images_and_no_data() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("zero.png")).unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    for (name, what) in [("pipe.png", "a pipe"), ("zero.png", "a device")] {
        let error = store.load(&ImageRef::Path(name.into())).unwrap_err();
        assert!(matches!(error, Error::ImageDecode { .. }), "{error}");
        assert!(error.to_string().contains(what) && error.to_string().contains(name), "{error}");
        let path = dir.path().join(name);
        let error = mars_vlm::data::Dataset::read(&path).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains(name), "{error}");
        assert!(ImageStore::open(&path).unwrap_err().to_string().contains(what));
    }
}
