"""Writes which configurations `transformers` takes for tied: the output layer is the table of embeddings.

Usage: python mars-vlm/tests/oracle/tie_flags.py [--out mars-vlm/tests/fixtures/tie_flags.json]

Needs transformers (4.57.3 was used), and no torch. `PreTrainedModel.tie_weights` ties if
`config.get_text_config(decoder=True).tie_word_embeddings` is true. A row is a `config.json` and that value.
"""

import argparse
import itertools
import json
import tempfile
from pathlib import Path

from transformers import AutoConfig, logging

OUT = Path(__file__).resolve().parents[1] / "fixtures/tie_flags.json"
# The kind of the decoder where it has a configuration of its own; None where it needs no name, "" where it has none.
KINDS = {
    "idefics3": "llama", "llava_onevision": "qwen2", "qwen2_vl": None, "qwen2_5_vl": None, "llava": "llama",
    "llava_next": "mistral", "gemma3": "gemma3_text", "qwen3_vl": "qwen3_vl_text", "internvl": "qwen3", "llama": "", "qwen2": "",
    "qwen3": "", "mistral": "", "gemma2": "", "gemma3_text": "",
}


def rows():
    for kind, decoder in KINDS.items():
        for top, text in itertools.product([None, True, False], ["absent", None, True, False]):
            # Only Qwen's families have had both layouts.
            if decoder is not None and (decoder == "") != (text == "absent"):
                continue
            config = {"model_type": kind}
            if top is not None:
                config["tie_word_embeddings"] = top
            if text != "absent":
                config["text_config"] = {"model_type": decoder} if decoder else {}
                if text is not None:
                    config["text_config"]["tie_word_embeddings"] = text
            yield config


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    logging.set_verbosity_error()
    lines = []
    for config in rows():
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "config.json").write_text(json.dumps(config))
            tied = AutoConfig.from_pretrained(folder).get_text_config(decoder=True).tie_word_embeddings
        lines.append(json.dumps({"config": config, "tied": tied}))
    out.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
