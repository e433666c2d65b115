"""One LoRA run with axolotl, with a rank and a learning rate for each tower, as `mars search --trainer` starts it.

Arguments, files and exit codes are those of transformers_trainer.py, but that `--images` is a folder. towers.py beside this
file says what is added to axolotl. `CHAT_TEMPLATE` (default qwen2_vl) in the environment is its `chat_template`.

Made with axolotl 0.19.0, transformers 5.16.1, peft 0.20.0.
"""

import os

import towers
import yaml

LINEAR = r"(q_proj|k_proj|v_proj|o_proj|out_proj|qkv|proj|gate_proj|up_proj|down_proj|fc1|fc2|linear_1|linear_2|mlp\.[02])"


def start(args, checkpoint):
    os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
    from axolotl.cli.train import do_cli

    files = [towers.write_lines(args.out / "data" / f"{name}.jsonl", (
        {"messages": [{"role": role, "content": parts(text, paths)} for role, text in turns]}
        for turns, paths in samples)) for name, samples in zip(("train", "val"), towers.conversations(args))]
    data = [{"path": file, "ds_type": "json", "type": "chat_template", "split": "train"} for file in files]
    micro = args.micro_batch or args.batch
    places = "|".join(towers.PATTERNS[tower].removesuffix(r"\..*") for tower in towers.adapted(args))
    others = "" if args.rank.get("projector") else r"(?!.*\.merger\.)"
    file = args.out / "run.yml"
    file.write_text(yaml.safe_dump({
        "base_model": args.model, "processor_type": "AutoProcessor", "skip_prepare_dataset": True,
        "remove_unused_columns": False, "sample_packing": False, "sequence_len": 2048,
        "chat_template": os.environ.get("CHAT_TEMPLATE", "qwen2_vl"), "datasets": data[:1], "test_datasets": data[1:],
        "adapter": "lora", "lora_r": max(args.rank.values()), "lora_alpha": 16, "lora_dropout": 0.0,
        "lora_target_modules": rf"{others}(.*\.)?({places})\.(.*\.)?{LINEAR}",
        "micro_batch_size": micro, "eval_batch_size": 64, "gradient_accumulation_steps": args.batch // micro,
        "max_steps": args.steps, "seed": args.seed, "optimizer": "adamw_torch", "lr_scheduler": "constant",
        "learning_rate": max(args.lr.values()), "weight_decay": 0.0, "max_grad_norm": 1.0, "logging_steps": 1,
        "eval_strategy": "steps", "eval_steps": args.eval_every, "save_strategy": "steps",
        "save_steps": towers.save_every(args), "save_total_limit": 2, "output_dir": str(args.out),
        "resume_from_checkpoint": checkpoint, "include_tokens_per_second": False, "bf16": False, "fp16": False,
        "tf32": False, "attn_implementation": "sdpa", "gradient_checkpointing": False, "dataloader_num_workers": 0,
        "dataset_num_proc": 1}))
    do_cli(file)


def parts(text, paths):
    """A turn with its pictures, which are taken from `paths`, at the places of `<image>`."""
    pieces = text.split("<image>")
    pictures = [{"type": "image", "path": paths[at]} for at in range(len(pieces) - 1)]
    return [*pictures, {"type": "text", "text": "".join(pieces).strip()}]


if __name__ == "__main__":
    towers.run(start)
