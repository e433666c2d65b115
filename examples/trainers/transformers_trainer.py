"""One LoRA run of a vision-language model with the Hugging Face Trainer, as `mars search --trainer` starts it.

    mars search --out ./run --set trainer.samples=4096 --trainer 'python transformers_trainer.py --model MODEL
      --data train.json --val val.json --images images --rank ve={r.ve} --rank llm={r.llm} --alpha ve={alpha.ve}
      --alpha llm={alpha.llm} --lr ve={lr.ve} --lr llm={lr.llm} --samples {samples} --seed {seed} --batch {batch}
      --steps {steps} --horizon {horizon} --eval-every {eval_every} --warmup {warmup} --decay {decay_fraction}
      --validation {validation} --out {out} --continue-from={continues}'

A run trains the towers `ve` (vision encoder), `projector` and `llm`, each with a rank, an alpha and a learning rate of its
own; rank 0 leaves a tower as it is. In `--out` it leaves

    trainer_state.json              losses; written anew at each evaluation, the file that MARS reads
    checkpoint-<step>/              from which the same run, or a longer one with --continue-from, goes on
    adapter_model.safetensors       the adapter at the last step, with adapter_config.json, as PEFT loads it

Exit codes: 0 done, 1 failed, 2 usage, 3 bad data or model, 4 out of memory, 74 I/O error, 85 stopped by SIGTERM, SIGINT or
SIGUSR1 after a checkpoint: the same command goes on from there.

Needs torch, transformers, accelerate, peft and pillow; made with transformers 4.57.3, peft 0.18.1, torch 2.8.0.
"""

import argparse
import io
import json
import os
import signal
import sys
import zipfile
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from PIL import Image
from safetensors.torch import load_file
from torch.optim.lr_scheduler import LambdaLR
from transformers import (AutoModelForImageTextToText, AutoProcessor, Trainer, TrainerCallback, TrainerState,
                          TrainingArguments, set_seed)

# What the towers are called in the architectures of `transformers`. The merger of Qwen2-VL lies inside `visual`.
TOWERS = {
    "projector": {"connector", "multi_modal_projector", "merger"},
    "ve": {"vision_model", "vision_tower", "visual"},
    "llm": {"text_model", "language_model"},
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    pair = dict(action="append", default=[], metavar="TOWER=VALUE", type=lambda text: tuple(text.split("=", 1)))
    parser.add_argument("--model", required=True, help="directory or hub id of the base model")
    parser.add_argument("--data", required=True, type=Path, help="training samples, LLaVA JSON")
    parser.add_argument("--val", required=True, type=Path, help="validation samples, LLaVA JSON")
    parser.add_argument("--images", required=True, type=Path, help="folder or zip archive of the images")
    parser.add_argument("--rank", **pair)
    parser.add_argument("--alpha", **pair)
    parser.add_argument("--lr", **pair)
    parser.add_argument("--samples", type=int, required=True, help="the first so many of a seeded order")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="samples in one optimizer step")
    parser.add_argument("--micro-batch", type=int, help="samples in one forward pass; default all of a batch")
    parser.add_argument("--steps", type=int, required=True, help="optimizer steps")
    parser.add_argument("--horizon", type=int, required=True, help="length of the learning-rate schedule in steps")
    parser.add_argument("--eval-every", type=int, required=True, help="steps between evaluations")
    parser.add_argument("--warmup", type=int, default=10, help="steps of linear warm-up")
    parser.add_argument("--decay", type=float, default=0.3, help="part of the horizon over which the rate falls to 0")
    parser.add_argument("--validation", type=int, default=0, help="evaluate on the first so many samples; 0: all")
    parser.add_argument("--save-every", type=int, default=0, help="steps between checkpoints; 0: a fifth of the run")
    parser.add_argument("--continue-from", type=Path, help="directory of a shorter run to go on from")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        args.rank = {tower: int(value) for tower, value in args.rank}
        args.alpha = {tower: float(value) for tower, value in args.alpha}
        args.lr = {tower: float(value) for tower, value in args.lr}
    except ValueError as error:
        parser.error(f"--rank, --alpha and --lr take TOWER=VALUE ({error})")
    adapted = {tower for tower, rank in args.rank.items() if rank > 0}
    if not adapted or not adapted <= TOWERS.keys() or not adapted <= args.alpha.keys() & args.lr.keys():
        parser.error(f"each adapted tower (of {', '.join(TOWERS)}) needs --rank, --alpha and --lr")
    return args


class Samples(torch.utils.data.Dataset):
    """Conversations of a LLaVA JSON, as chat messages with their pictures."""

    def __init__(self, file, images, order=None):
        self.entries = json.loads(file.read_text())
        if order is not None:
            self.entries = [self.entries[i] for i in order(len(self.entries))]
        self.images, self.archive = images, None

    def __len__(self):
        return len(self.entries)

    def picture(self, name):
        if self.images.is_dir():
            return Image.open(self.images / name).convert("RGB")
        if self.archive is None:  # One for each worker process.
            self.archive = zipfile.ZipFile(self.images)
        return Image.open(io.BytesIO(self.archive.read(name))).convert("RGB")

    def __getitem__(self, index):
        entry = self.entries[index]
        names = entry.get("image", [])
        pictures = [self.picture(name) for name in ([names] if isinstance(names, str) else names)]
        messages = []
        for turn in entry["conversations"]:
            pieces = turn["value"].split("<image>")
            content = [{"type": "image"} for _ in pieces[1:]] + [{"type": "text", "text": "".join(pieces).strip()}]
            messages.append({"role": {"human": "user", "gpt": "assistant"}.get(turn["from"], turn["from"]),
                             "content": content})
        return messages, pictures


class Collator:
    """Makes a batch, with labels on the answers alone."""

    def __init__(self, processor):
        self.processor = processor
        processor.tokenizer.padding_side = "right"

    def tokens(self, messages, pictures, **template):
        text = self.processor.apply_chat_template(messages, **template)
        if not template:  # An answer ends with its end-of-turn token, not with the line break that may follow.
            text = text.rstrip("\n")
        used = sum(part["type"] == "image" for message in messages for part in message["content"])
        # The template writes the first token, which a tokenizer may add once more.
        out = self.processor(text=[text], images=[pictures[:used]] if used else None, add_special_tokens=False)
        return len(out["input_ids"][0])

    def __call__(self, samples):
        texts = [self.processor.apply_chat_template(messages) for messages, _ in samples]
        pictures = [images for _, images in samples]
        batch = self.processor(text=texts, images=pictures if any(pictures) else None, padding=True,
                               return_tensors="pt", add_special_tokens=False)
        labels = torch.full_like(batch["input_ids"], -100)
        for row, (messages, images) in enumerate(samples):
            for turn, message in enumerate(messages):
                if message["role"] == "assistant":
                    begin = self.tokens(messages[:turn], images, add_generation_prompt=True)
                    end = self.tokens(messages[:turn + 1], images)
                    labels[row, begin:end] = batch["input_ids"][row, begin:end]
        return dict(batch, labels=labels)


def tower_of(path):
    parts = set(path.split("."))
    return next((tower for tower, names in TOWERS.items() if parts & names), None)


def adapted(model, args):
    """The model with LoRA of the given rank and alpha on all linear layers of each tower with a rank."""
    layers = {path: tower_of(path) for path, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    layers = {path: tower for path, tower in layers.items() if args.rank.get(tower, 0) > 0}
    missing = {tower for tower, rank in args.rank.items() if rank > 0} - set(layers.values())
    if missing:
        raise ValueError(f"{args.model} has no linear layers of {', '.join(missing)}; look at TOWERS")
    first = next(tower for tower, rank in args.rank.items() if rank > 0)
    others = {path: tower for path, tower in layers.items() if tower != first}
    config = LoraConfig(
        r=args.rank[first], lora_alpha=args.alpha[first], target_modules=list(layers), task_type="CAUSAL_LM",
        rank_pattern={path: args.rank[tower] for path, tower in others.items()},
        alpha_pattern={path: args.alpha[tower] for path, tower in others.items()})
    return get_peft_model(model, config)


class TowerTrainer(Trainer):
    """A Trainer with a learning rate for each tower and the schedule of MARS."""

    def __init__(self, run, **more):
        self.run = run
        super().__init__(**more)

    def get_eval_dataloader(self, *given):
        # The setting is about batches of training, and would leave out what is beyond the last whole batch of validation.
        drops, self.args.dataloader_drop_last = self.args.dataloader_drop_last, False
        try:
            return super().get_eval_dataloader(*given)
        finally:
            self.args.dataloader_drop_last = drops

    def create_optimizer(self):
        groups = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                groups.setdefault(tower_of(name), []).append(parameter)
        groups = [{"params": parameters, "lr": self.run.lr[tower]} for tower, parameters in groups.items()]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
        return self.optimizer

    def create_scheduler(self, num_training_steps, optimizer=None):
        def factor(step, warmup=self.run.warmup, horizon=self.run.horizon, decay=self.run.decay):
            step = min(step, horizon - 1)
            up = min((step + 1) / warmup, 1.0) if warmup else 1.0
            return up * (min((horizon - step) / (decay * horizon), 1.0) if decay * horizon >= 1 else 1.0)

        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
        return self.lr_scheduler


class Progress(TrainerCallback):
    """Evaluates the last step, keeps `trainer_state.json` up to date, and stops with a checkpoint on a signal."""

    def __init__(self, out, eval_every):
        self.out, self.eval_every, self.signalled = out, eval_every, False
        self.listen()

    def listen(self):
        for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
            signal.signal(getattr(signal, name), self.on_signal)

    def on_signal(self, *_):
        self.signalled = True

    def on_train_begin(self, args, state, control, **_):
        # A shorter run was evaluated at its last step, where this one need not be.
        state.log_history = [entry for entry in state.log_history
                             if "train_runtime" not in entry
                             and ("eval_loss" not in entry or entry["step"] % self.eval_every == 0)]

    def on_step_end(self, args, state, control, **_):
        if state.global_step >= state.max_steps:
            control.should_evaluate = True
        if self.signalled:
            control.should_save = control.should_training_stop = True

    def on_evaluate(self, args, state, control, **_):
        self.write(state)

    def write(self, state):
        half = self.out / "trainer_state.json.half"
        state.save_to_json(str(half))
        os.replace(half, self.out / "trainer_state.json")


def last_checkpoint(*folders):
    """The newest complete checkpoint in the first folder that has one; the Trainer writes its state last."""
    for folder in folders:
        found = [path for path in (folder.glob("checkpoint-*") if folder else []) if path.name[11:].isdigit()]
        for path in sorted(found, key=lambda path: -int(path.name[11:])):
            try:
                json.loads((path / "trainer_state.json").read_text())
                return str(path)
            except (OSError, ValueError):
                print(f"{path} is not complete and passed over", file=sys.stderr)
    return None


def train(args):
    args.out.mkdir(parents=True, exist_ok=True)
    processor = AutoProcessor.from_pretrained(args.model)
    model = AutoModelForImageTextToText.from_pretrained(args.model, dtype="auto")
    order = torch.Generator().manual_seed(args.seed)
    data = Samples(args.data, args.images, lambda count: torch.randperm(count, generator=order)[:args.samples].tolist())
    val = Samples(args.val, args.images, lambda count: range(min(args.validation or count, count)))
    set_seed(args.seed)
    model = adapted(model, args)
    micro = args.micro_batch or args.batch
    if args.batch % micro:
        raise ValueError(f"--micro-batch {micro} does not divide --batch {args.batch}")
    checkpoint = last_checkpoint(args.out, args.continue_from if args.continue_from != Path() else None)
    settings = TrainingArguments(
        output_dir=str(args.out), max_steps=args.steps, per_device_train_batch_size=micro,
        gradient_accumulation_steps=args.batch // micro, per_device_eval_batch_size=64,
        dataloader_drop_last=len(data) >= args.batch, seed=args.seed, data_seed=args.seed, max_grad_norm=1.0,
        logging_steps=1, logging_nan_inf_filter=False, eval_strategy="steps", eval_steps=args.eval_every,
        eval_on_start=checkpoint is None, prediction_loss_only=True, save_strategy="steps",
        save_steps=args.save_every or max(args.steps // 5, 1), save_total_limit=2, remove_unused_columns=False,
        label_names=["labels"], include_num_input_tokens_seen=True, report_to=[], disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available())
    progress = Progress(args.out, args.eval_every)
    trainer = TowerTrainer(args, model=model, args=settings, train_dataset=data, eval_dataset=val,
                           data_collator=Collator(processor), processing_class=processor, callbacks=[progress])
    done = TrainerState.load_from_json(f"{checkpoint}/trainer_state.json") if checkpoint else None
    if done and done.global_step >= args.steps:  # The Trainer would train one step more.
        set_peft_model_state_dict(model, load_file(f"{checkpoint}/adapter_model.safetensors"))
        trainer.state = done
    else:
        trainer.train(resume_from_checkpoint=checkpoint)
    if trainer.state.global_step < args.steps:
        return 85
    model.save_pretrained(args.out)
    progress.write(trainer.state)
    return 0


def main():
    args = arguments()
    try:
        return train(args)
    except torch.OutOfMemoryError as error:
        code, said = 4, error
    except (FileNotFoundError, KeyError, ValueError, zipfile.BadZipFile) as error:
        code, said = 3, error
    except OSError as error:
        code, said = 74, error
    print(f"{type(said).__name__}: {said}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
