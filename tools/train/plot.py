#!/usr/bin/env python3
"""The curve of a training as CSV and as a drawing: plot.py OUT/innkeeper.json models/training"""
import json, math, sys

info, out = json.load(open(sys.argv[1])), sys.argv[2]
names = ["seconds", "step", "tokens", "rate", "guest", "keeper", "known", "changed", "unknown", "yes_no", "pairs"]
rows = info["curve"][::4]
with open(out + ".csv", "w") as f:
    f.write(",".join(names) + "\n")
    for r in rows: f.write(",".join(str(x) for x in r) + "\n")
top, low = math.log10(10), math.log10(.003)
x = lambda t: 60 + 560 * t / rows[-1][2]
y = lambda v: 20 + 260 * (top - math.log10(max(v, .003))) / (top - low)
svg = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 340" font-family="sans-serif" font-size="12">',
    '<rect width="700" height="340" fill="#fff"/>']
for v in (10, 1, .1, .01):
    svg.append(f'<path d="M60 {y(v):.1f}h560" stroke="#ddd"/><text x="54" y="{y(v) + 4:.1f}" text-anchor="end">{v}</text>')
for i in range(0, 5):
    t = rows[-1][2] * i / 4
    svg.append(f'<text x="{x(t):.0f}" y="298" text-anchor="middle">{t / 1e6:.0f} M</text>')
svg.append('<text x="340" y="314" text-anchor="middle">tokens trained; loss per token, in nats</text>')
for k, (name, colour) in enumerate((("guest", "#999"), ("keeper", "#555"), ("known", "#1667b0"), ("changed", "#c0392b"),
        ("unknown", "#1d8348"), ("pairs", "#8e44ad"))):
    i = names.index(name)
    d = "M" + "L".join(f"{x(r[2]):.1f} {y(r[i]):.1f}" for r in rows)
    svg.append(f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<path d="M{60 + 95 * k} 330h20" stroke="{colour}" stroke-width="2"/><text x="{84 + 95 * k}" y="334">{name}</text>')
open(out + ".svg", "w").write("\n".join(svg) + "\n</svg>\n")
