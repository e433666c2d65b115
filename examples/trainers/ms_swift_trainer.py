"""One LoRA run with ms-swift, with a rank and a learning rate for each tower, as `mars search --trainer` starts it.

Arguments, files and exit codes are those of transformers_trainer.py, but that `--images` is a folder. towers.py beside this
file says what is added to ms-swift. In the environment, `MODEL_TYPE` (default qwen2_vl) is its `--model_type`, `TEMPLATE`
(default the same) its `--template`; `MIN_PIXELS` and `MAX_PIXELS` are read by qwen_vl_utils.

Made with ms-swift 4.6.0, transformers 4.57.3, peft 0.18.1, torch 2.8.0, qwen_vl_utils 0.0.14.
"""

import os

import torch
import towers


def start(args, checkpoint):
    from swift.pipelines import sft_main

    files = [towers.write_lines(args.out / "data" / f"{name}.jsonl", (
        {"messages": [{"role": role, "content": text} for role, text in turns], "images": paths}
        for turns, paths in samples)) for name, samples in zip(("train", "val"), towers.conversations(args))]
    micro, ranks = args.micro_batch or args.batch, args.rank
    model_type = os.environ.get("MODEL_TYPE", "qwen2_vl")
    options = {
        "model": args.model, "model_type": model_type, "template": os.environ.get("TEMPLATE", model_type),
        "torch_dtype": "float32",
        "dataset": files[0], "val_dataset": files[1], "load_from_cache_file": False, "dataloader_num_workers": 0,
        "dataset_num_proc": 1, "max_length": 2048, "tuner_type": "lora", "target_modules": "all-linear",
        "lora_rank": max(ranks.values()), "lora_dropout": 0.0, "freeze_vit": not ranks.get("ve"),
        "freeze_aligner": not ranks.get("projector"), "freeze_llm": not ranks.get("llm"),
        "gradient_checkpointing": False, "per_device_train_batch_size": micro, "per_device_eval_batch_size": 64,
        "gradient_accumulation_steps": args.batch // micro, "max_steps": args.steps, "seed": args.seed,
        "data_seed": args.seed, "learning_rate": max(args.lr.values()), "weight_decay": 0.0, "max_grad_norm": 1.0,
        "eval_strategy": "steps", "eval_steps": args.eval_every, "eval_on_start": checkpoint is None,
        "prediction_loss_only": True, "logging_steps": 1, "logging_nan_inf_filter": False, "save_strategy": "steps",
        "save_steps": towers.save_every(args), "save_total_limit": 2, "output_dir": args.out, "add_version": False,
        "include_num_input_tokens_seen": True, "report_to": "none", "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available()}
    if checkpoint:
        options["resume_from_checkpoint"] = checkpoint
    sft_main([word for name, value in options.items()
              for word in (f"--{name}", str(value).lower() if isinstance(value, bool) else str(value))])


if __name__ == "__main__":
    towers.run(start)
