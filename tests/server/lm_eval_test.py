#!/usr/bin/env python3
"""What lm-eval's local-completions asks for and reads: its requests, and its way with the answers.

lm_eval_package_test.py runs the package itself, which needs far more than it sends; what it sends
is this (lm_eval 0.4.13, models/openai_completions.py): for likelihoods a batch of prompts of token
ids with echo, logprobs 1 and max_tokens 1, of whose answer it leaves out the last token; for texts
a batch of prompts with stop strings.
"""

import json
import os

from server_case import ServerCase, TINY, main

COMPLETIONS = "/v1/completions"


class LmEval(ServerCase):
    OPTIONS = ["--no-access-log"]

    def ask(self, **body):
        status, answer = self.server.post(COMPLETIONS, {"model": "any", "seed": 1234, **body})
        self.assertEqual(status, 200, answer)
        return answer

    def tokens(self, text):
        status, answer = self.server.post(
            "/tokenize", {"prompt": text, "add_special_tokens": False})
        self.assertEqual(status, 200, answer)
        return answer["tokens"]

    def likelihoods(self, pairs):
        """(sum of the logarithms, greedy) of each continuation, as lm-eval reads them."""
        answer = self.ask(prompt=[context + more for context, more in pairs], temperature=0,
                          max_tokens=1, logprobs=1, echo=True)
        self.assertEqual(len(answer["choices"]), len(pairs))
        results = []
        for choice, (context, more) in zip(
                sorted(answer["choices"], key=lambda choice: choice["index"]), pairs):
            told = choice["logprobs"]
            # One more: the generated token, also where it ends the answer.
            self.assertEqual(len(told["token_logprobs"]), len(context) + len(more) + 1)
            own = told["token_logprobs"][len(context):-1]
            top = told["top_logprobs"][len(context):-1]
            greedy = all(one == max(best.values()) for one, best in zip(own, top))
            results.append((sum(own), greedy))
        return results

    def test_likelihoods_are_those_of_generation(self):
        context = self.tokens("Once upon a time there was")
        made = self.ask(prompt=context, max_tokens=5, temperature=0, logprobs=1, ignore_eos=True)
        answer = made["choices"][0]["logprobs"]
        # Which ids they are is not told: they are those that are greedy.
        with open(os.path.join(TINY, "config.json"), encoding="utf-8") as file:
            vocabulary = json.load(file)["vocab_size"]
        ids = []
        for _ in range(2):
            asked = self.likelihoods([(context + ids, [i]) for i in range(vocabulary)])
            greedy = [i for i, (_, is_greedy) in enumerate(asked) if is_greedy]
            self.assertEqual(len(greedy), 1)
            ids += greedy
        total, greedy = self.likelihoods([(context, ids)])[0]
        self.assertTrue(greedy)
        self.assertAlmostEqual(total, sum(answer["token_logprobs"][:len(ids)]), places=3)

    def test_batches_are_like_single_requests(self):
        context = self.tokens("The answer is")
        pairs = [(context, self.tokens(text)) for text in (" yes", " no", " perhaps not", " 42")]
        together = self.likelihoods(pairs)
        for pair, expected in zip(pairs, together):
            total, greedy = self.likelihoods([pair])[0]
            self.assertAlmostEqual(total, expected[0], places=3)
            self.assertEqual(greedy, expected[1])
        self.assertLess(max(total for total, _ in together), 0)

    def test_a_local_task(self):
        """A multiple choice: the most likely of the continuations is chosen, and always the same."""
        questions = [("The sky is", (" blue", " loud", " seven")),
                     ("Two and two are", (" four", " red"))]
        chosen = []
        for _ in range(2):
            picks = []
            for question, choices in questions:
                context = self.tokens(question)
                scores = self.likelihoods([(context, self.tokens(c)) for c in choices])
                picks.append(max(range(len(choices)), key=lambda i: scores[i][0]))
            chosen.append(picks)
        self.assertEqual(chosen[0], chosen[1])

    def test_rolling_likelihood_begins_with_one_token(self):
        ids = self.tokens("A text of some length, from its second token on.")
        total, _ = self.likelihoods([(ids[:1], ids[1:])])[0]
        self.assertLess(total, 0)

    def test_texts(self):
        prompts = ["Question: what?\nAnswer:", "Once"]
        settings = {"max_tokens": 24, "temperature": 0, "stop": ["\n\n", "Question:", "</s>"]}
        together = self.ask(prompt=prompts, **settings)
        texts = {choice["index"]: choice["text"] for choice in together["choices"]}
        self.assertEqual(sorted(texts), [0, 1])
        for i, prompt in enumerate(prompts):
            alone = self.ask(prompt=[prompt], **settings)["choices"][0]["text"]
            self.assertEqual(alone, texts[i])
            ids = self.ask(prompt=[self.tokens_with_start(prompt)], **settings)
            self.assertEqual(ids["choices"][0]["text"], texts[i])

    def tokens_with_start(self, text):
        status, answer = self.server.post("/tokenize", {"prompt": text})
        self.assertEqual(status, 200, answer)
        return answer["tokens"]

    def test_its_probe_for_a_remote_tokenizer_is_answered(self):
        answer, _ = self.server.raw(b"GET /tokenizer_info HTTP/1.1\r\nHost: x\r\n"
                                    b"Connection: close\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 404"), answer[:100])
        self.assertIn("error", json.loads(answer.partition(b"\r\n\r\n")[2]))


if __name__ == "__main__":
    main()
