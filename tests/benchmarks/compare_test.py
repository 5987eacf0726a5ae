#!/usr/bin/env python3
"""Tests of compare.py and plot.py with output that was printed before, and with small programs."""

import io
import json
import os
import struct
import sys
import tempfile
import unittest
import xml.dom.minidom
from contextlib import redirect_stderr, redirect_stdout

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPOSITORY, "benchmarks"))

import compare  # noqa: E402
import plot  # noqa: E402
import publish  # noqa: E402
from comparison import gguf_size, jobs, outputs, processes, ratios  # noqa: E402

OURS = """[{"model": "m", "threads": 2, "test": "pp512", "n_prompt": 512, "n_gen": 0, "n_depth": 0,
  "n_batch": 1, "tokens_per_second": 99.0, "median": 100.0, "samples": [100.0]},
 {"model": "m", "threads": 2, "test": "tg64 @ d128 x4", "n_prompt": 0, "n_gen": 64, "n_depth": 128,
  "n_batch": 4, "tokens_per_second": 51.0, "median": 50.0, "samples": [50.0]}]"""
LLAMA = """[{"flash_attn": 0, "n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ts": 1.0,
  "samples_ts": [10.0, 30.0, 80.0]},
 {"flash_attn": true, "n_prompt": 512, "n_gen": 0, "n_depth": 0, "samples_ts": [25.0]}]"""
BATCHED = """llama_context: n_ctx = 2048
{"n_kv_max": 2048, "flash_attn": 1, "pp": 16, "tg": 4, "pl": 1, "speed_pp": 21.0, "speed_tg": 11.9}
{"n_kv_max": 2048, "flash_attn": 1, "pp": 16, "tg": 4, "pl": 4, "speed_pp": 24.0, "speed_tg": 12.8}

"""
PEAK = """[{"threads": 2, "bandwidth": {"best": 40.5, "median": 38.0}, "int8": {"best": 930.0},
  "bf16": {"best": 0.0}, "f32": {"best": 236.0}}]"""


class OutputsTest(unittest.TestCase):
    def test_reads_what_programs_print(self):
        self.assertEqual(outputs.mistralcpp_bench(OURS),
                         {(2, 512, 0, 0, 1): 100.0, (2, 0, 64, 128, 4): 50.0})
        self.assertEqual(outputs.llama_bench(LLAMA),
                         {(0, 512, 0, 0): 30.0, (1, 512, 0, 0): 25.0})
        self.assertEqual(outputs.llama_batched_bench(BATCHED), {1: 11.9, 4: 12.8})
        self.assertEqual(outputs.machine_peak(PEAK)["bandwidth"], 40.5)
        self.assertEqual(outputs.only({"a": 1.5}), 1.5)
        self.assertEqual(outputs.mistralrs_speed('{"prefill": 9.5, "decode": 17, "x": 1}'),
                         {"prefill": 9.5, "decode": 17.0})

    def test_refuses_other_output(self):
        for function, text in ((outputs.mistralcpp_bench, "error: no"),
                               (outputs.mistralcpp_bench, "{}"),
                               (outputs.mistralcpp_bench, '[{"threads": 2}]'),
                               (outputs.llama_bench, '[{"flash_attn": 1}]'),
                               (outputs.llama_batched_bench, "nothing"),
                               (outputs.llama_batched_bench, '{"pl": 1}'),
                               (outputs.machine_peak, "[]"),
                               (outputs.only, {}),
                               (outputs.mistralrs_speed, '{"prefill": 1}')):
            with self.assertRaises(ValueError, msg=text):
                function(text)


class RatiosTest(unittest.TestCase):
    def result(self, kind=ratios.TOKENS):
        return ratios.compare("m", "prefill", kind, [20.0, 30.0, 40.0], "llama.cpp",
                              {"fa off": [10.0, 10.0, 10.0], "fa on": [5.0, 20.0, 16.0]})

    def test_the_peer_runs_at_its_better_setting(self):
        faster = self.result()
        self.assertEqual(faster["setting"], "fa on")
        self.assertEqual(faster["ratios"], [4.0, 1.5, 2.5])
        self.assertEqual(faster["ratio"], {"min": 1.5, "median": 2.5, "max": 4.0})
        shorter = self.result(ratios.SECONDS)
        self.assertEqual(shorter["setting"], "fa off")
        self.assertEqual(shorter["ratio"], {"min": 2.0, "median": 3.0, "max": 4.0})

    def test_rounds_must_be_complete(self):
        with self.assertRaises(ValueError):
            ratios.compare("m", "c", ratios.TOKENS, [1.0, 2.0], "p", {"": [1.0]})
        with self.assertRaises(ValueError):
            ratios.compare("m", "c", ratios.TOKENS, [], "p", {"": []})

    def test_means_are_geometric(self):
        results = [dict(self.result(), model=str(i), ratio={"median": value})
                   for i, value in enumerate((1.0, 4.0, 16.0))]
        mean, = ratios.means(results)
        self.assertAlmostEqual(mean["geometric_mean"], 4.0)
        self.assertEqual((mean["min"], mean["max"], mean["models"]), (1.0, 16.0, 3))
        grouped = ratios.means([dict(result, group=result["model"]) for result in results])
        self.assertEqual([(mean["group"], mean["models"]) for mean in grouped],
                         [("0", 1), ("1", 1), ("2", 1)])
        with self.assertRaises(ValueError):
            ratios.geometric_mean([1.0, 0.0])

    def test_newer_results_replace_older_ones(self):
        old, new = self.result(), dict(self.result(), setting="new")
        other = dict(self.result(), case="decode")
        self.assertEqual(ratios.merged([old, other], [new]), [other, new])

    def test_markdown_has_every_part(self):
        text = ratios.markdown({
            "results": [self.result()],
            "alone": [{"model": "m", "case": "threads", "values": [1.5, 1.9]}],
            "probes": [{"bandwidth": 40.0, "int8": 900.0}, {"bandwidth": 30.0, "int8": 800.0}]})
        self.assertIn("| m | prefill | 30.0 tokens/s | llama.cpp fa on | 16.0 | "
                      "1.50 / 2.50 / 4.00 |", text)
        self.assertIn("| prefill | llama.cpp | 1 | 2.50 | 2.50 | 2.50 |", text)
        self.assertIn("| m | threads | 1.50 / 1.70 / 1.90 |", text)
        self.assertIn("| bandwidth, GB/s | 30.0 / 35.0 / 40.0 |", text)


class JobsTest(unittest.TestCase):
    def test_rounds_alternate_and_settings_stay_apart(self):
        order = []

        def side(name, value):
            order.append(name)
            return value

        job = jobs.Job("x", {
            (None, ""): lambda: side("ours", {"c": (ratios.TOKENS, 6.0)}),
            ("p", None): lambda: side("p", {"a": {"c": (ratios.TOKENS, 2.0)},
                                            "b": {"c": (ratios.TOKENS, 3.0)}}),
            ("q", ""): lambda: side("q", {"c": (ratios.TOKENS, 1.0)})})
        rounds = [jobs.run_round(job, False), jobs.run_round(job, True)]
        self.assertEqual(order, ["ours", "p", "q", "q", "p", "ours"])
        p, q = jobs.results_of("m", rounds)
        self.assertEqual((p["peer"], p["setting"], p["ratios"]), ("p", "b", [2.0, 2.0]))
        self.assertEqual((q["peer"], q["setting"], q["ratios"]), ("q", "", [6.0, 6.0]))

    def test_without_a_peer_the_values_stand_alone(self):
        job = jobs.Job("x", {(None, ""): lambda: {"c": (ratios.TOKENS, 6.0)}})
        self.assertEqual(jobs.results_of("m", [jobs.run_round(job, False)]),
                         [{"model": "m", "case": "c, tokens/s", "values": [6.0]}])


class ProcessesTest(unittest.TestCase):
    def python(self, code):
        return [sys.executable, "-c", code]

    def test_output_and_failures(self):
        self.assertEqual(processes.output_of(self.python("print(5)"), 60), "5\n")
        for command, expected in (
                (self.python("import sys; sys.exit('it broke')"), "it broke"),
                (["/does/not/exist"], "/does/not/exist")):
            for run in (processes.output_of, processes.first_output):
                with self.assertRaisesRegex(processes.ProgramError, expected):
                    run(command, 60)
        with self.assertRaisesRegex(processes.ProgramError, "longer than"):
            processes.output_of(self.python("import time; time.sleep(60)"), 0.5)
        with self.assertRaisesRegex(processes.ProgramError, "longer than"):
            processes.first_output(self.python("import time; time.sleep(60)"), 0.5)
        with self.assertRaisesRegex(processes.ProgramError, "printed nothing"):
            processes.first_output(self.python("pass"), 60)

    def test_the_first_byte_counts_and_memory_is_the_peak(self):
        seconds, small = processes.first_output(
            self.python("import time; print(1, flush=True); time.sleep(1)"), 60)
        self.assertLess(seconds, 60)
        _, large = processes.first_output(
            self.python("x = bytearray(b'1') * (200 << 20); print(1)"), 60)
        self.assertGreater(large - small, 150)


class GgufSizeTest(unittest.TestCase):
    def file(self, tensors):
        def text(value):
            return struct.pack("<Q", len(value)) + value.encode()
        data = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 3)
        data += text("a") + struct.pack("<If", 6, 1.5)
        data += text("b") + struct.pack("<I", 9) + struct.pack("<IQ", 8, 2) + text("x") + text("yz")
        data += text("c") + struct.pack("<I", 9) + struct.pack("<IQ", 5, 3) + bytes(12)
        for name, dims, kind in tensors:
            data += text(name) + struct.pack("<I", len(dims))
            data += b"".join(struct.pack("<Q", dim) for dim in dims)
            data += struct.pack("<IQ", kind, 0)
        handle = tempfile.NamedTemporaryFile(suffix=".gguf", delete=False)
        self.addCleanup(os.unlink, handle.name)
        with handle:
            handle.write(data)
        return handle.name

    def test_counts_what_a_token_reads(self):
        embedding = ("token_embd.weight", (256, 10), 12)  # 144 bytes a row
        norm = ("norm", (256,), 0)
        self.assertEqual(gguf_size.bytes_per_token(self.file([embedding, norm])), 1440 + 1024)
        head = ("output.weight", (256, 10), 2)  # 8 blocks of 18 bytes a row
        self.assertEqual(gguf_size.bytes_per_token(self.file([embedding, norm, head])), 1440 + 1024)

    def test_refuses_other_files(self):
        with self.assertRaises(ValueError):
            gguf_size.bytes_per_token(__file__)
        with self.assertRaisesRegex(ValueError, "type 99"):
            gguf_size.bytes_per_token(self.file([("a", (1,), 99)]))


class PlotTest(unittest.TestCase):
    def report(self):
        return {"results": [
            ratios.compare(model, case, kind, [2.0, 3.0], "llama.cpp", {"": [1.0, 1.0]})
            for model in ("a<b", "c") for case, kind in (("prefill", ratios.TOKENS),
                                                         ("start", ratios.SECONDS))]}

    def test_draws_a_bar_for_every_speed(self):
        picture = xml.dom.minidom.parseString(plot.svg(self.report()))
        self.assertEqual(len(picture.getElementsByTagName("rect")), 1 + 2)
        texts = [node.firstChild.data for node in picture.getElementsByTagName("text")]
        self.assertIn("a<b", texts)
        self.assertIn("2.50", texts)
        self.assertFalse(any("start" in text for text in texts))
        with self.assertRaises(ValueError):
            plot.svg({"results": []})

    def test_marks_enclose_the_values(self):
        for least, largest in ((0.3, 0.9), (1.0, 1.0), (1.5, 1.9), (0.49, 7.99), (0.2, 99.0)):
            marks = plot.ticks(least, largest)
            self.assertLessEqual(marks[0], min(least, 1.0))
            self.assertGreaterEqual(marks[-1], max(largest, 1.0))
            self.assertIn(1.0, marks)
            self.assertLessEqual(len(marks), 10)


class PublishTest(unittest.TestCase):
    def test_replaces_what_is_between_the_marks(self):
        page = f"before\n{publish.BEGIN}\nold\n{publish.END}\nafter\n"
        self.assertEqual(publish.replaced(page, "new\n"),
                         f"before\n{publish.BEGIN}\nnew\n{publish.END}\nafter\n")
        for broken in ("", publish.BEGIN, publish.END + publish.BEGIN):
            with self.assertRaises(ValueError):
                publish.replaced(broken, "new")


class CompareTest(unittest.TestCase):
    """The whole program with stand-ins that print what the real ones print."""

    def stand_in(self, folder, name, code):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!{sys.executable}\nimport sys\n{code}\n")
        os.chmod(path, 0o755)
        return path

    def test_measures_writes_and_adds(self):
        with tempfile.TemporaryDirectory() as folder:
            prefill = json.dumps(json.loads(OURS)[:1])
            program = self.stand_in(folder, "mistralcpp", f"print('{prefill}')")
            self.stand_in(folder, "machine_peak", f"print('''{PEAK}''')")
            self.stand_in(folder, "llama-bench", f"print('''{LLAMA}''')")
            model = os.path.join(folder, "small.gguf")
            with open(model, "wb"):
                pass
            name = os.path.join(folder, "report")
            common = [model, "--program", program, "--output", name, "--threads", "2"]

            def run(*options):
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    code = compare.Comparison(compare.parse([*common, *options])).run()
                with open(name + ".json", encoding="utf-8") as file:
                    return code, json.load(file)

            code, report = run("--llama", folder, "--cases", "prefill", "--rounds", "3")
            self.assertEqual(code, 0, report["failures"])
            result, = report["results"]
            self.assertEqual((result["model"], result["case"]), ("small", "prefill 512"))
            self.assertEqual(result["ratios"], [100.0 / 30.0] * 3)
            self.assertEqual(len(report["probes"]), 2)

            # A failure is told, and does not lose what was measured before.
            code, report = run("--add", "--llama", folder, "--cases", "batch,threads", "--rounds",
                               "1")
            self.assertEqual(code, 1)
            self.assertEqual(len(report["results"]), 1)
            self.assertEqual(len(report["failures"]), 2)
            self.assertIn("llama-batched-bench", report["failures"][0])
            with open(name + ".md", encoding="utf-8") as file:
                self.assertIn("prefill 512", file.read())

    def test_wrong_usage(self):
        for options in (["--cases", "nothing"], ["--rounds", "0"], ["--batch", "x"]):
            with self.assertRaises(SystemExit), redirect_stderr(io.StringIO()):
                compare.parse(options)


if __name__ == "__main__":
    unittest.main()
