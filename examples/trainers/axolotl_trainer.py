"""One LoRA run with axolotl, with a rank and a learning rate for each tower, as `mars search --trainer` starts it.

Arguments, files and exit codes are those of transformers_trainer.py, but that `--images` is a folder. towers.py beside this
file says what is added to axolotl. `TEMPLATE` (default qwen2_vl) in the environment names its chat template.

Made with axolotl 0.19.0, transformers 5.16.1, peft 0.20.0, torch 2.13.0 (CPU).
"""

import json
import os

import torch
import towers

PROJECTORS = ["merger.mlp.0", "merger.mlp.2", "modality_projection.proj"]  # Of Qwen2-VL and Idefics3.
TEMPLATE = os.environ.get("TEMPLATE", "qwen2_vl")
os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")


def content(text, paths):
    """A turn as parts, each `<image>` with the next of the pictures."""
    pieces = text.split("<image>")
    pictures = [{"type": "image", "path": next(paths)} for _ in pieces[1:]]
    return [*pictures, {"type": "text", "text": "".join(pieces).strip()}]


def answers_only():
    """Ends a run whose questions would be trained as well: axolotl 0.19.0 knows for some templates alone where turns begin and
    end (`tokenizer_default` is none of them), and with the others only logs a warning.
    """
    from axolotl.processing_strategies import ProcessingStrategy

    library = ProcessingStrategy._mask_non_assistant_keep

    def with_turns(self, ids):
        if not self.role_boundaries:
            raise ValueError(f"axolotl does not know the turns of TEMPLATE={TEMPLATE} and would train the questions as well")
        return library(self, ids)

    ProcessingStrategy._mask_non_assistant_keep = with_turns


def start(args, checkpoint):
    from axolotl.cli.train import do_cli

    answers_only()
    data, sets = args.out / "data", {}
    for name, samples in zip(("train", "val"), towers.conversations(args)):
        rows = []
        for turns, paths in samples:
            paths = iter(paths)
            rows.append({"messages": [{"role": role, "content": content(text, paths)} for role, text in turns]})
        file = towers.write_lines(data / f"{name}.jsonl", rows)
        sets[name] = [{"path": file, "ds_type": "json", "split": "train", "type": "chat_template"}]
    micro = args.micro_batch or args.batch
    config = data / "axolotl.json"  # Which YAML includes.
    config.write_text(json.dumps({
        "base_model": args.model, "processor_type": "AutoProcessor", "adapter": "lora",
        "lora_r": max(args.rank.values()), "lora_alpha": max(args.rank.values()), "lora_dropout": 0.0,
        "lora_target_modules": towers.LINEAR + PROJECTORS, "chat_template": TEMPLATE,
        "datasets": sets["train"], "test_datasets": sets["val"], "dataset_prepared_path": str(data / "prepared"),
        "skip_prepare_dataset": True, "remove_unused_columns": False, "sample_packing": False, "sequence_len": 2048,
        "dataloader_num_workers": 0, "dataloader_prefetch_factor": None, "micro_batch_size": micro, "eval_batch_size": 64,
        "gradient_accumulation_steps": args.batch // micro, "max_steps": args.steps, "num_epochs": 1_000_000,
        "seed": args.seed, "learning_rate": max(args.lr.values()), "weight_decay": 0.0, "max_grad_norm": 1.0,
        "optimizer": "adamw_torch", "lr_scheduler": "constant", "warmup_steps": 0, "bf16": False, "fp16": False,
        "tf32": False, "gradient_checkpointing": False, "lora_qkv_kernel": False, "lora_o_kernel": False,
        "lora_mlp_kernel": False, "eval_steps": args.eval_every, "logging_steps": 1,
        "save_steps": towers.save_every(args), "save_total_limit": 2, "load_best_model_at_end": False,
        "output_dir": str(args.out), "resume_from_checkpoint": checkpoint}, indent=1))
    do_cli(str(config))


if __name__ == "__main__":
    towers.run(start)
