"""What a YAML reader makes of the scalars that mars-lora writes into adapter cards (`mars-lora/src/peft/card.rs`).

    pip install pyyaml
    python tests/oracle/card.py

The scalars are those of the test beside the code; PyYAML 6.0 must read the text that each stands for.
"""

import yaml

SCALARS = {
    "owner/model-1.5_b": "owner/model-1.5_b",
    "/data/models/own": "/data/models/own",
    "base_model:adapter:owner/model": "base_model:adapter:owner/model",
    '""': "",
    '"1.5"': "1.5",
    '"null"': "null",
    '"1/2"': "1/2",
    '"-/a"': "-/a",
    '"/a: b #c"': "/a: b #c",
    '"/a\\"b\\\\c\\nd\\t\\u001b\\u0085\\u2028é🎲"': '/a"b\\c\nd\t\x1b\x85\u2028é🎲',
    '"C:\\\\models"': "C:\\models",
    '"/a:"': "/a:",
}

for scalar, text in SCALARS.items():
    read = yaml.safe_load(f"base_model: {scalar}\ntags:\n- {scalar}\n- lora\n")
    assert read == {"base_model": text, "tags": [text, "lora"]}, (scalar, read)
print(len(SCALARS), "scalars, PyYAML", yaml.__version__)
