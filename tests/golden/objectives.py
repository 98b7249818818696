"""Makes objectives.json: losses and gradients by PyTorch in double precision, image operators by torchvision v2.

Run as `python tests/golden/objectives.py` with torch and torchvision installed; rewrites the file beside it.
"""

import json
import pathlib

import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import functional as TF

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def plain(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


def gradients(loss, *tensors):
    return [plain(gradient) for gradient in torch.autograd.grad(loss, tensors)]


def vicreg():
    """The reference code's main_vicreg.py, 25/25/1."""
    z = (torch.randn(8, 5) * 0.7).requires_grad_()
    x, y = z.chunk(2)
    invariance = F.mse_loss(x, y)
    x, y = x - x.mean(0), y - y.mean(0)
    variance = sum(F.relu(1 - torch.sqrt(v.var(0) + 1e-4)).mean() / 2 for v in (x, y))
    covariance = 0
    for v in (x, y):
        c = v.T @ v / (len(v) - 1)
        covariance += (c - torch.diag(torch.diag(c))).pow(2).sum() / 5
    loss = 25 * invariance + 25 * variance + covariance
    terms = [float(t.detach()) for t in (invariance, variance, covariance)]
    return {"z": plain(z), "terms": terms, "loss": float(loss.detach()), "gradient": gradients(loss, z)[0]}


def byol():
    """Predictor 4 -> 6 -> 4 with batch norm in training; 2 - 2 cos both ways, mean over 3 films."""
    z, target = torch.randn(6, 4).requires_grad_(), torch.randn(6, 4)
    hidden, output = torch.randn(4, 6).requires_grad_(), torch.randn(6, 4)
    bias = torch.randn(4)
    h = F.batch_norm(z @ hidden, None, None, training=True, eps=1e-5)
    q1, q2 = (F.relu(h) @ output + bias).chunk(2)
    t1, t2 = target.chunk(2)
    loss = (2 - 2 * F.cosine_similarity(q1, t2) + 2 - 2 * F.cosine_similarity(q2, t1)).mean()
    found = gradients(loss, z, hidden)
    return {"z": plain(z), "target": plain(target), "hidden": plain(hidden), "output": plain(output),
            "bias": plain(bias), "loss": float(loss.detach()), "gradients": found}


def contrastive():
    """Temperature .5, with and without the positive in the denominator, with and without keys."""
    z, keys = torch.randn(6, 4).requires_grad_(), F.normalize(torch.randn(5, 4))
    cases = []
    for decoupled in (False, True):
        for queued in (False, True):
            n = F.normalize(z)
            s = n @ n.T / 0.5
            partner = torch.arange(6).roll(3)
            out = torch.eye(6, dtype=torch.bool)
            if decoupled:
                out = out | F.one_hot(partner, 6).bool()
            logits = s.masked_fill(out, -torch.inf)
            if queued:
                logits = torch.cat([logits, n @ keys.T / 0.5], 1)
            loss = (logits.logsumexp(1) - s[torch.arange(6), partner]).mean()
            cases.append({"decoupled": decoupled, "queued": queued, "loss": float(loss.detach()),
                          "gradient": gradients(loss, z)[0]})
    return {"z": plain(z), "keys": plain(keys), "cases": cases}


def image():
    """On a 16 x 14 image; torchvision's blur mirrors at the edges, so only the inside is comparable."""
    pixels = torch.rand(1, 14, 16, dtype=torch.float32)
    return {"pixels": plain(pixels),
            "brightness": [[f, plain(TF.adjust_brightness(pixels, f))] for f in (0.6, 1.4)],
            "contrast": [[f, plain(TF.adjust_contrast(pixels, f))] for f in (0.6, 1.4)],
            "blur": [[k, s, plain(TF.gaussian_blur(pixels, [k, k], [s, s]))] for k, s in ((5, 0.8), (7, 1.0))]}


golden = {"vicreg": vicreg(), "byol": byol(), "contrastive": contrastive(), "image": image()}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
