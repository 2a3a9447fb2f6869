"""How well a run used the time that it waited: its wall time against what no schedule can go below.

Pure: lines of a recording in, numbers out.
"""

import json


def lines(path):
    """The recording's lines, by kind."""
    exchanges, trials = {}, []
    for line in path.read_text().splitlines():
        (kind, what), = json.loads(line).items()
        if kind == "exchange":
            exchanges[what["id"]] = what
        elif kind == "trial":
            trials.append(what)
    return exchanges, trials


def chains(exchanges, trials):
    """The requests that each row and each probe asked one after the other. A row's rule looks at every answer before it asks
    the next question, so its requests are a chain. What was sent for several rows stands in each of their chains, since
    none could go on without it."""
    by_row = {}
    for trial in trials:
        by_row.setdefault(trial["row"], {}).update(dict.fromkeys(trial["exchanges"]))
    return {row: list(ids) for row, ids in by_row.items()}


def rounds(lengths):
    """The run's own questions about invented keys: the plain request, then the keys, which do not wait for each other, and
    where they are refused two more of them."""
    return sum(max(lengths[part]) for part in (slice(0, 1), slice(1, 3), slice(3, None)) if lengths[part])


def bound(exchanges, trials, at_once):
    """The seconds that any schedule needs, each answer taking as long as it took: the run's own questions, and after them
    the longest row or all other requests over how many may be under way."""
    took = {name: sum(attempt["duration_ms"] for attempt in e["attempts"]) / 1000 for name, e in exchanges.items()}
    chain = {row: [took[name] for name in names] for row, names in chains(exchanges, trials).items()}
    texts, keys = chain.pop("probe.channel", []), chain.pop("probe.strictness", [])
    own = sum(texts) + rounds(keys)
    others = sum(took.values()) - sum(texts) - sum(keys)
    longest = own + max(map(sum, chain.values()), default=0)
    return {"requests": len(exchanges), "longest": longest, "bound": max(longest, own + others / at_once)}


def span(exchanges):
    """Seconds from the first request to the last answer."""
    attempts = [attempt for exchange in exchanges.values() for attempt in exchange["attempts"]]
    ends = [attempt["started_ms"] + attempt["duration_ms"] for attempt in attempts]
    return (max(ends) - min(attempt["started_ms"] for attempt in attempts)) / 1000
