"""What the scripts for LLaMA-Factory, ms-swift and axolotl share: what these programs cannot do by their options.

A script takes the arguments of transformers_trainer.py, starts its program in this process, and `run` adds to it

    a rank and an alpha for each tower      `rank_pattern` and `alpha_pattern` of PEFT's LoraConfig
    a learning rate for each tower          parameter groups of the optimizer
    the schedule of a longer run            `--horizon`, `--warmup`, `--decay`
    evaluations as they are made            `trainer_state.json` in `--out`, also at the last step
    SIGTERM, SIGINT, SIGUSR1                a checkpoint, and exit code 85

Which layers are adapted is left to the options of the program. It must use PEFT and a Trainer of transformers.
"""

import json
import shutil
import sys
from types import MethodType

import torch
import transformers_trainer as plain
from peft import LoraConfig
from transformers import Trainer, TrainerState

# As PEFT matches them, from the left of a module's path or after one of its dots.
PATTERNS = {"projector": r"(connector|multi_modal_projector|visual\.merger)\..*",
            "ve": r"(vision_model|vision_tower|visual\.blocks)\..*", "llm": r"(text_model|language_model)\..*"}


# The linear layers of the architectures in transformers_trainer.py, by the ends of their paths; `all` of LLaMA-Factory would
# take the numbers of Qwen2-VL's merger for names of layers, and with them the blocks 0 and 2 of the encoder.
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "qkv", "attn.proj", "gate_proj", "up_proj", "down_proj", "fc1",
          "fc2", "linear_1", "linear_2"]


def conversations(args):
    """Training and validation samples: for each its turns as (role, text with `<image>`) and the paths of its pictures."""
    if not args.images.is_dir():
        raise ValueError(f"--images {args.images} must be a folder here; `python -m zipfile -e` unpacks an archive")
    order = torch.Generator().manual_seed(args.seed)
    train = plain.Samples(args.data, args.images,
                          lambda count: torch.randperm(count, generator=order)[:args.samples].tolist())
    val = plain.Samples(args.val, args.images, lambda count: range(min(args.validation or count, count)))
    return [sample(entry, args) for entry in train.entries], [sample(entry, args) for entry in val.entries]


def sample(entry, args):
    names = entry.get("image", [])
    paths = [str((args.images / name).resolve()) for name in ([names] if isinstance(names, str) else names)]
    roles = {"human": "user", "gpt": "assistant"}
    return [(roles.get(turn["from"], turn["from"]), turn["value"]) for turn in entry["conversations"]], paths


def write_lines(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def save_every(args):
    return args.save_every or max(args.steps // 5, 1)


def adapted(args):
    """The towers with a rank, the first one first."""
    return [tower for tower in PATTERNS if args.rank.get(tower, 0) > 0]


def patterns_into_lora(args):
    """The first adapted tower has rank and alpha of the configuration, the others have patterns. Towers without a rank are
    excluded, whatever layers the program has chosen: LLaMA-Factory 0.9.5 does not see that a Qwen2-VL saved by
    transformers 4.57 has towers (its `config.model_type` is qwen2_vl_text there), and freezes none of them.
    """
    first, *others = adapted(args)
    library = LoraConfig.__post_init__

    def with_patterns(self):
        self.r, self.lora_alpha = args.rank[first], args.alpha[first]
        self.rank_pattern = {PATTERNS[tower]: args.rank[tower] for tower in others}
        self.alpha_pattern = {PATTERNS[tower]: args.alpha[tower] for tower in others}
        without = "|".join(pattern for tower, pattern in PATTERNS.items() if tower not in adapted(args))
        self.exclude_modules = rf"(.*\.)?({without})" if without else None
        library(self)

    LoraConfig.__post_init__ = with_patterns


class Progress(plain.Progress):
    """Also keeps the last step, and says which tensors are trained at which rate."""

    step = 0

    def on_train_begin(self, args, state, control, optimizer=None, **more):
        super().on_train_begin(args, state, control, **more)
        self.listen()  # Again: axolotl takes SIGINT for itself, and ends with 0.
        for group in optimizer.param_groups:
            print(f"{len(group['params'])} tensors at a peak rate of {group['initial_lr']}", flush=True)

    def on_step_end(self, args, state, control, **more):
        super().on_step_end(args, state, control, **more)
        self.step = state.global_step


def create_optimizer(self, *_, **__):
    """A group with its own rate for each tower.

    Raises ValueError if other towers are trained than those with a rank.
    """
    trained = {plain.tower_of(name) for name, parameter in self.model.named_parameters() if parameter.requires_grad}
    if trained != set(adapted(self.run)):
        raise ValueError(f"trained are {sorted(map(str, trained))}, but ranks are given for {sorted(adapted(self.run))}")
    return plain.TowerTrainer.create_optimizer(self)


def create_both(self, num_training_steps):
    """As in the Trainer of transformers; ms-swift 4.6.0 has one that passes over the two functions that it calls."""
    self.create_optimizer()
    self.create_scheduler(num_training_steps, self.optimizer)


def towers_into_trainer(args, progress):
    """Every Trainer that is made afterwards, whatever its class, has the optimizer and the schedule of this run."""
    library = Trainer.__init__

    def with_towers(self, *given, **named):
        library(self, *given, **named)
        self.run = args
        self.add_callback(progress)
        # Of the object, since a class of the program may have its own.
        self.create_optimizer = MethodType(create_optimizer, self)
        self.create_scheduler = MethodType(plain.TowerTrainer.create_scheduler, self)
        self.create_optimizer_and_scheduler = MethodType(create_both, self)

    Trainer.__init__ = with_towers


def run(start):
    """The whole of a script: `start(args, checkpoint)` calls the program, which goes on from `checkpoint` unless it is
    `None`. Ends the process with an exit code of transformers_trainer.py.
    """
    args = plain.arguments()
    try:
        code = train(args, start)
    except torch.OutOfMemoryError as error:
        code, said = 4, error
    except (FileNotFoundError, KeyError, ValueError) as error:
        code, said = 3, error
    except OSError as error:
        code, said = 74, error
    if code in (3, 4, 74):
        print(f"{type(said).__name__}: {said}", file=sys.stderr)
    sys.exit(code)


def train(args, start):
    if args.micro_batch and args.batch % args.micro_batch:
        raise ValueError(f"--micro-batch {args.micro_batch} does not divide --batch {args.batch}")
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = plain.last_checkpoint(args.out, args.continue_from if args.continue_from != plain.Path() else None)
    state = TrainerState.load_from_json(f"{checkpoint}/trainer_state.json") if checkpoint else TrainerState()
    progress = Progress(args.out, args.eval_every)
    if state.global_step < args.steps:
        patterns_into_lora(args)
        towers_into_trainer(args, progress)
        start(args, checkpoint)
        if progress.step < args.steps:
            return 85
        checkpoint = args.out / f"checkpoint-{args.steps}"
    else:  # Stopped between its last checkpoint and its end.
        progress.write(state)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        shutil.copyfile(f"{checkpoint}/{name}", args.out / name)
    return 0
