"""The generated parts of docs/trust.md and README.md, from what scripts/trust measured.

Pure: numbers in, markdown out. It measures nothing and reads no file.
"""

FULL_RUNS = 200
COMMANDS = {
    "noise": "scripts/trust --only noise",
    "check": "fieldtest check",
    "mutants": "cargo test --test mutants -- --nocapture",
    "adversaries": "FIELDTEST_TABLE=1 cargo test --test adversaries table -- --nocapture",
}
KINDS = {"as_claimed": "as claimed", "flipped": "flipped"}
EVIDENCE = {
    "effect": "the effect showed, or did not where it could",
    "usage_meter": "the endpoint's own token count moved, or did not",
    "validated": "an impossible value was refused, or accepted",
    "refusal": "the request with the field was refused",
    "distribution": "two samples of answers differ, or do not",
}
DESIGNS = {
    "bayes_factor": "Bayes factors, obedience learnt",
    "sprt": "SPRT, obedience of 90 % assumed",
    "cautious_sprt": "SPRT, obedience of 50 % assumed",
    "fixed_three": "fixed sample, 3 of each arm",
    "fixed_twelve": "fixed sample, 12 of each arm",
}
# What two lines of a condition add up.
COUNTS = (
    "runs", "rows", "verdicts", "statistical", "owned_up", "runs_with_wrong", "undetermined",
    "undetermined_by_noise", "attempts", "input_tokens", "wrong",
)


def percent(part, whole=1.0):
    """A share, with as many digits as it needs."""
    if not whole:
        return "–"
    share = 100 * part / whole
    if share in (0, 100):
        return f"{share:.0f} %"
    # Nothing that is not all may read like all.
    return f"{min(share, 99.9):.1f} %" if share >= 1 else f"{share:.2g} %"


def number(value):
    """A count, with thousands told apart."""
    return f"{value:,}"


def table(head, rows):
    """A markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def data(parts, name):
    """A part's numbers, where it was measured."""
    return parts[name]["data"] if name in parts else None


def missing(name):
    """The place of a part that was never measured."""
    return f"Not measured yet; `{COMMANDS[name]}` does."


def provenance(parts, name):
    """When, and by which command."""
    return f"Measured on {parts[name]['date']} by `{command(parts, name)}`."


def command(parts, name):
    """The command that gives a part's numbers again."""
    runs = parts[name]["data"]["runs_of_each_target"] if name == "noise" else FULL_RUNS
    return COMMANDS[name] + (f" --runs {runs}" if runs != FULL_RUNS else "")


def lines_of(found, condition):
    """The two lines of a condition, added up."""
    lines = [line for line in found["lines"] if line["condition"] == condition]
    if not lines:
        return None
    total = {key: sum(line[key] for line in lines) for key in COUNTS}
    return total | {key: lines[0][key] for key in ("title", "confidence")}


def conditions(found):
    """The conditions that were measured, in order, each once."""
    return list(dict.fromkeys(line["condition"] for line in found["lines"]))


def size(found):
    """What was run, and whether that is enough."""
    runs, seed = found["runs_of_each_target"], found["first_seed"]
    whole = runs * len(found["targets"])
    text = (
        f"{number(whole)} runs under each condition: {number(runs)} of each of {len(found['targets'])} targets (seeds {seed} to {seed + runs - 1}), "
        f"half of them against servers as their documents claim, half with {found['flips_of_each_server']} rows of each server flipped "
        "at random."
    )
    if whole < FULL_RUNS:
        text += f" **A short measurement: fewer than {FULL_RUNS} runs; take no rate from it.**"
    return text


def noise(parts):
    """Wrong verdicts, undetermined rows, cost."""
    found = data(parts, "noise")
    if not found:
        return missing("noise")
    head = ["condition", "servers", "runs", "verdicts", "wrong", "rate (95 %: at most)", "worst row", "undetermined",
            "by noise", "requests a verdict", "input tokens a verdict"]
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
    text = [size(found), f"{found['rows']} rows, {max(met, default=0)} pairs of a row and a true status.", table(head, rows)]
    if opened:
        text.append(f"What 10 % leaves open most often: {'; '.join(opened)}.")
    accused = [f"`{row['row']}` ({row['wrong']} of {row['tests']}; {line['title']})"
               for line in found["lines"] for row in line["proved_above"]]
    if accused:
        text.append(f"**Wrong more often than the confidence allows, beyond chance: {', '.join(dict.fromkeys(accused))}.**")
    return "\n\n".join([*text, provenance(parts, "noise")])


def matrix(parts):
    """What the confidence means for a whole matrix: what verdicts own up to, and what was seen."""
    found = data(parts, "noise")
    if not found:
        return missing("noise")
    head = ["condition", "confidence", "verdicts a matrix", "statistical", "wrong a matrix, owned up to",
            "wrong a matrix, seen", "matrices with any"]
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
    """Which verdicts rest on statistics."""
    found = data(parts, "noise")
    if not found:
        return missing("noise")
    sums = {}
    # The canary is made to be wrong.
    for line in (line for line in found["lines"] if line["condition"] != "canary"):
        for kind, counts in line["by_evidence"].items():
            sums[kind] = [a + b for a, b in zip(sums.get(kind, [0, 0, 0]), counts)]
    total = sum(counts[0] for counts in sums.values())
    rows = [[f"`{kind}`", EVIDENCE.get(kind, kind), percent(counts[0], total), percent(counts[1], counts[0]), counts[2]]
            for kind, counts in sorted(sums.items())]
    head = ["evidence", "what decided", "share of verdicts", "of them statistical", "wrong, under all conditions but the canary"]
    return "\n\n".join([table(head, rows), provenance(parts, "noise")])


def designs(parts):
    """The sequential test against its rivals."""
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
    """The kill rate of the experiments."""
    found = data(parts, "check")
    if not found:
        return missing("check")
    text = f"{number(found['killed'])} of {number(found['mutants'])} mutants killed: kill rate {percent(found['kill_rate'])}"
    rest = [f"{found[word]} {word}" for word in ("survived", "spread", "void", "unproved", "untried") if found.get(word)]
    return "\n\n".join([text + (f" ({', '.join(rest)})." if rest else "."), provenance(parts, "check")])


def printed(name):
    """A table that a test printed, as it is."""
    def render(parts):
        found = data(parts, name)
        return "\n\n".join(["\n".join(found).strip(), provenance(parts, name)]) if found else missing(name)
    return render


def readme(parts):
    """The few numbers that the README carries."""
    found, proof = data(parts, "noise"), data(parts, "check")
    text = []
    if proof:
        text.append(f"`fieldtest check` kills {number(proof['killed'])} of {number(proof['mutants'])} mutants of the bundled rows: "
                    f"kill rate {percent(proof['kill_rate'])}.")
    else:
        text.append(f"Kill rate: not measured yet; `{COMMANDS['check']}` does.")
    if not found:
        return "\n\n".join([*text, f"Wrong verdicts: not measured yet; `{COMMANDS['noise']}` does."])
    rows = []
    for name in ("calm", "five", "ten", "twenty", "forty"):
        total = lines_of(found, name)
        if total:
            rows.append([total["title"], number(total["verdicts"]), total["wrong"], percent(total["wrong"], total["verdicts"]),
                         percent(total["undetermined_by_noise"], total["rows"]), f"{total['attempts'] / total['verdicts']:.1f}"])
    head = ["a model with", "verdicts", "wrong", "wrong rate", "undetermined by it", "requests a verdict"]
    text += [table(head, rows), size(found), provenance(parts, "noise")]
    return "\n\n".join(text)


def broken_bounds(parts):
    """What the numbers must keep, and do not."""
    faults = []
    found, proof = data(parts, "noise"), data(parts, "check")
    for line in (found or {"lines": []})["lines"]:
        where = f"{line['title']}, {KINDS[line['servers']]}"
        if line["condition"] == "calm" and line["wrong"]:
            faults.append(f"{where}: {line['wrong']} wrong verdicts, where none may be")
        enough = found["runs_of_each_target"] >= FULL_RUNS
        for row in line["above"] if enough else line["proved_above"]:
            faults.append(f"{where}: {row['row']} is wrong {row['wrong']} of {row['tests']} times: more than its confidence allows")
        # A flipped row takes the ground from others: what is undetermined without noise, too, is no noise.
        if line["condition"] == "ten" and line["undetermined_by_noise"] >= 0.02 * line["rows"]:
            faults.append(f"{where}: noise leaves {percent(line['undetermined_by_noise'], line['rows'])} undetermined; 2 % is too much")
    canary = lines_of(found, "canary") if found else None
    if canary and not canary["wrong"]:
        faults.append("the canary lives: where verdicts were given for next to nothing, none was seen to be wrong")
    if proof and not (proof.get("passed", True) and proof["killed"] == proof["mutants"]):
        faults.append(f"check: {proof['killed']} of {proof['mutants']} mutants killed, or the proof itself does not hold")
    return faults


# Which places of which document are filled with what.
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
