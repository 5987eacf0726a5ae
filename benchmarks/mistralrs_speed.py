#!/usr/bin/env python3
"""Prints the speed of the Python package `mistralrs` on a GGUF file as one JSON object.

usage: mistralrs_speed.py FILE PROMPT_TOKENS GENERATED_TOKENS

compare.py runs it with a Python that has the package. The model's own messages go to standard error.
"""

import json
import os
import sys


def main():
    file, prompt_tokens, generated = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # The package writes its progress to standard output; the result must be alone there.
    result = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import mistralrs
    runner = mistralrs.Runner(which=mistralrs.Which.GGUF(
        tok_model_id=None, quantized_model_id=os.path.dirname(os.path.abspath(file)),
        quantized_filename=os.path.basename(file)))

    def run(prompt, max_tokens):
        return runner.send_completion_request(mistralrs.CompletionRequest(
            model="default", prompt=prompt, max_tokens=max_tokens, temperature=0.0)).usage

    def words(count, first):
        return " ".join(["the", "a", "one", "and"][(i + first) % 4] for i in range(count))

    run(words(16, 0), 2)
    prefill = run(words(prompt_tokens, 1), 1)
    decode = run("Once upon a time", generated)
    json.dump({"prompt_tokens": prefill.prompt_tokens,
               "prefill": prefill.avg_prompt_tok_per_sec,
               "generated_tokens": decode.completion_tokens,
               "decode": decode.avg_compl_tok_per_sec}, result)
    result.write("\n")
    result.flush()
    os._exit(0)  # its threads need not be waited for


if __name__ == "__main__":
    main()
