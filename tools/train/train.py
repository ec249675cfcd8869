#!/usr/bin/env python3
"""Train the innkeeper.

  make_data train models/innkeeper/tokenizer.json DATA 1 16 256:40 512:60 ... &
  make_data exam models/innkeeper/tokenizer.json DATA 9 200 1024:16 ...
  torchrun --nproc-per-node 4 tools/train/train.py --data DATA --out OUT --seconds 450

(tools/train/run.sh does it all.)
Each step takes the same number of tokens whatever the length of the sequences. What lengths are trained when is the
`--plan`: parts of the time and the lengths that alternate in it. Optimiser: Muon for matrices, AdamW for the rest, or
AdamW for all. --init begins with weights that are there (of a GGUF file: from_gguf.py). Writes OUT/NAME.json (settings,
curve, exams with their kinds of facts) and OUT/NAME-*.bin (float16 weights in parts, for export.py) every --save seconds and at
the end. Needs PyTorch, fla-core and one GPU per process; on a machine without one it runs too, for tests, at a few
hundred tokens a second.
"""
import argparse, glob, json, math, os, re, sys, time, types
import numpy as np
import torch
import torch.distributed as dist
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gsa_torch

CLASS_WEIGHTS = [0, .02, .05, 1, 1, 1, 1, .2]
CLASS_NAMES = ["padding", "guest", "keeper", "known", "changed", "unknown", "check", "pairs"]


class Data:
    """Shards of one length one after another, those that are there by then; begins anew after the last."""

    def __init__(self, folder, length, n_tokens, rank, world, skip):
        self.folder, self.length, self.rows, self.rank, self.world = folder, length, n_tokens // length, rank, world
        self.i, self.at, self.a, self.skip = -1, 0, None, skip

    def next(self):
        while self.a is None or self.at + self.rows * self.world > len(self.a):
            self.i, self.at = self.i + 1, 0
            for _ in range(1200):
                files = sorted(glob.glob(f"{self.folder}/[0-9]*-{self.length}.bin"))
                if files: break
                time.sleep(.1)
            self.a = np.fromfile(files[(self.i + self.skip) % len(files)], "<u2").reshape(-1, self.length)
        b = self.a[self.at + self.rank * self.rows:][:self.rows]
        self.at += self.rows * self.world
        return torch.from_numpy(b.astype(np.int32))


def orthogonal(g):
    """Newton-Schulz iteration towards the nearest orthogonal matrices; g [n, rows <= columns]."""
    x = g.to(torch.bfloat16)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.float()


def as_q4_0(x):
    """What a file of type Q4_0 keeps of rows of 32 numbers; nearly what src/quant/encode.c finds."""
    largest = x.gather(1, x.abs().argmax(1, keepdim=True))
    best, least = torch.zeros_like(x), x.square().sum(1, keepdim=True)
    for step in (-8, -6, -6.75, -7.3, -7.75, -8.45, 6.75, 7.4):
        q = (x * (step / largest)).round().clamp(-8, 7)
        y = q * ((q * x).sum(1, keepdim=True) / q.square().sum(1, keepdim=True)).half().float()
        error = (y - x).square().sum(1, keepdim=True)
        best, least = torch.where(error < least, y, best), torch.where(error < least, error, least)
    return best


class Optimiser:
    """AdamW on the flat parameters; with muon > 0 the matrices of the layers take orthogonalised momentum instead. The
    model may be given the weights rounded; they themselves are kept here."""

    def __init__(self, model, lr, muon, decay):
        self.m, self.lr, self.muon = model, lr, muon
        self.w = model.flat.detach().clone()
        self.is_matrix = torch.zeros(model.flat.numel(), 1, dtype=torch.bool, device=model.flat.device)
        self.lr_now = torch.zeros((), device=model.flat.device)
        self.m1, self.m2 = torch.zeros_like(model.flat), torch.zeros_like(model.flat)
        self.t = torch.zeros((), device=model.flat.device)
        self.decay = torch.zeros_like(model.flat)
        self.adam = torch.ones_like(model.flat)
        at, groups = 0, {}
        for name, p in model.p.items():
            is_matrix = "_proj" in name
            self.is_matrix[at:at + p.numel()] = is_matrix
            if is_matrix: self.decay[at:at + p.numel()] = decay
            if is_matrix and muon:
                self.adam[at:at + p.numel()] = 0
                groups.setdefault((min(p.shape), max(p.shape), p.shape[0] > p.shape[1]), []).append((at, p))
            at += p.numel()
        self.is_matrix = self.is_matrix[::32]  # all sizes are multiples of 32
        self.groups = [(tall, v) for (_, _, tall), v in groups.items()]

    @torch.no_grad()
    def step(self):
        p, g, lr = self.w, self.m.grad, self.lr_now
        g.mul_(torch.clamp(1 / (g.norm() + 1e-6), max=1.))
        self.t += 1
        self.m1.lerp_(g, .1 if not self.muon else .06)
        b1 = .9 if not self.muon else .94
        self.m2.lerp_(g * g, .02)
        u = (self.m1 / (1 - b1 ** self.t)) / ((self.m2 / (1 - .98 ** self.t)).sqrt() + 1e-9)
        p.mul_(1 - lr * self.lr * self.decay)
        p.addcmul_(u * self.adam, lr * -self.lr)
        for tall, group in self.groups:
            x = torch.stack([(g[at:at + q.numel()] * .06 + self.m1[at:at + q.numel()] * .94).view(q.shape) for at, q in group])
            o = orthogonal(x.mT if tall else x)
            o = o.mT if tall else o
            scale = self.muon * max(1, group[0][1].shape[0] / group[0][1].shape[1]) ** .5
            for (at, q), d in zip(group, o): p[at:at + q.numel()].view(q.shape).addcmul_(d, lr * -scale)
        self.m.flat.copy_(p)

    @torch.no_grad()
    def round(self):
        x = self.w.view(-1, 32)
        self.m.flat.view(-1, 32).copy_(torch.where(self.is_matrix, as_q4_0(x), x))


@torch.no_grad()
def examine(model, path, max_tokens=1 << 17):
    """Whole replies right under greedy decoding, which is the same as every token right when the text is given.
    {class or "kind NAME" or "new lines": [right, asked]}"""
    length = int(re.search(r"-(\d+)\.bin$", path)[1])
    a = np.fromfile(path, "<u2").reshape(-1, length)
    kinds = [line.split() for line in open(path[:-4] + ".kinds")]
    count = {}
    rows = max(1, min(len(a), max_tokens // length))
    for i in range(0, len(a), rows):
        w = a[i:i + rows]
        n = -(-length // 64) * 64
        ids = torch.zeros(rows, n, dtype=torch.long)  # of one size: some kernels are compiled for it
        ids[:len(w), :length] = torch.from_numpy((w & 8191).astype(np.int64))
        ids = ids.to(model.flat.device)
        guess = model.logits(ids).argmax(-1)[:, :-1]
        ok = (guess == ids[:, 1:]).cpu().numpy()[:, :length - 1]
        c = (w >> 13)[:, 1:]
        for r in range(len(w)):
            edges = np.flatnonzero(np.diff(c[r].astype(int))) + 1
            asked = iter(kinds[i + r])
            for span in np.split(np.arange(length - 1), edges):
                k = c[r][span[0]]
                if k < 3: continue
                names = [CLASS_NAMES[k]]
                kind = next(asked, "") if k < 7 else ""
                if kind: names += ["kind " + kind.lstrip("*")] + ["new lines"] * kind.startswith("*")
                for name in names:
                    x = count.setdefault(name, [0, 0])
                    x[0] += int(ok[r][span].all())
                    x[1] += 1
    talk = [v for k, v in count.items() if k in CLASS_NAMES[3:7]]
    if talk: count["all"] = [sum(v[i] for v in talk) for i in (0, 1)]
    return count


def shares(result):
    return {k: round(v[0] / v[1], 3) for k, v in sorted(result.items(), key=lambda x: x[0].startswith("kind"))}


def save(model, path, info):
    flat = model.flat.detach().cpu().numpy().astype("<f2")
    parts = max(1, -(-flat.nbytes // (15 << 20)))
    for i, x in enumerate(np.array_split(flat, parts)):
        with open(f"{path}-{i}.bin.part", "wb") as f: f.write(x.tobytes())
        os.replace(f"{path}-{i}.bin.part", f"{path}-{i}.bin")
    save_info(path, info)


def save_info(path, info):
    with open(path + ".json.part", "w") as f: json.dump(info, f)
    os.replace(path + ".json.part", path + ".json")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--data", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--name", default="innkeeper")
    a.add_argument("--seconds", type=float, default=450, help="all of it: setting up and exams too")
    a.add_argument("--since", type=float, default=0, help="when the seconds began, by `date +%%s`; default: now")
    a.add_argument("--max-tokens", type=float, default=1e18, help="end earlier, after this many")
    a.add_argument("--exam-seconds", type=float, default=15)
    a.add_argument("--tokens", type=int, default=65536, help="per step and GPU")
    a.add_argument("--lr", type=float, default=3e-3)
    a.add_argument("--muon", type=float, default=0)
    a.add_argument("--decay", type=float, default=.1)
    a.add_argument("--plan", default="0.15:256 0.45:256,512 0.8:256,512,1024,2048 1:512,1024,2048,2048,4096,8192")
    a.add_argument("--config", default="{}", help="JSON: what differs from gsa_torch.DEFAULTS")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--skip", type=int, default=0, help="shards to begin with")
    a.add_argument("--save", type=float, default=60)
    a.add_argument("--exam-every", type=float, default=75)
    a.add_argument("--init", default="", help="PATH of weights to begin with: PATH-0.bin, PATH-1.bin ...")
    a.add_argument("--flat", type=float, default=.1, help="part of the time before the rate falls")
    a.add_argument("--q4", type=float, default=1, help="after this part of the time each second step sees weights as in Q4_0")
    a.add_argument("--eager", action="store_true")
    a.add_argument("--profile", action="store_true", help="at the end, where the time of a step goes")
    a.add_argument("--weights", action="store_true", help="keep the weights, not only the numbers")
    o = a.parse_args()
    start = o.since or time.time()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    if on_gpu: torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    if world > 1: dist.init_process_group("nccl" if on_gpu else "gloo")
    torch.set_float32_matmul_precision("high")
    if on_gpu:
        import fla.ops.gsa
        gsa_torch.one_config_per_kernel()
        gsa_torch.plain_softmax()
    config = json.loads(o.config)
    model = gsa_torch.Model(config, device, o.seed, on_gpu and not o.eager)
    if o.init:
        flat = np.concatenate([np.fromfile(f, "<f2") for f in sorted(glob.glob(o.init + "-[0-9].bin"))])
        with torch.no_grad(): model.flat.copy_(torch.from_numpy(flat.astype(np.float32)))
    opt = Optimiser(model, o.lr, o.muon, o.decay)
    say = (lambda *x: print(f"[{o.name} {time.time() - start:6.1f}]", *x, flush=True)) if rank == 0 else (lambda *x: None)
    say(f"{model.flat.numel()} parameters", vars(o))
    plan = [(float(x.split(":")[0]), [int(t) for t in x.split(":")[1].split(",")]) for x in o.plan.split()]
    lengths = sorted({t for _, ts in plan for t in ts})
    data = {t: Data(o.data, t, o.tokens, rank, world, o.skip) for t in lengths}
    table = torch.tensor(CLASS_WEIGHTS, device=device)

    words = {t: torch.zeros(o.tokens // t, t, dtype=torch.int32, device=device) for t in lengths}
    results = {}

    def forward_backward(t):
        w = words[t]
        ids, c = (w & 8191).long(), (w >> 13).long()
        target, tc = torch.roll(ids, -1, 1), torch.roll(c, -1, 1)
        tc[:, -1] = 0
        loss, each = model.loss(ids, target, table[tc], model.fast)
        torch._foreach_copy_(model.grads, torch.autograd.grad(loss, list(model.p.values())))
        if t not in results: results[t] = torch.zeros(2, 8, device=device)
        results[t].zero_()
        results[t][0].index_add_(0, tc.reshape(-1), each.detach())
        results[t][1].index_add_(0, tc.reshape(-1), torch.ones_like(each))

    graphs, pool = {}, torch.cuda.graph_pool_handle() if on_gpu else None
    wait = torch.cuda.synchronize if on_gpu else lambda: None

    def captured(key, work):
        if not on_gpu:
            graphs[key] = types.SimpleNamespace(replay=work)
            return work()
        if key not in graphs:
            s = torch.cuda.Stream()
            s.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(s):
                for _ in range(2): work()
            torch.cuda.current_stream().wait_stream(s)
            torch.cuda.synchronize()
            g = torch.cuda.CUDAGraph()
            with torch.cuda.graph(g, pool=pool): work()
            graphs[key] = g
        graphs[key].replay()

    # everything compiled and captured before the clock of the schedule starts; the parameters are put back
    keep = model.flat.detach().clone()
    for t in lengths:
        words[t].copy_(data[t].next())
        captured(t, lambda t=t: forward_backward(t))
        wait()
        say(f"ready for {t}")
    captured("step", opt.step)
    captured("round", opt.round)
    with torch.no_grad():
        for x in (model.flat, opt.w): x.copy_(keep)
    for x in (opt.m1, opt.m2, opt.t): x.zero_()
    if world > 1: dist.barrier()

    info = {"settings": vars(o), "config": vars(model.c), "parameters": model.flat.numel(), "world": world, "curve": [],
        "exams": [], "shapes": {k: list(v) for k, v in gsa_torch.shapes(model.c).items()}, "hf_config": model.hf_config()}
    path = os.path.join(o.out, o.name)
    exams = lambda: sorted(glob.glob(f"{o.data}/exam-*.bin") + glob.glob(f"{o.data}/seen-*.bin") + glob.glob(f"{o.data}/new-*.bin"))
    quick = lambda: [x for x in exams() if "-1024-16-" in x or "-512-8-" in x]

    def examine_all(paths):
        """{file name: result}; each process takes some."""
        results = [{os.path.basename(p): examine(model, p) for p in paths[rank::world]}]
        if world > 1:
            mine, results = results[0], [None] * world
            dist.all_gather_object(results, mine)
        return {k: v for r in results for k, v in sorted(r.items())}

    begin = last_save = last_exam = time.time()
    end = start + o.seconds - o.exam_seconds
    step, tokens, sums = 0, 0, torch.zeros(2, 8, device=device)
    clock = torch.zeros(2, device=device)
    pick = np.random.default_rng(o.seed)
    while True:
        if step % 10 == 0:  # all processes go by the clock of the first
            x = max((time.time() - begin) / max(1, end - begin), tokens / o.max_tokens)
            clock.copy_(torch.tensor([x, time.time() - last_exam > o.exam_every]))
            if world > 1: dist.broadcast(clock, 0)
            x, is_exam = clock.tolist()
            if is_exam:
                last_exam = time.time()
                for name, r in examine_all(quick()).items():
                    info["exams"].append([round(time.time() - begin, 1), step, name, r])
                    say(name, shares(r))
        if x >= 1: break
        lr = min(1, (step + 1) / 200) * max(.01, math.cos((x - o.flat) / (1 - o.flat) * math.pi / 2) ** 1.5 if x > o.flat else 1)
        opt.lr_now.fill_(lr)
        ts = next(ts for until, ts in plan if x <= until)
        t = ts[int(pick.integers(len(ts)))]
        words[t].copy_(data[t].next().pin_memory() if on_gpu else data[t].next(), non_blocking=on_gpu)
        graphs[t].replay()
        if world > 1: dist.all_reduce(model.grad, op=dist.ReduceOp.AVG) if on_gpu else dist.all_reduce(model.grad.div_(world))
        graphs["step"].replay()
        if x > o.q4 and step % 2 == 0: graphs["round"].replay()  # for the next step, never for one that saves or examines
        sums += results[t]
        step += 1
        tokens += o.tokens * world
        if step % 50 == 0 and rank == 0:
            s = sums.cpu().numpy()
            sums.zero_()
            means = [float(v) for v in s[0] / np.maximum(s[1], 1)]
            now = time.time()
            info["curve"].append([round(now - begin, 1), step, tokens, round(lr, 4)] + [round(m, 4) for m in means[1:]])
            if step % 200 == 0:
                say(f"step {step} {tokens / 1e6:.0f}M {tokens / (now - begin) / 1e6:.2f}M/s part {x:.2f} loss " +
                    " ".join(f"{n} {m:.3f}" for n, m in zip(CLASS_NAMES[1:], means[1:])))
            if not all(math.isfinite(m) for m in means): say("not finite")
            if o.weights and now - last_save > o.save:
                last_save = now
                save(model, path, info)
    wait()
    info["steps"], info["tokens"], info["seconds"] = step, tokens, time.time() - begin
    with torch.no_grad():
        for x in (model.flat, opt.w): x.copy_(model.flat.half().float())
    if rank == 0 and o.weights: save(model, path, info)
    info["final"] = examine_all(exams())
    for name, r in info["final"].items(): say("final", name, shares(r))
    opt.round()
    info["final_q4_0"] = examine_all(quick())
    for name, r in info["final_q4_0"].items(): say("as Q4_0", name, shares(r))
    if rank == 0: save_info(path, info)
    if world > 1: dist.destroy_process_group()
    if rank == 0 and o.profile:
        activities = [torch.profiler.ProfilerActivity.CUDA if on_gpu else torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities) as p:
            for _ in range(3):
                graphs[lengths[0]].replay()
                graphs["step"].replay()
            wait()
        say(p.key_averages().table(sort_by="self_cuda_time_total" if on_gpu else "self_cpu_time_total", row_limit=40,
            max_name_column_width=70))


if __name__ == "__main__":
    main()
