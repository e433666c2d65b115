"""Gradients of DoRA adapters as PEFT computes them, for mars-lora/tests/laws/dora.rs.

Run with torch, peft 0.18.1 and safetensors; one thread, so that the sums are repeatable:

    OMP_NUM_THREADS=1 python tests/oracle/dora_gradients.py mars-lora/tests/fixtures/dora/peft.safetensors
"""

import json
import sys

import peft
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

assert peft.__version__ == "0.18.1", peft.__version__
torch.manual_seed(5)
torch.set_num_threads(1)

WIDTHS = [9, 7, 5]
NAMES = ["fc1", "fc2"]
ROWS = 12
CONFIG = dict(r=3, lora_alpha=6, use_dora=True)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name, inputs, outputs in zip(NAMES, WIDTHS, WIDTHS[1:]):
            setattr(self, name, torch.nn.Linear(inputs, outputs))

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x)))


base = Net()
x = torch.randn(ROWS, WIDTHS[0])
classes = torch.randint(WIDTHS[-1], (ROWS,), dtype=torch.int32)
out = {"x": x, "classes": classes}
for name in NAMES:
    layer = getattr(base, name)
    out[f"{name}.weight"] = layer.weight.detach().clone()
    out[f"{name}.bias"] = layer.bias.detach().clone()

model = get_peft_model(base, LoraConfig(target_modules=NAMES, **CONFIG))
for name, parameter in model.named_parameters():
    # A fresh adapter has a gain of 1 and a B of zeros, whose A gets no gradient.
    if "lora_" in name:
        parameter.data.uniform_(*((0.5, 1.5) if "magnitude" in name else (-0.5, 0.5)))
loss = torch.nn.functional.cross_entropy(model(x), classes.long())
loss.backward()
out["loss"] = loss.detach().reshape(1)
for name in NAMES:
    layer = getattr(model.base_model.model, name)
    parts = {
        "a": layer.lora_A["default"].weight,
        "b": layer.lora_B["default"].weight,
        "magnitude": layer.lora_magnitude_vector["default"].weight,
    }
    for part, parameter in parts.items():
        out[f"{name}.{part}"] = parameter.detach().clone()
        out[f"gradient.{name}.{part}"] = parameter.grad.clone()
        print(name, part, "largest gradient", parameter.grad.abs().max().item())

out = {name: value.contiguous() for name, value in out.items()}
save_file(out, sys.argv[1], metadata={"config": json.dumps(CONFIG)})
print("loss", loss.item())
