"""From measured values to ratios and tables."""

import math
import statistics

# What is measured: unit, and whether more of it is better.
TOKENS = ("tokens/s", True)
SECONDS = ("s", False)
MEBIBYTES = ("MiB", False)


def spread(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def geometric_mean(values):
    if not values or min(values) <= 0:
        raise ValueError(f"no geometric mean of {values}")
    return math.exp(sum(math.log(value) for value in values) / len(values))


def best_setting(settings, more_is_better):
    """The setting {name: [value of each round]} whose median is best; the first among equals."""
    choose = max if more_is_better else min
    return choose(settings, key=lambda name: statistics.median(settings[name]))


def compare(model, case, kind, ours, peer, settings):
    """A result: the ratios ours / theirs of each round, the peer at its better setting."""
    unit, more_is_better = kind
    if not ours or any(len(values) != len(ours) for values in settings.values()):
        raise ValueError(f"{model}, {case}: not every round was measured on both sides")
    best = best_setting(settings, more_is_better)
    ratios = [a / b for a, b in zip(ours, settings[best])]
    return {"model": model, "case": case, "unit": unit, "more_is_better": more_is_better,
            "peer": peer, "setting": best, "ours": ours, "theirs": settings, "ratios": ratios,
            "ratio": spread(ratios)}


def merged(old, new):
    """Results of two runs; where both measured the same, the newer one."""
    def key(result):
        return (result["model"], result["case"], result.get("peer"))
    replaced = {key(result) for result in new}
    return [result for result in old if key(result) not in replaced] + new


def means(results):
    """[{group, case, peer, models, geometric mean of the median ratios, least and largest}]."""
    groups = {}
    for result in results:
        key = (result.get("group", ""), result["case"], result["peer"])
        groups.setdefault(key, []).append(result["ratio"]["median"])
    return [{"group": group, "case": case, "peer": peer, "models": len(values),
             "geometric_mean": geometric_mean(values), "min": min(values), "max": max(values)}
            for (group, case, peer), values in groups.items()]


def _number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _range(values, digits=2):
    return " / ".join(f"{values[name]:.{digits}f}" for name in ("min", "median", "max"))


def _table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def markdown(report):
    """The report of compare.py as Markdown tables."""
    parts = []
    results = report.get("results", [])
    if results:
        parts.append(_table(
            ["model", "case", "mistral.cpp", "peer", "its figure", "ratio min / median / max"],
            [[r["model"], r["case"], f"{_number(statistics.median(r['ours']))} {r['unit']}",
              " ".join([r["peer"], r["setting"]]).strip(),
              _number(statistics.median(r["theirs"][r["setting"]])), _range(r["ratio"])]
             for r in results]))
        parts.append(_table(
            ["case", "peer", "models", "geometric mean", "least", "largest"],
            [[m["case"], m["peer"], f"{m['models']} {m['group']}".strip(), f"{m['geometric_mean']:.2f}",
              f"{m['min']:.2f}", f"{m['max']:.2f}"] for m in means(results)]))
    alone = report.get("alone", [])
    if alone:
        parts.append(_table(
            ["model", "measured alone", "min / median / max"],
            [[r["model"], r["case"], _range(spread(r["values"]))] for r in alone]))
    probes = report.get("probes", [])
    if probes:
        parts.append(_table(
            ["machine", "min / median / max"],
            [[f"{name}, {unit}", _range(spread([p[name] for p in probes]), 1)]
             for name, unit in (("bandwidth", "GB/s"), ("int8", "Gop/s"))]))
    return "\n".join(parts)
