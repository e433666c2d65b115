"""One LoRA run with LLaMA-Factory, with a rank and a learning rate for each tower, as `mars search --trainer` starts it.

Arguments, files and exit codes are those of transformers_trainer.py, but that `--images` is a folder. towers.py beside this
file says what is added to LLaMA-Factory. `TEMPLATE` (default qwen2_vl) in the environment names its chat template.

Made with llamafactory 0.9.5, transformers 4.57.3, peft 0.18.1, torch 2.8.0.
"""

import json
import os

import torch
import towers


def start(args, checkpoint):
    from llamafactory.train.tuner import run_exp

    data = args.out / "data"
    for name, samples in zip(("train", "val"), towers.conversations(args)):
        towers.write_lines(data / f"{name}.jsonl", (
            {"messages": [{"role": role, "content": text} for role, text in turns], "images": paths}
            for turns, paths in samples))
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    (data / "dataset_info.json").write_text(json.dumps({
        name: {"file_name": f"{name}.jsonl", "formatting": "sharegpt", "tags": tags,
               "columns": {"messages": "messages", "images": "images"}} for name in ("train", "val")}))
    micro, ranks = args.micro_batch or args.batch, args.rank
    run_exp({
        "stage": "sft", "do_train": True, "finetuning_type": "lora", "model_name_or_path": args.model,
        "template": os.environ.get("TEMPLATE", "qwen2_vl"), "lora_target": ",".join(towers.LINEAR), "lora_dropout": 0.0,
        "lora_rank": max(ranks.values()), "freeze_vision_tower": not ranks.get("ve"),
        "freeze_multi_modal_projector": not ranks.get("projector"), "freeze_language_model": not ranks.get("llm"),
        "dataset": "train", "eval_dataset": "val", "dataset_dir": str(data), "cutoff_len": 2048, "overwrite_cache": True,
        "dataloader_num_workers": 0, "per_device_train_batch_size": micro, "per_device_eval_batch_size": 64,
        "gradient_accumulation_steps": args.batch // micro, "max_steps": args.steps, "seed": args.seed,
        "learning_rate": max(args.lr.values()), "weight_decay": 0.0, "max_grad_norm": 1.0,
        "eval_strategy": "steps", "eval_steps": args.eval_every, "eval_on_start": checkpoint is None,
        "prediction_loss_only": True, "logging_steps": 1, "logging_nan_inf_filter": False, "save_strategy": "steps",
        "save_steps": towers.save_every(args), "save_total_limit": 2, "output_dir": str(args.out),
        "overwrite_output_dir": True, "resume_from_checkpoint": checkpoint, "include_num_input_tokens_seen": True,
        "report_to": "none", "disable_tqdm": True, "use_cpu": not torch.cuda.is_available()})


if __name__ == "__main__":
    towers.run(start)
