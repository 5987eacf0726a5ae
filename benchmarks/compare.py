#!/usr/bin/env python3
"""Compares this program with others on the same files, in alternation, and prints ratios.

In every round each program runs once; every second round runs in the opposite order. A ratio is
ours / theirs of the same round, theirs at the setting with the better median; of speeds more is
better, of start and memory less. What the machine can do is measured before and after each job.

Cases: prefill and decode (tokens per second), depth (decode after many tokens), batch (several
sequences generating together), start (process start to first token), memory (peak), and, of this
program alone, threads (prefill speed with all threads over that with one) and bandwidth (bytes read
by decode over what machine_peak measures just before and after).
"""

import argparse
import json
import os
import sys
import time

from comparison import jobs, outputs, ratios
from comparison.gguf_size import bytes_per_token
from comparison.processes import ProgramError, output_of

ALONE = ("threads", "bandwidth")


def numbers(text):
    return [int(part) for part in text.split(",")]


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="GGUF files")
    parser.add_argument("--program", default="build/release/bin/mistralcpp")
    parser.add_argument("--machine-peak", metavar="PROGRAM", default=None,
                        help="default: beside --program; without it nothing is probed")
    parser.add_argument("--llama", metavar="FOLDER",
                        help="llama-bench, llama-batched-bench and llama-completion are there")
    parser.add_argument("--mistralrs", metavar="PYTHON",
                        help="a Python that has the package mistralrs")
    parser.add_argument("--cases", default="prefill,decode",
                        help="of: " + ",".join([*jobs.COMPARED, *ALONE]) + " (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--prompt", type=int, default=512, help="tokens (default: %(default)s)")
    parser.add_argument("--generate", type=int, default=64, help="tokens (default: %(default)s)")
    parser.add_argument("--depth", type=int, default=4096, help="tokens (default: %(default)s)")
    parser.add_argument("--batch", type=numbers, default=[1, 4, 16, 32], help="sequences")
    parser.add_argument("--batch-prompt", type=int, default=128, help="tokens of each sequence")
    parser.add_argument("--repetitions", type=int, default=2, help="in a round; the median counts")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for one program")
    parser.add_argument("--group", default="",
                        help="what these models are; geometric means are formed in a group")
    parser.add_argument("--note", help="a sentence for the report: how it was measured")
    parser.add_argument("--output", metavar="NAME", default="comparison",
                        help="writes NAME.json and NAME.md after each job (default: %(default)s)")
    parser.add_argument("--add", action="store_true",
                        help="keep what NAME.json holds of other models and cases")
    options = parser.parse_args(arguments)
    options.cases = [case for case in options.cases.split(",") if case]
    unknown = set(options.cases) - set(jobs.COMPARED) - set(ALONE)
    if unknown:
        parser.error(f"unknown cases: {', '.join(sorted(unknown))}")
    if options.rounds < 1 or options.repetitions < 1 or options.threads < 1:
        parser.error("--rounds, --repetitions and --threads are 1 or more")
    if options.machine_peak is None:
        beside = os.path.join(os.path.dirname(options.program), "machine_peak")
        options.machine_peak = beside if os.path.exists(beside) else ""
    return options


class Comparison:
    def __init__(self, options):
        self.options = options
        self.report = {"date": time.strftime("%Y-%m-%d"), "threads": options.threads,
                       "results": [], "alone": [], "probes": [], "failures": []}
        if options.add and os.path.exists(options.output + ".json"):
            with open(options.output + ".json", encoding="utf-8") as file:
                self.report.update(json.load(file))
            self.report["failures"] = []
            self.report["date"] = time.strftime("%Y-%m-%d")
        if options.note is not None:
            self.report["note"] = options.note

    def probe(self):
        o = self.options
        if not o.machine_peak:
            return None
        peak = outputs.machine_peak(output_of(
            [o.machine_peak, "--json", "--threads", str(o.threads), "--seconds", "0.3"], o.timeout))
        self.report["probes"].append(peak)
        return peak

    def save(self):
        name = self.options.output
        with open(name + ".json.part", "w", encoding="utf-8") as file:
            json.dump(self.report, file, indent=1)
            file.write("\n")
        os.replace(name + ".json.part", name + ".json")
        with open(name + ".md", "w", encoding="utf-8") as file:
            file.write(ratios.markdown(self.report))

    def add(self, results):
        results = [dict(result, group=self.options.group) for result in results]
        for kind, has_peer in (("results", True), ("alone", False)):
            new = [result for result in results if ("peer" in result) == has_peer]
            self.report[kind] = ratios.merged(self.report[kind], new)
        for result in results:
            if "ratio" in result:
                values, of = result["ratio"], f"ratio to {result['peer']} {result['setting']}"
            else:
                values, of = ratios.spread(result["values"]), "alone"
            print(f"{result['model']}: {result['case']}: {values['min']:.3f} / "
                  f"{values['median']:.3f} / {values['max']:.3f} ({of.strip()})", flush=True)

    def run_job(self, model, job):
        self.probe()
        rounds = [jobs.run_round(job, backwards=i % 2 == 1) for i in range(self.options.rounds)]
        self.probe()
        self.add(jobs.results_of(model, rounds))

    def measure_threads(self, model, bench):
        o = self.options
        values = []
        for _ in range(o.rounds):
            speeds = bench.our_speed("-p", o.prompt, "-g", 0, "-r", o.repetitions,
                                     threads=f"1,{o.threads}")
            by_threads = {key[0]: speed for key, speed in speeds.items()}
            values.append(by_threads[o.threads] / by_threads[1])
        self.add([{"model": model, "case": f"prefill, {o.threads} threads over 1",
                   "values": values}])

    def measure_bandwidth(self, model, bench):
        o = self.options
        if not o.machine_peak:
            raise ProgramError("bandwidth: no machine_peak; give it with --machine-peak")
        size = bytes_per_token(bench.model)
        values = []
        for _ in range(o.rounds):
            before = self.probe()["bandwidth"]
            speeds = bench.our_speed("-p", 0, "-g", o.generate, "-r", o.repetitions)
            after = self.probe()["bandwidth"]
            read = outputs.only(speeds) * size / 1e9
            values.append(read / ((before + after) / 2))
        self.add([{"model": model, "case": "decode, share of the measured bandwidth",
                   "values": values}])

    def attempt(self, what, action):
        """One failure must not end a measurement of hours."""
        try:
            action()
        except (ProgramError, ValueError, LookupError, ArithmeticError) as error:
            failure = f"{what}: {type(error).__name__}: {error}"
            print(failure, file=sys.stderr, flush=True)
            self.report["failures"].append(failure)
        self.save()

    def run(self):
        o = self.options
        for path in o.models:
            model = os.path.splitext(os.path.basename(path))[0]
            bench = jobs.Bench(o, path)
            with open(path, "rb") as file:  # into the page cache
                while file.read(1 << 24):
                    pass
            for case in o.cases:
                what = f"{model}, {case}"
                if case == "threads":
                    self.attempt(what, lambda: self.measure_threads(model, bench))
                elif case == "bandwidth":
                    self.attempt(what, lambda: self.measure_bandwidth(model, bench))
                else:
                    job = jobs.COMPARED[case](bench)
                    self.attempt(what, lambda: self.run_job(model, job))
            if o.mistralrs:
                job = jobs.mistralrs(bench)
                self.attempt(f"{model}, mistral.rs", lambda: self.run_job(model, job))
        self.save()
        print()
        print(ratios.markdown(self.report))
        return 1 if self.report["failures"] else 0


if __name__ == "__main__":
    try:
        sys.exit(Comparison(parse(sys.argv[1:])).run())
    except OSError as problem:
        sys.exit(f"error: {problem}")
