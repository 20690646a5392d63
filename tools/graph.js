/* Folds and unfolds the boxes of a picture. G tells of each box that holds others: whether it is folded,
   its size closed (c) and open (o) as drawn, its ports (p: in, q: out), its parts k as [id, x, y, w, h] and
   its lines e as [from, port, to, port, [x, y, ...], [label x, y]]; -1 stands for the box itself or no port.
   A part that changes its size stretches the strips of the box that it lies in, so that whatever was beside,
   above or below it stays there. */
'use strict';
const el = id => document.getElementById(id);

// A map of coordinates: each strip between the edges of parts grows as the part that grows most in it.
function stretch(parts, end) {
  const at = [...new Set([0, end, ...parts.flatMap(p => [p[0], p[1]])])].sort((a, b) => a - b);
  const to = [0];
  for (let i = 1; i < at.length; i++) {
    let by = 0;
    for (const [from, till, size] of parts)
      if (from <= at[i - 1] && till >= at[i] && till > from) by = Math.max(by, size / (till - from));
    to.push(to[i - 1] + (at[i] - at[i - 1]) * (by || 1));
  }
  return x => {
    let i = 1;
    while (i < at.length - 1 && at[i] < x) i++;
    return to[i - 1] + (x - at[i - 1]) * (to[i] - to[i - 1]) / (at[i] - at[i - 1] || 1);
  };
}

const round = x => Math.round(x * 10) / 10;
const path = p => {
  let d = `M${round(p[0])} ${round(p[1])}C`;
  for (let i = 2; i < p.length; i++) d += (i > 2 ? ' ' : '') + round(p[i]);
  return d;
};

function size(box, w, h) {
  for (const r of box.querySelectorAll(':scope > .open > .frame, :scope > .open > .stack')) {
    r.setAttribute('width', w);
    r.setAttribute('height', h);
  }
}

// Moves an end of a curve, and the control point beside it.
function snap(p, i, k, x, y) {
  const dx = x - p[i], dy = y - p[i + 1];
  p[i] = x; p[i + 1] = y;
  p[k] += dx; p[k + 1] += dy;
}

// The end of a line at a part: at its port, or where it was on the part's edge.
function meet(p, i, k, part, points, port, y) {
  if (port !== null) snap(p, i, k, part.left + port, part.top + y);
  else snap(p, i, k, part.left + (points[i] - part.x) * part.now.w / part.w, part.top + (points[i + 1] - part.y) * part.now.h / part.h);
}

function lay(id) {
  const g = G[id], box = el('b' + id);
  box.classList.toggle('folded', g.f);
  box.classList.toggle('unfolded', !g.f);
  if (g.f) return g.now = { w: g.c[0], h: g.c[1] };
  const parts = new Map();
  for (const [k, x, y, w, h] of g.k) {
    const now = G[k] ? lay(k) : { w, h };
    parts.set(k, { x, y, w, h, now });
  }
  const all = [...parts.values()];
  const fx = stretch(all.map(p => [p.x, p.x + p.w, p.now.w]), g.o[0]);
  const fy = stretch(all.map(p => [p.y, p.y + p.h, p.now.h]), g.o[1]);
  for (const [k, p] of parts) {
    p.left = (fx(p.x) + fx(p.x + p.w) - p.now.w) / 2;
    p.top = (fy(p.y) + fy(p.y + p.h) - p.now.h) / 2;
    el('b' + k).setAttribute('transform', `translate(${round(p.left)} ${round(p.top)})`);
  }
  const now = g.now = { w: fx(g.o[0]), h: fy(g.o[1]), p: g.p.map(fx), q: g.q.map(fx) };
  g.e.forEach(([from, out, to, into, points, label], n) => {
    const p = points.map((v, i) => i % 2 ? fy(v) : fx(v)), last = p.length - 2;
    const a = parts.get(from), b = parts.get(to), line = el(`e${id}_${n}`);
    if (a) meet(p, 0, 2, a, points, a.now.q && out >= 0 ? a.now.q[out] : null, a.now.h);
    if (b) {
      const open = b.now.p && into >= 0;
      meet(p, last, last - 2, b, points, open ? b.now.p[into] : null, 0);
      line.style.markerEnd = open ? 'none' : '';
    }
    if (from < 0) p[1] = 0;
    if (to < 0) p[last + 1] = now.h;
    line.setAttribute('d', path(p));
    if (label) {
      const t = el(`l${id}_${n}`);
      t.setAttribute('x', round(fx(label[0])));
      t.setAttribute('y', round(fy(label[1]) + 3.5));
    }
  });
  size(box, round(now.w), round(now.h));
  return now;
}

function draw() {
  const now = lay(0), svg = el('b0').ownerSVGElement;
  svg.setAttribute('viewBox', `0 0 ${round(now.w)} ${round(now.h)}`);
  svg.setAttribute('width', round(now.w));
  svg.setAttribute('height', round(now.h));
}

function every(id, folded) {
  for (const [k] of G[id].k) if (G[k]) { G[k].f = folded; every(k, folded); }
}

for (const id of Object.keys(G)) {
  if (id === '0') continue;
  const box = el('b' + id);
  for (const face of box.querySelectorAll(':scope > .open > .head, :scope > .closed'))
    face.addEventListener('click', e => {
      G[id].f = !G[id].f;
      if (e.shiftKey) every(id, G[id].f);
      draw();
    });
}
[['unfold all', false], ['fold all', true]].forEach(([what, folded], n) => {
  const t = document.createElementNS('http://www.w3.org/2000/svg', 'text');
  t.setAttribute('class', 'button');
  t.setAttribute('x', 20 + 64 * n);
  t.setAttribute('y', 14);
  t.textContent = what;
  t.addEventListener('click', () => { every(0, folded); draw(); });
  el('b0').appendChild(t);
});
