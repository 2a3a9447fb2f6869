"""Compares the wall time of a run with the lower limit of any schedule.

Pure: lines of a recording in, numbers out.
"""

import json


def lines(path):
    """Reads the exchanges and the trials of a recording."""
    exchanges, trials = {}, []
    for line in path.read_text().splitlines():
        (kind, what), = json.loads(line).items()
        if kind == "exchange":
            exchanges[what["id"]] = what
        elif kind == "trial":
            trials.append(what)
    return exchanges, trials


def chains(exchanges, trials):
    """Returns the chain of requests of each row and each probe. A rule reads every response before
    the next request, so the requests of a row are a chain. A shared request is in the chain of each
    of its rows, because each of them needs it."""
    by_row = {}
    for trial in trials:
        by_row.setdefault(trial["row"], {}).update(dict.fromkeys(trial["exchanges"]))
    return {row: list(ids) for row, ids in by_row.items()}


def rounds(lengths):
    """Returns the duration of the probes for unknown keys: the plain request and the keys in
    parallel, then two more if the keys are rejected."""
    return sum(max(lengths[part]) for part in (slice(0, 3), slice(3, None)) if lengths[part])


def bound(exchanges, trials, at_once):
    """Returns the least seconds of any schedule, with the measured response times: the probes, then
    the longest row, or all other requests divided by the number in flight."""
    took = {name: sum(attempt["duration_ms"] for attempt in e["attempts"]) / 1000 for name, e in exchanges.items()}
    chain = {row: [took[name] for name in names] for row, names in chains(exchanges, trials).items()}
    texts, keys = chain.pop("probe.channel", []), chain.pop("probe.strictness", [])
    own = sum(texts) + rounds(keys)
    others = sum(took.values()) - sum(texts) - sum(keys)
    longest = own + max(map(sum, chain.values()), default=0)
    return {"requests": len(exchanges), "longest": longest, "bound": max(longest, own + others / at_once)}


def span(exchanges):
    """Returns the seconds from the first request to the last response."""
    attempts = [attempt for exchange in exchanges.values() for attempt in exchange["attempts"]]
    ends = [attempt["started_ms"] + attempt["duration_ms"] for attempt in attempts]
    return (max(ends) - min(attempt["started_ms"] for attempt in attempts)) / 1000
