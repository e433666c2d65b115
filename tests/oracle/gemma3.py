"""Writes tiny random Gemma 3 checkpoints and what `transformers` computes on them.

Usage: HF_HUB_OFFLINE=1 python tests/oracle/gemma3.py [--out mars-vlm/tests/fixtures/gemma3] [--check]

Needs torch, transformers, peft (0.18.1 was used) and safetensors. `tiny.py` says what is written; `s.pixel_values` are whole
pictures, so that no resize is needed.

A picture longer than the sliding window is seen whole by 4.57.3 in the layers that slide, and no farther back than the
window by later versions (transformers 46850), which is followed. So the script makes the case `longer_than_window` under
transformers 5 (5.24.0 was used) and all others under 4 (4.57.3). `--check` writes nothing and compares what is there with
what the versions at hand compute: 5.24.0 gives every case to 1e-5, 4.57.3 all but that one.

Soft caps: both versions keep `attn_logit_softcapping` and never pass it on, and apply `final_logit_softcapping` only in
`Gemma3ForCausalLM`, the model without pictures. The case `untied_mha` has both settings, and asserts that they do nothing.
"""

import argparse
import copy
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny import adapt, answers, compute, load, randomise, save, write
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

IN_ALL = 600_000
IMAGE, START, END = 37, 38, 39
PATCH = 2
NEWER = transformers.__version__ >= "5"


def vision(**changes):
    base = dict(hidden_size=12, intermediate_size=14, num_hidden_layers=2, num_attention_heads=2, image_size=8,
                patch_size=PATCH, layer_norm_eps=1e-3, vision_use_head=False)
    return base | changes


def text(**changes):
    base = dict(hidden_size=16, intermediate_size=18, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
                head_dim=12, vocab_size=40, rms_norm_eps=1e-3, max_position_embeddings=512, query_pre_attn_scalar=12,
                sliding_window=4, rope_theta=5000.0, rope_local_base_freq=100.0, pad_token_id=0, bos_token_id=2,
                eos_token_id=1)
    return base | changes


# Case: configuration, the numbers of pictures of its samples, and how it is made and stored.
CASES = {
    # Grouped queries, tied; every second layer global, whose positions are stretched; a window longer than a picture and
    # shorter than the text; another scale of queries than their width.
    "grouped_local": (
        dict(vision_config=vision(), mm_tokens_per_image=4,
             text_config=text(num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_hidden_layers=4,
                              sliding_window_pattern=2, sliding_window=6, query_pre_attn_scalar=20,
                              rope_scaling={"rope_type": "linear", "factor": 8.0})),
        {"one": 1, "two": 2, "words": 0},
        {"adapter": True, "embedding": True},
    ),
    # Pictures of 16 tokens before a window of 5; layers named one by one; files of transformers 5.
    "longer_than_window": (
        dict(vision_config=vision(), mm_tokens_per_image=16,
             text_config=text(layer_types=["sliding_attention", "full_attention", "sliding_attention"], sliding_window=5)),
        {"one": 1, "two": 2, "words": 0},
        {"adapter": True, "newer": True},
    ),
    # One key head per query head, biases, untied; all layers global; soft caps; an encoder with its head.
    "untied_mha": (
        dict(vision_config=vision(num_attention_heads=1, vision_use_head=True), mm_tokens_per_image=1,
             text_config=text(num_attention_heads=4, num_key_value_heads=4, head_dim=6, attention_bias=True,
                              sliding_window_pattern=1, num_hidden_layers=2, tie_word_embeddings=False,
                              attn_logit_softcapping=0.5, final_logit_softcapping=0.5)),
        {"one": 1, "first": 1},
        {"adapter": True},
    ),
    # Six query heads for two key heads; all layers local, a window as long as a picture; several pictures; another
    # activation, and a feature map of which every ninth part is one token.
    "all_local": (
        dict(vision_config=vision(image_size=13, num_hidden_layers=1), mm_tokens_per_image=4,
             text_config=text(hidden_size=24, num_attention_heads=6, num_key_value_heads=2, head_dim=8,
                              layer_types=["sliding_attention"] * 3, hidden_activation="gelu")),
        {"four": 4, "words": 0},
        {},
    ),
    # The default pattern, one global layer in six; a window of one token, and pictures of one.
    "usual_pattern": (
        dict(vision_config=vision(image_size=4), mm_tokens_per_image=1,
             text_config=text(num_attention_heads=1, num_hidden_layers=7, intermediate_size=8, sliding_window=1,
                              query_pre_attn_scalar=5)),
        {"three": 3, "words": 0},
        {},
    ),
}


def processor_files(folder, side, tokens):
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "Gemma3ImageProcessor", "size": {"height": side, "width": side}, "resample": 2,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_pan_and_scan": None, "image_seq_length": tokens}))
    (folder / "processor_config.json").write_text(json.dumps({"image_seq_length": tokens}))


def draw(sample, pictures, side, tokens, generator):
    """A sample about this number of pictures, and the model's inputs beside its ids."""
    words = lambda count: torch.randint(3, IMAGE, (count,), generator=generator).tolist()
    ids = words(0 if sample == "first" else 3)
    for _ in range(pictures):
        ids += [START] + [IMAGE] * tokens + [END] + words(2)
    ids += words(9)
    entry = {"input_ids": torch.tensor(ids), "answers": answers(ids, IMAGE, generator)}
    if pictures:
        entry |= {"image_sizes": torch.full((pictures, 2), side),
                  "pixel_values": torch.randn((pictures, 3, side, side), generator=generator)}
    return entry, inputs(entry["input_ids"], entry.get("pixel_values"))


def inputs(ids, pixels):
    """What the processor gives beside the ids."""
    beside = {"attention_mask": torch.ones_like(ids)[None], "token_type_ids": (ids == IMAGE).long()[None]}
    return beside if pixels is None else beside | {"pixel_values": pixels}


def centred(model, generator):
    """Every parameter random; the weights of Gemma's norms are what is added to 1."""
    randomise(model, generator)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and "vision_tower" not in name:
                parameter.sub_(1.0)


def own(name):
    """A path of 4.57 as the version at hand spells it."""
    return name.replace(".vision_tower.vision_model.", ".vision_tower.") if NEWER else name


def features(model, pixels):
    found = model.model.get_image_features(pixels)
    return (found.pooler_output if NEWER else found).flatten(0, 1)


def without_caps(folder, expected, all_inputs):
    """Makes sure that the settings of soft caps change nothing."""
    config = Gemma3Config.from_pretrained(folder)
    config.text_config.attn_logit_softcapping = config.text_config.final_logit_softcapping = None
    model = Gemma3ForConditionalGeneration.from_pretrained(
        folder, config=config, dtype=torch.float32, attn_implementation="eager").eval()
    for name, sample in expected.items():
        with torch.no_grad():
            logits = model(input_ids=sample["input_ids"][None], use_cache=False, **all_inputs[name]).logits[0]
        assert torch.equal(logits, sample["logits"]), name


def make(name, seed, out):
    config, samples, options = CASES[name]
    generator = torch.Generator().manual_seed(seed)
    folder = out / name
    side, tokens = config["vision_config"]["image_size"], config["mm_tokens_per_image"]
    tied = config["text_config"].get("tie_word_embeddings", True)
    config = dict(copy.deepcopy(config), image_token_index=IMAGE, boi_token_index=START, eoi_token_index=END,
                  tie_word_embeddings=tied)
    model = Gemma3ForConditionalGeneration(Gemma3Config(**config))
    centred(model, generator)
    model.tie_weights()
    save(model, folder)
    model = load(Gemma3ForConditionalGeneration, folder)
    processor_files(folder, side, tokens)
    expected, all_inputs = {}, {}
    for sample, pictures in samples.items():
        entry, beside = draw(sample, pictures, side, tokens, generator)
        found = None
        if pictures and not expected:
            with torch.no_grad():
                found = features(model, entry["pixel_values"])
        expected[sample] = compute(model, entry, beside, found, ("rotary_emb_local", "vision_model.head"))
        all_inputs[sample] = beside
    if config["text_config"].get("final_logit_softcapping"):
        without_caps(folder, expected, all_inputs)
    if options.get("adapter"):
        targets = r".*(vision_tower\..*encoder\..*(_proj|fc[12])|language_model.*_proj)"
        ranks = {"": (2, 4), r"vision_tower\..*": (1, 4)}
        adapt(model, folder, expected, all_inputs, ranks, targets)
    if options.get("embedding"):
        embedding(folder, expected, all_inputs)
    return write(folder, expected)


def embedding(folder, expected, all_inputs):
    """An adapter on the embeddings and the patches, whose part of the embeddings is scaled as they are: its logits."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(6)
    config = LoraConfig(r=2, lora_alpha=3, target_modules=["embed_tokens", "patch_embedding"])
    model = get_peft_model(load(Gemma3ForConditionalGeneration, folder), config).eval()
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data.normal_(0.0, 0.3)
    out = {}
    for name, sample in expected.items():
        with torch.no_grad():
            logits = model(input_ids=sample["input_ids"][None], use_cache=False, **all_inputs[name]).logits[0]
        assert (logits - sample["logits"]).abs().max() > 0.1
        out[f"{name}.logits"] = logits.clone()
    model.peft_config["default"].base_model_name_or_path = folder.name
    model.save_pretrained(folder / "embedding", save_embedding_layers=False)
    (folder / "embedding/README.md").unlink(missing_ok=True)
    save_file(out, folder / "embedding.safetensors")


def check(folder):
    """The largest difference of the logits of a case, with and without its adapter, under the versions at hand."""
    from peft import PeftConfig, get_peft_model, set_peft_model_state_dict

    expected, file = load_file(folder / "expected.safetensors"), folder / "adapter.safetensors"
    model, worst = load(Gemma3ForConditionalGeneration, folder), 0.0
    for wanted in [expected] + ([load_file(file)] if file.exists() else []):
        if wanted is not expected:
            model = get_peft_model(model, PeftConfig.from_pretrained(folder / "adapter")).eval()
            factors = load_file(folder / "adapter/adapter_model.safetensors")
            set_peft_model_state_dict(model, {own(name): factor for name, factor in factors.items()})
        for name in [key.removesuffix(".input_ids") for key in expected if key.endswith(".input_ids")]:
            ids = expected[f"{name}.input_ids"]
            with torch.no_grad():
                beside = inputs(ids, expected.get(f"{name}.pixel_values"))
                logits = model(input_ids=ids[None], use_cache=False, **beside).logits[0]
            worst = max(worst, float((logits - wanted[f"{name}.logits"]).abs().max()))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=Path, default=root / "mars-vlm/tests/fixtures/gemma3")
    parser.add_argument("--check", action="store_true", help="compare what is there")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.check:
        found = {name: check(args.out / name) for name in CASES if NEWER or not CASES[name][2].get("newer")}
        print(transformers.__version__, found)
        assert max(found.values()) < 1e-4
        return
    for n, (name, (*_, options)) in enumerate(CASES.items()):
        if options.get("newer", False) == NEWER:
            make(name, 700 + n, args.out)
    total = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    print("bytes in all", total)
    assert total < IN_ALL, total


if __name__ == "__main__":
    main()
