//! `preprocessor_config.json` and `processor_config.json` of each family.

use super::case::{
    Base::{self, Llava, Qwen2, Whole},
    Case, Target,
};
use serde_json::{Value, json};

const IMAGES: &str = "model/preprocessor_config.json";
const PROCESSOR: &str = "model/processor_config.json";

fn broken(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Whole, IMAGES, name, says, spoil)
}

fn value(
    base: Base,
    path: &'static str,
    at: &'static str,
    value: Value,
    name: &'static str,
    says: &'static str,
) -> Case {
    Case::new(base, path, name, says, move |file| file.set(at, value.clone()))
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = vec![
        broken("missing", "no image processor settings", |file| file.remove()),
        broken("empty", "EOF", |file| file.put("")),
        broken("cut in half", "EOF", |file| file.halve()),
        broken("a list", "no JSON object", |file| file.put("[]")),
        broken("not text", "not UTF-8", |file| file.put(b"{\"size\": \"\x80\"}")),
        broken("a folder", "it is a folder", |file| file.make_folder()),
        broken("no size", "size missing", |file| file.unset("size")),
        broken("no tile", "max_image_size missing", |file| file.unset("max_image_size")),
        Case::new(Whole, PROCESSOR, "cut in half", "EOF", |file| file.halve()),
        Case::new(Whole, PROCESSOR, "not text", "not UTF-8", |file| file.put(b"\xff{}")),
    ];
    let whole = [
        ("image_processor_type", json!("CLIPImageProcessor"), "another processor", "CLIPImageProcessor"),
        ("image_processor_type", json!(4), "a number as processor", "invalid type"),
        ("resample", json!(0), "the nearest neighbour", "resample 0"),
        ("resample", json!("bicubic"), "a text as filter", "bicubic"),
        ("image_std", json!([0.5, 0.0, 0.5]), "a deviation of zero", "image_std"),
        ("image_std", json!([-0.5, 0.5, 0.5]), "a negative deviation", "image_std"),
        ("image_std", json!([0.5, 0.5]), "two deviations", "Channels"),
        ("image_mean", json!("0.5"), "a text as mean", "Channels"),
        ("image_mean", json!([0.5, 1e300, 0.5]), "an infinite mean", "image_mean"),
        ("rescale_factor", json!(0), "a factor of zero", "rescale_factor is 0"),
        ("rescale_factor", json!(-0.004), "a negative factor", "rescale_factor is -0.004"),
        ("rescale_factor", json!(1e300), "a factor beyond f32", "rescale_factor is 1"),
        ("rescale_factor", json!("1/255"), "a text as factor", "1/255"),
        ("do_resize", json!("yes"), "a text as truth value", "yes"),
        ("do_normalize", json!(1), "a number as truth value", "invalid type"),
        ("do_image_splitting", json!("no"), "a text as splitting", "do_image_splitting \"no\""),
        ("size", json!([24, 24]), "a list as size", "size is [24,24]"),
        ("size", json!({"longest_edge": 0}), "an edge of zero", "size.longest_edge is 0"),
        ("size", json!({"longest_edge": -24}), "a negative edge", "size.longest_edge is -24"),
        ("size", json!({"longest_edge": 24.5}), "half a pixel", "size.longest_edge is 24.5"),
        ("size", json!({"longest_edge": "24"}), "a text as edge", "size.longest_edge is \"24\""),
        (
            "size",
            json!({"longest_edge": 1u64 << 40}),
            "an edge beyond memory",
            "size.longest_edge is 1099511627776",
        ),
        ("size", json!({"height": 24}), "a height alone", "size {\"height\":24}"),
        ("size", json!({"height": 24, "width": 0}), "a width of zero", "size.width is 0"),
        ("max_image_size", json!({"height": 24, "width": 12}), "a tile that is no square", "24 x 12"),
        ("max_image_size", json!({"longest_edge": 3}), "a tile smaller than a patch", "a tile of 3 pixels"),
    ];
    all.extend(whole.map(|(at, new, name, says)| {
        let case = value(Whole, IMAGES, at, new, name, says);
        // The patch is of the model.
        if name == "a tile smaller than a patch" { case.naming("config.json") } else { case }
    }));
    let others = [
        (Whole, PROCESSOR, "image_seq_len", json!(9), "another number of tokens", "image_seq_len is 9"),
        (Whole, PROCESSOR, "image_seq_len", json!(0), "no tokens", "image_seq_len is 0"),
        (Whole, PROCESSOR, "image_seq_len", json!("4"), "a text as tokens", "image_seq_len is \"4\""),
        (
            Whole,
            PROCESSOR,
            "image_seq_len",
            json!(u64::MAX),
            "tokens beyond memory",
            "image_seq_len is 18446744073709551615",
        ),
        (Llava, IMAGES, "size", json!({"height": 6, "width": 12}), "a tile of two sides", "tiles are square"),
        (Llava, IMAGES, "do_resize", json!(false), "no resize", "do_resize is false"),
        (Llava, IMAGES, "image_grid_pinpoints", json!("(6x6)"), "a text as resolutions", "(6x6)"),
        (Llava, IMAGES, "image_grid_pinpoints", json!([]), "no resolutions", "image_grid_pinpoints []"),
        (
            Llava,
            IMAGES,
            "image_grid_pinpoints",
            json!([[6]]),
            "a resolution with one side",
            "image_grid_pinpoints [[6]]",
        ),
        (Llava, IMAGES, "image_grid_pinpoints", json!([[6, 0]]), "a resolution without pixels", "(6, 0)"),
        (Llava, IMAGES, "image_grid_pinpoints", json!([[7, 6]]), "a resolution of no tiles", "(7, 6)"),
        (
            Llava,
            IMAGES,
            "image_grid_pinpoints",
            json!([[6, 6u64 << 40]]),
            "a resolution beyond memory",
            "image_grid_pinpoints",
        ),
        (
            Llava,
            PROCESSOR,
            "num_image_tokens",
            json!(16),
            "another number of features",
            "num_image_tokens is 16",
        ),
        (Llava, PROCESSOR, "vision_aspect_ratio", json!("anyres_max_0"), "no tiles at most", "anyres_max_0"),
        (
            Qwen2,
            IMAGES,
            "min_pixels",
            json!(2_000_000),
            "more at least than at most",
            "min_pixels is 2000000",
        ),
        (
            Qwen2,
            IMAGES,
            "min_pixels",
            json!(1u64 << 50),
            "pixels beyond memory",
            "min_pixels is 1125899906842624",
        ),
        (Qwen2, IMAGES, "max_pixels", json!("many"), "a text as pixels", "max_pixels is \"many\""),
        (Qwen2, IMAGES, "patch_size", json!(0), "no patch", "patch_size is 0"),
        (Qwen2, IMAGES, "merge_size", json!(3), "another merge than the model", "merge_size is 3"),
        (Qwen2, IMAGES, "temporal_patch_size", json!([2]), "a list of frames", "temporal_patch_size is [2]"),
    ];
    // The same in both files.
    let both = [
        (
            "merge_size",
            "spatial_merge_size",
            8192,
            "tokens of too many patches",
            "merge_size is 8192, expected",
        ),
        (
            "temporal_patch_size",
            "temporal_patch_size",
            16384,
            "patches of too many frames",
            "temporal_patch_size is 16384, expected",
        ),
        ("patch_size", "patch_size", 8192, "tokens beyond memory", "patch_size is 8192, merge_size 2"),
    ];
    all.extend(both.map(|(ours, theirs, new, name, says)| {
        Case::new(Qwen2, IMAGES, name, says, move |file| {
            file.set("max_pixels", 1u64 << 40);
            file.set(ours, new);
            file.beside("config.json").set(&format!("vision_config/{theirs}"), new);
        })
    }));
    all.extend(others.map(|(base, path, at, new, name, says)| {
        let case = value(base, path, at, new, name, says);
        // Which of the two files is wrong cannot be known.
        if name == "no tiles at most" { case.naming("config.json") } else { case }
    }));
    all
}
