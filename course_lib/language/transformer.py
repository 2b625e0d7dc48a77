"""A causal transformer in the form of Llama (Touvron et al. 2023), small enough to read at one go, and its two sizes here.

Its parts have the names that they have in Hugging Face's `LlamaForCausalLM`, and compute the same.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.basics import check_positive_int, seeded
from course_lib.language.names import SYMBOLS

TEACHER_WEIGHTS = Path(__file__).parents[1] / "assets" / "language_teacher.npz"
NORM_EPS, ROPE_BASE, INITIAL_STD = 1e-6, 10_000.0, 0.02  # Llama's


class Transformer(nn.Module):
    """Symbols in, logits for the symbol after each out: int64 (n, L) -> (n, L, vocab_size), row t knowing symbols 0 to t only.

    width: numbers a position. layers: blocks on top of each other. heads: attentions side by side; width / heads is even.
    """

    def __init__(self, width: int, layers: int, heads: int, vocab_size: int = len(SYMBOLS)):
        super().__init__()
        for name, value in {"width": width, "layers": layers, "heads": heads, "vocab_size": vocab_size}.items():
            check_positive_int(name, value)
        if width % (2 * heads):
            raise ValueError(f"width must be a multiple of 2 · heads, got width={width} and heads={heads}")
        self.embed_tokens = nn.Embedding(vocab_size, width)
        self.layers = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=NORM_EPS)
        self.lm_head = nn.Linear(width, vocab_size, bias=False)
        for weight in self.parameters():
            if weight.dim() > 1:  # all but the norms, which begin at 1
                nn.init.normal_(weight, std=INITIAL_STD)

    def forward(self, symbols: Tensor) -> Tensor:
        x = self.embed_tokens(symbols)
        for block in self.layers:
            x = block(x)
        return self.lm_head(self.norm(x))


class Block(nn.Module):
    """Each position looks at those before it, then thinks about what it saw; both are added to what it was: (n, L, width)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(width, eps=NORM_EPS)
        self.self_attn = Attention(width, heads)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=NORM_EPS)
        self.mlp = SwiGLU(width, 8 * width // 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Attention(nn.Module):
    """Causal attention (Vaswani et al. 2017) with rotary positions (Su et al. 2021): (n, L, width) -> the same shape."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.v_proj, self.o_proj = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self._split(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        attended = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        return self.o_proj(attended.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (n, heads, L, width / heads)


def rotate(x: Tensor) -> Tensor:
    """Turn the pairs (i, i + half) of the last dimension by an angle that grows with the position: (…, L, size), the same out.

    The product of a query and a key then depends on how far they are apart, not on where they are.
    """
    length, half = x.shape[-2], x.shape[-1] // 2
    speed = ROPE_BASE ** (-torch.arange(half, device=x.device) / half)
    angle = torch.arange(length, device=x.device)[:, None] * speed
    one, other = x.split(half, -1)
    return torch.cat([one * angle.cos() - other * angle.sin(), other * angle.cos() + one * angle.sin()], -1)


class SwiGLU(nn.Module):
    """A gated layer on each position by itself (Shazeer 2020): (…, width) -> (…, width)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


# ---- the two of the course ----


def new_language_student(seed: int = 0, device: torch.device | str = "cpu") -> Transformer:
    """An untrained student of 7,024 parameters: width 16, 2 layers; the same weights for the same seed, whatever ran before."""
    with seeded(seed):
        return Transformer(width=16, layers=2, heads=2).to(device)


def new_language_teacher(seed: int = 0, device: torch.device | str = "cpu") -> Transformer:
    """An untrained teacher of 150,976 parameters: width 64, 3 layers."""
    with seeded(seed):
        return Transformer(width=64, layers=3, heads=4).to(device)


def pretrained_language_teacher(device: torch.device | str = "cpu") -> Transformer:
    """The teacher that ships, in eval mode. `course_lib/assets/README.md` says how it was trained and what it scores."""
    teacher = new_language_teacher()
    with np.load(TEACHER_WEIGHTS, allow_pickle=False) as weights:
        teacher.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights.files})
    return teacher.to(device).eval()
