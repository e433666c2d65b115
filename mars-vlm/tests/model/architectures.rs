//! Parity with `transformers` and PEFT on tiny random checkpoints
//! (made by the scripts of `tests/oracle` that are named as their folders; `parity.rs` says what is compared).

use crate::kit::fixture;
use crate::parity::{check, check_adapter, processor};
use mars_vlm::processor::Feature;

#[test]
fn llava_onevision_grouped_tied_unpadded() {
    check("llava_onevision/gqa_tied");
}

#[test]
fn llava_onevision_untied_several_images_and_a_reduced_one() {
    let (images, _) = processor(&fixture("llava_onevision/mha_several"));
    let layout = images.layouts(&[(33, 40)]).unwrap().remove(0);
    assert!(layout.tokens.iter().any(|token| matches!(token, Feature::Blend(_))), "nothing is reduced");
    check("llava_onevision/mha_several");
}

#[test]
fn llava_onevision_features_of_an_earlier_layer() {
    check("llava_onevision/mqa_layer");
}

#[test]
fn llava_onevision_features_of_two_layers() {
    check("llava_onevision/two_layers");
}

#[test]
fn llava_onevision_with_an_adapter_of_peft() {
    check_adapter("llava_onevision/gqa_tied", [("llm", 2), ("projector", 3), ("ve", 1)]);
}

#[test]
fn llava_clip_and_llama_grouped_untied_without_the_class_token() {
    check("llava/clip_llama");
}

#[test]
fn llava_clip_with_the_class_token_and_mistral_with_a_window() {
    check("llava/clip_full");
}

#[test]
fn llava_siglip_and_qwen2_tied_several_images() {
    check("llava/siglip_qwen2");
}

#[test]
fn llava_siglip_without_its_first_patch() {
    check("llava/siglip_default");
}

#[test]
fn llava_siglip_and_llama_whose_positions_are_divided() {
    check("llava/siglip_linear");
}

#[test]
fn llava_next_clip_and_mistral_grouped_untied_unpadded() {
    check("llava/next_mistral");
}

#[test]
fn llava_next_clip_and_llama_tied() {
    check("llava/next_llama");
}

#[test]
fn llava_next_siglip_and_qwen2_grouped_tied_several_images() {
    check("llava/next_qwen2");
}

#[test]
fn llava_next_features_of_two_layers_of_single_tiles() {
    check("llava/next_single");
}

#[test]
fn llava_and_llava_next_with_adapters_of_peft() {
    for case in ["llava/clip_llama", "llava/siglip_qwen2", "llava/next_mistral"] {
        check_adapter(case, [("llm", 2), ("projector", 3), ("ve", 1)]);
    }
}

#[test]
fn qwen2_5_vl_windows_tied() {
    check("qwen2_vl/windows_tied");
}

#[test]
fn qwen2_5_vl_untied_without_whole_images() {
    check("qwen2_vl/mha_untied");
}

#[test]
fn qwen2_5_vl_without_merging() {
    check("qwen2_vl/no_merge");
}

#[test]
fn qwen2_5_vl_windows_larger_than_images() {
    check("qwen2_vl/one_head");
}

#[test]
fn qwen2_5_vl_with_an_adapter_of_peft() {
    check_adapter("qwen2_vl/windows_tied", [("llm", 2), ("projector", 3), ("ve", 1)]);
}

#[test]
fn qwen2_vl_tied() {
    check("qwen2_vl/older_tied");
}

#[test]
fn qwen2_vl_untied() {
    check("qwen2_vl/older_mha");
}

#[test]
fn qwen2_vl_grouped_untied_several_images() {
    check("qwen2_vl/older_grouped");
}

#[test]
fn qwen2_vl_tied_without_merging() {
    check("qwen2_vl/older_no_merge");
}

#[test]
fn qwen2_vl_with_an_adapter_of_peft() {
    check_adapter("qwen2_vl/older_tied", [("llm", 2), ("projector", 3), ("ve", 1)]);
}

#[test]
fn qwen3_vl_grouped_tied_with_an_earlier_state_and_the_last() {
    check("qwen3_vl/tied_grouped");
}

#[test]
fn qwen3_vl_untied_with_biases() {
    check("qwen3_vl/untied_mha");
}

#[test]
fn qwen3_vl_three_features_in_another_order_and_several_images() {
    check("qwen3_vl/three_deep");
}

#[test]
fn qwen3_vl_without_merging() {
    check("qwen3_vl/no_merge");
}

#[test]
fn qwen3_vl_without_earlier_states() {
    check("qwen3_vl/plain");
}

#[test]
fn qwen3_vl_with_adapters_of_peft() {
    for case in ["qwen3_vl/tied_grouped", "qwen3_vl/untied_mha"] {
        check_adapter(case, [("llm", 2), ("projector", 3), ("ve", 1)]);
    }
}

#[test]
fn internvl_with_a_qwen2_decoder_grouped_tied() {
    check("internvl/qwen2_tied");
}

#[test]
fn internvl_with_a_qwen3_decoder_untied_and_norms_of_all_heads() {
    check("internvl/qwen3_untied");
}

#[test]
fn internvl_with_tiles_smaller_than_the_table_and_a_last_norm() {
    check("internvl/stretched");
}

#[test]
fn internvl_with_tiles_larger_than_the_table_unmerged() {
    check("internvl/unmerged");
}

#[test]
fn internvl_with_a_llama_decoder_and_whole_images_without_positions() {
    check("internvl/llama_whole");
}

#[test]
fn internvl_with_adapters_of_peft() {
    for case in ["internvl/qwen2_tied", "internvl/qwen3_untied"] {
        check_adapter(case, [("llm", 2), ("projector", 3), ("ve", 1)]);
    }
}

#[test]
fn gemma3_grouped_tied_with_every_second_layer_global() {
    check("gemma3/grouped_local");
}

#[test]
fn gemma3_pictures_longer_than_the_window() {
    check("gemma3/longer_than_window");
}

#[test]
fn gemma3_untied_with_biases_and_caps_that_do_nothing() {
    check("gemma3/untied_mha");
}

#[test]
fn gemma3_local_layers_and_several_pictures() {
    check("gemma3/all_local");
}

#[test]
fn gemma3_with_the_usual_pattern_of_layers() {
    check("gemma3/usual_pattern");
}

#[test]
fn gemma3_with_adapters_of_peft() {
    for case in ["gemma3/grouped_local", "gemma3/longer_than_window", "gemma3/untied_mha"] {
        check_adapter(case, [("llm", 2), ("ve", 1)]);
    }
}
