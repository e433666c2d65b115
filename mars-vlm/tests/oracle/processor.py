"""Reference for the processor: runs transformers' own on tiny files and saves what it yields.

    python tests/oracle/processor.py        (transformers 4.57.3, pillow 13.0.0, tokenizers, safetensors)

Writes tests/fixtures/processor/: a model directory per case of settings (`split`, `whole`), images,
conversations, and what the reference makes of them: token ids, answer masks by generation prompt,
tile grids, tiles as the 8-bit values before rescaling, and the normalised values of one sample.
"""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import Idefics3ImageProcessor, Idefics3Processor, PreTrainedTokenizerFast
from transformers.image_utils import load_image

OUT = Path(__file__).resolve().parents[1] / "fixtures" / "processor"
TILE, PATCH, SCALE = 16, 4, 2
SEQ = (TILE // PATCH) ** 2 // SCALE**2

# The form of SmolVLM's conversations, in our words.
TEMPLATE = (
    "<|im_start|>"
    "{% for turn in messages %}"
    "{{ turn.role | capitalize }}:{% if turn.content[0].type != 'image' %}{{ ' ' }}{% endif %}"
    "{% for part in turn.content %}"
    "{% if part.type == 'image' %}{{ '<image>' }}{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<end_of_utterance>"]
SPECIAL += ["<fake_token_around_image>", "<image>", "<global-img>"]
SPECIAL += [f"<row_{r}_col_{c}>" for r in range(1, 7) for c in range(1, 7)]


def tokenizer(folder, special=SPECIAL, end="<end_of_utterance>"):
    """A byte-level BPE of 400 pieces, trained on a few sentences."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.post_processor = processors.ByteLevel(trim_offsets=True)
    bpe.decoder = decoders.ByteLevel()
    words = ["User: What digit is left of this one?", "Assistant: It is a seven, then a three.",
             "How many circles are there? There are twelve red circles.", "System: Answer in short."] * 4
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(words, trainer)
    bpe.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=end,
                                   pad_token="<|im_end|>", bos_token="<|im_start|>",
                                   unk_token="<|endoftext|>")
    fast.save_pretrained(folder)
    return fast


def images(folder):
    """Small pictures of every kind: smooth shapes with some noise."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)

    def picture(width, height, channels, dtype=np.uint8):
        y, x = np.mgrid[0:height, 0:width]
        waves = [np.sin((k + 1) * x / 9 + y / (5 + 2 * k)) * np.cos(y / 11 - k) for k in range(channels)]
        values = 127 + 100 * np.stack(waves, -1) + rng.normal(0, 12, (height, width, channels))
        return np.clip(values, 0, 255).astype(dtype)

    Image.fromarray(picture(40, 40, 3)).save(folder / "square.png")
    Image.fromarray(picture(70, 25, 3)).save(folder / "wide.png")
    Image.fromarray(picture(19, 53, 3)).save(folder / "tall.png")
    Image.fromarray(picture(7, 5, 3)).save(folder / "tiny.png")
    Image.fromarray(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)).save(folder / "noise.png")
    Image.fromarray(picture(24, 20, 1)[..., 0]).save(folder / "grey.png")
    Image.fromarray(picture(24, 20, 4)).save(folder / "alpha.png")
    Image.fromarray(picture(24, 20, 2), "LA").save(folder / "grey_alpha.png")
    Image.fromarray(picture(33, 21, 3)).quantize(16).save(folder / "palette.png")
    Image.fromarray((picture(20, 20, 1)[..., 0] > 127)).save(folder / "bits.png")
    Image.fromarray(picture(20, 20, 1)[..., 0].astype(np.uint16) * 3).save(folder / "deep.png")
    smooth = Image.fromarray(picture(8, 8, 3)).resize((48, 32), Image.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    smooth.save(folder / "turned.jpg", quality=95, subsampling=0, exif=exif)
    smooth.save(folder / "lossless.webp", lossless=True)


def resizes():
    """A noisy image under every filter of Pillow, to sizes that take either order of the passes."""
    rng = np.random.default_rng(11)
    source = rng.integers(0, 256, (23, 19, 3), dtype=np.uint8)
    sizes = [(19, 7), (8, 23), (24, 27), (25, 5), (5, 30), (12, 12), (18, 10), (7, 20)]
    out = {"source": source}
    for number in range(1, 6):
        for width, height in sizes:
            resized = Image.fromarray(source).resize((width, height), Image.Resampling(number))
            out[f"{number}.{width}x{height}"] = np.array(resized)
    save_file(out, OUT / "resize.safetensors")


def text(words):
    return {"type": "text", "text": words}


def turn(role, *parts):
    return {"role": role, "content": [text(p) if isinstance(p, str) else {"type": "image", "path": p[0]} for p in parts]}


CHATS = {
    "square": [turn("user", ("square.png",), "What digit is this?"), turn("assistant", "A seven.")],
    "wide": [turn("user", ("wide.png",), "How many?"), turn("assistant", "twelve")],
    "tall": [turn("user", "Before", ("tall.png",), "and after."), turn("assistant", "It is red.")],
    "tiny": [turn("user", "What is it?", ("tiny.png",)), turn("assistant", "a dot")],
    "noise": [turn("user", ("noise.png",), "?"), turn("assistant", "Noise")],
    "grey": [turn("user", ("grey.png",), "Grey?"), turn("assistant", "yes")],
    "alpha": [turn("user", ("alpha.png",), "Alpha?"), turn("assistant", "yes")],
    "grey_alpha": [turn("user", ("grey_alpha.png",), "Both?"), turn("assistant", "yes")],
    "palette": [turn("user", ("palette.png",), "Palette?"), turn("assistant", "yes")],
    "bits": [turn("user", ("bits.png",), "Bits?"), turn("assistant", "yes")],
    "deep": [turn("user", ("deep.png",), "Deep?"), turn("assistant", "yes")],
    "turned": [turn("user", ("turned.jpg",), "Turned?"), turn("assistant", "yes")],
    "webp": [turn("user", ("lossless.webp",), "Web?"), turn("assistant", "yes")],
    "two_images": [
        turn("system", "Answer in short."),
        turn("user", ("square.png",), ("wide.png",), "Which is wider?"),
        turn("assistant", "The second."),
        turn("user", "And taller?", ("tall.png",)),
        turn("assistant", "This one, then a three.\nIt is tall."),
    ],
    "text_only": [turn("user", "How many circles are there?"), turn("assistant", "There are twelve — or not 円.")],
    "system": [turn("system", "Answer in short."), turn("user", "Why?"), turn("assistant", "Because.")],
}


def paths(chat):
    return [part["path"] for turn in chat for part in turn["content"] if part["type"] == "image"]


def answer_mask(processor, chat, full_ids):
    """1 on the tokens after the generation prompt, through <end_of_utterance>, by ids alone.

    The prompt before an answer, tokenised on its own, must be a prefix of the whole; the answer
    then runs to the first end-of-turn id.
    """
    end = processor.tokenizer.convert_tokens_to_ids("<end_of_utterance>")
    mask = [0] * len(full_ids)
    for k, message in enumerate(chat):
        if message["role"] != "assistant":
            continue
        prompt = processor.apply_chat_template(chat[:k], add_generation_prompt=True)
        pictures = [load_image(str(OUT / "images" / p)) for p in paths(chat[:k])] or None
        ids = processor(text=prompt, images=pictures, add_special_tokens=False)["input_ids"][0]
        assert full_ids[: len(ids)] == ids
        for at in range(len(ids), full_ids.index(end, len(ids)) + 1):
            mask[at] = 1
    return mask


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    images(OUT / "images")
    resizes()
    with zipfile.ZipFile(OUT / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ["square.png", "wide.png", "tall.png"]:
            info = zipfile.ZipInfo(f"images/{name}")  # of 1980: the archive is the same every time
            archive.writestr(info, (OUT / "images" / name).read_bytes(), zipfile.ZIP_DEFLATED)
    (OUT / "chats.json").write_text(
        json.dumps([{"id": key, "messages": chat} for key, chat in CHATS.items()], ensure_ascii=False, indent=1)
    )
    expected, tiles = {}, {}
    for name, split in [("split", True), ("whole", False)]:
        folder = OUT / name
        fast = tokenizer(folder)
        image_processor = Idefics3ImageProcessor(
            size={"longest_edge": 3 * TILE}, max_image_size={"longest_edge": TILE}, do_image_splitting=split
        )
        processor = Idefics3Processor(image_processor, fast, image_seq_len=SEQ, chat_template=TEMPLATE)
        processor.save_pretrained(folder)
        config = {
            "model_type": "idefics3",
            "image_token_id": fast.convert_tokens_to_ids("<image>"),
            "scale_factor": SCALE,
            "vision_config": {"image_size": TILE, "patch_size": PATCH},
            "text_config": {"vocab_size": len(fast), "max_position_embeddings": 512},
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        if name == "whole":  # the seq_len of this one has to be derived, its template is in another file
            (folder / "processor_config.json").unlink()
            jinja = folder / "chat_template.jinja"
            (folder / "chat_template.json").write_text(json.dumps({"chat_template": jinja.read_text()}))
            jinja.unlink()
        expected[name] = {}
        for key, chat in CHATS.items():
            prompt = processor.apply_chat_template(chat)
            pictures = [load_image(str(OUT / "images" / p)) for p in paths(chat)]
            got = processor(text=prompt, images=pictures or None, add_special_tokens=False)
            ids = got["input_ids"][0]
            entry = {"ids": ids, "text": prompt, "tiles": 0}
            entry["answer"] = answer_mask(processor, chat, ids)
            if pictures:
                info = image_processor([pictures], return_row_col_info=True)
                values = np.ascontiguousarray(np.stack(got["pixel_values"][0]))
                assert all(np.all(mask == 1) for mask in got["pixel_attention_mask"][0])
                entry["tiles"] = len(values)
                entry["rows"], entry["cols"] = info["rows"][0], info["cols"][0]
                entry["mean"], entry["std"] = float(values.mean()), float(values.std())
                bytes_ = np.rint((values * 0.5 + 0.5) * 255).astype(np.uint8)
                tiles[f"{name}.{key}"] = np.ascontiguousarray(bytes_)
                if key == "square":
                    tiles[f"{name}.{key}.values"] = np.ascontiguousarray(values, dtype=np.float32)
            expected[name][key] = entry
    save_file(tiles, OUT / "tiles.safetensors")
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False))
    # Training the tokenizer twice must give the same tokenizer.
    same = [hashlib.sha256((OUT / n / "tokenizer.json").read_bytes()).hexdigest() for n in ["split", "whole"]]
    assert same[0] == same[1]
    total = sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file())
    print(f"{total} bytes in {OUT}")


if __name__ == "__main__":
    main()
