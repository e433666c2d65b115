//! Where null in `config.json` is something else than an absent key.

use crate::kit::fixture;
use burn::tensor::Device;
use mars_vlm::model::AnyModel;
use serde_json::Value;
use std::fs;

#[test]
fn null_for_key_heads_says_as_many_as_query_heads() {
    for case in [
        "llava/siglip_qwen2",
        "llava/next_llama",
        "llava_onevision/mha_several",
        "qwen2_vl/mha_untied",
        "qwen2_vl/older_mha",
        "qwen3_vl/untied_mha",
        "internvl/stretched",
    ] {
        let dir = tempfile::tempdir().unwrap();
        for name in ["config.json", "model.safetensors"] {
            fs::copy(fixture(case).join(name), dir.path().join(name)).unwrap();
        }
        let file = dir.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let text = &mut config["text_config"];
        let heads = text["num_attention_heads"].as_u64().unwrap() as usize;
        assert_eq!(text["num_key_value_heads"], heads, "{case}");
        text["num_key_value_heads"] = Value::Null;
        fs::write(&file, config.to_string()).unwrap();
        let model = AnyModel::from_dir(dir.path(), &Device::flex()).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(model.sizes().text.kv_heads, heads, "{case}");
    }
}
