#!/usr/bin/env python3
"""Measures wrong and undecided verdicts on simulations whose model does not always do as told.

    scripts/noise.py [--disobedience P] [--runs N] [--binary FILE]

Each of the three bundled targets is run N times under different seeds; a decided verdict that differs from the one at
disobedience 0 is wrong. Exit 1 when any is.
"""
import argparse
import collections
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile

TARGETS = ("anthropic", "deepseek", "tencent-lkeap")
DECIDED = ("supported", "ignored", "rejected", "substituted")


def run(binary, folder, target, seed, disobedience):
    """One simulated run; its results."""
    out = pathlib.Path(folder, f"{target}-{seed}-{disobedience}")
    command = [binary, "run", target, "--simulate", "--seed", str(seed), "--disobedience", str(disobedience)]
    command += ["--out", str(out), "--format", "json", "--no-progress", "--concurrency", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return json.loads((out / f"results-{target}.json").read_text())


def main():
    """Runs, counts, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disobedience", type=float, default=0.2)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--binary", default="target/release/fieldtest")
    options = parser.parse_args()
    wrong, undecided = [], collections.Counter()
    print("| target | runs | verdicts | wrong | undecided | requests a run |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        for target in TARGETS:
            obedient = run(options.binary, folder, target, 1, 0)
            right = {row["id"]: row["verdict"]["status"] for row in obedient["rows"]}
            seeds = range(1000, 1000 + options.runs)
            jobs = [pool.submit(run, options.binary, folder, target, seed, options.disobedience) for seed in seeds]
            verdicts = requests = missed = errors = 0
            for seed, job in zip(seeds, jobs):
                results = job.result()
                requests += results["totals"]["requests"]
                for row in results["rows"]:
                    verdicts += 1
                    status = row["verdict"]["status"]
                    if status not in DECIDED:
                        missed += 1
                        undecided[f"{row['id']} ({row['verdict']['code']})"] += 1
                    elif status != right[row["id"]]:
                        errors += 1
                        wrong.append(f"{target}, seed {seed}, {row['id']}: {status}: {row['verdict']['reason']}")
            print(f"| {target} | {options.runs} | {verdicts} | {errors} | {missed} | {requests / options.runs:.0f} |")
    for line in wrong:
        print("wrong:", line)
    for row, count in undecided.most_common(8):
        print(f"undecided: {count} times {row}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
