"""The cases that compare.py measures. A job runs every side once a round and keeps what it gets:
{case: (kind, value)}."""

import os

from comparison import outputs, ratios
from comparison.processes import first_output, output_of

PROMPT = "The quick brown fox jumps over the lazy dog. What does it do then?"
FLASH = {"fa off": "0", "fa on": "1"}


class Job:
    """`sides` maps (peer, setting) to a function; the peer None is this program. A function returns
    {case: (kind, value)}, or for several settings at once {setting: {case: (kind, value)}}."""

    def __init__(self, name, sides):
        self.name = name
        self.sides = sides


class Bench:
    """How each program is called."""

    def __init__(self, options, model):
        self.options = options
        self.model = model

    def ours(self, *arguments, threads=None):
        o = self.options
        return [o.program, "bench", "--json", "-m", self.model, "--threads",
                str(threads or o.threads), *map(str, arguments)]

    def our_speed(self, *arguments, threads=None):
        text = output_of(self.ours(*arguments, threads=threads), self.options.timeout)
        return outputs.mistralcpp_bench(text)

    def llama_bench(self, *arguments):
        o = self.options
        return [os.path.join(o.llama, "llama-bench"), "-m", self.model, "-t", str(o.threads),
                "-o", "json", *map(str, arguments)]

    def both_settings(self, case, *arguments):
        """llama-bench loads once for flash attention off and on."""
        text = output_of(self.llama_bench(*arguments, "-fa", "0,1"), self.options.timeout)
        speeds = {key[0]: speed for key, speed in outputs.llama_bench(text).items()}
        return {name: {case: (ratios.TOKENS, speeds[int(flag)])} for name, flag in FLASH.items()}


def _speed_job(bench, name, case, prompt, generate, depth, repetitions):
    o = bench.options

    def ours():
        speeds = bench.our_speed("-p", prompt, "-g", generate, "--depth", depth, "-r", repetitions)
        return {case: (ratios.TOKENS, outputs.only(speeds))}

    sides = {(None, ""): ours}
    if o.llama:
        sides["llama.cpp", None] = lambda: bench.both_settings(
            case, "-p", prompt, "-n", generate, "-d", depth, "-r", repetitions)
    return Job(name, sides)


def prefill(bench):
    o = bench.options
    return _speed_job(bench, "prefill", f"prefill {o.prompt}", o.prompt, 0, 0, o.repetitions)


def decode(bench):
    o = bench.options
    return _speed_job(bench, "decode", "decode", 0, o.generate, 0, o.repetitions)


def depth(bench):
    o = bench.options
    return _speed_job(bench, "depth", f"decode at depth {o.depth}", 0, o.generate, o.depth, 1)


def batch(bench):
    o = bench.options
    counts = ",".join(map(str, o.batch))
    context = max(o.batch) * (o.batch_prompt + o.generate)

    def name(count):
        return f"batch {count}"

    def ours():
        speeds = bench.our_speed("-p", o.batch_prompt, "-g", o.generate, "--batch", counts, "-r", 1)
        return {name(key[4]): (ratios.TOKENS, speed)
                for key, speed in speeds.items() if key[2] > 0}

    def theirs(flag):
        text = output_of(
            [os.path.join(o.llama, "llama-batched-bench"), "-m", bench.model, "-t", str(o.threads),
             "-tb", str(o.threads), "-c", str(context), "-npp", str(o.batch_prompt),
             "-ntg", str(o.generate), "-npl", counts, "-fa", "on" if flag == "1" else "off",
             "--output-format", "jsonl"], o.timeout)
        return {name(count): (ratios.TOKENS, speed)
                for count, speed in outputs.llama_batched_bench(text).items()}

    sides = {(None, ""): ours}
    if o.llama:
        for setting, flag in FLASH.items():
            sides["llama.cpp", setting] = lambda flag=flag: theirs(flag)
    return Job("batch", sides)


def start(bench):
    """From the start of the process to the first token, the file in the page cache."""
    o = bench.options
    case = "start"

    def measure(command):
        return {case: (ratios.SECONDS, first_output(command, o.timeout)[0])}

    sides = {(None, ""): lambda: measure(
        [o.program, "run", "-m", bench.model, "--threads", str(o.threads), "-c", "512", "--raw",
         "--greedy", "--prompt", PROMPT, "--max-tokens", "1"])}
    if o.llama:
        # Repacking makes it fast later and late at first; warming up is work before the answer.
        for setting, more in (("", []), ("without repacking", ["--no-repack"])):
            sides["llama.cpp", setting] = lambda more=more: measure(
                [os.path.join(o.llama, "llama-completion"), "-m", bench.model, "-t",
                 str(o.threads), "-tb", str(o.threads), "-c", "512", "-no-cnv", "-p", PROMPT, "-n",
                 "1", "--temp", "0", "--no-warmup", "--no-display-prompt", *more])
    return Job("start", sides)


def memory(bench):
    """Most memory that a process held while it computed a prompt and generated."""
    o = bench.options
    case = "peak memory"

    def measure(command):
        return {case: (ratios.MEBIBYTES, first_output(command, o.timeout)[1])}

    sides = {(None, ""): lambda: measure(
        bench.ours("-p", o.prompt, "-g", 8, "-r", 1, "-c", o.prompt + 64))}
    if o.llama:
        for setting, flag in FLASH.items():
            sides["llama.cpp", setting] = lambda flag=flag: measure(
                bench.llama_bench("-p", o.prompt, "-n", 8, "-r", 1, "-fa", flag))
    return Job("memory", sides)


def mistralrs(bench):
    o = bench.options
    names = {"prefill": f"prefill {o.prompt}", "decode": "decode"}

    def ours():
        speeds = bench.our_speed("-p", o.prompt, "-g", o.generate, "-r", o.repetitions)
        return {names["prefill" if key[1] > 0 else "decode"]: (ratios.TOKENS, speed)
                for key, speed in speeds.items()}

    def theirs():
        script = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                              "mistralrs_speed.py")
        text = output_of([o.mistralrs, script, bench.model, str(o.prompt), str(o.generate)],
                         o.timeout)
        return {names[name]: (ratios.TOKENS, speed)
                for name, speed in outputs.mistralrs_speed(text).items()}

    return Job("mistral.rs", {(None, ""): ours, ("mistral.rs", ""): theirs})


COMPARED = {"prefill": prefill, "decode": decode, "depth": depth, "batch": batch, "start": start,
            "memory": memory}


def run_round(job, backwards):
    """{(peer, setting): {case: (kind, value)}}; every second round goes backwards, so that no side
    always comes first."""
    measured = {}
    sides = list(job.sides.items())
    for (peer, setting), measure in reversed(sides) if backwards else sides:
        values = measure()
        for name, cases in ({setting: values} if setting is not None else values).items():
            measured[peer, name] = cases
    return measured


def results_of(model, rounds):
    """Joins the rounds of a job to results, one for each case and peer."""
    results = []
    for case, (kind, _) in rounds[0][None, ""].items():
        ours = [measured[None, ""][case][1] for measured in rounds]
        peers = {}
        for peer, setting in rounds[0]:
            if peer is not None:
                peers.setdefault(peer, {})[setting] = [
                    measured[peer, setting][case][1] for measured in rounds]
        for peer, settings in peers.items():
            results.append(ratios.compare(model, case, kind, ours, peer, settings))
        if not peers:
            results.append({"model": model, "case": f"{case}, {kind[0]}", "values": ours})
    return results
