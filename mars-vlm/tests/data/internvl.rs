//! The processor of InternVL3 against transformers' own, with its fast image processor
//! (`mars-vlm/tests/oracle/internvl_processor.py`).

use crate::families::{fixture, numbers};
use crate::qwen3_vl::encoded_as_by_the_reference;
use mars_vlm::{
    chat::SpecialTokens,
    processor::{ImageProcessor, Processor, Resolution, internvl::InternVlImages},
};
use serde_json::{Value, json};
use std::fs;

#[test]
fn internvl_is_encoded_as_by_the_reference() {
    encoded_as_by_the_reference("internvl_processor", ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]));
}

/// A model directory with these settings of images, and patches of which a tile has two along each side.
fn with_images(settings: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("preprocessor_config.json"), settings.to_string()).unwrap();
    let patch = settings["size"]["height"].as_u64().unwrap_or(384) / 2;
    let config = json!({"vision_config": {"patch_size": [patch, patch]}});
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    dir
}

fn images(settings: &Value) -> Result<InternVlImages, String> {
    InternVlImages::from_dir(with_images(settings).path(), &SpecialTokens::default())
        .map_err(|e| e.to_string())
}

#[test]
fn images_are_cut_into_the_tiles_of_the_reference() {
    let rows: Value =
        serde_json::from_slice(&fs::read(fixture("internvl_processor/tilings.json")).unwrap()).unwrap();
    let rows = rows.as_array().unwrap();
    assert!(rows.len() > 100, "{}", rows.len());
    for row in rows {
        let side = &row["size"];
        // The file says false, as published ones do.
        let settings = json!({
            "size": {"height": side, "width": side}, "min_patches": row["least"], "max_patches": row["most"],
            "crop_to_patches": false,
        });
        let images = images(&settings).unwrap();
        let (size, expected) = (numbers(&row["image"]), numbers(&row["tiles"]));
        let layout = images.layouts(&[(size[0] as usize, size[1] as usize)]).unwrap().remove(0);
        let shape = layout.shape;
        let (cols, rows) = (shape.grid.cols.max(1) as u32, shape.grid.rows.max(1) as u32);
        assert_eq!([shape.tiles as u32, cols, rows].to_vec(), expected, "{row}");
        assert_eq!((layout.tokens.len(), shape.features), (shape.tiles, shape.tiles), "{row}");
    }
}

#[test]
fn only_a_single_patch_leaves_an_image_whole() {
    let size = json!({"height": 16, "width": 16});
    for (settings, tiles) in [
        (json!({"size": size, "crop_to_patches": false}), 3),
        (json!({"size": size, "crop_to_patches": true, "do_resize": false}), 3),
        (json!({"size": size, "max_patches": 1, "crop_to_patches": true}), 1),
    ] {
        let layouts = images(&settings).unwrap().layouts(&[(32, 16), (16, 16)]).unwrap();
        assert_eq!((layouts[0].shape.tiles, layouts[1].shape.tiles), (tiles, 1), "{settings}");
    }
}

#[test]
fn the_largest_number_of_pixels_limits_the_tiles() {
    let settings = json!({"size": {"height": 16, "width": 16}, "min_patches": 2});
    let mut images = images(&settings).unwrap();
    let limit = |most| Resolution { max_pixels: Some(most), ..Resolution::default() };
    images.resize_to(&limit(5 * 256 - 1)).unwrap();
    assert_eq!(images.most_tiles, 4);
    // A limit does not raise that of the file.
    images.resize_to(&limit(1 << 40)).unwrap();
    assert_eq!(images.most_tiles, 4);
    let error = images.resize_to(&limit(511)).unwrap_err();
    assert!(error.contains("max_pixels is 511, expected 2 tiles of 16 x 16"), "{error}");
    let error =
        images.resize_to(&Resolution { longest_edge: Some(20), ..Resolution::default() }).unwrap_err();
    assert!(error.contains("of InternVL3 are sized by max_pixels"), "{error}");
}

#[test]
fn the_layout_of_the_remote_code_is_refused_with_the_name_of_the_other() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), json!({"model_type": "internvl_chat"}).to_string()).unwrap();
    let error = Processor::from_dir(dir.path()).unwrap_err().to_string();
    for part in ["config.json", "`internvl_chat`", "OpenGVLab/InternVL3-1B-hf", "`internvl`"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
