"""Renders the generated parts of docs/trust.md and README.md from the data of scripts/trust.

Pure: numbers in, Markdown out. It measures nothing and reads no file.
"""

import textwrap

FULL_RUNS = 200
COMMANDS = {
    "noise": "scripts/trust --only noise",
    "check": "fieldtest check",
    "mutants": "cargo test --test it mutants:: -- --nocapture",
    "adversaries": "FIELDTEST_TABLE=1 cargo test --test it adversaries::table -- --nocapture",
}
KINDS = {"as_claimed": "as claimed", "flipped": "flipped"}
EVIDENCE = {
    "effect": "the effect appeared, or did not appear although it could",
    "usage_meter": "the token count of the endpoint rose, or did not rise",
    "validated": "an invalid value was rejected, or accepted",
    "refusal": "the request with the field was rejected",
    "distribution": "two samples of responses differ, or do not differ",
}
DESIGNS = {
    "bayes_factor": "Bayes factors, obedience learned",
    "sprt": "SPRT, obedience of 90 % assumed",
    "cautious_sprt": "SPRT, obedience of 50 % assumed",
    "fixed_three": "fixed sample, 3 of each arm",
    "fixed_twelve": "fixed sample, 12 of each arm",
}
# What can be wrong about a mutant, in the words of `fieldtest check`.
FATES = {
    "survived": "its row does not reach the expected verdict",
    "accused": "another row is decided wrongly, although its own field did not change",
    "kept": "another row has a positive verdict that no response supports",
    "unnamed": "another row is blocked, and does not name the cause",
    "changed": "another row changes without a cause",
    "void": "no request of the row has the field",
    "unproved": "the simulator cannot represent the mutant",
    "untried": "the run without mutants failed",
}
# The counts that are summed over the two lines of a condition.
COUNTS = (
    "runs", "rows", "verdicts", "statistical", "owned_up", "runs_with_wrong", "undetermined",
    "undetermined_by_noise", "attempts", "input_tokens", "wrong",
)


def percent(part, whole=1.0):
    """Formats a share in percent, with as many digits as it needs."""
    if not whole:
        return "–"
    share = 100 * part / whole
    if share in (0, 100):
        return f"{share:.0f} %"
    # A share below 100 % must not be rounded up to 100 %.
    return f"{min(share, 99.9):.1f} %" if share >= 1 else f"{share:.2g} %"


def number(value):
    """Formats a count with thousands separators."""
    return f"{value:,}"


def table(head, rows):
    """Renders a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def data(parts, name):
    """Returns the numbers of a part, or None if it was not measured."""
    return parts[name]["data"] if name in parts else None


def missing(name):
    """Returns the text for a part that was never measured."""
    return f"Not measured yet. Run `{COMMANDS[name]}`."


def provenance(parts, name):
    """Says when a part was measured, and by which command."""
    return f"Measured on {parts[name]['date']} by `{command(parts, name)}`."


def command(parts, name):
    """Returns the command that measures a part again."""
    runs = parts[name]["data"]["runs_of_each_target"] if name == "noise" else FULL_RUNS
    return COMMANDS[name] + (f" --runs {runs}" if runs != FULL_RUNS else "")


def lines_of(found, condition):
    """Sums the two lines of a condition."""
    lines = [line for line in found["lines"] if line["condition"] == condition]
    if not lines:
        return None
    total = {key: sum(line[key] for line in lines) for key in COUNTS}
    return total | {key: lines[0][key] for key in ("title", "confidence")}


def conditions(found):
    """Returns the measured conditions in order, each one time."""
    return list(dict.fromkeys(line["condition"] for line in found["lines"]))


def size(found):
    """Describes the runs, and says if there are too few of them."""
    runs, seed = found["runs_of_each_target"], found["first_seed"]
    whole = runs * len(found["targets"])
    text = (
        f"{number(whole)} runs for each condition: {number(runs)} for each of {len(found['targets'])} targets "
        f"(seeds {seed} to {seed + runs - 1}). Half of them test servers that follow their claims. The other half test servers "
        f"with {found['flips_of_each_server']} random rows flipped."
    )
    if whole < FULL_RUNS:
        text += f" **This measurement is short (fewer than {FULL_RUNS} runs). Do not use its rates.**"
    return text


def noise(parts):
    """Renders wrong verdicts, undetermined rows and cost."""
    found = data(parts, "noise")
    if not found:
        return missing("noise")
    head = ["condition", "servers", "runs", "verdicts", "wrong", "rate (95 %: at most)", "worst row", "undetermined",
            "by noise", "requests per verdict", "input tokens per verdict"]
    rows = []
    for line in found["lines"]:
        wrong, verdicts, worst = line["wrong"], line["verdicts"], line["worst"]
        rows.append([
            line["title"], KINDS[line["servers"]], number(line["runs"]), number(verdicts), wrong,
            f"{percent(wrong, verdicts)} ({percent(line['wrong_at_most'])})",
            f"`{worst['row']}`, {worst['wrong']} of {worst['tests']}" if worst else "none",
            percent(line["undetermined"], line["rows"]), percent(line["undetermined_by_noise"], line["rows"]),
            f"{line['attempts'] / verdicts:.1f}", number(round(line["input_tokens"] / verdicts)),
        ])
    met = {line["statuses_met"] for line in found["lines"] if line["servers"] == "flipped"}
    opened = [f"{entry['times']} times {entry['row']}" for line in found["lines"] if line["condition"] == "ten"
              for entry in line["left_open"][:4]]
    text = [size(found), f"{found['rows']} rows, {max(met, default=0)} pairs of a row and its true status.", table(head, rows)]
    if opened:
        text.append(f"Most frequent undetermined rows at 10 % disobedience: {'; '.join(opened)}.")
    accused = [f"`{row['row']}` ({row['wrong']} of {row['tests']}; {line['title']})"
               for line in found["lines"] for row in line["proved_above"]]
    if accused:
        text.append(f"**Wrong significantly more often than the confidence allows: {', '.join(dict.fromkeys(accused))}.**")
    return "\n\n".join([*text, provenance(parts, "noise")])


def matrix(parts):
    """Renders the errors per matrix: the allowed number and the measured number."""
    found = data(parts, "noise")
    if not found:
        return missing("noise")
    head = ["condition", "confidence", "verdicts per matrix", "statistical", "wrong per matrix, allowed",
            "wrong per matrix, measured", "matrices with a wrong verdict"]
    rows = []
    for name in conditions(found):
        total = lines_of(found, name)
        runs = total["runs"]
        rows.append([
            total["title"], total["confidence"], f"{total['verdicts'] / runs:.1f}", f"{total['statistical'] / runs:.1f}",
            f"{total['owned_up'] / runs:.3f}", f"{total['wrong'] / runs:.3f}", percent(total["runs_with_wrong"], runs),
        ])
    return "\n\n".join([table(head, rows), provenance(parts, "noise")])


def evidence(parts):
    """Renders the kinds of evidence, and how many of their verdicts are statistical."""
    found = data(parts, "noise")
    if not found:
        return missing("noise")
    sums = {}
    # The canary is expected to be wrong.
    for line in (line for line in found["lines"] if line["condition"] != "canary"):
        for kind, counts in line["by_evidence"].items():
            sums[kind] = [a + b for a, b in zip(sums.get(kind, [0, 0, 0]), counts)]
    total = sum(counts[0] for counts in sums.values())
    rows = [[f"`{kind}`", EVIDENCE.get(kind, kind), percent(counts[0], total), percent(counts[1], counts[0]), counts[2]]
            for kind, counts in sorted(sums.items())]
    head = ["evidence", "observation", "share of verdicts", "of these, statistical", "wrong, in all conditions except the canary"]
    return "\n\n".join([table(head, rows), provenance(parts, "noise")])


def designs(parts):
    """Renders the comparison of the sequential test with other designs."""
    found = data(parts, "noise")
    if not found:
        return missing("noise")
    levels = list(dict.fromkeys(fared["disobedience"] for fared in found["designs"]))
    opened, paid = [level for level in levels if level >= 0.4], [level for level in levels if level <= 0.4]
    head = ["design"]
    for what, those in (("wrong", levels), ("open", opened), ("requests", paid)):
        head += [f"{what} at {100 * level:.0f} %" for level in those]
    rows = []
    for design, title in DESIGNS.items():
        fared = {f["disobedience"]: f for f in found["designs"] if f["design"] == design}
        plays = {level: 2 * fared[level]["plays"] for level in levels}
        worse = {level: max(fared[level]["wrong_honoured"], fared[level]["wrong_passed_over"]) for level in levels}
        rows.append([
            title, *(percent(2 * worse[level], plays[level]) for level in levels),
            *(percent(fared[level]["open"], plays[level]) for level in opened),
            *(f"{fared[level]['requests'] / plays[level]:.1f}" for level in paid),
        ])
    return "\n\n".join([table(head, rows), provenance(parts, "noise")])


def check(parts):
    """Renders the kill rate of the experiments."""
    found = data(parts, "check")
    if not found:
        return missing("check")
    text = f"{number(found['killed'])} of {number(found['mutants'])} mutants killed: kill rate {percent(found['kill_rate'])}."
    if "grounds" not in found:
        # Measured before the other rows were compared.
        return "\n\n".join([text, provenance(parts, "check")])
    fates = table(["outcome", "meaning", "mutants"], [
        ["killed", "its row reaches the expected verdict, and no other row gets a wrong one", number(found["killed"])],
        ["killed, blocked", "included: its row reaches this verdict by itself, and names the rows that block it", number(found["blocked"])],
        *([fate, meaning, number(found[fate])] for fate, meaning in FATES.items()),
    ])
    grounds = table(["simulated target", "rows", "runs with mutants", "verdicts of other rows compared", "forged verdicts found"], [
        [ground["target"], ground["rows"], number(ground["runs"]), number(ground["compared"]),
         f"{number(ground['sentinels']['noticed'])} of {number(ground['sentinels']['forged'])}"]
        for ground in found["grounds"]
    ])
    left_out = [
        f"{row['row']} was left out of {number(row['runs'])} of {number(ground['runs'])} runs on {ground['target']}: {row['reason']}."
        for ground in found["grounds"] for row in ground["left_out"]
    ]
    more = f"{number(found['carried'])} more changes of a field need not be detected by its own row, and test the other rows only."
    notes = [textwrap.fill(note, width=100, break_long_words=False, break_on_hyphens=False) for note in (" ".join(left_out), more) if note]
    return "\n\n".join([text, fates, grounds, *notes, f"The proof took {found['seconds']} s.", provenance(parts, "check")])


def printed(name):
    """Returns a function that renders the printed table of a test unchanged."""
    def render(parts):
        found = data(parts, name)
        return "\n\n".join(["\n".join(found).strip(), provenance(parts, name)]) if found else missing(name)
    return render


def readme(parts):
    """Renders the line about trust in the README."""
    found, proof = data(parts, "noise"), data(parts, "check")
    ten = lines_of(found, "ten") if found else None
    if proof:
        text = f"`fieldtest check` detects {number(proof['killed'])} of {number(proof['mutants'])} deliberately broken servers."
    else:
        text = missing("check")
    if ten:
        text += (f" With a model that ignores 10 % of its instructions, {number(ten['wrong'])} of "
                 f"{number(ten['verdicts'])} verdicts were wrong ([details](docs/trust.md)).")
    return textwrap.fill(f"**Can you trust it?** {text}", width=100, break_long_words=False, break_on_hyphens=False)


def broken_bounds(parts):
    """Returns every bound that the numbers break."""
    faults = []
    found, proof = data(parts, "noise"), data(parts, "check")
    for line in (found or {"lines": []})["lines"]:
        where = f"{line['title']}, {KINDS[line['servers']]}"
        if line["condition"] == "calm" and line["wrong"]:
            faults.append(f"{where}: {line['wrong']} wrong verdicts; expected 0")
        enough = found["runs_of_each_target"] >= FULL_RUNS
        for row in line["above"] if enough else line["proved_above"]:
            faults.append(f"{where}: {row['row']} is wrong in {row['wrong']} of {row['tests']} tests, more than the confidence allows")
        # Rows that depend on a flipped row are undetermined without noise too, and do not count.
        if line["condition"] == "ten" and line["undetermined_by_noise"] >= 0.02 * line["rows"]:
            faults.append(f"{where}: noise leaves {percent(line['undetermined_by_noise'], line['rows'])} of the rows undetermined; the limit is 2 %")
    canary = lines_of(found, "canary") if found else None
    if canary and not canary["wrong"]:
        faults.append("the canary survived: at a very low confidence, no wrong verdict was found, so the measurement finds nothing")
    if proof and not (proof.get("passed", True) and proof["killed"] == proof["mutants"]):
        faults.append(f"check: {proof['killed']} of {proof['mutants']} mutants killed, or the proof failed")
    return faults


# The functions that render each marked place of each document.
PLACES = {
    "docs/trust.md": {
        "check": check,
        "mutants": printed("mutants"),
        "noise": noise,
        "matrix": matrix,
        "evidence": evidence,
        "designs": designs,
        "adversaries": printed("adversaries"),
    },
    "README.md": {"trust": readme},
}
