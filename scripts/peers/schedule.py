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
    """How many requests each row and each probe asked one after the other, and how many of them. A row's rule looks at
    every answer before it asks the next question, so its requests are a chain. What was sent for several rows stands in
    each of their chains, since none could go on without it."""
    by_row = {}
    for trial in trials:
        by_row.setdefault(trial["row"], {}).update(dict.fromkeys(trial["exchanges"]))
    return {row: len(ids) for row, ids in by_row.items()}


# The rounds of the run's own questions, where each is answered as hoped: the form of texts, the plain request, and then
# the invented keys, which do not wait for each other.
PROBES = {"probe.channel": lambda asked: asked, "probe.strictness": lambda asked: min(asked, 2 + (asked > 3))}


def bound(exchanges, trials, at_once):
    """The least rounds of answers that any schedule needs: the longest chain of dependent requests, which begins with the
    run's own questions, or all requests over how many may be under way."""
    chain = chains(exchanges, trials)
    probes = sum(rounds(chain.pop(probe, 0)) for probe, rounds in PROBES.items())
    longest = probes + max(chain.values(), default=0)
    return {"requests": len(exchanges), "longest": longest, "bound": max(longest, len(exchanges) / at_once)}


def span(exchanges):
    """Seconds from the first request to the last answer."""
    attempts = [attempt for exchange in exchanges.values() for attempt in exchange["attempts"]]
    ends = [attempt["started_ms"] + attempt["duration_ms"] for attempt in attempts]
    return (max(ends) - min(attempt["started_ms"] for attempt in attempts)) / 1000
