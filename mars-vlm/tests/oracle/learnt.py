"""What transformers makes of records that say which turns are learnt, and of records with a system text beside the turns.

    HF_HUB_OFFLINE=1 python mars-vlm/tests/oracle/learnt.py
    (transformers 4.57.3; `families.py` must have made its directories)

Writes tests/fixtures/learnt/: `records.jsonl`, as users of other trainers write them, and `expected.json`: for each record
and family the token ids that `apply_chat_template` gives for the conversation meant, and a mask with 1 on the tokens of
the answers that are learnt, through the end of the turn. Which answers these are is written down by hand below (`learnt`,
positions among the turns). The mask of Qwen2-VL is what follows the generation prompts; that of LLaVA-OneVision what its
template marks as generated, of the answers that are learnt, and the end of the turn.
"""

import json
from pathlib import Path

from transformers import AutoTokenizer

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
OUT = FIXTURES / "learnt"


def human(text, **more):
    return {"from": "human", "value": text, **more}


def gpt(text, **more):
    return {"from": "gpt", "value": text, **more}


def user(text, **more):
    return {"role": "user", "content": text, **more}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


TWO = [("user", "How many?"), ("assistant", "seven"), ("user", "Sure?"), ("assistant", "twelve")]
BRIEF = ("system", "Answer in short.")

# (record, the conversation meant, positions of the answers that are learnt)
CASES = [
    # LLaMA-Factory's and ms-swift's system text beside ShareGPT turns.
    ({"id": "system", "system": "Answer in short.", "conversations": [human("How many?"), gpt("seven")]},
     [BRIEF, *TWO[:2]], [2]),
    ({"id": "no system", "system": "", "conversations": [human("How many?"), gpt("seven")]}, TWO[:2], [1]),
    ({"id": "system prompt", "system_prompt": "Answer in short.", "messages": [user("How many?"), assistant("seven")]},
     [BRIEF, *TWO[:2]], [2]),
    ({"id": "system twice", "system": "Answer in short.",
      "conversations": [{"from": "system", "value": "Answer in short."}, human("How many?"), gpt("seven")]},
     [BRIEF, *TWO[:2]], [2]),
    # OpenAI's weight.
    ({"id": "weight", "messages": [user("How many?"), assistant("seven", weight=0), user("Sure?"), assistant("twelve", weight=1)]},
     TWO, [3]),
    ({"id": "weight of a float", "messages": [user("How many?"), assistant("seven", weight=1.0), user("Sure?"),
                                              assistant("twelve", weight=0.0)]}, TWO, [1]),
    # ms-swift's loss.
    ({"id": "loss", "messages": [user("How many?", loss=False), assistant("seven", loss=False), user("Sure?"),
                                 assistant("twelve", loss=True)]}, TWO, [3]),
    # axolotl's train and training.
    ({"id": "train", "conversations": [human("How many?", train=False), gpt("seven", train=False), human("Sure?"), gpt("twelve")]},
     TWO, [3]),
    ({"id": "training", "conversations": [human("How many?"), gpt("seven", training=True), human("Sure?"),
                                          gpt("twelve", training=False)]}, TWO, [1]),
    # LLaMA-Factory's list.
    ({"id": "loss mask", "loss_mask": [1, 0, 0, 1],
      "conversations": [human("How many?"), gpt("seven"), human("Sure?"), gpt("twelve")]}, TWO, [3]),
    # Rows of a columnar store.
    ({"id": "null", "system": None, "conversations": [human("How many?", weight=None, loss=None, role=None, content=None),
                                                      gpt("seven", weight=None, loss=None, role=None, content=None)]},
     TWO[:2], [1]),
    # An answer without text is none to learn, and may be without text.
    ({"id": "empty", "messages": [user("How many?"), assistant("", weight=0), user("Sure?"), assistant("twelve")]},
     [TWO[0], ("assistant", ""), *TWO[2:]], [3]),
    ({"id": "both", "system": "Answer in short.",
      "messages": [user("How many?"), assistant("seven", train=False, weight=0), user("Sure?"), assistant("twelve")]},
     [BRIEF, *TWO], [4]),
]


def chat(turns):
    return [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]


def of_prompts(tokenizer, turns, learnt, ids):
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    mask = [0] * len(ids)
    for k in learnt:
        prompt = tokenizer.apply_chat_template(turns[:k], add_generation_prompt=True)
        assert ids[: len(prompt)] == prompt
        for at in range(len(prompt), ids.index(end, len(prompt)) + 1):
            mask[at] = 1
    return mask


def of_tags(tokenizer, turns, learnt, ids):
    """The marks of the whole conversation, without those that are there because of the other answers."""
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")

    def marked(upto):
        out = tokenizer.apply_chat_template(turns[:upto], return_dict=True, return_assistant_tokens_mask=True)
        assert ids[: len(out["input_ids"])] == out["input_ids"]
        return out["assistant_masks"]

    mask = [0] * len(ids)
    for k in learnt:
        before, through = marked(k), marked(k + 1)
        for at in range(len(before), len(through)):
            mask[at] = through[at]
        last = max(at for at in range(len(through)) if mask[at])
        assert ids[last + 1] == end
        mask[last + 1] = 1
    return mask


def main():
    OUT.mkdir(exist_ok=True)
    expected = {}
    for family, mask_of in [("qwen", of_prompts), ("llava", of_tags)]:
        folder = FIXTURES / "families" / family
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.chat_template = (folder / "chat_template.jinja").read_text()
        expected[family] = {}
        for record, turns, learnt in CASES:
            ids = tokenizer.apply_chat_template(chat(turns))
            mask = mask_of(tokenizer, chat(turns), learnt, ids)
            expected[family][record["id"]] = {"ids": ids, "mask": mask}
    (OUT / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record, _, _ in CASES))
    (OUT / "expected.json").write_text(json.dumps(expected) + "\n")
    print(sum(path.stat().st_size for path in OUT.iterdir()), "bytes in", OUT.name)


if __name__ == "__main__":
    main()
