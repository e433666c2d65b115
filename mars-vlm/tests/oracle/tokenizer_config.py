"""Reference for what `tokenizer_config.json` changes in a tokenizer: transformers' own ids of short texts.

    HF_HUB_OFFLINE=1 python mars-vlm/tests/oracle/tokenizer_config.py
    (transformers 4.57.3, tokenizers 0.22.2; `llava_processor.py` and `processor.py` must have made their fixtures)

Writes tests/fixtures/tokenizer_config.json: for each case a model directory among the fixtures, keys that its
`tokenizer_config.json` loses, a file that is removed, what is merged into this file and into others, a text, and the ids
that the processor's tokenizer gives it.
"""

import json
import shutil
import tempfile
from pathlib import Path

from transformers import AutoProcessor

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
FILES = {"config": "tokenizer_config.json", "tokenizer": "tokenizer.json", "map": "special_tokens_map.json",
         "model": "config.json"}
BASE, TEXT = "llava_processor/cropped", "USER: what <|im_end|>  now ASSISTANT: yes "
END, STRIP = "<|im_end|>", {"lstrip": True, "rstrip": True}


def flags(base=BASE, token=END, **changed):
    """Added tokens for both files, one of them with other flags."""
    tokens = json.loads((FIXTURES / base / "tokenizer.json").read_text())["added_tokens"]
    (one,) = [one for one in tokens if one["content"] == token]
    return {"added_tokens_decoder": {str(one["id"]): changed}}, {
        "added_tokens": [one | changed if one["content"] == token else one for one in tokens]}


def case(config=None, tokenizer=None, text=TEXT, base=BASE, drop=(), **others):
    return {"base": base, "drop": list(drop), "config": config or {}, "tokenizer": tokenizer or {}, "text": text} | others


def of_class(name, tokenizer=None, **settings):
    return case({"tokenizer_class": name} | settings, tokenizer)


def of_map(drop, tokenizer=None, **tokens):
    """The class of Llama with other tokens in `special_tokens_map.json`."""
    return case({"tokenizer_class": "LlamaTokenizer", "add_eos_token": True}, tokenizer, drop=drop, map=tokens)


def of_model(base, tokenizer=None, **others):
    """No class in `tokenizer_config.json`."""
    return case(None, tokenizer, "a b", base, ["tokenizer_class"], **others)


CONFIG, FILE = flags(**STRIP)
WORD = flags(single_word=True)
LOWER = flags(normalized=True)
DECODER = ["added_tokens_decoder"]
OBJECT = {"__type": "AddedToken", "content": END, "normalized": False, "single_word": False, "special": True} | STRIP
PREFIX = {"pre_tokenizer": {"add_prefix_space": True}}
# The token that opens a text by default, as the next one after those of the file.
OPEN = {"added_tokens": flags()[1]["added_tokens"] + [{
    "id": 344, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}]}
SPLIT, UTTERANCE = "processor/split", "<end_of_utterance>"
OF_PROCESSOR = flags(SPLIT, UTTERANCE, **STRIP)

CASES = {
    "plain": case(),
    # Flags of added tokens.
    "strip": case(CONFIG, FILE),
    "strip_config": case(CONFIG),
    "strip_file": case(None, FILE),
    "strip_file_alone": case(None, FILE, drop=DECODER),
    "strip_object": case({"added_tokens_decoder": {}, "eos_token": OBJECT}, drop=DECODER),
    "strip_object_of_file": case({"eos_token": OBJECT}, drop=DECODER),
    "strip_processor": case(*OF_PROCESSOR, f"a {UTTERANCE}  b", SPLIT),
    "word": case(*WORD, f"now{END} {END} now"),
    "normalized": case(LOWER[0], LOWER[1] | {"normalizer": {"type": "Lowercase"}}, "what <|IM_END|> <|IM_START|>"),
    # A blank before the text.
    "prefix": case({"add_prefix_space": True}),
    "prefix_file": case(None, PREFIX),
    "prefix_null": case({"add_prefix_space": None}, PREFIX),
    "prefix_llama": of_class("LlamaTokenizerFast", PREFIX),
    # Opening and closing tokens.
    "llama": of_class("LlamaTokenizerFast"),
    "llama_open": of_class("LlamaTokenizer", {"post_processor": None}),
    "llama_neither": of_class("LlamaTokenizerFast", add_bos_token=False),
    "llama_both": of_class("LlamaTokenizer", add_bos_token=True, add_eos_token=True),
    "code_llama": of_class("CodeLlamaTokenizerFast", add_eos_token=True),
    "gemma": of_class("GemmaTokenizer", {"post_processor": None}, add_bos_token=False, add_eos_token=True),
    "map_older": of_map(DECODER, bos_token=END, eos_token="<|im_start|>"),
    "map_older_alone": of_map(DECODER + ["bos_token"], bos_token=END),
    "map_beside_list": of_map(["bos_token"], OPEN, bos_token=END, eos_token="<|im_start|>"),
    "gpt2": of_class("GPT2Tokenizer", add_bos_token=False, add_eos_token=True),
    "qwen2": of_class("Qwen2Tokenizer", {"post_processor": None}, add_bos_token=True),
    # Classes by the kind of the model.
    "llava_of_model": of_model(BASE, {"post_processor": None}),
    "llava_without_config": of_model(BASE, {"post_processor": None}, without="config"),
    "onevision_of_model": of_model("families/llava", PREFIX),
    "qwen_of_model": of_model("families/qwen", PREFIX),
    "internvl_of_model": of_model("internvl_processor/model", PREFIX),
    "gemma_of_model": of_model("gemma3_processor/model", PREFIX | {"post_processor": None}),
    "class_of_model": of_model(BASE, PREFIX | {"post_processor": None}, model={"tokenizer_class": "Qwen2Tokenizer"}),
    "fast": of_class("PreTrainedTokenizerFast", add_bos_token=False, add_eos_token=True),
}


def merge(target, patch):
    if not isinstance(target, dict) or not isinstance(patch, dict):
        return patch
    return target | {key: merge(target.get(key), value) for key, value in patch.items()}


def main():
    for one in CASES.values():
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(FIXTURES / one["base"], folder, dirs_exist_ok=True)
            for name, file in FILES.items():
                path = Path(folder) / file
                values = json.loads(path.read_text())
                kept = {key: value for key, value in values.items() if name != "config" or key not in one["drop"]}
                path.write_text(json.dumps(merge(kept, one.get(name, {}))))
                if one.get("without") == name:
                    path.unlink()
            one["ids"] = AutoProcessor.from_pretrained(folder).tokenizer(one["text"])["input_ids"]
    lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in CASES.items()]
    (FIXTURES / "tokenizer_config.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    plain = CASES["plain"]["ids"]
    print({name: len(one["ids"]) - len(plain) * (one["text"] == TEXT) for name, one in CASES.items()})


if __name__ == "__main__":
    main()
