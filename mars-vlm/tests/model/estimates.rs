//! What estimates know of a model without its caller naming modules.

use burn::tensor::Device;
use mars_lora::{Model, SiteKind, Targets};
use mars_vlm::model::{AnyModel, PassKind, Work};
use std::collections::BTreeMap;
use std::path::Path;

fn models() -> Vec<AnyModel> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let names = [
        "idefics3/gqa_split",
        "llava/clip_llama",
        "llava/next_mistral",
        "llava_onevision/mha_several",
        "qwen2_vl/windows_tied",
        "qwen3_vl/three_deep",
        "internvl/stretched",
        "gemma3/grouped_local",
    ];
    names.map(|name| AnyModel::from_dir(&fixtures.join(name), &Device::flex()).unwrap()).into()
}

#[test]
fn the_ranks_of_a_block_times_its_blocks_are_the_ranks_of_the_module() {
    for model in models() {
        let targets = Targets::default();
        let blocks = model.sizes().blocks();
        let ranks = model.block_ranks(&targets, |module| 3 + module.len());
        assert_eq!(ranks.len(), blocks.len());
        for (module, count) in blocks {
            let own = model.sites().iter().filter(|site| {
                site.module == module && site.kind == SiteKind::Linear && targets.contain(site)
            });
            let own = own.count();
            assert!(count > 0 && own > 0 && own.is_multiple_of(count), "{module}: {own} in {count}");
            assert_eq!(ranks[module] * count, own * (3 + module.len()), "{module}");
        }
    }
}

#[test]
fn adapters_on_the_encoder_need_every_adapters_images_and_others_share_them() {
    for model in models() {
        let images = [mars_vlm::processor::ImageShape {
            tiles: 4,
            features: 4,
            grid: mars_vlm::processor::Grid { rows: 2, cols: 2 },
        }];
        let bytes = |adapters: usize, encoder: usize| {
            let rank = |module: &str| if module == mars_vlm::model::VISION_ENCODER { encoder } else { 0 };
            let ranks: BTreeMap<String, usize> = model.block_ranks(&Targets::default(), rank);
            let work = Work {
                kind: PassKind::Training,
                adapters,
                batch: 2,
                positions: 1,
                answers: 1,
                images: &images,
                ranks: &ranks,
            };
            model.pass_bytes(&work)
        };
        let more = |encoder| bytes(40, encoder) - bytes(4, encoder);
        assert!(more(8) > more(0), "{} {}", more(8), more(0));
    }
}
