"""The model in PyTorch, with the tensor names of a Hugging Face checkpoint of flash-linear-attention.

The recurrence is fla's chunk_gsa; everything else is plain and works on [tokens, features], rows of all sequences one
after another, so that one compiled graph serves all sequence lengths. Variants for ablations: `memory` is "gsa", "abc"
(no gate), "swish" or "relu" (in place of the softmax over slots), "attention" (softmax attention with rotary positions).
"""
import math, re, types
import torch
import torch.nn.functional as F

DEFAULTS = dict(vocab_size=3072, hidden_size=384, num_hidden_layers=6, num_heads=6, num_slots=64, intermediate_size=768,
    conv_size=4, gate_logit_normalizer=16, norm_eps=1e-6, memory="gsa")
GGUF_NAMES = {"attn_slot_gate": "attn.f_proj", "attn_sub_norm": "attn.g_norm", "attn_output": "attn.o_proj",
    "attn_norm": "attn_norm", "ffn_norm": "mlp_norm"}


def name_of(gguf_name):
    """Of a tensor in a GGUF file: blk.0.attn_q.weight -> model.layers.0.attn.q_proj.weight"""
    if gguf_name == "token_embd.weight": return "model.embeddings.weight"
    if gguf_name == "output_norm.weight": return "model.norm.weight"
    if gguf_name == "output.weight": return "lm_head.weight"
    n, part = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", gguf_name).groups()
    if part not in GGUF_NAMES:
        head, last = part.split("_", 1)
        part = f"mlp.{last}_proj" if head == "ffn" else f"attn.{last[-1]}_conv1d" if "conv" in part else f"attn.{last}_proj"
    return f"model.layers.{n}.{GGUF_NAMES.get(part, part)}.weight"


def one_config_per_kernel():
    """fla tunes each kernel over dozens of configurations, minutes of compiling: take one that suits a large GPU."""
    import gc
    from triton.runtime.autotuner import Autotuner
    for a in gc.get_objects():
        if isinstance(a, Autotuner) and len(a.configs) > 1:
            a.configs = [min(a.configs, key=lambda c: (abs(c.num_warps - 4), abs(c.num_stages - 3),
                -math.prod(v for v in c.kwargs.values() if isinstance(v, int) and 0 < v <= 64)))]


def plain_softmax():
    """fla's softmax starts a program for each row, of 64 numbers here: take PyTorch's."""
    import fla.ops.gsa.chunk_bwd, fla.ops.gsa.chunk_fwd
    fla.ops.gsa.chunk_fwd.softmax_fwd = lambda x, dtype: x.softmax(-1, dtype=dtype)
    fla.ops.gsa.chunk_bwd.softmax_bwd = lambda p, dp, dtype: torch._softmax_backward_data(dp.to(p.dtype), p, -1, p.dtype).to(dtype)


def shapes(c):
    """Tensor name -> shape."""
    d, i, h = c.hidden_size, c.intermediate_size, c.num_heads
    s = {"model.embeddings.weight": (c.vocab_size, d), "model.norm.weight": (d,)}
    for n in range(c.num_hidden_layers):
        p = f"model.layers.{n}."
        s |= {p + "attn_norm.weight": (d,), p + "mlp_norm.weight": (d,), p + "mlp.gate_proj.weight": (i, d),
            p + "mlp.up_proj.weight": (i, d), p + "mlp.down_proj.weight": (d, i), p + "attn.g_norm.weight": (d,)}
        s |= {p + f"attn.{x}_proj.weight": (d, d) for x in "qkvo"}
        s |= {p + f"attn.{x}_conv1d.weight": (d, 1, c.conv_size) for x in "qkv"}
        if c.memory != "attention": s[p + "attn.f_proj.weight"] = (h * c.num_slots, d)
    return s


def init(c, device, seed):
    """Parameters as views of one flat tensor: {name: tensor}, flat."""
    g = torch.Generator().manual_seed(seed)
    s = shapes(c)
    flat = torch.zeros(sum(math.prod(v) for v in s.values()), device=device)
    out, at = {}, 0
    for name, shape in s.items():
        n = math.prod(shape)
        p = flat[at:at + n].view(shape)
        at += n
        if "norm" in name:
            p.fill_(1)
        elif "conv1d" in name:
            p.copy_((torch.rand(shape, generator=g) * 2 - 1) * shape[-1] ** -.5)
        else:
            std = .6 * shape[-1] ** -.5
            if "o_proj" in name or "down_proj" in name: std /= math.sqrt(2 * c.num_hidden_layers)
            p.copy_(torch.randn(shape, generator=g) * std)
        out[name] = p
    return out, flat


def rms(x, w, eps):
    return F.rms_norm(x.float(), (x.shape[-1],), w, eps)


def half(x):
    return x.to(torch.bfloat16)


def conv(x, w, first):
    """Causal depthwise convolution and silu; first [tokens, W-1]: 1 where that far back is still the same sequence."""
    n = w.shape[-1]
    y = x * w[:, 0, n - 1]
    for j in range(1, n):
        y = y + F.pad(x, (0, 0, j, 0))[:x.shape[0]] * first[:, j - 1:j] * w[:, 0, n - 1 - j]
    return F.silu(y)


def embed(ids, w):
    return F.embedding(ids, w)


def before(x, norm, wq, wk, wv, wf, cq, ck, cv, first, eps, c, abc):
    h = half(rms(x, norm, eps))
    q, k, v = (conv((h @ half(w).t()).float(), cw, first) for w, cw in ((wq, cq), (wk, ck), (wv, cv)))
    q, k, v = half(F.silu(q)), half(F.silu(k)), half(F.silu(v))
    f = (h @ half(wf).t()).float()
    if abc: return q, k, v, half(f), f
    g = F.logsigmoid(f) / c
    return q, k, v, half(-torch.expm1(g)), g


def before_attention(x, norm, wq, wk, wv, cq, ck, cv, first, eps):
    h = half(rms(x, norm, eps))
    return tuple(half(conv((h @ half(w).t()).float(), cw, first)) for w, cw in ((wq, cq), (wk, ck), (wv, cv)))


def after(x, o, g_norm, wo, norm, wg, wu, wd, eps):
    x = x + (half(rms(F.silu(o.float()), g_norm, 1e-5)) @ half(wo).t()).float()
    h = half(rms(x, norm, eps))
    return x + ((F.silu(h @ half(wg).t()) * (h @ half(wu).t())) @ half(wd).t()).float()


def head(x, norm, w, target, weight, eps):
    """Weighted loss, and its sum for each token."""
    logits = (half(rms(x, norm, eps)) @ half(w).t()).float()
    each = F.cross_entropy(logits, target, reduction="none")
    return (each * weight).sum() / weight.sum(), each


def two_passes(q, k, v, s, g, between, chunk=32):
    """The recurrence in plain PyTorch with any function between the passes. [B, T, H, *]; T a multiple of chunk."""
    B, T, H, _ = q.shape
    q, k, v, s, g = (x.view(B, T // chunk, chunk, H, -1).permute(1, 0, 3, 2, 4).float() for x in (q, k, v, s, g))
    G = g.cumsum(-2).clamp(min=-40)
    P, S, end = G.exp(), s * (-G).exp(), G[..., -1:, :]
    W = s * (end - G).exp()
    mask = torch.ones(chunk, chunk, device=q.device).tril()
    hk = q.new_zeros(B, H, k.shape[-1], s.shape[-1])
    hv = q.new_zeros(B, H, s.shape[-1], v.shape[-1])
    out = []
    for n in range(T // chunk):
        ok = P[n] * (((q[n] @ k[n].mT) * mask) @ S[n] + q[n] @ hk)
        p = between(ok) * P[n]
        out.append(p @ hv + ((p @ S[n].mT) * mask) @ v[n])
        hk = hk * end[n].exp() + k[n].mT @ W[n]
        hv = hv * end[n].exp().mT + W[n].mT @ v[n]
    return torch.stack(out).permute(1, 0, 3, 2, 4).reshape(B, T, H, -1)


def rotary(x):
    T, d = x.shape[1], x.shape[-1] // 2
    a = torch.arange(T, device=x.device)[:, None] * 10000. ** (-torch.arange(d, device=x.device) / d)
    cos, sin = a.cos()[:, None].to(x.dtype), a.sin()[:, None].to(x.dtype)
    return torch.cat([x[..., :d] * cos - x[..., d:] * sin, x[..., d:] * cos + x[..., :d] * sin], -1)


class Model:
    def __init__(self, config, device, seed=1, compiled=True):
        self.c = c = types.SimpleNamespace(**{**DEFAULTS, **config})
        self.p, self.flat = init(c, device, seed)
        for p in self.p.values(): p.requires_grad_(True)
        self.grad = torch.zeros_like(self.flat)
        self.grads, at = [], 0  # views in the order of the parameters
        for p in self.p.values():
            self.grads.append(self.grad[at:at + p.numel()].view(p.shape))
            at += p.numel()
        self.plain = types.SimpleNamespace(embed=embed, before=before, before_attention=before_attention, after=after, head=head)
        fast = (lambda f: torch.compile(f, dynamic=False)) if compiled else (lambda f: f)
        self.fast = types.SimpleNamespace(**{k: fast(v) for k, v in vars(self.plain).items()})

    def hidden(self, ids, fns=None):
        """ids [B, T] -> the last layer's output [B T, D]."""
        c, p, fns = self.c, self.p, fns or self.plain
        B, T = ids.shape
        first = (torch.arange(T, device=ids.device).repeat(B)[:, None] >=
            torch.arange(1, c.conv_size, device=ids.device)).float()
        x = fns.embed(ids.reshape(-1), p["model.embeddings.weight"])
        for n in range(c.num_hidden_layers):
            w = lambda name: p[f"model.layers.{n}.{name}.weight"]
            a = [w(f"attn.{i}_proj") for i in "qkv"]
            cw = [w(f"attn.{i}_conv1d") for i in "qkv"]
            heads = lambda y: y.view(B, T, c.num_heads, -1)
            if c.memory == "attention":
                q, k, v = (heads(y) for y in fns.before_attention(x, w("attn_norm"), *a, *cw, first, c.norm_eps))
                o = F.scaled_dot_product_attention(*(y.transpose(1, 2) for y in (rotary(q), rotary(k), v)), is_causal=True)
                o = o.transpose(1, 2)
            else:
                q, k, v, s, g = (heads(y) for y in fns.before(x, w("attn_norm"), *a, w("attn.f_proj"), *cw, first,
                    c.norm_eps, c.gate_logit_normalizer, c.memory == "abc"))
                if c.memory in ("swish", "relu") or not x.is_cuda:
                    o = two_passes(q, k, v, s, g, {"swish": F.silu, "relu": F.relu}.get(c.memory, lambda y: y.softmax(-1)))
                else:
                    from fla.ops.gsa import chunk_gsa
                    o, _ = chunk_gsa(q, k, v, s, None if c.memory == "abc" else g, scale=1., checkpoint_level=1)
            x = fns.after(x, o.reshape(B * T, -1), w("attn.g_norm"), w("attn.o_proj"), w("mlp_norm"),
                w("mlp.gate_proj"), w("mlp.up_proj"), w("mlp.down_proj"), c.norm_eps)
        return x

    def loss(self, ids, target, weight, fns=None):
        fns = fns or self.plain
        return fns.head(self.hidden(ids, fns), self.p["model.norm.weight"], self.p["model.embeddings.weight"],
            target.reshape(-1), weight.reshape(-1), self.c.norm_eps)

    @torch.no_grad()
    def logits(self, ids):
        h = rms(self.hidden(ids), self.p["model.norm.weight"], self.c.norm_eps)
        return (half(h) @ half(self.p["model.embeddings.weight"]).t()).float().view(*ids.shape, -1)

    def hf_config(self):
        c = self.c
        return {"architectures": ["GSAForCausalLM"], "model_type": "gsa", "vocab_size": c.vocab_size,
            "hidden_size": c.hidden_size, "num_hidden_layers": c.num_hidden_layers, "num_heads": c.num_heads,
            "num_kv_heads": None, "num_slots": c.num_slots, "intermediate_size": c.intermediate_size, "hidden_ratio": 4,
            "expand_k": 1, "expand_v": 1, "feature_map": "swish", "use_short_conv": True, "conv_size": c.conv_size,
            "gate_logit_normalizer": c.gate_logit_normalizer, "clamp_min": None, "clamp_max": None,
            "use_output_gate": False, "use_norm": True, "hidden_act": "swish", "norm_eps": c.norm_eps, "attn": None,
            "attnres_block_size": None, "elementwise_affine": True, "tie_word_embeddings": True, "pad_token_id": 0,
            "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 8192, "initializer_range": 0.02,
            "use_cache": True, "dtype": "float32"}
