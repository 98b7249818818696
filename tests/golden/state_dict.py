"""Writes state_dict.pt, a checkpoint with every kind of tensor that a state dict can hold, and module.pt, which is none.

    pip install torch==2.15.0
    python state_dict.py
"""

from pathlib import Path

import torch

here = Path(__file__).parent
numbers = torch.arange(24, dtype=torch.float32) / 4
state = {
    "plain": numbers.reshape(2, 3, 4),
    "strided": numbers.reshape(4, 6).t(),
    "slice": numbers[5:9],
    "channels_last": numbers.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
    "parameter": torch.nn.Parameter(numbers[:2].clone()),
    "scalar": torch.tensor(-1.5),
    "double": torch.tensor([1.0, -2.0], dtype=torch.float64),
    "half": torch.tensor([0.5, -65504.0], dtype=torch.float16),
    "brain": torch.tensor([0.5, -3.0], dtype=torch.bfloat16),
    "num_batches_tracked": torch.tensor(7),
}
torch.save({"epoch": -300, "rate": 0.1, "done": True, "state_dict": state, "names": ["a", ("b", None)]}, here / "state_dict.pt")
torch.save(torch.nn.Linear(2, 1), here / "module.pt")
