"""Adapters between MARS and `peft`, both ways, on tiny random models of several families.

Usage: peft_exchange.py make DIR                   (transformers 4.57: models, and the lists of their layers)
       cargo run -p mars-vlm --example adapters_on_disk ...    (once for each DIR/FAMILY; printed by `make`)
       peft_exchange.py check DIR --mars BINARY    (each version of transformers and peft)

`make` writes DIR/FAMILY/base and DIR/FAMILY/sites.json. `check` then, with the versions that it runs under,

* loads every adapter in DIR/FAMILY/adapters, which MARS wrote, with `PeftModel.from_pretrained` and with the model's own
  `load_adapter`, and compares the number of tensors, every scale, and every weight after `merge_and_unload` with
  W + s B A (or DoRA's weight) computed in float64 from the truth beside it; no warning about keys is allowed;
* lets `mars merge` merge it, loads that directory, and compares all weights with those that `peft` merged;
* writes adapters with `peft`, lets `mars merge` merge them, and compares likewise; `mars verify` must accept them.

Prints a Markdown table, and ends with status 1 at the first difference.
"""

import argparse
import copy
import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file

TOLERANCE = 1e-6


def idefics3():
    text = dict(model_type="llama", hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
                num_key_value_heads=2, vocab_size=90, pad_token_id=0)
    vision = dict(hidden_size=20, intermediate_size=36, num_hidden_layers=2, num_attention_heads=2, image_size=16,
                  patch_size=4)
    config = transformers.Idefics3Config(text_config=text, vision_config=vision, scale_factor=2, image_token_id=80,
                                         tie_word_embeddings=False)
    return transformers.Idefics3ForConditionalGeneration(config)


def llava(config_class, model_class, decoder, **more):
    text = dict(model_type=decoder, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
                num_key_value_heads=2, vocab_size=90)
    vision = dict(model_type="clip_vision_model", hidden_size=20, intermediate_size=36, num_hidden_layers=2,
                  num_attention_heads=2, image_size=16, patch_size=4, projection_dim=8)
    config = config_class(text_config=text, vision_config=vision, image_token_index=80, tie_word_embeddings=False, **more)
    return model_class(config)


def llava_1_5():
    return llava(transformers.LlavaConfig, transformers.LlavaForConditionalGeneration, "llama")


def llava_next():
    return llava(transformers.LlavaNextConfig, transformers.LlavaNextForConditionalGeneration, "mistral",
                 image_grid_pinpoints=[[16, 16]])


def llava_onevision():
    text = dict(model_type="qwen2", hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
                num_key_value_heads=2, vocab_size=90)
    vision = dict(model_type="siglip_vision_model", hidden_size=20, intermediate_size=36, num_hidden_layers=2,
                  num_attention_heads=2, image_size=16, patch_size=4, vision_use_head=False)
    config = transformers.LlavaOnevisionConfig(text_config=text, vision_config=vision, image_token_index=80,
                                               video_token_index=81, image_grid_pinpoints=[[16, 16]],
                                               tie_word_embeddings=False)
    return transformers.LlavaOnevisionForConditionalGeneration(config)


def qwen2_5_vl():
    text = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                vocab_size=90, rope_scaling={"type": "mrope", "mrope_section": [1, 1, 1]}, tie_word_embeddings=False)
    vision = dict(depth=2, hidden_size=16, intermediate_size=28, num_heads=2, out_hidden_size=24, patch_size=4,
                  window_size=16, fullatt_block_indexes=[1])
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, image_token_id=80, video_token_id=81,
                                           vision_start_token_id=82, vision_end_token_id=83, tie_word_embeddings=False)
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def qwen3_vl():
    text = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                head_dim=8, vocab_size=90, rope_scaling={"rope_type": "default", "mrope_section": [2, 1, 1]})
    vision = dict(depth=2, hidden_size=16, intermediate_size=28, num_heads=2, out_hidden_size=24, patch_size=4,
                  num_position_embeddings=16, deepstack_visual_indexes=[0, 1])
    config = transformers.Qwen3VLConfig(text_config=text, vision_config=vision, image_token_id=80, video_token_id=81,
                                        vision_start_token_id=82, vision_end_token_id=83, tie_word_embeddings=False)
    return transformers.Qwen3VLForConditionalGeneration(config)


def gemma3():
    text = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                head_dim=8, vocab_size=90, sliding_window=4, sliding_window_pattern=2, tie_word_embeddings=False)
    vision = dict(hidden_size=20, intermediate_size=36, num_hidden_layers=2, num_attention_heads=2, image_size=16,
                  patch_size=4, vision_use_head=False)
    config = transformers.Gemma3Config(text_config=text, vision_config=vision, image_token_index=80, boi_token_index=81,
                                       eoi_token_index=82, mm_tokens_per_image=4, tie_word_embeddings=False)
    return transformers.Gemma3ForConditionalGeneration(config)


def internvl():
    text = dict(model_type="qwen3", hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
                num_key_value_heads=2, head_dim=8, vocab_size=90)
    vision = dict(hidden_size=20, intermediate_size=36, num_hidden_layers=2, num_attention_heads=2, image_size=[16, 16],
                  patch_size=[4, 4], attention_bias=True)
    config = transformers.InternVLConfig(text_config=text, vision_config=vision, image_token_id=80,
                                         tie_word_embeddings=False)
    return transformers.InternVLForConditionalGeneration(config)


FAMILIES = {"idefics3": idefics3, "llava": llava_1_5, "llava_next": llava_next, "llava_onevision": llava_onevision, "qwen2_5_vl": qwen2_5_vl,
            "qwen3_vl": qwen3_vl, "internvl": internvl, "gemma3": gemma3}
CLASSES = {
    "idefics3": transformers.Idefics3ForConditionalGeneration,
    "llava": transformers.LlavaForConditionalGeneration,
    "llava_next": transformers.LlavaNextForConditionalGeneration,
    "llava_onevision": transformers.LlavaOnevisionForConditionalGeneration,
    "qwen2_5_vl": transformers.Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": transformers.Qwen3VLForConditionalGeneration,
    "internvl": transformers.InternVLForConditionalGeneration,
    "gemma3": transformers.Gemma3ForConditionalGeneration,
}
PARTS = [
    ("projector", r"connector\.|multi_modal_projector\.|visual\.(merger|deepstack_merger_list)\."),
    ("ve", r"vision_model\.|vision_tower\.|visual\."),
    ("llm", r"text_model\.|language_model\."),
]

# Adapters that `peft` writes; {ve} is the name of the vision tower, {llm} that of the language model.
WRITTEN = {
    "list": dict(r=4, lora_alpha=7, target_modules=["q_proj", "v_proj", "gate_proj", "fc1"]),
    "rslora-regex": dict(r=3, lora_alpha=4, use_rslora=True, target_modules=r"(?!.*{ve}).*layers\.[02]\..*_proj"),
    "rank_pattern": dict(r=2, lora_alpha=3, target_modules=["q_proj", "down_proj", "fc2"],
                         rank_pattern={r"layers\.1\..*\.q_proj": 4, r"{llm}\..*\.down_proj": 3},
                         alpha_pattern={r"{llm}\..*": 5}),
    "all-linear-dora": dict(r=2, lora_alpha=4, use_dora=True, target_modules="all-linear"),
    "layers-exclude": dict(r=2, lora_alpha=4, target_modules=["q_proj", "k_proj", "up_proj", "fc1"],
                           layers_to_transform=[0, 1], layers_pattern=["layers", "blocks"], exclude_modules=["k_proj"]),
    "embedding-convolution": dict(r=2, lora_alpha=5,
                                  target_modules=["embed_tokens", "patch_embedding", "projection", "up_proj"]),
}


def fail(message):
    print("error:", message, file=sys.stderr)
    sys.exit(1)


def make(directory):
    directory.mkdir(parents=True, exist_ok=True)
    for name, build in FAMILIES.items():
        torch.manual_seed(5)
        model = build().eval()
        for parameter in model.parameters():
            parameter.data.normal_(0.0, 0.5)
        folder = directory / name
        shutil.rmtree(folder, ignore_errors=True)
        # Shards, so that merging meets an index.
        model.save_pretrained(folder / "base", max_shard_size="60KB")
        sites, others = [], []
        for path, module in model.named_modules():
            part = next((part for part, place in PARTS if re.search(place, path)), None)
            site = {"path": path, "module": part}
            if not path:
                continue
            if isinstance(module, torch.nn.Linear) and part and not path.endswith("lm_head"):
                sites.append(site | {"kind": "linear", "inputs": module.in_features, "outputs": module.out_features})
            elif isinstance(module, torch.nn.Embedding) and path.endswith("embed_tokens"):
                sites.append(site | {"kind": "embedding", "inputs": module.num_embeddings,
                                     "outputs": module.embedding_dim})
            elif isinstance(module, torch.nn.Conv2d):
                kernel = list(module.weight.shape[1:])
                sites.append(site | {"kind": "convolution", "inputs": module.weight[0].numel(),
                                     "outputs": module.out_channels, "kernel": kernel})
            else:
                others.append(path)
        (folder / "sites.json").write_text(json.dumps({"sites": sites, "others": others}, indent=1))
        print(f"cargo run -p mars-vlm --example adapters_on_disk -- {folder}/base {folder}/sites.json {folder}/adapters")


def base_model(folder):
    return CLASSES[folder.name].from_pretrained(folder / "base", dtype=torch.float32).eval()


def parameters(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def own_name(path, known):
    """A 4.57 module path in the running version."""
    for name in (path, path.replace(".vision_tower.vision_model.", ".vision_tower.")):
        if name in known:
            return name
    fail(f"no module {path}")


def expected_weights(base, truth_file, told):
    """The weight of each adapted module, in float64."""
    truth, expected = load_file(truth_file), {}
    modules = dict(base.named_modules())
    for path, facts in told.items():
        name = own_name(path, modules)
        weight = modules[name].weight.detach().double()
        product = facts["scale"] * truth[f"{path}.b"].double() @ truth[f"{path}.a"].double()
        if isinstance(modules[name], torch.nn.Embedding):
            product = product.T
        changed = weight + product.reshape(weight.shape)
        if f"{path}.m" in truth:
            flat = changed.flatten(1)
            factor = truth[f"{path}.m"].double() / flat.norm(dim=1)
            changed = (factor[:, None] * flat).reshape(weight.shape)
        expected[f"{name}.weight"] = changed
    return expected


def largest(one, other, names=None):
    if names is None:
        if set(one) != set(other):
            fail(f"different parameters: {sorted(set(one) ^ set(other))[:6]}")
        names = one
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in names)


def quietly(action):
    """Runs an action that may not warn about keys."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = action()
    about_keys = [str(w.message) for w in caught if re.search(r"missing|unexpected|mismatch", str(w.message), re.I)]
    if about_keys:
        fail(about_keys[0][:500])
    return result


def stored_count(directory):
    with safe_open(directory / "adapter_model.safetensors", "pt") as file:
        return len(list(file.keys()))


def run(mars, *arguments):
    done = subprocess.run([mars, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        fail(f"mars {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def merged_by_mars(mars, adapter, folder):
    out = folder / "merged.tmp"
    shutil.rmtree(out, ignore_errors=True)
    run(mars, "merge", adapter, folder / "base", "--out", out)
    model, info = CLASSES[folder.name].from_pretrained(out, dtype=torch.float32, output_loading_info=True)
    problems = {key: value for key, value in info.items() if value}
    if problems:
        fail(f"{adapter}: merged by mars: {problems}")
    weights = parameters(model)
    shutil.rmtree(out)
    return weights


def check_written_by_mars(folder, case, layout, mars):
    directory = folder / "adapters" / f"{case}-{layout}"
    told = json.loads((folder / "adapters" / f"{case}.truth.json").read_text())
    base = base_model(folder)
    before = parameters(base)
    expected = expected_weights(base, folder / "adapters" / f"{case}.truth.safetensors", told)
    count = stored_count(directory)
    model = quietly(lambda: PeftModel.from_pretrained(base, directory))
    scales = {}
    for name, module in model.base_model.model.named_modules():
        if isinstance(getattr(module, "scaling", None), dict) and module.scaling:
            scales[name] = module.scaling["default"]
    loaded = sum(1 for name, _ in model.named_parameters() if "lora_" in name)
    if not (count == loaded and len(scales) == len(told)):
        fail(f"{directory}: {count} tensors, {loaded} loaded, {len(scales)} of {len(told)} modules")
    if layout == "pattern":
        for path, facts in told.items():
            scale = scales[own_name(path, scales)]
            if abs(scale - facts["scale"]) > 1e-9:
                fail(f"{directory}: {path}: scale {scale} instead of {facts['scale']}")
    merged = parameters(model.merge_and_unload())
    difference = largest(merged, expected, expected)
    untouched = [name for name in merged if name not in expected]
    if difference > TOLERANCE or largest(merged, before, untouched) != 0.0:
        fail(f"{directory}: merged weights differ by {difference}")

    native = base_model(folder)
    quietly(lambda: native.load_adapter(str(directory)))
    found = sum(1 for name, _ in native.named_parameters() if "lora_" in name)
    active = [m for m in native.modules() if getattr(m, "scaling", None) and hasattr(m, "merge")]
    for module in active:
        module.merge()
    weights = {name.replace(".base_layer.", "."): value for name, value in native.state_dict().items()}
    own = largest(weights, expected, expected)
    if found != count or len(active) != len(told) or own > TOLERANCE:
        fail(f"{directory}: load_adapter: {found} of {count} tensors, difference {own}")

    by_mars = largest(merged_by_mars(mars, directory, folder), merged)
    if by_mars > TOLERANCE:
        fail(f"{directory}: mars merge differs by {by_mars}")
    return count, difference, own, by_mars


def check_written_by_peft(folder, case, settings, mars):
    base = base_model(folder)
    vision = {"idefics3": "vision_model", "qwen2_5_vl": "visual", "qwen3_vl": "visual"}
    vision = vision.get(folder.name, "vision_tower")
    language = "text_model" if folder.name == "idefics3" else "language_model"

    def named(value):
        if isinstance(value, str):
            return value.replace("{ve}", vision).replace("{llm}", language)
        if isinstance(value, dict):
            return {named(key): item for key, item in value.items()}
        return value

    torch.manual_seed(3)
    model = get_peft_model(base, LoraConfig(**{key: named(value) for key, value in settings.items()}))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            low, high = (0.5, 1.5) if "magnitude" in name else (-0.2, 0.2)
            parameter.data.uniform_(low, high)
    directory = folder / "peft.tmp"
    shutil.rmtree(directory, ignore_errors=True)
    model.save_pretrained(directory, save_embedding_layers=False)
    count = stored_count(directory)
    verified = json.loads(run(mars, "verify", directory, folder / "base", "--json"))
    if verified["tensors"] != count:
        fail(f"{case}: mars verify counts {verified['tensors']} of {count} tensors")
    merged = parameters(model.merge_and_unload())
    difference = largest(merged_by_mars(mars, directory, folder), merged)
    shutil.rmtree(directory)
    if difference > TOLERANCE:
        fail(f"{folder.name} {case}: mars merge differs from peft by {difference}")
    return count, difference


def check(directory, mars):
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    versions = f"transformers {transformers.__version__}, peft {peft.__version__}"
    print(f"\nWritten by MARS, loaded by {versions}:\n")
    print("| family | adapter | layout | tensors | merged, `PeftModel` | merged, `load_adapter` | `mars merge` |")
    print("|---|---|---|---|---|---|---|")
    for family in FAMILIES:
        folder = directory / family
        for truth in sorted((folder / "adapters").glob("*.truth.json")):
            case = truth.name.removesuffix(".truth.json")
            for layout in ("pattern", "uniform"):
                count, *differences = check_written_by_mars(folder, case, layout, mars)
                row = " | ".join(f"{difference:.1e}" for difference in differences)
                print(f"| {family} | {case} | {layout} | {count} | {row} |", flush=True)
    print(f"\nWritten by {versions}, merged by MARS:\n")
    print("| family | adapter | tensors | `mars merge` |\n|---|---|---|---|")
    for family in FAMILIES:
        for case, settings in WRITTEN.items():
            count, difference = check_written_by_peft(directory / family, case, settings, mars)
            print(f"| {family} | {case} | {count} | {difference:.1e} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["make", "check"])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--mars", default="target/debug/mars")
    args = parser.parse_args()
    if args.action == "make":
        make(args.directory)
    else:
        check(args.directory, args.mars)


if __name__ == "__main__":
    main()
