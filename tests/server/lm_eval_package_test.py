#!/usr/bin/env python3
"""lm-eval itself: a task of local files through local-completions, without special settings."""

import json
import math
import os
import subprocess
import sys
import tempfile

from python_packages import require

FOLDER = require("lm_eval")

from server_case import ServerCase, TINY, main  # noqa: E402

QUESTIONS = [{"question": "The sky is", "choices": [" blue", " loud", " seven"], "answer": 0},
             {"question": "Two and two are", "choices": [" four", " red"], "answer": 0},
             {"question": "Once upon a", "choices": [" time", " and", " of the"], "answer": 0}]

TASKS = {
    "choice": """
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: answer
doc_to_choice: choices
target_delimiter: ""
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
""",
    "text": """
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{choices[0]}}"
generation_kwargs: {until: ["\\n\\n", "Question:"], max_gen_toks: 12, temperature: 0}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "rolling": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}} and so on, and so on."
metric_list: [{metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}]
"""}


class LmEvalPackage(ServerCase):
    OPTIONS = ["--no-access-log"]

    def evaluate(self, *options):
        """The answers of all tasks by task and question, and the figures by task."""
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "data.jsonl")
            with open(data, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in QUESTIONS)
            for name, text in TASKS.items():
                with open(os.path.join(folder, f"{name}.yaml"), "w", encoding="utf-8") as file:
                    file.write(f"task: {name}\ndataset_path: json\ntest_split: test\n"
                               f"dataset_kwargs: {{data_files: {{test: {data}}}}}\n{text}")
            out = os.path.join(folder, "out")
            result = subprocess.run(
                [sys.executable, "-m", "lm_eval", "--model", "local-completions",
                 "--include_path", folder, "--tasks", ",".join(TASKS), "--log_samples",
                 "--output_path", out, *options],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, check=False,
                env=dict(os.environ, PYTHONPATH=FOLDER, HF_HOME=os.path.join(folder, "home"),
                         HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1"))
            self.assertEqual(result.returncode, 0, result.stdout[-6000:])
            answers, figures = {name: {} for name in TASKS}, {}
            for where, _, files in os.walk(out):
                for file in files:
                    with open(os.path.join(where, file), encoding="utf-8") as opened:
                        if file.startswith("results_"):
                            figures = json.load(opened)["results"]
                            continue
                        task = file.split("_")[1]
                        for sample in map(json.loads, opened):
                            answers[task][sample["doc_id"]] = sample["resps"]
            return answers, figures

    def test_tasks_alone_and_in_batches(self):
        where = f"model={TINY},base_url={self.server.base}/v1/completions"
        alone, figures = self.evaluate("--model_args", where)
        self.assertEqual({task: len(of) for task, of in alone.items()},
                         {"choice": 3, "text": 3, "rolling": 3})
        self.assertIn(figures["choice"]["acc,none"] * 3, (0, 1, 2, 3))
        self.assertGreater(figures["rolling"]["word_perplexity,none"], 1)
        for answers in alone["choice"].values():
            for ((likelihood, _),) in answers:
                self.assertTrue(-math.inf < float(likelihood) < 0, answers)
        together, again = self.evaluate(
            "--model_args", where + ",num_concurrent=3", "--batch_size", "2")
        self.assertEqual(alone["text"], together["text"])
        self.assertEqual(figures["choice"]["acc,none"], again["choice"]["acc,none"])
        for doc, answers in alone["choice"].items():
            for ((one, greedy),), ((other, also),) in zip(answers, together["choice"][doc]):
                self.assertAlmostEqual(float(one), float(other), places=3)
                self.assertEqual(greedy, also)


if __name__ == "__main__":
    main()
