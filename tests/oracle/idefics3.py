"""Writes tiny random Idefics3 checkpoints and what `transformers` computes on them.

Usage: python tests/oracle/idefics3.py [--out mars-vlm/tests/fixtures/idefics3] [--check]

Needs torch, transformers (4.57.3 was used) and safetensors. `--check` writes nothing and compares what is there with what
other versions compute (5.24.0: to 2e-5). Every case is one folder that holds an
ordinary Hugging Face checkpoint (`config.json`, `model.safetensors` or shards with an index) and
`expected.safetensors`. In the latter, each sample `s` has

    s.input_ids     i64 [tokens]
    s.pixel_values  f32 [tiles, 3, height, width]   absent for a text-only sample
    s.vision        f32 [tiles, patches, d_vision]  after the post layer norm
    s.connector     f32 [tiles, tokens per tile, d_text]
    s.logits        f32 [tokens, vocabulary]

all computed in f32 with eager attention, one sample at a time (nothing is padded).

Position ids of the vision encoder. A tile of h x w patches takes row floor(i * n / h) and column
floor(j * n / w) of the n x n table of position embeddings; for a full tile (h = w = n) that is the
identity. transformers up to 4.54 and from 5.x computes this, but 4.55 to 4.57 compute it in floating
point with a factor (1 - 1e-6), which in f32 puts every boundary into the bucket below: 0, 0, 1, 2, ...
(transformers issue 41190). The published weights were trained with the identity, so this script
replaces those ids by exact integer ones, and it asserts in the case `odd_grid`, whose grid meets no
boundary, that the replacement changes nothing there.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Idefics3Config, Idefics3ForConditionalGeneration
from transformers.models.idefics3 import modeling_idefics3

PER_CASE = 120_000
IN_ALL = 450_000


def exact_positions(self, pixel_values, patch_attention_mask):
    """Vision embeddings with integer position ids; tiles must be full."""
    assert bool(patch_attention_mask.all()), "only full tiles are made here"
    patches = self.patch_embedding(pixel_values)
    height, width = patches.shape[-2:]
    side = self.num_patches_per_side
    rows = torch.arange(height) * side // height
    columns = torch.arange(width) * side // width
    ids = (rows[:, None] * side + columns[None, :]).flatten()
    return patches.flatten(2).transpose(1, 2) + self.position_embedding(ids)


library_positions = modeling_idefics3.Idefics3VisionEmbeddings.forward


def use_positions(function):
    modeling_idefics3.Idefics3VisionEmbeddings.forward = function


def randomise(model, generator):
    """Every parameter random, norms and biases too, so that none can be forgotten unseen."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                noise = 0.3 * noise + (1.0 if name.endswith("weight") else 0.0)
            elif name.endswith("bias"):
                noise = 0.3 * noise
            elif "embed" in name and "patch" not in name:
                noise = 0.6 * noise
            else:
                fan_in = parameter[0].numel()
                noise = 1.2 * noise / fan_in**0.5
            parameter.copy_(noise)


class Vocabulary:
    """Where a case puts its special tokens; words take ids below `words`."""

    def __init__(self, words, image):
        self.words, self.image = words, image
        self.fake, self.globe, self.end = image + 1, image + 2, image + 3
        self.row_col = image + 4

    def text(self, count, generator):
        return torch.randint(1, self.words, (count,), generator=generator).tolist()

    def one(self, tokens):
        return [self.fake, self.globe] + [self.image] * tokens + [self.fake]

    def split(self, rows, columns, tokens, generator):
        """Image splitting: rows x columns tiles, then the whole image, as the processor writes it."""
        ids = []
        for row in range(rows):
            for column in range(columns):
                ids += [self.fake, self.row_col + row * columns + column]
                ids += [self.image] * tokens
            ids += self.text(1, generator)  # stands for the newline
        return ids + self.text(1, generator) + self.one(tokens)


def vision(**changes):
    base = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                image_size=16, patch_size=4, layer_norm_eps=1e-4)
    return base | changes


def text(**changes):
    base = dict(model_type="llama", hidden_size=20, intermediate_size=28, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, vocab_size=56, rope_theta=5000.0,
                rms_norm_eps=3e-3, max_position_embeddings=256, pad_token_id=0, bos_token_id=1,
                eos_token_id=2)
    return base | changes


def gqa_split(g):
    """Grouped queries, head_dim not hidden / heads, untied head, tiles of a split image."""
    v = Vocabulary(words=40, image=44)
    config = dict(vision_config=vision(), text_config=text(head_dim=8), scale_factor=2,
                  image_token_id=v.image, pad_token_id=0, tie_word_embeddings=False)
    samples = {
        "a": (v.text(3, g) + v.split(1, 2, 4, g) + v.text(7, g) + [v.end], 3, 16),
        "b": (v.text(2, g) + v.one(4) + v.text(4, g) + v.one(4) + v.text(3, g), 2, 16),
    }
    return config, samples, {}


def mha_tied(g):
    """One key head per query head, tied head (none on disk), scale factor 3; one sample is text only.

    `head_dim`, `num_key_value_heads` and `rope_theta` are left out of the file: defaults apply.
    """
    v = Vocabulary(words=0, image=3)
    words = lambda n: [i + 8 for i in torch.randint(0, 40, (n,), generator=g).tolist()]
    config = dict(vision_config=vision(image_size=18, patch_size=3, num_attention_heads=4),
                  text_config=text(hidden_size=24, num_key_value_heads=4, vocab_size=50,
                                   rope_theta=10000.0, rms_norm_eps=1e-6, tie_word_embeddings=True),
                  scale_factor=3, image_token_id=v.image, pad_token_id=0, tie_word_embeddings=True)
    samples = {
        "a": (words(2) + v.one(4) + words(5), 1, 18),
        "b": (words(9), 0, 18),
    }
    return config, samples, {"left_out": ["head_dim", "num_key_value_heads", "rope_theta"]}


def sharded_bf16(g):
    """bf16 on disk in two shards, no pixel shuffle (scale factor 1), one key head, small rope_theta."""
    v = Vocabulary(words=40, image=60)
    config = dict(vision_config=vision(image_size=12, hidden_act="gelu"),
                  text_config=text(num_key_value_heads=1, vocab_size=72, rope_theta=100.0, head_dim=6),
                  scale_factor=1, image_token_id=v.image, pad_token_id=0, tie_word_embeddings=False)
    samples = {
        "a": (v.text(2, g) + v.one(9) + v.text(5, g), 1, 12),
        "b": (v.text(1, g) + v.one(9) + v.text(2, g) + v.one(9) + v.text(4, g), 2, 12),
    }
    return config, samples, {"bf16": True}


def odd_grid(g):
    """Tiles of 4 x 4 patches over a 5 x 5 table of positions."""
    v = Vocabulary(words=40, image=44)
    config = dict(vision_config=vision(image_size=20), text_config=text(hidden_size=24, num_hidden_layers=1),
                  scale_factor=2, image_token_id=v.image, pad_token_id=0, tie_word_embeddings=False)
    samples = {"a": (v.text(2, g) + v.one(4) + v.text(6, g), 1, 16)}
    return config, samples, {"library_agrees": True}


def llama3_bands(g):
    """Rotary positions of Llama 3.1: of the four frequencies one is kept, one is mixed, two are divided."""
    v = Vocabulary(words=40, image=44)
    rope = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}
    config = dict(vision_config=vision(num_hidden_layers=1),
                  text_config=text(head_dim=8, num_hidden_layers=1, vocab_size=48, rope_scaling=rope),
                  scale_factor=2, image_token_id=v.image, pad_token_id=0, tie_word_embeddings=False)
    samples = {"a": (v.text(9, g) + v.one(4) + v.text(20, g), 1, 16), "b": (v.text(50, g), 0, 16)}
    return config, samples, {}


def compute(model, ids, pixels):
    """Logits and the intermediate values of one sample."""
    seen = {}
    hooks = [
        model.model.vision_model.register_forward_hook(
            lambda _m, _i, out: seen.__setitem__("vision", out.last_hidden_state)),
        model.model.connector.register_forward_hook(
            lambda _m, _i, out: seen.__setitem__("connector", out)),
    ]
    with torch.no_grad():
        out = model(input_ids=torch.tensor([ids]),
                    pixel_values=None if pixels is None else pixels[None], use_cache=False)
    for hook in hooks:
        hook.remove()
    result = {"input_ids": torch.tensor(ids), "logits": out.logits[0].float()}
    if pixels is not None:
        result |= {"pixel_values": pixels, "vision": seen["vision"], "connector": seen["connector"]}
    return {name: value.contiguous().clone() for name, value in result.items()}


def reload(folder):
    """What is on disk, as f32; nothing may be missing or left over."""
    model, info = Idefics3ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    return model.eval()


def write(name, build, seed, out):
    generator = torch.Generator().manual_seed(seed)
    config, samples, options = build(generator)
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = Idefics3ForConditionalGeneration(Idefics3Config(**config))
    randomise(model, generator)
    if config["tie_word_embeddings"]:
        model.tie_weights()
        assert model.lm_head.weight is model.model.text_model.embed_tokens.weight
    if options.get("bf16"):
        model.to(torch.bfloat16)
        size = sum(p.numel() * 2 for p in model.parameters())
        model.save_pretrained(folder, max_shard_size=int(size * 0.6))
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        assert len(set(index["weight_map"].values())) == 2
    else:
        model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    file = folder / "config.json"
    written = json.loads(file.read_text())
    for key in options.get("left_out", []):
        del written["text_config"][key]
    file.write_text(json.dumps(written, indent=2) + "\n")
    model = reload(folder)
    expected = {}
    for sample, (ids, tiles, size) in samples.items():
        pixels = None
        if tiles:
            pixels = torch.rand((tiles, 3, size, size), generator=generator) * 2 - 1
            per_tile = ids.count(config["image_token_id"]) / tiles
            patch = config["vision_config"]["patch_size"]
            assert per_tile == (size // patch // config["scale_factor"]) ** 2
        result = compute(model, ids, pixels)
        if options.get("library_agrees"):
            use_positions(library_positions)
            assert torch.equal(compute(model, ids, pixels)["logits"], result["logits"])
            use_positions(exact_positions)
        expected |= {f"{sample}.{key}": value for key, value in result.items()}
    save_file(expected, folder / "expected.safetensors",
              metadata={"made_with": f"transformers {transformers.__version__}, "
                                     f"torch {torch.__version__}, seed {seed}"})
    sizes = {p.name: p.stat().st_size for p in sorted(folder.iterdir())}
    assert sum(sizes.values()) < PER_CASE, (name, sizes)
    spread = {k: round(float(v.std()), 3) for k, v in expected.items() if v.is_floating_point()}
    print(name, "parameters", sum(p.numel() for p in model.parameters()), sizes, "std", spread)
    return sum(sizes.values())


def check(folder):
    """The largest difference of the logits of a case under the version at hand."""
    expected, model, worst = load_file(folder / "expected.safetensors"), reload(folder), 0.0
    for name in [key.removesuffix(".input_ids") for key in expected if key.endswith(".input_ids")]:
        pixels = expected.get(f"{name}.pixel_values")
        with torch.no_grad():
            logits = model(input_ids=expected[f"{name}.input_ids"][None], use_cache=False,
                           pixel_values=None if pixels is None else pixels[None]).logits[0]
        worst = max(worst, float((logits - expected[f"{name}.logits"]).abs().max()))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=Path, default=root / "mars-vlm/tests/fixtures/idefics3")
    parser.add_argument("--check", action="store_true", help="compare what is there")
    args = parser.parse_args()
    out = args.out
    torch.set_num_threads(1)
    if args.check:
        found = {folder.name: check(folder) for folder in sorted(out.iterdir())}
        print(transformers.__version__, found)
        assert max(found.values()) < 1e-4
        return
    use_positions(exact_positions)
    cases = [gqa_split, mha_tied, sharded_bf16, odd_grid, llama3_bands]
    total = sum(write(build.__name__, build, 100 + i, out) for i, build in enumerate(cases))
    assert total < IN_ALL, total
    print("bytes in all", total)


if __name__ == "__main__":
    main()
