"""Writes tiny random checkpoints as transformers 5 writes them, whole folders, and the losses that it computes on them.

Usage: HF_HUB_OFFLINE=1 python tests/oracle/transformers5.py [--out mars-vlm/tests/fixtures/transformers5]

Needs torch, transformers 5 (5.24.0 was used), pillow, tokenizers and safetensors, and the images of
`mars-vlm/tests/oracle/processor.py`. Each case is what `save_pretrained` of model and processor leave: `dtype` and
`rope_parameters` in `config.json`, the image processor inside of `processor_config.json`, `chat_template.jinja`, a
tokenizer of the class `TokenizersBackend`. `expected.json` has for each conversation its token ids, 1 on what is to be
generated, and the mean cross-entropy of that, in f32 with eager attention and with image processors of Pillow.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
import transformers

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "mars-vlm/tests/oracle"))

from idefics3 import randomise  # noqa: E402
from processor import CHATS, OUT as PROCESSOR, SPECIAL, TEMPLATE, paths, tokenizer  # noqa: E402
from transformers.image_utils import load_image  # noqa: E402
from transformers.models.smolvlm import processing_smolvlm  # noqa: E402

IN_ALL = 700_000
KEYS = ["square", "wide", "tiny", "two_images", "text_only"]
TILE, PATCH = 16, 4
CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]
QWEN = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
        "<|video_pad|>"]
POINTS = [[TILE * r, TILE * c] for r, c in [(1, 2), (2, 1), (2, 2), (1, 1)]]


def template(image):
    """The form of ChatML with `image` for an image."""
    return ("{% for turn in messages %}{{ '<|im_start|>' + turn.role + '\\n' }}{% for part in turn.content %}"
            f"{{% if part.type == 'image' %}}{{{{ '{image}' }}}}{{% else %}}{{{{ part.text }}}}{{% endif %}}"
            "{% endfor %}{{ '<|im_end|>\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def text(kind, fast, **changes):
    base = dict(model_type=kind, hidden_size=16, intermediate_size=18, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, vocab_size=len(fast), rms_norm_eps=1e-3, max_position_embeddings=512,
                rope_parameters={"rope_theta": 5000.0, "rope_type": "default"}, tie_word_embeddings=True,
                pad_token_id=0, bos_token_id=1, eos_token_id=2)
    return base | changes


def vision(kind, **changes):
    base = dict(model_type=kind, hidden_size=12, intermediate_size=14, num_hidden_layers=2, num_attention_heads=2,
                image_size=TILE, patch_size=PATCH, layer_norm_eps=1e-4)
    return base | changes


def qwen2_5_vl(folder):
    from transformers import (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor,
                              Qwen2VLImageProcessorPil, Qwen2VLVideoProcessor)

    fast = tokenizer(folder, QWEN, "<|im_end|>")
    images = Qwen2VLImageProcessorPil(patch_size=PATCH, merge_size=2, size={"shortest_edge": 192, "longest_edge": 900})
    made = Qwen2_5_VLProcessor(images, fast, Qwen2VLVideoProcessor(),
                               chat_template=template("<|vision_start|><|image_pad|><|vision_end|>"))
    rope = {"rope_theta": 5000.0, "rope_type": "default", "mrope_section": [1, 1, 1]}
    sides = dict(depth=2, hidden_size=8, intermediate_size=14, num_heads=2, patch_size=PATCH, spatial_merge_size=2,
                 temporal_patch_size=2, window_size=16, fullatt_block_indexes=[1], out_hidden_size=16)
    ids = {f"{name}_token_id": fast.convert_tokens_to_ids(f"<|{name}{tail}|>") for name, tail in
           [("image", "_pad"), ("video", "_pad"), ("vision_start", ""), ("vision_end", "")]}
    decoder = text("qwen2_5_vl_text", fast, head_dim=None, num_attention_heads=2, hidden_size=12, rope_parameters=rope)
    config = Qwen2_5_VLConfig(vision_config=sides | {"out_hidden_size": 12}, text_config=decoder,
                              tie_word_embeddings=True, **ids)
    return Qwen2_5_VLForConditionalGeneration(config), made, "<|im_end|>"


def llava_onevision(folder):
    from transformers import (LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration,
                              LlavaOnevisionImageProcessorPil, LlavaOnevisionProcessor, LlavaOnevisionVideoProcessor)

    fast = tokenizer(folder, CHATML, "<|im_end|>")
    images = LlavaOnevisionImageProcessorPil(size={"height": TILE, "width": TILE}, image_grid_pinpoints=POINTS)
    made = LlavaOnevisionProcessor(images, fast, LlavaOnevisionVideoProcessor(), num_image_tokens=(TILE // PATCH) ** 2,
                                   vision_feature_select_strategy="full", chat_template=template("<image>"))
    config = LlavaOnevisionConfig(
        vision_config=vision("siglip_vision_model", vision_use_head=False), text_config=text("qwen2", fast),
        image_token_index=fast.convert_tokens_to_ids("<image>"), image_grid_pinpoints=POINTS,
        video_token_index=fast.convert_tokens_to_ids("<video>"), tie_word_embeddings=True)
    return LlavaOnevisionForConditionalGeneration(config), made, "<|im_end|>"


def llava_next(folder):
    from transformers import (LlavaNextConfig, LlavaNextForConditionalGeneration, LlavaNextImageProcessorPil,
                              LlavaNextProcessor)

    fast = tokenizer(folder, CHATML, "<|im_end|>")
    images = LlavaNextImageProcessorPil(size={"shortest_edge": TILE}, crop_size={"height": TILE, "width": TILE},
                                        image_grid_pinpoints=POINTS)
    made = LlavaNextProcessor(images, fast, patch_size=PATCH, vision_feature_select_strategy="default",
                              num_additional_image_tokens=1, chat_template=template("<image>"))
    config = LlavaNextConfig(
        vision_config=vision("clip_vision_model", projection_dim=8), image_grid_pinpoints=POINTS,
        text_config=text("mistral", fast, tie_word_embeddings=False, sliding_window=None),
        image_token_index=fast.convert_tokens_to_ids("<image>"), tie_word_embeddings=False)
    return LlavaNextForConditionalGeneration(config), made, "<|im_end|>"


def smolvlm(folder):
    from transformers import (SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMImageProcessorPil,
                              SmolVLMProcessor, SmolVLMVideoProcessor)

    # Words for numbers are needed for videos only.
    processing_smolvlm.num2words = processing_smolvlm.num2words or str
    fast = tokenizer(folder, SPECIAL + ["<video>"])
    images = SmolVLMImageProcessorPil(size={"longest_edge": 3 * TILE}, max_image_size={"longest_edge": TILE})
    made = SmolVLMProcessor(images, fast, SmolVLMVideoProcessor(), image_seq_len=4, chat_template=TEMPLATE)
    config = SmolVLMConfig(
        vision_config=vision("smolvlm_vision"), text_config=text("llama", fast, tie_word_embeddings=False),
        scale_factor=2, image_token_id=fast.convert_tokens_to_ids("<image>"), pad_token_id=0, tie_word_embeddings=False)
    return SmolVLMForConditionalGeneration(config), made, "<end_of_utterance>"


CASES = [qwen2_5_vl, llava_onevision, llava_next, smolvlm]


def encode(made, prompt, chat):
    pictures = [load_image(str(PROCESSOR / "images" / path)) for path in paths(chat)]
    return made(text=[prompt], images=[pictures] if pictures else None, return_tensors="pt")


def mask(made, chat, whole, end):
    """1 on what follows the generation prompts, through the end of the turn."""
    end, marks = made.tokenizer.convert_tokens_to_ids(end), [0] * len(whole)
    for k, turn in enumerate(chat):
        if turn["role"] == "assistant":
            prompt = made.apply_chat_template(chat[:k], add_generation_prompt=True)
            ids = encode(made, prompt, chat[:k])["input_ids"][0].tolist()
            assert whole[: len(ids)] == ids
            for at in range(len(ids), whole.index(end, len(ids)) + 1):
                marks[at] = 1
    return marks


def make(build, seed, out):
    generator = torch.Generator().manual_seed(seed)
    folder = out / build.__name__
    shutil.rmtree(folder, ignore_errors=True)
    model, made, end = build(folder)
    randomise(model, generator)
    model.tie_weights()
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    for name in ["generation_config.json", "special_tokens_map.json"]:
        (folder / name).unlink(missing_ok=True)
    assert not (folder / "preprocessor_config.json").exists()
    model, info = type(model).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                              output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    expected = {}
    for key in KEYS:
        chat = CHATS[key]
        inputs = encode(made, made.apply_chat_template(chat), chat)
        ids = inputs["input_ids"][0]
        answer = torch.tensor(mask(made, chat, ids.tolist(), end)).bool()
        with torch.no_grad():
            logits = model.eval()(**inputs, use_cache=False).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1][answer[1:]], ids[answer])
        expected[key] = {"ids": ids.tolist(), "answer": answer.int().tolist(), "loss": float(loss)}
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(folder.name, size, "bytes", {key: round(entry["loss"], 3) for key, entry in expected.items()})
    return size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "mars-vlm/tests/fixtures/transformers5")
    out = parser.parse_args().out
    assert transformers.__version__ >= "5", transformers.__version__
    torch.set_num_threads(1)
    total = sum(make(build, 700 + n, out) for n, build in enumerate(CASES))
    print("bytes in all", total)
    assert total < IN_ALL, total


if __name__ == "__main__":
    main()
