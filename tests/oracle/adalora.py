"""AdaLoRA as PEFT trains it: 200 steps on three linear layers, for mars-lora/tests/laws/adalora.rs.

Run with torch, peft 0.18.1 and safetensors; one thread, so that the sums are repeatable:

    OMP_NUM_THREADS=1 python tests/oracle/adalora.py mars-lora/tests/fixtures/adalora/peft.safetensors
"""

import json
import sys
from types import SimpleNamespace

import peft
import torch
from peft import AdaLoraConfig, get_peft_model
from safetensors.torch import save_file

assert peft.__version__ == "0.18.1", peft.__version__
torch.manual_seed(3)
torch.set_num_threads(1)

WIDTHS = [16, 12, 10, 6]
NAMES = ["fc1", "fc2", "fc3"]
ROWS, BATCHES = 16, 4
CONFIG = dict(
    init_r=6,
    target_r=3,
    tinit=20,
    tfinal=40,
    deltaT=5,
    beta1=0.85,
    beta2=0.85,
    orth_reg_weight=0.5,
    total_step=200,
    lora_alpha=12,
)
OPTIMIZER = dict(lr=1e-2, weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8)
CLIP = 1.0


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name, inputs, outputs in zip(NAMES, WIDTHS, WIDTHS[1:]):
            setattr(self, name, torch.nn.Linear(inputs, outputs))

    def forward(self, x, y):
        h = torch.tanh(self.fc1(x))
        h = torch.tanh(self.fc2(h))
        return SimpleNamespace(loss=((self.fc3(h) - y) ** 2).mean())


base = Net()
x = torch.randn(BATCHES, ROWS, WIDTHS[0])
with torch.no_grad():
    teacher = Net()
    # What is to be learnt needs different ranks in different layers.
    for name, rank in zip(NAMES, [5, 1, 3]):
        own, other = getattr(base, name), getattr(teacher, name)
        other.load_state_dict(own.state_dict())
        outputs, inputs = own.weight.shape
        other.weight += torch.randn(outputs, rank) @ torch.randn(rank, inputs) * 0.4
    h = torch.tanh(teacher.fc1(x))
    y = teacher.fc3(torch.tanh(teacher.fc2(h)))

out = {"x": x, "y": y}
for name in NAMES:
    layer = getattr(base, name)
    out[f"{name}.weight"] = layer.weight.detach().clone()
    out[f"{name}.bias"] = layer.bias.detach().clone()

model = get_peft_model(base, AdaLoraConfig(target_modules=NAMES, **CONFIG))


def factors(moment):
    for name in NAMES:
        layer = getattr(model.base_model.model, name)
        for factor in ["A", "E", "B"]:
            value = getattr(layer, f"lora_{factor}")["default"]
            out[f"{moment}.{name}.{factor}"] = value.detach().clone()


factors("initial")
allocator = model.base_model.rankallocator
config = model.peft_config["default"]
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], **OPTIMIZER)
budgets, asks, masks, losses = [], [], [], []
for step in range(1, CONFIG["total_step"] + 1):
    at = (step - 1) % BATCHES
    # As PeftModelForCausalLM calls it; the plain PeftModel goes past AdaLoraModel.forward and its regulariser.
    loss = model.base_model(x[at], y[at]).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], CLIP)
    optimizer.step()
    model.base_model.update_and_allocate(step)
    optimizer.zero_grad()

    budget, ask = allocator.budget_schedule(step)
    budgets.append(budget)
    asks.append(ask)
    losses.append(loss.item())
    # Which triplets are zero after the step: the mask where one was applied.
    values = [getattr(model.base_model.model, name).lora_E["default"] for name in NAMES]
    masks.append(torch.cat([(v.detach() != 0).flatten() for v in values]))
    if step == 100:
        factors("half")

factors("final")
pattern = config.rank_pattern
kept = {name: v for key, v in pattern.items() for name in NAMES if f".{name}." in f".{key}."}
out["budgets"] = torch.tensor(budgets, dtype=torch.int32)
out["asks"] = torch.tensor(asks, dtype=torch.uint8)
out["masks"] = torch.stack(masks).to(torch.uint8)
out["losses"] = torch.tensor(losses, dtype=torch.float32)
out["pattern"] = torch.tensor([kept[name] for name in NAMES], dtype=torch.uint8)
out = {name: value.contiguous() for name, value in out.items()}
save_file(out, sys.argv[1], metadata={"config": json.dumps(CONFIG), "optimizer": json.dumps(OPTIMIZER)})
print("loss", losses[0], losses[-1], "ranks", {n: sum(v) for n, v in kept.items()}, "budget", budgets[-1])
