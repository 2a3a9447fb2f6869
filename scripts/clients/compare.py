"""Compares what a client did with a fault and without it.

Pure: results of the drivers in, one short outcome out.
"""

import json
import re
from collections import Counter

# From best to worst. An error is worse than a changed message only by convention: both break a
# program.
OUTCOMES = ["same", "differs", "raises", "hangs"]
LONGEST = 200
CHANCE = [
    (re.compile(r"\b(msg|req|toolu|srvtoolu)_0[A-Za-z0-9]{8,}"), r"\1_*"),
    (re.compile(r"127\.0\.0\.1:\d+"), "HOST"),
    (re.compile(r"0x[0-9a-f]{6,}"), "0x*"),
]


def steady(text):
    """Removes random values from a text."""
    for pattern, word in CHANCE:
        text = pattern.sub(word, text)
    return text


def canonical(value, ids):
    """Removes random values. Numbers ids, so that a duplicate id is visible. Null equals absent."""
    if isinstance(value, dict):
        out = {}
        for key, inner in value.items():
            if inner is None:
                continue
            if key == "signature" and isinstance(inner, str) and len(inner) >= 20:
                out[key] = "signed"
            elif key == "id" and isinstance(inner, str) and re.match(r"^(toolu|srvtoolu)_0\w+$", inner):
                out[key] = f"call {ids.setdefault(inner, len(ids) + 1)}"
            else:
                out[key] = canonical(inner, ids)
        return out
    if isinstance(value, list):
        return [canonical(inner, ids) for inner in value]
    return steady(value) if isinstance(value, str) else value


def of_events(events):
    """Summarizes a list of raw events."""
    out = {"events": [], "text": ""}
    for event in events:
        kind = event.get("type") if isinstance(event, dict) else event
        if out["events"][-1:] != [kind]:
            out["events"].append(kind)
        if kind == "message_start":
            out["start"] = event.get("message")
        if kind == "content_block_delta" and isinstance(event.get("delta"), dict):
            out["text"] += str(event["delta"].get("text", ""))
        if kind == "message_delta":
            out["delta"] = {"stop": (event.get("delta") or {}).get("stop_reason"), "usage": event.get("usage")}
    return out


def shown(value):
    """Formats a value in at most 40 characters."""
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= 40 else f"`{text[:37]}...`"


def of_lists(was, is_now):
    """Describes how the kinds in two lists differ."""
    less, more = Counter(was) - Counter(is_now), Counter(is_now) - Counter(was)
    words = [f"no {kind}" if kind not in is_now else f"{kind} less often" for kind in less]
    words += [f"{kind} as well" if kind not in was else f"{kind} more often" for kind in more]
    return ", ".join(words) or "another order"


def changes(was, is_now, path=""):
    """Yields the differences between two values as texts."""
    if was == is_now:
        return
    if isinstance(was, dict) and isinstance(is_now, dict):
        for key in [*was, *(key for key in is_now if key not in was)]:
            inner = f"{path}.{key}" if path else key
            if key not in is_now:
                yield f"no {inner}"
            elif key not in was:
                yield f"{inner} is {shown(is_now[key])}, not absent"
            else:
                yield from changes(was[key], is_now[key], inner)
        return
    if isinstance(was, list) and isinstance(is_now, list):
        kinds = [[item.get("type") if isinstance(item, dict) else item for item in items] for items in (was, is_now)]
        if kinds[0] != kinds[1]:
            yield f"{path}: {of_lists(*kinds)}"
        else:
            for index, pair in enumerate(zip(was, is_now)):
                yield from changes(*pair, f"{path}[{index}]")
        return
    if "usage" in path.split(".") and isinstance(is_now, (int, float, str)):
        # The old number depends on the request, not on the fault.
        yield f"{path} is {shown(is_now)}"
    elif isinstance(was, str) and isinstance(is_now, str) and is_now and is_now in was:
        yield f"{path} is cut"
    elif isinstance(was, str) and isinstance(is_now, str) and was and was in is_now:
        yield f"{path} has more: {shown(is_now.replace(was, '', 1).strip())}"
    else:
        yield f"{path} is {shown(is_now)}, not {shown(was)}"


def error_line(error):
    """Formats an exception as one line."""
    name = "when used" if error["class"] == "InUse" else error["class"]
    line = error.get("message") or error["line"]
    return f"{name}: {line}" if line else name


def judge_one(clean, got, name):
    """Returns the outcome of one scenario, and its differences."""
    if "hangs" in got:
        return ("same", []) if "hangs" in clean else ("hangs", ["no end within the time-out"])
    if "error" in got and "error" in clean:
        # The line repeats the typed parts.
        parts = [{k: v for k, v in e["error"].items() if k != "line" or "type" not in clean["error"]} for e in (clean, got)]
        found = list(changes(*(canonical(part, {}) for part in parts)))
        return ("differs" if found else "same"), [f"error: {change}" for change in found]
    if "error" in got:
        return "raises", [error_line(got["error"])]
    if "error" in clean:
        return "differs", [f"no error, where {clean['error']['class']} was due"]
    was, is_now = clean["value"], got["value"]
    if name == "events":
        was, is_now = of_events(was), of_events(is_now)
    found = list(changes(canonical(was, {}), canonical(is_now, {})))
    return ("differs" if found else "same"), found


def judge(clean, got):
    """Returns the worst outcome of all scenarios, with the scenarios and the differences."""
    judged = {name: judge_one(clean[name], got[name], name) for name in clean if name in got}
    worst = max((outcome for outcome, _ in judged.values()), key=OUTCOMES.index, default="same")
    if worst == "same":
        return {"outcome": "same"}
    where = [name for name, (outcome, _) in judged.items() if outcome == worst]
    said = []
    for name in where:
        for text in judged[name][1]:
            text = " ".join(steady(text).split())
            text = text if len(text) <= 110 else f"{text[:107]}..."
            if text not in said:
                said.append(text)
    detail = said[0]
    for text in said[1:]:
        if len(detail) + len(text) + 2 > LONGEST:
            detail += "; ..."
            break
        detail += f"; {text}"
    return {"outcome": worst, "in": [name.replace("_", "-") for name in where], "detail": detail}
