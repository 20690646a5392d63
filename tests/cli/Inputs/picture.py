"""Looks at what `nacre graph` wrote: picture.py json|xml|svg [FILE], by default standard input, or compares two
pictures in what they say, whatever version of Graphviz found the places: picture.py same FILE FILE COMMAND."""
import json
import re
import sys
import xml.etree.ElementTree as ElementTree

SVG = "{http://www.w3.org/2000/svg}"
what = sys.argv[1]


def said(name):
    """Without numbers of lines, which move with every edit of the standard library."""
    return sorted(re.sub(r"\.nac:\d+", ".nac", e.text) for e in ElementTree.parse(name).iter() if e.tag in (SVG + "title", SVG + "text") and e.text)


if what == "same":
    new, old = said(sys.argv[2]), said(sys.argv[3])
    if new != old:
        only = [line for line in new if line not in old][:3] + [line for line in old if line not in new][:3]
        sys.exit(f"{sys.argv[3]} is not what the compiler draws now: {only}\nwrite it anew: {sys.argv[4]}")
    sys.exit()
text = open(sys.argv[2]).read() if len(sys.argv) > 2 else sys.stdin.read()

if what == "json":
    picture = json.loads(text)
    boxes = {}

    def walk(box):
        boxes[box["id"]] = box
        for part in box.get("parts", []):
            walk(part)

    walk(picture["graph"])
    assert picture["entry"] == "run" and picture["graph"]["parameters"] == 224, picture["graph"]["parameters"]
    assert all(e["from"] in boxes and e["to"] in boxes for e in picture["edges"])
    product = next(b for b in boxes.values() if b.get("op") == "einsum")
    assert product["flops"] == "96*S" and product["lines"] == ["w [4, 4]"] and product["line"] == 7, product
    sys.exit()

root = ElementTree.fromstring(text)
parents = {kid: up for up in root.iter() for kid in up}
boxes = [g for g in root.iter(SVG + "g") if re.fullmatch(r"b\d+", g.get("id", ""))]
assert boxes and all(g.find(SVG + "title").text for g in boxes)
# the script knows every box that holds others, and all lines are inside the picture
script = root.find(SVG + "script").text
groups = {g.get("id")[1:] for g in boxes if "group" in g.get("class").split()}
assert groups == set(re.findall(r"^(\d+):\{f:", script, re.M)), groups
width, height = float(root.get("width")), float(root.get("height"))
for path in root.iter(SVG + "path"):
    if "edge" not in path.get("class", "").split():
        continue
    x = y = 0.0
    up = path
    while up is not None:
        move = re.match(r"translate\((\S+) (\S+)\)", up.get("transform", ""))
        if move:
            x, y = x + float(move[1]), y + float(move[2])
        up = parents.get(up)
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d"))]
    assert len(numbers) % 6 == 2, path.get("d")
    if what == "svg":
        assert all(-1 <= x + n <= width + 1 for n in numbers[::2]), path.get("d")
        assert all(-1 <= y + n <= height + 1 for n in numbers[1::2]), path.get("d")
if what == "svg":
    titles = "\n".join(t.text for t in root.iter(SVG + "title"))
    for part in ('weight h.a.w : f32[3, 4, 4] from "h<&>.0.a.w" ...', "picture.nac:7  def forward", "FLOPs: 96*S",
                 "state total : f32[4]", "input x : f32[S, 4]", "repeated 3 times"):
        assert part in titles, part
    labels = [t.text for t in root.iter(SVG + "text") if t.get("class") == "shape"]
    assert "[S, 4]" in labels, labels
    assert any("residual" in p.get("class", "") for p in root.iter(SVG + "path"))
    assert sum("folded" in g.get("class").split() for g in boxes) == 4
