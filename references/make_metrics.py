"""Measures of explanations, written out literally, of seeded masks, boxes and confidences.

    python references/make_metrics.py [OUT]

Writes metrics.npz into crates/onnxcam/tests/golden; README.md says what is in it.
"""

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage, stats

from arrays import save_npz
from make_runs import uniform

GOLDEN = Path(__file__).parent.parent / "crates" / "onnxcam" / "tests" / "golden"
CASES, HEIGHT, WIDTH = 200, 9, 8
DELTAS = (0.0, 0.25, 0.5)
SEED = 7


def cases():
    """Masks with equal values, empty ones among them, one or two boxes with edges between pixels, and what lies outside."""
    generator = np.random.default_rng(SEED)
    masks = ndimage.gaussian_filter(generator.random((CASES, HEIGHT, WIDTH)), (0, 1, 1))
    masks = masks - masks.min((1, 2), keepdims=True)
    masks = np.round(masks / masks.max((1, 2), keepdims=True) * 16) / 16
    masks[::40] = 0
    masks[1::40] = 1
    corner = generator.uniform(-3, 8, (CASES, 2, 2))
    size = generator.uniform(0.2, 8, (CASES, 2, 2))
    boxes = np.round(np.concatenate([corner, corner + size], -1) * 4) / 4  # left, top, right, bottom
    boxes[::2, 1] = boxes[::2, 0]  # One box twice is one box.
    plain = generator.uniform(0.05, 1, CASES)
    masked = plain[:, None] * generator.uniform(0.2, 1.4, (CASES, 2)).clip(0, 1 / plain[:, None])
    masked[::7] = plain[::7, None]
    return masks.astype(np.float32), boxes, plain, masked


def in_boxes(boxes):
    inside = np.zeros((HEIGHT, WIDTH), bool)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            inside[y, x] = any(l <= x + 0.5 < r and t <= y + 0.5 < b for l, t, r, b in boxes)
    return inside


def localisation(mask, inside, delta):
    internal = np.count_nonzero(inside & (mask > delta))
    external = np.count_nonzero(~inside & (mask > delta))
    return internal / (np.count_nonzero(inside) + external)


def pointing(mask, inside, tolerance):
    if not mask.any():
        return False
    y, x = np.unravel_index(np.argmax(mask), mask.shape)
    rows, columns = np.nonzero(inside)
    return bool((np.hypot(rows - y, columns - x) <= tolerance).any())


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = width * height if width > 0 and height > 0 else 0.0
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def largest_box(mask, threshold):
    labels, count = ndimage.label(mask > np.float32(threshold), np.ones((3, 3)))
    if count == 0:
        return None
    sizes = ndimage.sum_labels(np.ones_like(labels), labels, range(1, count + 1))
    rows, columns = np.nonzero(labels == 1 + int(np.argmax(sizes)))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def box_accuracy(mask, boxes):
    found = [largest_box(mask, np.float32(i) / np.float32(100)) for i in range(100)]
    seen = [(max(l, 0), max(t, 0), min(r, WIDTH), min(b, HEIGHT)) for l, t, r, b in boxes]
    seen = [b for b in seen if b[0] < b[2] and b[1] < b[3]]
    return [max(iou(b, box) for b in seen) if box else 0.0 for box in found] if seen else [np.nan]


def gini(mask):
    v = np.sort(mask.astype(np.float64).ravel())
    if v.sum() == 0:
        return 0.0
    n = len(v)
    return 1 - 2 * sum(v[k - 1] / v.sum() * (n - k + 0.5) / n for k in range(1, n + 1))


def interval(values, units):
    """As many units as there are, drawn 2000 times from the numbers of make_runs.uniform."""
    unit = [values[units == u] for u in np.unique(units)]
    means = []
    for sample in range(2000):
        drawn = (uniform(SEED, sample, len(unit)) * len(unit)).astype(int)
        means.append(np.concatenate([unit[u] for u in drawn]).mean())
    return np.quantile(means, [0.025, 0.975])


def references():
    masks, boxes, plain, masked = cases()
    inside = np.stack([in_boxes(b) for b in boxes])
    seen = inside.any((1, 2))

    def of_each(measure, where=seen):
        """Of those cases it can be taken of; NaN of the others."""
        return np.array([measure(i) if where[i] else np.nan for i in range(CASES)], dtype=np.float64)

    out = {"masks": masks, "boxes": boxes, "plain": plain, "masked": masked}
    out["localisation"] = np.stack([of_each(lambda i: localisation(masks[i], inside[i], d)) for d in DELTAS], 1)
    out["iou"] = np.stack(
        [of_each(lambda i: np.sum(inside[i] & (masks[i] > d)) / np.sum(inside[i] | (masks[i] > d))) for d in DELTAS], 1
    )
    out["pointing"] = of_each(lambda i: pointing(masks[i], inside[i], 1.5))
    lit = seen & masks.any((1, 2))
    out["energy"] = of_each(lambda i: masks[i][inside[i]].astype(np.float64).sum() / masks[i].astype(np.float64).sum(), lit)
    # A box between the centres of pixels covers none of them, and yet is a box.
    out["box_accuracy"] = np.array([np.mean(box_accuracy(m, b)) for m, b in zip(masks, boxes)])
    out["gini"] = np.array([gini(m) for m in masks])
    following = np.roll(masks, -1, 0)
    varies = (masks.std((1, 2)) > 0) & (following.std((1, 2)) > 0)
    out["coherency"] = of_each(lambda i: (np.corrcoef(masks[i].ravel(), following[i].ravel())[0, 1] + 1) / 2, varies)
    drops = np.maximum(0, plain - masked[:, 0]) / plain
    out["drop"], out["increase"] = drops, (masked[:, 0] > plain + 1e-6).astype(np.float64)
    ahead = masked[:, 0] - masked[:, 1]
    out["win"] = np.where(ahead > 1e-6, 1.0, np.where(ahead < -1e-6, -1.0, 0.0))
    out["drop_interval"] = interval(drops, np.arange(CASES))
    out["drop_interval_of_units"] = interval(drops, np.arange(CASES) % 12)
    wins, losses = int((out["win"] > 0).sum()), int((out["win"] < 0).sum())
    out["sign_test"] = np.array(stats.binomtest(wins, wins + losses).pvalue)
    out["wilcoxon"] = np.array(stats.wilcoxon(ahead).pvalue)
    out["wilcoxon_exact"] = np.array(stats.wilcoxon(ahead[np.nonzero(ahead)[0][:30]]).pvalue)
    return out


def main(out=GOLDEN):
    save_npz(Path(out) / "metrics.npz", **references())


if __name__ == "__main__":
    main(*sys.argv[1:])
